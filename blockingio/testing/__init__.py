"""A real server on a free port of this machine, for tests of HTTP clients.

    from blockingio.testing import serving

    with serving() as server:
        server.on("GET", "/users/1", json={"name": "Ann"})
        ...                                     # a client asks server.url + "/users/1"
    assert server.requests[0].headers["accept"] == "application/json"

With pytest the fixtures ``http_server`` and ``https_server`` are there by themselves (testing/plugin.py): pytest
loads that module in every run, so the names below are loaded when they are first used, and the server with them.
"""

from __future__ import annotations

from blockingio import by_need

_HOMES = {"Fault": "fault", "RecordedRequest": "record", "RunningServer": "server", "serving": "server"}

__all__ = ["Fault", "RecordedRequest", "RunningServer", "serving"]

__getattr__, __dir__ = by_need(globals(), _HOMES)
