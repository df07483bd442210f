"""Workers: threads that serve a server's requests with one action; for_each and listen.

Each is a reader of the server's queue.  One that is awake takes the next request before another is woken; see
standby.py.  What their subscription says, paused or cancelled, counts for all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import sleep
from typing import TYPE_CHECKING

from blockingio.errors import BadMessage
from blockingio.stream.fork import begin_anew_in_child
from blockingio.server.request import HttpRequest
from blockingio.server.request_queue import RequestQueue, RequestReader
from blockingio.server.slots import ConnectionAction, Slots
from blockingio.server.state import log
from blockingio.stream.subscription import StreamSubscription, has_been_logged, log_death
from blockingio.stream.waiting import Wait
from blockingio.stream.thread import Thread

if TYPE_CHECKING:
    from blockingio.server.state import ServerState

# Seconds between two looks at whether the last connection's thread has come to the end of its work.
_LOOK_EVERY = 0.01

# Threads that are started in place of such as did not come up, in all.
_SPARE_STARTS = 3


class _WorkersSubscription(StreamSubscription[HttpRequest]):
    """Steers the workers: pausing and cancelling wakes those that wait for a request."""

    __slots__ = ("_workers",)

    def __init__(self, workers: Workers, on_error: Callable[[Exception], object] | None,
                 on_done: Callable[[], object] | None, cancel_on_error: bool) -> None:
        super().__init__(None, on_error=on_error or has_been_logged, on_done=on_done, cancel_on_error=cancel_on_error,
                         on_cancel=workers.wake)
        self._workers = workers

    def is_taking(self) -> bool:
        """Neither paused nor over."""
        return not self._pauses and self.is_listening

    def ready(self, wait: Wait | None = None) -> bool:
        closed = self._workers.is_server_closed  # then no thread may be left to resume it
        if self.is_paused:
            self._resumed.until(lambda: not self.is_paused or closed(), wait)
        return self.is_listening and not (self.is_paused and closed())

    def queue_closed(self) -> None:
        """Workers that are paused end, and those that have not come up where there is nothing to do for them."""
        self._resumed.notify()
        self._workers.queue_closed()

    def pause(self) -> None:
        super().pause()
        self._workers.wake()


class Workers:
    """``begin`` starts to accept and gives the queue, with one reader more on it."""

    def __init__(self, state: ServerState, begin: Callable[[], RequestQueue], action: Callable[[HttpRequest], object],
                 count: int, on_error: Callable[[Exception], object] | None = None,
                 on_done: Callable[[], object] | None = None, cancel_on_error: bool = False) -> None:
        if not callable(action):
            raise TypeError(f"expected a function that is called with each request, found {action!r}")
        if not isinstance(count, int):
            raise TypeError(f"workers is {count!r}, expected an int")
        if count < 1:
            raise ValueError(f"workers is {count}, expected at least 1")
        self._state = state
        self._begin = begin
        self._action = action
        self._count = count
        self._subscription = _WorkersSubscription(self, on_error, on_done, cancel_on_error)
        self._requests: RequestQueue | None = None  # with one reader more until the last worker ends: listen's
        self._begin_anew()
        begin_anew_in_child(self, Workers._begin_anew)
        # Guarded by the lock:
        self._readers: list[RequestReader] = []
        self._left = count  # that have not ended yet
        self._starts_left = count + _SPARE_STARTS
        self._threads: list[Thread] = []
        self._fatal: BaseException | None = None  # what the first died of that did not just end
        self._standby = state.requests.new_standby() if count > 1 else None
        # Of the process that this was made in: a fork gives its child another one, and its workers end there.
        state.requests.tell_at_close(self._subscription)

    def _begin_anew(self) -> None:
        """In a forked child, too: another thread of the parent may have held the lock at the fork."""
        self._lock = threading.Lock()

    def is_server_closed(self) -> bool:
        return self._state.closing

    def work_here(self) -> None:
        """On this thread and the others, until the server is closed or an action ends it."""
        try:
            if isinstance(self._action, ConnectionAction):
                self._work_on_connections(self._action)
            else:
                self._start(self._count - 1)
                self._serve()
                while self._threads:
                    self._threads.pop().end()
        finally:
            self._subscription.cancel()
        if self._fatal is not None:
            raise self._fatal.with_traceback(None)

    def _work_on_connections(self, action: ConnectionAction) -> None:
        """On the connections' own threads; on this one what had been queued before."""
        requests, slots = self._state.requests, Slots(self._count)
        # Connections' threads, by their idents, from the hand-over on; changed in single steps of the set's own.
        at_work: set[int] = set()

        def work(request: HttpRequest) -> None:
            ident = threading.get_ident()
            at_work.add(ident)
            requests.note_taken(request)
            request.begin_here()
            slots.enter()
            try:
                action.work_on(request, slots)
            except Exception as error:
                self._answer(request, error)
            except BaseException as error:
                answer_error(request, 500)
                error.__traceback__ = None  # its frames would keep a request alive
                self._fatal = self._fatal or error
                self._subscription.cancel()  # which wakes the thread that waits below
            finally:
                slots.leave()
                at_work.discard(ident)

        self._left = 2  # this thread, and all of those
        requests.give_to(work)
        try:
            self._serve()
        finally:
            requests.give_to(None)
            while at_work:
                sleep(_LOOK_EVERY)
            self._end(None)

    def work_in_background(self) -> StreamSubscription[HttpRequest]:
        # Here, so that the accept thread is there to notice where no worker comes up.
        requests = self._begin()
        try:
            self._requests = requests
            self._subscription.end_in_child()
            self._start(self._count)
        except BaseException:
            self._subscription.cancel()
            self._requests = None
            requests.leave()
            raise
        return self._subscription

    def queue_closed(self) -> None:
        """Do not wait for workers that have not come up, where nothing but the signal of the end is queued."""
        if len(self._state.requests) <= 1:
            self._give_up_absent()

    def wake(self) -> None:
        """Let those that wait for a request look whether they still should; from any thread."""
        with self._lock:
            readers = list(self._readers)
        for reader in readers:
            reader.wake()

    def _start(self, count: int) -> None:
        """They are not waited for; where one does not come up another is started, at most _SPARE_STARTS in all."""
        for _ in range(count):
            self._start_one()

    def _start_one(self) -> None:
        thread = Thread(self._work, name=f"blockingio worker {self._state.name}", lost=self._lost)
        with self._lock:
            self._starts_left -= 1
            self._threads.append(thread)
        thread.start()

    def _lost(self, error: Exception) -> None:
        """A worker's thread did not come up: on that thread, or on the one that noticed."""
        try:
            if not self._subscription.is_listening or self._state.closing:
                return self._end(None)
            if not self._starts_left:
                raise error
            self._start_one()
        except Exception as failure:
            self._end(failure)

    def _give_up_absent(self) -> None:
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.give_up()

    def _work(self) -> None:
        """``_serve`` on a thread of its own: what ends it there is the caller's of for_each."""
        try:
            self._serve()
        except BaseException as error:
            error.__traceback__ = None  # it has been told; its frames would keep a request alive

    def _serve(self) -> None:
        try:
            reader = RequestReader(self._begin, self._standby)
            try:
                with self._lock:
                    self._readers.append(reader)
                self._take(reader)
            finally:
                reader.close()
                with self._lock:
                    self._readers.remove(reader)
        except BaseException as error:
            self._end(error)
            raise
        self._end(None)

    def _take(self, reader: RequestReader) -> None:
        try:
            while True:
                request = reader.take(self._subscription.is_taking)
                if request is not None:
                    self._handle(request)
                    del request
                elif not self._subscription.ready():
                    break
        except StopIteration:
            pass  # the server is closed

    def _end(self, error: BaseException | None) -> None:
        """A worker ends: with the server or its subscription, or of an error that all of them end with."""
        with self._lock:
            self._left -= 1
            is_last = not self._left
            self._fatal = self._fatal or error
        if error is not None:
            is_heard = self._subscription.die(error)
            self.wake()
            if self._requests is not None and not is_heard:
                log_death(error, "what listens to a server")
        if is_last:
            self._subscription.finish()
            if self._requests is not None:
                self._requests.leave()
        elif self._state.closing:
            self._give_up_absent()

    def _handle(self, request: HttpRequest) -> None:
        try:
            self._action(request)
        except Exception as error:
            self._answer(request, error)
        except BaseException:
            answer_error(request, 500)
            raise

    def _answer(self, request: HttpRequest, error: Exception) -> None:
        if isinstance(error, BadMessage) and request.has_failed:
            answer_error(request, error.status, error)  # what a client did is not logged
            return
        if getattr(error, "is_of_peer", False):  # nor what it did behind an upgrade, or to get one
            answer_error(request, 500)
            return
        log.error("the handler of %s %s failed", request.method, request.target, exc_info=error)
        answer_error(request, 500)
        self._subscription.report(error, "a handler failed")


def answer_error(request: HttpRequest, status: int, error: BadMessage | None = None) -> None:
    """Answer with this status, if nothing was sent; never raises: where the answer itself fails, it is aborted.

    ``error`` is what was wrong with the request.
    """
    try:
        request.response.fail(status, error)
    except Exception:
        log.exception("the answer %d to %s %s failed", status, request.method, request.target)
        request.response.give_up()
