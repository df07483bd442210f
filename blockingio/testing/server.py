"""RunningServer: an HttpServer on a free port with rules, whose workers answer in the background.

The test's thread makes it, adds rules and closes it; the workers are the threads of HttpServer.listen.  Shared are
the rules (under their own lock), ``requests`` (a list that workers append to, one step of the interpreter, and on a
free-threaded one under its own lock), and what is guarded by ``_changed``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from threading import Condition, Event, get_ident
from typing import Any

from blockingio.errors import StateError
from blockingio.net.security import SecurityContext
from blockingio.stream.fork import begin_anew_in_child
from blockingio.server.request import HttpRequest
from blockingio.server.server import HttpServer
from blockingio.testing.fault import Fault
from blockingio.testing.record import RecordedRequest
from blockingio.testing.rules import Rule, Rules

# Seconds that actions which run at the end have with their connections whole; after that these are cut, and actions
# that wait for their client end too.
_GRACE = 2.0

_HOST = "127.0.0.1"


class RunningServer:
    """A real server on a free port of 127.0.0.1, ready when it is made, gone when it is closed.

    ``on`` says what it answers.  The action that ``serving`` was given answers what no rule fits; without one that is
    an unexpected request, answered 404 and raised as an AssertionError at the end.  What an action raises is answered
    500 and raised at the end, with its own traceback.  Actions run on several threads at once, ``workers`` of them.

    ``server`` is the HttpServer.  ``requests`` lists the RecordedRequests in the order in which they came; each is
    whole once its response has begun.  ``context`` is the SecurityContext of a secure one, whose ``certificate_pem`` is
    what a client is to trust; None of any other.
    """

    def __init__(self, action: Callable[[HttpRequest], object] | None, workers: int, secure: bool) -> None:
        """For ``serving``."""
        if action is not None and not callable(action):
            raise TypeError(f"expected a function of the request as action, found {action!r}")
        self.context: SecurityContext | None = SecurityContext.self_signed() if secure else None
        self.requests: list[RecordedRequest] = []
        self._action = action
        self._rules = Rules()
        self._acting: list[int] = []  # the threads on which an action runs
        self._begin_anew()
        self.server = (HttpServer.bind(_HOST, 0) if self.context is None
                       else HttpServer.bind_secure(_HOST, 0, self.context))
        try:
            self._working = self.server.listen(self._serve, workers=workers)
        except BaseException:
            self.server.close()
            raise
        begin_anew_in_child(self, RunningServer._left_by_fork)

    def _begin_anew(self) -> None:
        self._stopped = Event()  # set by close(): ends what is delayed or slow
        self._changed = Condition()  # guards what follows, and _acting
        self._raised: list[BaseException] = []  # by actions, and not by verify() or close() yet
        self._unexpected: list[str] = []
        self._described = ""  # the rules at the first of those

    def _left_by_fork(self) -> None:
        """In a forked child, on its one thread: what actions do and did is the parent's to wait for and to raise."""
        is_closed = self._stopped.is_set()
        self._begin_anew()
        self._rules.begin_anew()
        self._acting = [ident for ident in self._acting if ident == get_ident()]
        if is_closed:
            self._stopped.set()

    def __repr__(self) -> str:
        state = " closed" if self._stopped.is_set() else ""
        return f"<RunningServer {self.url} requests={len(self.requests)}{state}>"

    @property
    def port(self) -> int:
        """Its port, known after close() too."""
        return self.server.port

    @property
    def url(self) -> str:
        """"http://127.0.0.1:40123", without a slash behind it; https of a secure one."""
        return f"{'http' if self.context is None else 'https'}://{_HOST}:{self.port}"

    # ---------------------------------------------------------------- the test's thread

    def on(self, method: str, path: str, *, status: int = 200, body: str | bytes | None = None, json: Any = ...,
           headers: Mapping[str, object] | None = None, action: Callable[[HttpRequest], object] | None = None,
           times: int | None = None, fault: Fault | None = None) -> None:
        """Answer requests for ``path`` so; of several rules that fit the newest answers.

        ``method``: "*" is any.  ``path``: as it is sent, percent-encoded; without "?" it fits whatever the query, with
        one path and query as they were sent.  A str as ``body`` is sent in UTF-8; ``json`` is dumped, and sets
        Content-Type unless ``headers`` do; a list among ``headers`` adds each of its items.  ``action`` answers by
        itself.  ``times``: so often only, then older rules have their turn; None: always.  A rule that is not used up
        is no failure.  Raises ValueError or TypeError for what cannot be sent, or for an action beside an answer or
        beside a fault other than ``delay`` and ``close_before_head``, which is not called where the latter is set;
        StateError once the server is closed.
        """
        self._check_open()
        self._rules.add(Rule(method, path, status=status, body=body, json=json, headers=headers, action=action,
                             times=times, fault=fault))

    def verify(self) -> None:
        """Raise now what ``close`` would raise of what has happened so far; once."""
        with self._changed:
            raised, self._raised = self._raised, []
            unexpected, self._unexpected = self._unexpected, []
        if raised:
            error = raised[0]
            for other in raised[1:]:
                error.add_note(f"another action raised {other!r}")
            raise error
        if unexpected:
            count = f"{len(unexpected)} unexpected requests" if len(unexpected) > 1 else "an unexpected request"
            raise AssertionError(f"{count}:\n{''.join(unexpected)}there was:\n{self._described}")

    def close(self) -> None:
        """End it.  What is delayed or slow ends at once; actions that run are waited for.

        Raises what an action has raised, also behind its answer, else AssertionError for an unexpected request, once.
        The port is free in any case.  Idempotent.  Called by an action it does not wait, nor raise.  In a forked child
        it lets go of the socket, and neither waits nor raises: the parent's goes on.
        """
        try:
            self._stopped.set()
            self.server.close()
            with self._changed:
                is_acting = get_ident() in self._acting
                if not is_acting:
                    self._changed.wait_for(lambda: not self._acting, _GRACE)
        finally:  # also at Ctrl-C: then connections are cut, and no action is waited for
            self.server.close(force=True)
        if not is_acting:
            with suppress(CancelledError):  # in a forked child: the workers are the parent's
                self._working.as_future().result()
            self.verify()

    def _check_open(self) -> None:
        if self._stopped.is_set():
            raise StateError(f"{self!r} answers no more, expected one that is open: serving() makes another one")

    def __enter__(self) -> RunningServer:
        self._check_open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        """Close; what close() raises comes in front of an Exception that the block raised, which is its context.

        The server saw the cause where a client failed.  What is no Exception, Ctrl-C or a skipped test, goes on up.
        """
        try:
            self.close()
        except Exception as failure:
            if error is None or isinstance(error, Exception):
                raise
            error.add_note(f"at the end of {self!r}: {failure!r}")

    # ---------------------------------------------------------------- the workers' threads

    def _serve(self, request: HttpRequest) -> None:
        record = RecordedRequest(request)
        self.requests.append(record)
        record.read_body_of(request)  # HttpException where it breaks off: answered by the server, no fault of the test
        rule = self._rules.take(request.method, request.target)
        if rule is None:
            if self._action is None:
                self._refuse(request, record)
            else:
                self._act(self._action, request)
        elif rule.fault.begin(request.response, self._stopped):
            if rule.action is not None:
                self._act(rule.action, request)
            else:
                self._answer(rule, request)

    def _act(self, action: Callable[[HttpRequest], object], request: HttpRequest) -> None:
        with self._changed:
            self._acting.append(get_ident())
        try:
            action(request)
        except BaseException as error:  # pytest.fail() in it raises none of Exception
            self._failed(error, request)
        finally:
            with self._changed:
                self._acting.remove(get_ident())
                self._changed.notify_all()

    def _answer(self, rule: Rule, request: HttpRequest) -> None:
        try:
            rule.answer(request, self._stopped)
        except Exception as error:
            error.add_note(f"in the answer of the rule {rule}")
            self._failed(error, request)

    def _failed(self, error: BaseException, request: HttpRequest) -> None:
        with self._changed:
            self._raised.append(error)
        try:
            request.response.fail(500)
        except Exception:
            request.response.give_up()  # the answer is closed already, or cannot be written

    def _refuse(self, request: HttpRequest, record: RecordedRequest) -> None:
        asked = f"  {request.method} {request.target} from {record.client}\n"
        described = self._rules.described()
        with self._changed:
            if not self._unexpected:
                self._described = described
            self._unexpected.append(asked)
        response = request.response
        response.status_code = 404
        response.headers.set("content-type", "text/plain; charset=utf-8")
        response.write(f"an unexpected request:\n{asked}there was:\n{described}")
        response.close()


def serving(action: Callable[[HttpRequest], object] | None = None, *, workers: int = 8,
            secure: bool = False) -> RunningServer:
    """A RunningServer, for a ``with`` block; ``close()`` ends it too.

    ``action`` answers what no rule fits.  ``workers``: threads that answer, and so answers at once; one that is delayed
    takes one.  ``secure``: HTTPS, with a new certificate of its own for 127.0.0.1, ::1 and localhost.
    Raises OSError where the system has no port, ValueError for ``workers`` below 1.
    """
    return RunningServer(action, workers, secure)
