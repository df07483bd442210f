"""What goes over the wire, for people to read.

    from blockingio import HttpServer
    from blockingio.wire_view import WireView

    server = HttpServer.bind("127.0.0.1", 8000)
    server.wire_log = WireView()

A client has a ``wire_log`` too.  From a shell: ``python -m blockingio.wire_view URL`` makes one request and shows it.
"""

from __future__ import annotations

from importlib import import_module

__all__ = ["WireView"]


def __getattr__(name: str) -> object:
    """Load it when it is first used (PEP 562): the command's first step, before Ctrl-C is heard, is to load this."""
    if name != "WireView":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.view"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
