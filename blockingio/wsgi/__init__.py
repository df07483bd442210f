"""WSGI applications (PEP 3333): Flask, Django, Bottle, Falcon, and your own.

    from blockingio import HttpServer
    from blockingio.wsgi import WsgiHandler

    server = HttpServer.bind("127.0.0.1", 8000)
    server.for_each(WsgiHandler(application), workers=8)

From a shell: ``python -m blockingio.wsgi MODULE:APPLICATION``.
"""

from __future__ import annotations

from blockingio import by_need

__all__ = ["WsgiHandler"]

# Not at once: the command's first step, before Ctrl-C is heard, is to load this.
__getattr__, __dir__ = by_need(globals(), {"WsgiHandler": "handler"})
