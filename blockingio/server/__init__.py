"""HttpServer and what it hands out.

Modules for what is asked of a server by a setting or a context alone are loaded then: a script without it starts
sooner.  What asks for one imports the room, ``import blockingio.server as room``, and names ``room.proxies``.  Not so
what is needed in the middle of trouble, where the system may have no descriptor left to read a module with.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_BY_NEED = ("hosts", "plain_http", "proxies")


def __getattr__(name: str) -> Any:
    """Load a module when it is first asked for (PEP 562); importing makes it an attribute of the room."""
    if name not in _BY_NEED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
