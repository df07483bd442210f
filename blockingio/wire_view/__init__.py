"""What goes over the wire, for people to read.

    from blockingio import HttpServer
    from blockingio.wire_view import WireView

    server = HttpServer.bind("127.0.0.1", 8000)
    server.wire_log = WireView()

A client has a ``wire_log`` too.  From a shell: ``python -m blockingio.wire_view URL`` makes one request and shows it.
"""

from __future__ import annotations

from blockingio import by_need

__all__ = ["WireView"]

# Not at once: the command's first step, before Ctrl-C is heard, is to load this.
__getattr__, __dir__ = by_need(globals(), {"WireView": "view"})
