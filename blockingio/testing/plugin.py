"""The fixtures for pytest, which finds them by the entry point pytest11.

pytest loads this module in every run of every project that has blockingio installed: so it loads neither the server
nor the client, until a test asks for a fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from blockingio import testing

if TYPE_CHECKING:
    from blockingio.testing.server import RunningServer

_FIXTURES = ("http_server", "https_server")


@pytest.fixture
def http_server() -> Iterator[RunningServer]:
    """An HTTP server on a free port of 127.0.0.1: say what it answers with http_server.on(...).

    http_server.url is where it is, http_server.requests what came.  A request that nothing was said about fails the
    test, and so does an exception in an action.
    """
    with testing.serving() as server:
        yield server


@pytest.fixture
def https_server() -> Iterator[RunningServer]:
    """The same as http_server over TLS, with a new certificate of its own.

    https_server.context.certificate_pem is what a client is to trust, for 127.0.0.1 and localhost.
    """
    with testing.serving(secure=True) as server:
        yield server


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """What went wrong in a server fails the test itself, and not only its end."""
    outcome: Any = yield
    found: dict[str, Any] = getattr(item, "funcargs", {})
    for name in _FIXTURES:
        server = found.get(name)
        if server is not None and isinstance(server, testing.RunningServer):
            _tell(server, outcome)


def _tell(server: RunningServer, outcome: Any) -> None:
    try:
        server.verify()
    except BaseException as error:
        raised = outcome.excinfo and outcome.excinfo[1]
        if raised is not None and not isinstance(raised, Exception):
            raised.add_note(f"in {server!r}: {error!r}")
        else:
            error.__context__ = raised  # the server saw the cause where the client failed
            outcome.force_exception(error)
