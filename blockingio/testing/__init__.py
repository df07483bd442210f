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

from importlib import import_module

_HOMES = {"Fault": "fault", "RecordedRequest": "record", "RunningServer": "server", "serving": "server"}

__all__ = ["Fault", "RecordedRequest", "RunningServer", "serving"]


def __getattr__(name: str) -> object:
    """Load a public name's module when the name is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
