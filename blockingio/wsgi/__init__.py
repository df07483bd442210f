"""WSGI applications (PEP 3333): Flask, Django, Bottle, Falcon, and your own.

    from blockingio import HttpServer
    from blockingio.wsgi import WsgiHandler

    server = HttpServer.bind("127.0.0.1", 8000)
    server.for_each(WsgiHandler(application), workers=8)

From a shell: ``python -m blockingio.wsgi MODULE:APPLICATION``.
"""

from __future__ import annotations

from importlib import import_module

__all__ = ["WsgiHandler"]


def __getattr__(name: str) -> object:
    """Load it when it is first used (PEP 562): the command's first step, before Ctrl-C is heard, is to load this."""
    if name != "WsgiHandler":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.handler"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
