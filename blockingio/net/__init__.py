"""The operating system.

Modules that a plain server has no use for are loaded when they are first asked for, as ``net.tls_channel`` of
``import blockingio.net as net``: see server.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_BY_NEED = ("tls_channel", "told_channel", "wire_log", "x509")


def __getattr__(name: str) -> Any:
    """Load a module when it is first asked for (PEP 562); importing makes it an attribute of the room."""
    if name not in _BY_NEED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
