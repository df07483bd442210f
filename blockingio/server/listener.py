"""Sockets in, threads out: accept connections and give each a thread.

The accepting thread waits in a selector for a connection or for its own wake-up: nothing polls.  Where no more
connections can be had, because there are ``max_connections`` or the system is out of descriptors, it gives up the
longest idle one and waits until one has ended; the newcomers wait in the kernel's backlog.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import socketserver
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from blockingio.net.address import InternetAddress, InternetAddressType
from blockingio.net.system import ACCEPTED_INHERIT_MODE, AF_UNIX, claim_port, may_accept, unix_family
from blockingio.server.connection import Connection
from blockingio.server.connection_loop import ConnectionLoop
from blockingio.server.state import ServerState, log
from blockingio.stream.thread import Thread, in_one_go, unwatch, watch
from blockingio.values.checks import check, is_flag, is_size

# Connections that may wait to be accepted where the user names no number: what the system has at most.
DEFAULT_BACKLOG = max(socket.SOMAXCONN, 1024)

# What accept() says when the system has no room for one more; the newcomer waits in the backlog.
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

# What it says when it will never accept again: the listening socket itself is gone.
_GONE = (errno.EBADF, errno.EINVAL, errno.ENOTSOCK)

# Seconds until accept() is tried again where there was no room, should no connection of ours end before.
_RETRY_TIME = 0.5

# How often an accept thread that did not come up is followed by another.
_STARTS = 3

# What ``get_request`` does in two steps, unless a program's own class of sockets does something else.
_ACCEPT = socket.socket.accept


def open_socket(address: InternetAddress, port: int, *, backlog: int, v6_only: bool, shared: bool) -> socket.socket:
    """A listening socket.  Raises OSError, the system's own, naming address and port."""
    is_unix = address.type is InternetAddressType.UNIX
    check("backlog", backlog, is_size)
    check("v6_only", v6_only, is_flag)
    check("shared", shared, is_flag)
    if v6_only and address.type is not InternetAddressType.IPV6:
        raise ValueError(f"v6_only is for an IPv6 address, got {address.address}")
    try:
        sock = socket.socket(_family_of(address), socket.SOCK_STREAM)
    except OSError as error:
        raise _cannot_listen(address, port, error) from None
    try:
        if not is_unix:
            claim_port(sock, shared=shared)
        if address.type is InternetAddressType.IPV6:
            # Only the wildcard can take IPv4 too.
            only_v6 = v6_only or address != InternetAddress.ANY_IP_V6
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only_v6))
        if is_unix:
            _bind_path(sock, address.address)
        else:
            sock.bind(_socket_address(address, port))
        sock.listen(backlog or DEFAULT_BACKLOG)
    except OverflowError:
        sock.close()
        raise ValueError(f"a port is a number from 0 to 65535, got {port}") from None
    except OSError as error:
        sock.close()
        raise _cannot_listen(address, port, error) from None
    except BaseException:
        sock.close()
        raise
    return sock


def _family_of(address: InternetAddress) -> int:
    if address.type is InternetAddressType.UNIX:
        return unix_family()
    return socket.AF_INET6 if address.type is InternetAddressType.IPV6 else socket.AF_INET


def _cannot_listen(address: InternetAddress, port: int, error: OSError) -> OSError:
    where = address.address if address.type is InternetAddressType.UNIX else f"{bracketed(address)}:{port}"
    return type(error)(error.errno, f"cannot listen on {where}: {error.strerror or error}")


def _bind_path(sock: socket.socket, path: str) -> None:
    """Bind to a name in the file system, also where a server that was killed has left it behind."""
    try:
        sock.bind(path)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not _remove_stale(path):
            raise
        sock.bind(path)


def _remove_stale(path: str) -> bool:
    """Take away the file of a socket on which no process listens any more; False where it is anything else."""
    identity = file_identity(path)
    with socket.socket(unix_family(), socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full backlog means a server that lives
        if probe.connect_ex(path) != errno.ECONNREFUSED:
            return False
    # The name of a file that is no socket refuses too; and what is another by now has an owner.
    if not _is_socket(path) or file_identity(path) != identity:
        return False
    os.unlink(path)
    return True


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False


def file_identity(path: str) -> tuple[int, int] | None:
    """What the system calls the file of this name, which is no other's while it is there; None where there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def stop_accepting(sock: socket.socket) -> None:
    """Free the port of a listening socket, also where another process has it too: a child forked meanwhile."""
    with suppress(OSError):  # not every system knows this of a socket that listens
        sock.shutdown(socket.SHUT_RDWR)


def bracketed(address: InternetAddress) -> str:
    """As it stands in a URL (RFC 3986 3.2.2)."""
    return f"[{address.address}]" if address.type is InternetAddressType.IPV6 else address.address


def _socket_address(address: InternetAddress, port: int) -> Any:
    if address.type is InternetAddressType.IPV6:
        host, _, zone = address.address.partition("%")
        scope = 0
        if zone:
            scope = int(zone) if zone.isdigit() else socket.if_nametoindex(zone)
        return host, port, 0, scope
    return address.address, port


class Listener(socketserver.ThreadingTCPServer):
    """A ThreadingTCPServer whose threads are used again, and whose loop can be stopped at once.

    It keeps socketserver's frame: ``serve_forever`` calls ``get_request`` and ``process_request``, and a connection
    has its own thread.  It replaces the threads, which come from a pool, because to start one costs more than a
    first request does; and the loop, because socketserver's looks twice a second whether it is to stop, accepts one
    connection a turn, and does not know what to do where the system has no descriptors left.

    ``serve_forever`` runs on a thread of the listener's own from ``start`` until ``stop``; the
    socket is its maker's to close, or to have given back.
    """

    def __init__(self, state: ServerState, sock: socket.socket, ended: Callable[[BaseException], object]) -> None:
        """``ended`` is told once, on any thread, what has ended the accept loop before ``stop``."""
        # Not TCPServer's: it would make a socket of its own.
        socketserver.BaseServer.__init__(self, sock.getsockname(), socketserver.BaseRequestHandler)
        self.socket = sock
        self.state = state
        self._timeout = sock.gettimeout()
        # Once: as properties family and type make an enum's member of a number at each look.
        self._kind = sock.family, sock.type, sock.proto
        self._wake_up, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._wake_up.setblocking(False)
        self._stopping = False
        self._waits_for_room = False
        self._has_failed = False  # the accept thread's: the last connection could not be served
        self._ended = ended
        self._starts_left = _STARTS  # start's, then of the thread that notices that the last one did not come up
        # Held by the accept thread for as long as it is in its loop.  Reentrant: a collection there may call stop().
        self._serving = threading.RLock()
        self._in_loop = False  # written by the accept thread while it holds that
        state.made_room = self._room_was_made

    def start(self) -> None:
        """Raises what kept the thread from starting; ``stop`` then lets go of what is there.

        The thread is not waited for.  Where it does not come up another is started, at most _STARTS.
        """
        self.socket.setblocking(False)
        self._note_load()
        if self.socket.family != AF_UNIX:
            # Inherited by what is accepted.  A response is one write, and the next must not wait for an ACK.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._start_thread()

    def _start_thread(self) -> None:
        self._starts_left -= 1
        Thread(self.serve_forever, name=f"blockingio accept {self.state.name}", lost=self._lost).start()

    def _lost(self, error: Exception) -> None:
        """The thread did not come up."""
        if self._stopping:
            return
        try:
            if not self._starts_left:
                raise error
            self._start_thread()
        except Exception as failure:
            self._tell_of_the_end(failure)

    def stop(self) -> None:
        """End the loop and wait until it has ended.  From any thread, any number of times."""
        self._stopping = True
        if self.state.load is not None:
            self.state.load.leave()
        self._wake()
        # Not Thread.join(): a Ctrl-C inside Thread.start() leaves a thread that runs and cannot be joined yet.
        # One that comes to its loop only now finds that it is over.
        with self._serving:
            if not self._in_loop:  # else this is the accept thread, which has yet to be woken
                self.forget()

    def accept_rest(self) -> None:
        """Behind ``stop``: accept what waits in the backlog by now, on the calling thread."""
        with suppress(OSError):  # nothing waits any more; or there is no room for what does
            while not self._is_full():
                self.process_request(*self.get_request())

    def give_back(self) -> None:
        """The socket, with its own timeout, to its maker, which keeps it open.

        Not where it is closed next: whether it blocks is told to all processes that have it, and one of
        them may be about to accept.
        """
        with suppress(OSError):  # its owner has closed it before us
            self.socket.settimeout(self._timeout)

    def forget(self) -> None:
        """Let go of what the thread waited on: it has ended, or was left behind by a fork."""
        self._wake_up.close()
        self._woken.close()

    def serve_forever(self, poll_interval: float = 0) -> None:
        """Accept until ``stop``.  Never raises."""
        with self._serving:
            self._in_loop = True
            failure: BaseException | None = None
            watch(self._wake)
            try:
                if not self._stopping:
                    self._accept_until_stopped()
            except BaseException as error:
                failure = error
            finally:
                unwatch()
                self._in_loop = False
                if self._stopping:
                    self.forget()
            if failure is not None and not self._stopping:
                self._tell_of_the_end(failure)

    def _tell_of_the_end(self, error: BaseException) -> None:
        if self.socket.fileno() >= 0:  # else its owner has closed it
            log.error("the server cannot accept connections any more", exc_info=error)
        self._ended(error)

    def _accept_until_stopped(self) -> None:
        """Raises what has made an end of the listening socket."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            selector.register(self.socket, selectors.EVENT_READ)
            while not self._stopping:
                try:
                    self._accept_once_ready(selector)
                except Exception as error:
                    if self._is_gone(error):
                        raise
                    log.warning("a connection could not be accepted", exc_info=error)
                    if not self._stopping:
                        time.sleep(_RETRY_TIME)  # should it fail again: neither a busy loop nor a full log

    def _is_gone(self, error: Exception) -> bool:
        """Whether it says that no connection will ever come out of the listening socket."""
        return self.socket.fileno() < 0 or (isinstance(error, OSError) and error.errno in _GONE)

    def _accept_once_ready(self, selector: selectors.BaseSelector) -> None:
        for key, _ in selector.select(in_one_go(None)):
            if key.fileobj is self._woken:
                self._forget_wakes()
            elif not self._accept_waiting():
                # What waits in the backlog must not wake it before there is room.
                selector.unregister(self.socket)
                try:
                    if selector.select(_RETRY_TIME):
                        self._forget_wakes()
                finally:
                    selector.register(self.socket, selectors.EVENT_READ)

    def _accept_waiting(self) -> bool:
        """Accept what waits in the backlog, if anything does; False where there is no room for it."""
        while not self._stopping:
            if self.state.max_connections is not None and self._is_full():
                self._waits_for_room = True
                if self._is_full():  # still, after those that end now know that they have to tell
                    self._evict()
                    return False
            self._waits_for_room = False
            if self.state.load is not None:
                self.state.load.let_others_go_first(self.state.connections, lambda: self._stopping)
            try:
                sock, peer = self.get_request()
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._waits_for_room = True
                    self._evict()
                    return False
                if self._is_gone(error):
                    raise
                continue  # that client has gone before it was accepted
            self.process_request(sock, peer)
            if not may_accept(self.socket) or (self.state.max_connections is not None and self._is_full()):
                return True  # whether one more waits, the selector knows
        return True

    def get_request(self) -> tuple[socket.socket, Any]:
        """socket.accept(), but where it fails behind the system's call, the client's socket is closed."""
        listening = self.socket
        if type(listening).accept is not _ACCEPT:
            return listening.accept()
        descriptor, peer = listening._accept()  # type: ignore[attr-defined]
        try:
            return socket.socket(*self._kind, fileno=descriptor), peer
        except BaseException:
            socket.close(descriptor)
            raise

    def _is_full(self) -> bool:
        most = self.state.max_connections
        return most is not None and len(self.state.connections) >= most

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for the connection, perhaps a used one.  What fails costs this connection."""
        state = self.state
        connection: Connection | None = None
        try:
            if ACCEPTED_INHERIT_MODE:
                request.setblocking(True)
            connection = Connection(state, request, client_address)
            state.connections.add(connection)
            if state.load is not None:
                self._note_load()
            if state.closing:
                connection.cut("the server was closed")  # close() may have looked at the connections before
            state.threads.run(ConnectionLoop(connection).run, connection.abandon)
            self._has_failed = False
        except Exception as error:
            if connection is None:
                request.close()
            else:
                connection.abandon(error)
            log.warning("a connection could not be served", exc_info=error)
            if self._has_failed:
                self._evict()  # no memory or no threads any more: as with descriptors, the longest idle one makes room
            self._has_failed = True

    def _evict(self) -> None:
        """The longest idle connection makes room."""
        idle = [connection for connection in list(self.state.connections) if connection.is_idle]
        for connection in sorted(idle, key=lambda connection: connection.idle_since):
            if not connection.channel.has_input():  # else its thread is about to find a request
                connection.cut("it was idle, and made room for another")
                return

    def _room_was_made(self) -> None:
        """A connection has ended: on its thread."""
        if self.state.load is not None:
            self._note_load()
        if self._waits_for_room:
            self._wake()

    def _note_load(self) -> None:
        load = self.state.load
        if load is not None and not self._stopping:
            load.note(len(self.state.connections))

    def _wake(self) -> None:
        with suppress(OSError):  # full, so it will wake; or closed, so it has ended
            self._wake_up.send(b"\0")

    def _forget_wakes(self) -> None:
        with suppress(BlockingIOError):
            self._woken.recv(4096)


class SocketFile:
    """The name of a Unix-domain socket in the file system, which it leaves behind.

    It belongs to the process that bound it.  A successor may have put its own in its place: told apart
    by what the system calls it, which no other file has for as long as the socket is open.
    """

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)  # the process may go to another directory
        self._identity = file_identity(self._path)

    @classmethod
    def of(cls, address: InternetAddress) -> SocketFile | None:
        """That of a socket that has just been bound; None where it has no file."""
        is_file = address.type is InternetAddressType.UNIX and not address.address.startswith("\0")
        return cls(address.address) if is_file else None

    def remove(self) -> None:
        """Once, and before the socket is closed."""
        if self._identity is not None and file_identity(self._path) == self._identity:
            with suppress(OSError):  # it is gone already
                os.unlink(self._path)
