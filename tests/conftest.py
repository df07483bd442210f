"""The suite's guard: what every test must leave behind it, which is nothing; and fixtures for clients and TLS."""
from __future__ import annotations

import gc
import importlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from blockingio import HttpClient
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


#: Where pytest, too, keeps what it wants to find again; ``make clean`` takes it away.
_COMPILED = Path(__file__).parent.parent / ".pytest_cache" / "compiled"


def pytest_configure() -> None:
    """Have all interpreters that tests start share what they compile, also where nothing is to be written beside it.

    Else each of some hundred compiles the whole library, for longer than it runs.  And have them hear Ctrl-C: a shell
    without job control starts what runs in the background with SIGINT ignored, which they would inherit.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(_COMPILED)
        sys.dont_write_bytecode = False


def is_here(name: str) -> bool:
    """Whether this interpreter has what @pytest.mark.needs names: "os.fork", "socket.AF_UNIX", a module, "dir_fd"."""
    if name == "dir_fd":
        return os.open in os.supports_dir_fd
    module, _, attribute = name.partition(".")
    try:
        found = importlib.import_module(module)
        return not attribute or hasattr(found, attribute)
    except ImportError:
        return False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that is about something that a system may lack says so, and is left out where it is lacking."""
    out = [item for item in items
           if not all(is_here(name) for mark in item.iter_markers("needs") for name in mark.args)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in set(out)]


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


@pytest.fixture
def client() -> Iterator[HttpClient]:
    """One that asks no proxy, whatever the environment names."""
    with HttpClient() as client:
        client.find_proxy = None
        yield client


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture
def tls_contexts(certificates: Certificates) -> TlsContexts:
    return TlsContexts(certificates.server_context(), certificates.client_context(),
                       certificates.client_context(with_certificate=True), certificates)
