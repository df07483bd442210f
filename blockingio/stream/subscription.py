"""StreamSubscription: what feeds a stream's events to callbacks, and how that is steered.

It holds the callbacks and the state, and starts no thread unless ``start`` is called.  A
feeder, or several on several threads, does this:

    while subscription.ready():            # waits while it is paused; False once it is over
        event = ...                         # by a Reader with subscription._wait, which
                                            # pause() and cancel() end, or woken by on_cancel
        subscription.deliver(event)        # on_data; what that raises is reported
        del event                           # nothing keeps it alive during the next wait
    ... subscription.fail(error)           # an error of the stream
    ... subscription.finish()              # once, at the end of the stream: on_done, the futures
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Any, Generic, TypeVar

from blockingio.stream.fork import begin_anew_in_child
from blockingio.stream.waiting import Wait, Waiters, WaitCancelled
from blockingio.stream.reader import Reader
from blockingio.stream.thread import Thread

T = TypeVar("T")

_log = logging.getLogger("blockingio")

# inspect.CO_GENERATOR, without importing inspect.
_GENERATOR_FLAG = 0x20

_LISTENING, _DONE, _CANCELLED = "listening", "done", "cancelled"


class StreamSubscription(Generic[T]):
    """What ``listen`` gives: pauses, resumes and cancels the feeding of a stream's events to callbacks.

    A daemon thread feeds them (a server's ``listen`` has ``workers`` of them; the subscription that
    ``as_broadcast_stream`` shows to its callbacks has none, the readers do it).  It ends at the end of the stream, or
    when it is cancelled: at once, unless it is inside the source's own next().  Then it stays until that returns, and
    leaves what came to the stream's next reader.  In a forked child, which does not have that thread, it is cancelled.
    Follows dart:async's StreamSubscription.
    """

    __slots__ = ("_on_data", "_on_error", "_on_done", "_on_cancel", "_cancel_on_error", "_wait",
                 "_resumed", "_lock", "_pauses", "_state", "_error", "_futures", "_is_settled", "__weakref__")

    def __init__(self, on_data: Callable[[T], object] | None, *,
                 on_error: Callable[[Exception], object] | None = None,
                 on_done: Callable[[], object] | None = None,
                 cancel_on_error: bool = False,
                 on_cancel: Callable[[], object] | None = None) -> None:
        self._on_data = on_data
        self._on_error = on_error
        self._on_done = on_done
        self._on_cancel = on_cancel  # once, by the thread that cancels, after the state says so
        self._cancel_on_error = cancel_on_error
        self._wait = Wait()  # of the one thread that start() made
        self._resumed = Waiters()  # the threads that wait for its end
        # Guards all below.  Any thread may pause, resume, cancel and ask for a future; those that feed end it.
        self._lock = Lock()
        self._pauses = 0
        self._state = _LISTENING
        self._error: BaseException | None = None  # the stream's first one, or what its feeder died of
        self._futures: list[tuple[Future[Any], Any]] = []
        self._is_settled = False  # no more futures: they have been told of the end

    def __repr__(self) -> str:
        return f"<StreamSubscription {'paused' if self._pauses else self._state}>"

    @property
    def is_paused(self) -> bool:
        """Whether there were more calls of ``pause`` than of ``resume``."""
        return self._pauses > 0

    def pause(self) -> None:
        """No more events until ``resume``, as many times; what comes meanwhile stays in the stream.

        An on_data that has begun, or is about to, is not held up.
        """
        with self._lock:
            if self._state == _LISTENING:
                self._pauses += 1
                self._wait.end()

    def resume(self) -> None:
        """Take back one ``pause``; nothing where it is not paused."""
        with self._lock:
            if self._pauses:
                self._pauses -= 1
                if not self._pauses and self._state == _LISTENING:
                    self._wait.renew()
        self._resumed.notify()

    def cancel(self) -> None:
        """No more events, errors or end: returns without waiting, also when called by a callback.

        The stream stays as it is, and a server open.  Futures of ``as_future`` are cancelled.  An
        on_data that has begun, or is about to, is not held up.
        """
        if not self._end(_CANCELLED):
            return
        if self._on_cancel is not None:
            self._on_cancel()
        for future, _ in self._last_futures():
            future.cancel()

    def as_future(self, future_value: Any = None) -> Future[Any]:
        """A future that is ``future_value`` at the end of the stream.

        It fails with the first error, the stream's or on_data's, which cancels the
        subscription; and is itself cancelled by ``cancel``.  An error that on_data raised before
        this call has been reported already, and is not repeated.
        """
        future: Future[Any] = Future()
        with self._lock:
            error = self._error
            if error is None and not self._is_settled:
                self._futures.append((future, future_value))
                return future
        if error is not None:
            future.set_exception(error)
            self.cancel()
        elif self._state == _DONE:
            future.set_result(future_value)
        else:
            future.cancel()
        return future

    # ---------------------------------------------------------------- for its feeders

    @property
    def is_listening(self) -> bool:
        """Neither at the end of the stream nor cancelled; it may be paused."""
        return self._state == _LISTENING

    def ready(self, wait: Wait | None = None) -> bool:
        """Wait while it is paused; False once it is over.  Raises WaitCancelled."""
        if self._pauses:
            self._resumed.until(lambda: not self._pauses, wait)
        return self._state == _LISTENING

    def deliver(self, event: T) -> None:
        """Call on_data; an Exception from it is reported to on_error, or logged."""
        if self._on_data is None:
            return
        try:
            self._on_data(event)
        except Exception as error:
            self.report(error, "on_data of a stream failed")

    def fail(self, error: Exception) -> None:
        """An error of the stream: for on_error, else the log.

        The first is remembered for ``as_future``, which may be called later than it came.
        """
        is_first = self._error is None
        self.report(error, "a stream failed, and has no on_error", first=error)
        if is_first:
            release_frames(error)

    def finish(self) -> None:
        """The end of the stream: on_done, then the futures.  Nothing where it is over already."""
        if not self._end(_DONE):
            return
        if self._on_done is not None:
            self._call(self._on_done)
        for future, value in self._last_futures():
            if future.set_running_or_notify_cancel():
                future.set_result(value)

    def die(self, error: BaseException) -> bool:
        """What feeds it has died of this: on_error and the futures are told, on_done follows.

        False where nothing was told of it: neither a callback nor a future is there.
        """
        if not self._end(_CANCELLED, error):
            return True
        if self._on_error is not None:
            self._call(self._on_error, error)
        is_taken = _settle(self._last_futures(), error)
        if self._on_done is not None:
            self._call(self._on_done)
        return is_taken or self._on_error not in (None, has_been_logged)

    def start(self, reader: Reader[T]) -> None:
        """Feed it from there, on a thread of its own, which is not waited for."""
        self.end_in_child()
        Thread(partial(self._feed, reader), name="blockingio listen", lost=self._die_loudly).start()

    def end_in_child(self) -> None:
        """Threads of this process feed it: in a child that is forked from now on, which has none of them, it is over.

        There it is cancelled, and calls nothing back.  A future that was asked for before the fork is the parent's.
        """
        begin_anew_in_child(self, StreamSubscription._left_by_fork)

    def _left_by_fork(self) -> None:
        """This is that child, and its one thread; another one of the parent's may have held any of the locks."""
        self._lock = Lock()
        self._wait = Wait()
        self._resumed = Waiters()
        if self._state == _LISTENING:
            self._state = _CANCELLED
        self._pauses = 0
        self._futures = []
        self._is_settled = True

    # ---------------------------------------------------------------- inside

    def _feed(self, reader: Reader[T]) -> None:
        try:
            while self.ready():
                try:
                    event = reader.pull(self._wait)
                except WaitCancelled:
                    continue
                except StopIteration:
                    self.finish()
                except Exception as error:
                    self.fail(error)
                else:
                    self.deliver(event)
                    del event
        except BaseException as error:  # SystemExit, say: the thread is over, and so is what it feeds
            self._die_loudly(error)

    def _die_loudly(self, error: BaseException) -> None:
        if not self.die(error):
            log_death(error, "what listens to a stream")

    def report(self, error: Exception, what: str, first: Exception | None = None) -> None:
        """To on_error and the futures, else the log; only to the log once it is over.

        on_error comes before the futures: a thread that waits for a future may then look at what on_error did.
        """
        on_error = self._on_error if self._state == _LISTENING else None
        if on_error is not None:
            self._call(on_error, error)
        with self._lock:
            self._error = self._error or first
            futures, self._futures = self._futures, []
        is_taken = _settle(futures, error)
        if on_error is None and not is_taken:
            _log.error("%s: %s", what, error, exc_info=error)
        if is_taken or self._cancel_on_error:
            self.cancel()

    def _end(self, state: str, error: BaseException | None = None) -> bool:
        """From now on it is in that state; False where it was over already."""
        with self._lock:
            if self._state != _LISTENING:
                return False
            self._state = state
            self._pauses = 0
            self._error = self._error or error
            self._wait.end()
        self._resumed.notify()
        return True

    def _last_futures(self) -> list[tuple[Future[Any], Any]]:
        with self._lock:
            self._is_settled = True
            futures, self._futures = self._futures, []
        return futures

    def _call(self, callback: Callable[..., object], *args: object) -> None:
        try:
            callback(*args)
        except Exception:
            _log.exception("a callback of a stream's subscription failed")


def has_been_logged(error: Exception) -> None:
    """The on_error of a feeder that logs an Exception before it reports it."""


def log_death(error: BaseException, what: str) -> None:
    """A thread has ended by what is no Exception, and no callback or future was there to be told."""
    level = logging.WARNING if isinstance(error, (SystemExit, KeyboardInterrupt)) else logging.ERROR
    _log.log(level, "%s has ended: %r", what, error, exc_info=error)


def _settle(futures: list[tuple[Future[Any], Any]], error: BaseException) -> bool:
    """Whether one of them took it: a future that its owner has cancelled does not."""
    is_taken = False
    for future, _ in futures:
        if future.set_running_or_notify_cancel():
            future.set_exception(error)
            is_taken = True
    return is_taken


def release_frames(error: BaseException) -> None:
    """Let go of what the functions held that it came through: a request would never be seen to be dropped.

    A generator's frame is left alone: it may be in use again, and clearing it would end it.
    """
    cause: BaseException | None = error
    while cause is not None:
        trace = cause.__traceback__
        while trace is not None:
            frame = trace.tb_frame
            trace = trace.tb_next
            if not frame.f_code.co_flags & _GENERATOR_FLAG:
                with suppress(RuntimeError):  # still running: those of this thread
                    frame.clear()
        cause = cause.__context__
