"""Turns: of many threads that compute, few do it at once, in the order in which they came.

Else all of them share the processors and the GIL: the first is done when the last is, and threads that have a request
to answer wait among them.  To the kernel a thread in its turn counts as much as one that answers requests: so it lets
those go first.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic, sleep

from blockingio.stream.fork import begin_anew_in_child

# So many need no turns: they do not hold each other up for long, and to wait for a turn costs a wake-up.
FEW = 8

# Seconds that a turn is waited for at most, for each thread that is ahead: a few times what a signature takes.  So a
# turn that waits, in a callback of the program's say, holds no other up for long; and on a busy machine more go at
# once, and nearly as much gets done as without turns.
PATIENCE = 0.002

# Seconds for which a turn lets others pass at most: a few short answers.  Longer ones do not wait for a processor.
COURTESY = 0.001

# Seconds between two looks at whether they have passed.
_LOOK_EVERY = 0.0003


class Turns:
    """``arrive()``; where that is true, ``with turns:`` around what is computed, which must not wait for a peer; and
    ``depart()``.

    ``most``: threads that have a turn at once; None: one less than there are processors, so that one is left to those
    that are past it.
    """

    __slots__ = ("_most", "_patience", "_courtesy", "_lock", "_present", "_inside", "_waiting", "__weakref__")

    def __init__(self, most: int | None = None, patience: float = PATIENCE, courtesy: float = COURTESY) -> None:
        self._most = most or max(_processors() - 1, 1)
        self._patience = patience
        self._courtesy = courtesy
        self._begin_anew()
        begin_anew_in_child(self, Turns._begin_anew)

    def _begin_anew(self) -> None:
        """In a forked child, too: threads that had a turn there, or waited for one, are the parent's."""
        # Guards what follows, and is held for a few steps.
        self._lock = threading.Lock()
        self._present = 0  # that have arrived and not departed
        self._inside = 0
        # For each thread that waits a lock that it waits for, the first to come first.  The thread that takes one out
        # lets the waiting thread in.
        self._waiting: deque[threading.Lock] = deque()

    def __repr__(self) -> str:
        return f"<Turns {self._inside} inside, {len(self._waiting)} waiting>"

    def arrive(self) -> bool:
        """This thread will have something to compute.  Whether there are so many that they take turns."""
        with self._lock:
            self._present += 1
            return self._present > FEW

    def depart(self) -> None:
        """It will have nothing more."""
        with self._lock:
            self._present -= 1

    def __enter__(self) -> None:
        """Returns once it is this thread's turn."""
        with self._lock:
            if not self._waiting and self._inside < self._most:
                self._inside += 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
            patience = self._patience * len(self._waiting)
        if not turn.acquire(timeout=patience):
            with self._lock:
                if turn in self._waiting:  # else it has just been let in
                    self._waiting.remove(turn)
                    self._inside += 1

    def let_pass(self, are_waiting: Callable[[], object]) -> None:
        """In a turn, before what is computed: while some that are past it wait, let them have the processor."""
        end = monotonic() + self._courtesy
        while are_waiting() and monotonic() < end:
            sleep(_LOOK_EVERY)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._waiting and self._inside < self._most:
                self._inside += 1
                self._waiting.popleft().release()


def _processors() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
