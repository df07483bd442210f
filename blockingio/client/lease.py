"""A place in the pool, and what the pool asks of the connections in its places.

A Lease is settled once: by ``release``, ``discard`` or ``take_out``; one that is dropped unsettled counts as
discarded.  It knows nothing of sockets or HTTP.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar


class Pooled(Protocol):
    """What the pool asks of a connection."""

    idle_until: float  # the pool's own mark, on time.monotonic()'s clock

    def is_alive(self) -> bool: ...  # can it take a request, as far as is known without waiting
    def close(self) -> None: ...  # by its owner; quick
    def leave(self, reason: str) -> None: ...  # in a forked child: it is the parent's
    def cut(self, reason: str) -> None: ...  # by any thread: its owner's call fails, and says why


C = TypeVar("C", bound=Pooled)


class Places(Protocol[C]):
    """What a lease asks of the pool that it is of."""

    def attach(self, lease: Lease[C], connection: C) -> None: ...
    def release(self, key: Hashable, connection: C | None) -> None: ...
    def discard(self, key: Hashable, connection: C | None) -> None: ...
    def leave_note(self, note: tuple[Hashable, C | None, bool]) -> None: ...


class Lease(Generic[C]):
    """A place in the pool, and the connection in it, for one request until its response is read.

    Belongs to one thread at a time.
    """

    __slots__ = ("pool", "key", "connection", "is_reused", "is_settled")

    def __init__(self, pool: Places[C], key: Hashable) -> None:
        self.pool = pool
        self.key = key
        self.connection: C | None = None  # None in a new place until ``attach``
        self.is_reused = False
        self.is_settled = True  # until it has a place

    def attach(self, connection: C) -> None:
        """Put a new connection into the place, before it is connected, so that it can be cut."""
        self.pool.attach(self, connection)

    def release(self) -> None:
        """The connection can take another request."""
        if not self.is_settled:
            self.is_settled = True
            self.pool.release(self.key, self.connection)

    def discard(self) -> None:
        """The connection cannot be used any more, or was never made: close it."""
        if not self.is_settled:
            self.is_settled = True
            if self.connection is not None:
                self.connection.close()
            self.pool.discard(self.key, self.connection)

    def take_out(self) -> None:
        """The connection is taken out for good: the pool does not count it any more."""
        if not self.is_settled:
            self.is_settled = True
            self.pool.discard(self.key, self.connection)

    def drop(self, *, is_usable: bool) -> None:
        """``release`` or ``discard`` for a finalizer, which must not wait for a lock."""
        if not self.is_settled:
            self.is_settled = True
            if not is_usable and self.connection is not None:
                self.connection.close()
            self.pool.leave_note((self.key, self.connection, is_usable))

    def __del__(self) -> None:
        if not self.is_settled:
            self.drop(is_usable=False)
