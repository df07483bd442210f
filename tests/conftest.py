"""The suite's guard: what every test must leave behind it, which is nothing; and the TLS fixtures."""
from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections.abc import Iterator

import pytest

from tests.peers import PATIENCE, Certificates, TlsContexts

# Seconds: most threads that are still there are about to end, and a collection costs as much as several tests.
_COLLECT_AFTER = 0.05

_DESCRIPTORS = "/proc/self/fd"


def open_descriptors() -> set[str]:
    """This process's file descriptors with what each is open on; empty where the system does not tell."""
    found = set()
    for number in os.listdir(_DESCRIPTORS) if os.path.isdir(_DESCRIPTORS) else ():
        try:
            found.add(f"{number} on {os.readlink(f'{_DESCRIPTORS}/{number}')}")
        except FileNotFoundError:  # the one that listed the directory
            pass
    return found


class Leftovers:
    """The threads and file descriptors (sockets among them) that came after this was made."""

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._descriptors = open_descriptors()

    def now(self) -> list[str]:
        threads = [repr(thread) for thread in threading.enumerate() if thread not in self._threads]
        return threads + [f"descriptor {text}" for text in sorted(open_descriptors() - self._descriptors)]

    def after(self, seconds: float) -> list[str]:
        """What is still left when they have had that long to go; returns as soon as nothing is.

        A cycle of objects is Python's to free, so it gets a collection: one that held an
        open socket shows itself by its ResourceWarning.
        """
        began = time.monotonic()
        collected = False
        while (left := self.now()) and (waited := time.monotonic() - began) < seconds:
            if waited > _COLLECT_AFTER and not collected:
                collected = True
                gc.collect()
            time.sleep(0.002)
        return left


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """A thread, a socket or a file descriptor that outlives its test fails it."""
    leftovers = Leftovers()
    yield
    left = leftovers.after(PATIENCE)
    if left:
        pytest.fail("left behind: " + ", ".join(left), pytrace=False)


@pytest.fixture(autouse=True)
def logs_no_error(request: pytest.FixtureRequest) -> Iterator[None]:
    """An error on the logger "blockingio" fails a test, unless it judges the log itself, by caplog.

    So a failed assert in a handler is seen, and so is a traceback for what a client did.
    """
    errors = _Errors()
    logger = logging.getLogger("blockingio")
    logger.addHandler(errors)
    yield
    logger.removeHandler(errors)
    if errors.texts and "caplog" not in request.fixturenames:
        pytest.fail("logged: " + "\n".join(errors.texts), pytrace=False)


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture
def tls_contexts(certificates: Certificates) -> TlsContexts:
    return TlsContexts(certificates.server_context(), certificates.client_context(),
                       certificates.client_context(with_certificate=True), certificates)
