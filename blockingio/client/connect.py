"""From a host's name to a connected TCP socket (a light form of RFC 8305's "happy eyeballs").

Takes a host name or address, a port and a Deadline; gives a blocking socket.  The addresses are tried in the system's
order, each a little after the one before has not answered, and the first that connects stays.  Raises OSError, the
system's own, its message naming host and port; TimeoutError is one.  It knows nothing of HTTP, proxies or TLS.

Name resolution is the system's and takes as long as it takes: it cannot be interrupted.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections.abc import Iterable
from typing import Any, Protocol

from blockingio.net.address import host_for_system

# Seconds that an address has for itself before the next one is tried as well (RFC 8305 8).
_ATTEMPT_DELAY = 0.25

_IN_PROGRESS = (0, errno.EINPROGRESS, errno.EWOULDBLOCK)


class Deadline:
    """One limit for all the steps of a task; ``seconds`` None: none."""

    __slots__ = ("seconds", "_end")

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Seconds left, above 0; None without a limit.  TimeoutError where none are left."""
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(errno.ETIMEDOUT, f"not done within {self.seconds} seconds")
        return left


class Holder(Protocol):
    """What may cut a socket while it is being connected."""

    def hold(self, sock: socket.socket) -> None: ...  # HttpException where it is cut already
    def drop(self, sock: socket.socket) -> None: ...  # closes it


# What the versions of OpenSSL call it where the peer's first bytes are no TLS record.
_NO_TLS = frozenset(("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"))


def connect(host: str, port: int, deadline: Deadline, holder: Holder) -> socket.socket:
    """A socket that is connected to ``host``; it stays with ``holder``."""
    try:
        addresses = socket.getaddrinfo(host_for_system(host), port, 0, socket.SOCK_STREAM)
        return _connect_any(addresses, deadline, holder)
    except OSError as error:
        raise named(error, host, port) from None


def named(error: OSError, host: str, port: int) -> OSError:
    """The same error, of its own class and number, its message naming the host that could not be reached."""
    reason = error.strerror or str(error)
    if getattr(error, "reason", None) in _NO_TLS:
        reason += ": the peer does not answer in TLS, is the URL an http one?"
    text = f"{reason}, address = {host}, port = {port}"
    again = error.__class__(error.errno, text) if error.errno is not None else error.__class__(text)
    # What ssl.SSLError and its kin know beside the message.
    vars(again).update(vars(error))
    return again


def peer_of(sock: socket.socket) -> Any:
    """The address that it is connected to, as the socket module has it; "" where it is not any more."""
    try:
        return sock.getpeername()
    except OSError:
        return ""


def _connect_any(addresses: Iterable[tuple[Any, ...]], deadline: Deadline, holder: Holder) -> socket.socket:
    waiting = list(addresses)
    first_error: OSError | None = None
    trying: set[socket.socket] = set()
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or trying:
                if waiting:
                    try:
                        sock = _begin(waiting.pop(0), holder)
                    except OSError as error:
                        first_error = first_error or error
                        continue
                    trying.add(sock)
                    selector.register(sock, selectors.EVENT_WRITE)
                wait = deadline.left()
                if waiting:
                    wait = _ATTEMPT_DELAY if wait is None else min(wait, _ATTEMPT_DELAY)
                for key, _ in selector.select(wait):
                    sock = key.fileobj  # type: ignore[assignment]
                    selector.unregister(sock)
                    trying.remove(sock)
                    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not code:
                        return _finish(sock, holder)
                    holder.drop(sock)
                    first_error = first_error or OSError(code, os.strerror(code))
        finally:
            for sock in trying:
                holder.drop(sock)
    raise first_error or OSError(errno.EADDRNOTAVAIL, "the host has no address")


def _begin(address: tuple[Any, ...], holder: Holder) -> socket.socket:
    family, kind, protocol, _, target = address
    sock = socket.socket(family, kind, protocol)
    holder.hold(sock)
    try:
        sock.setblocking(False)
        code = sock.connect_ex(target)
        if code not in _IN_PROGRESS:
            raise OSError(code, os.strerror(code))
    except BaseException:
        holder.drop(sock)
        raise
    return sock


def _finish(sock: socket.socket, holder: Holder) -> socket.socket:
    try:
        sock.setblocking(True)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        holder.drop(sock)
        raise
    return sock
