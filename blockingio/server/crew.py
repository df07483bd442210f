"""Crew: threads that serve a server's requests with one action; for_each and listen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty
from typing import TYPE_CHECKING

from blockingio.errors import BadMessage
from blockingio.server.core import Signal, log, nap_time
from blockingio.server.request import HttpRequest
from blockingio.stream.waiting import Wait
from blockingio.stream.subscription import _LISTENING, StreamSubscription
from blockingio.wire.sink import OPEN

if TYPE_CHECKING:
    from blockingio.server.server import HttpServer


class _Worker:
    """One thread of a crew.  ``waits`` is its own to write: it is, or is about to be, in the queue's get()."""

    __slots__ = ("waits",)

    def __init__(self) -> None:
        self.waits = False


class Wake(Signal):
    """On the queue of requests, for one worker; another reader that gets it passes it on while it is wanted."""

    __slots__ = ("worker",)

    def __init__(self, worker: _Worker) -> None:
        self.worker = worker

    def is_wanted(self) -> bool:
        return self.worker.waits


class _CrewSubscription(StreamSubscription[HttpRequest]):
    __slots__ = ("_crew",)

    def __init__(self, crew: Crew, on_error: Callable[[Exception], object] | None,
                 on_done: Callable[[], object] | None, cancel_on_error: bool) -> None:
        super().__init__(None, on_error=on_error or _unheard, on_done=on_done, cancel_on_error=cancel_on_error,
                         on_cancel=crew.wake)  # fmt: skip
        self._crew = crew

    @property
    def _is_taking(self) -> bool:
        """Neither paused nor over."""
        return not self._pauses and self._state == _LISTENING

    def _ready(self, wait: Wait | None = None) -> bool:
        closed = self._crew.is_server_closed  # then nobody may be left to resume it
        if self._pauses:
            self._resumed.until(lambda: not self._pauses or closed(), wait)
        return self._state == _LISTENING and not (self._pauses and closed())

    def server_closed(self) -> None:
        self._resumed.notify()

    def pause(self) -> None:
        super().pause()
        self._crew.wake()


class Crew:
    def __init__(self, server: HttpServer, action: Callable[[HttpRequest], object], workers: int,
                 on_error: Callable[[Exception], object] | None = None, on_done: Callable[[], object] | None = None,
                 cancel_on_error: bool = False) -> None:
        if workers < 1:
            raise ValueError(f"workers is {workers}, expected at least 1")
        self._server = server
        self._core = server._core
        # Of the process that this was made in: a fork gives the server another one, and its child ends here.
        self._requests = self._core.requests
        self._action = action
        # Made here, never changed: wake() reads it from any thread.
        self._workers = [_Worker() for _ in range(workers)]
        self._subscription = _CrewSubscription(self, on_error, on_done, cancel_on_error)
        self._lock = threading.Lock()  # guards the next two
        self._left = workers  # that have not ended yet
        self._fatal: BaseException | None = None
        with server._lock:
            server._crews.add(self)

    def is_server_closed(self) -> bool:
        return self._core.closing

    def server_closed(self) -> None:
        """Those who are paused end; from any thread."""
        self._subscription.server_closed()

    def work_here(self) -> None:
        """On this thread and the others, until the server is closed or an action ends it."""
        threads = self._start(self._workers[1:])
        try:
            self._serve(self._workers[0])
            for thread in threads:
                thread.join()
        finally:
            self._subscription.cancel()
        if self._fatal is not None:
            raise self._fatal.with_traceback(None)

    def work_in_background(self) -> StreamSubscription[HttpRequest]:
        self._start(self._workers)
        return self._subscription

    def wake(self) -> None:
        """Let those who wait for a request look whether they still should; from any thread."""
        if self._requests is not self._core.requests:
            return  # in a forked child, where they are not
        for worker in self._workers:
            if worker.waits:
                self._requests.put(Wake(worker))

    def _start(self, workers: list[_Worker]) -> list[threading.Thread]:
        name = f"blockingio worker {self._core.name}"
        threads = [
            threading.Thread(target=self._work, args=(worker,), name=name, daemon=True)
            for worker in workers
        ]
        for thread in threads:
            thread.start()
        return threads

    def _work(self, worker: _Worker) -> None:
        """``_serve`` on a thread of its own: what ends it there is the caller's of for_each."""
        try:
            self._serve(worker)
        except (SystemExit, KeyboardInterrupt) as error:
            with self._lock:
                # Without the traceback, which would keep a request alive in its frames.
                self._fatal = self._fatal or error.with_traceback(None)

    def _serve(self, worker: _Worker) -> None:
        begun = self._server._begin_iteration()
        try:
            while self._subscription._ready():
                request = self._next(worker)
                if request is None:
                    break
                self._handle(request)
                del request
        except (SystemExit, KeyboardInterrupt) as error:
            self._subscription._give_up(error)
            raise
        finally:
            self._server._end_iteration(begun)
            with self._lock:
                self._left -= 1
                is_last = not self._left
            if is_last:
                self._subscription._finish()

    def _next(self, worker: _Worker) -> HttpRequest | None:
        """The next request for this worker; None where the server is closed, or it should look again."""
        subscription = self._subscription
        requests = self._requests
        nap = nap_time()
        while True:
            worker.waits = True
            try:
                if not subscription._is_taking:
                    request: HttpRequest | Signal | None = None
                else:
                    request = requests.get(True, nap)
            except Empty:
                continue
            finally:
                worker.waits = False
            if request is None:
                if not subscription._ready():
                    return None
            elif isinstance(request, Signal):
                if self._server._ends(request):
                    return None
            elif not subscription._is_taking:
                requests.put(request)  # paused or cancelled meanwhile: it is another reader's, or for later
                del request
                if not subscription._ready():
                    return None
            else:
                request.response._phase = OPEN
                return request

    def _handle(self, request: HttpRequest) -> None:
        try:
            self._action(request)
        except Exception as error:
            self._answer(request, error)
        except BaseException:
            answer_error(request, 500)
            raise

    def _answer(self, request: HttpRequest, error: Exception) -> None:
        body = request._body
        if isinstance(error, BadMessage) and body is not None and body.failed:
            answer_error(request, error.status)  # what a client did is not logged
            return
        log.error("the handler of %s %s failed", request.method, request._head.target, exc_info=error)
        answer_error(request, 500)
        self._subscription._report(error, "a handler failed")


def answer_error(request: HttpRequest, status: int) -> None:
    """Answer with this status, if nothing was sent; never raises: where the answer itself fails, it is aborted."""
    try:
        request.response._fail(status)
    except Exception:
        log.exception("the answer %d to %s %s failed", status, request.method, request._head.target)
        request.response._give_up()


def _unheard(error: Exception) -> None:
    """It has been logged."""
