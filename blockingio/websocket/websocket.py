"""WebSocket: messages both ways over a connection whose handshake is done.

Link has the connection and its thread; a WebSocket is the handle that the application has.
"""

from __future__ import annotations

import socket as sockets
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from threading import Lock, current_thread, main_thread
from typing import TYPE_CHECKING, ClassVar

from blockingio.errors import StateError
from blockingio.stream.stream import Stream
from blockingio.values.checks import check, is_bound, is_duration
from blockingio.values.elsewhere import names_here, point_elsewhere
from blockingio.values.uri import Uri
from blockingio.websocket.client_handshake import connect
from blockingio.websocket.compression import MIN_OWN_BITS, Agreement, CompressionOptions
from blockingio.websocket.frames import BINARY, TEXT
from blockingio.websocket.link import DEFAULT_SIZE, Link
from blockingio.websocket.reading import Reading
from blockingio.websocket.status import WebSocketStatus, check_close

if TYPE_CHECKING:
    from blockingio.client.client import HttpClient

    Buffer = bytes | bytearray | memoryview


class WebSocket(Stream[str | bytes]):
    """Messages both ways: ``for message in socket:`` until the peer closes, ``socket.add(...)`` from any thread.

    A text message is a str, a binary one bytes; each is whole.  Pings are answered, and the peer's end is noticed,
    also while no thread iterates.  Of messages that are not read, about ``max_message_size`` bytes and 4,096 in number
    are kept at most; then the peer is made to wait.  Messages that came before the peer's end are still delivered;
    those that come between our Close and the peer's are dropped.  A peer that breaks the protocol is told why by a
    Close, and the iteration ends with a WebSocketException.  A peer that vanishes ends it quietly, with close_code
    1006.  Each message goes to one of the threads that iterate.  An upgraded socket is no connection of the server any
    more: close(), connections_info and the timeouts of HttpServer do not reach it.  As a context manager it closes
    itself with 1000; an exception inside makes that 1011, and goes on up.  For Ctrl-C and SystemExit it does not wait
    for the peer's Close.  ``ready_state`` is one of OPEN, CLOSING and CLOSED, and never CONNECTING.  Follows dart:io's
    WebSocket.

        with WebSocket.connect("ws://127.0.0.1:4040/echo") as socket:
            socket.add("Hello")
            print(next(iter(socket)))
    """

    CONNECTING: ClassVar[int] = 0
    OPEN: ClassVar[int] = 1
    CLOSING: ClassVar[int] = 2
    CLOSED: ClassVar[int] = 3

    __slots__ = ("_link", "_protocol", "_extensions", "_done", "_done_lock", "_kept_readers", "__weakref__")

    def __init__(self, socket: sockets.socket, *, server_side: bool, protocol: str | None,
                 agreement: Agreement | None) -> None:
        self._protocol = protocol
        self._extensions = "" if agreement is None else str(agreement)
        self._done: Future[WebSocket] | None = None
        self._done_lock = Lock()  # guards that there is one future
        self._link = Link(socket, is_server=server_side, agreement=agreement)
        self._link.start()

    @classmethod
    def connect(cls, url: Uri | str, *, protocols: Iterable[str] = (), headers: Mapping[str, object] | None = None,
                compression: CompressionOptions = CompressionOptions.COMPRESSION_DEFAULT,
                custom_client: HttpClient | None = None) -> WebSocket:
        """A WebSocket to a ws: or wss: URL.

        ``protocols``: subprotocols to offer, the best first.  ``headers``: further fields of the request.
        ``custom_client``: its timeouts, proxies, credentials and certificates hold; None: those of a new HttpClient.
        Raises ValueError for another URL, and for a protocol that is no token or comes twice; OSError where it cannot
        connect; WebSocketException where the answer is not a right 101.  Its ``http_status_code`` is the answer's, or
        None for a wrong 101 and where no answer came.
        """
        shaken = connect(url, tuple(protocols), headers or {}, compression, custom_client)
        return cls(shaken.socket, server_side=False, protocol=shaken.protocol, agreement=shaken.agreement)

    @classmethod
    def from_upgraded_socket(cls, socket: sockets.socket, *, protocol: str | None = None, server_side: bool,
                             compression: CompressionOptions = CompressionOptions.COMPRESSION_OFF) -> WebSocket:
        """A WebSocket on a connection whose handshake is done; the socket belongs to it from here on.

        ``compression``: what was agreed on.  Raises ValueError for a window of 8 bits on our own side.
        """
        agreement = None
        if compression.enabled:
            agreement = Agreement(compression.client_no_context_takeover, compression.server_no_context_takeover,
                                  compression.client_max_window_bits, compression.server_max_window_bits)
            own = agreement.server_max_window_bits if server_side else agreement.client_max_window_bits
            if own is not None and own < MIN_OWN_BITS:
                raise ValueError(f"a window of {own} bits is agreed on, expected at least {MIN_OWN_BITS} on our side")
        return cls(socket, server_side=server_side, protocol=protocol, agreement=agreement)

    def __repr__(self) -> str:
        state = ("connecting", "open", "closing", "closed")[self.ready_state]
        return f"<WebSocket {state}{'' if self.close_code is None else f' {int(self.close_code)}'}>"

    @property
    def ready_state(self) -> int:
        """OPEN, CLOSING once one side has closed, CLOSED once both have, or the peer has vanished."""
        link = self._link
        if link.is_over:
            return WebSocket.CLOSED
        is_closing = link.is_closed_here or link.is_peer_gone or link.writer.is_closed
        return WebSocket.CLOSING if is_closing else WebSocket.OPEN

    @property
    def extensions(self) -> str:
        """What was agreed on, as a Sec-WebSocket-Extensions field has it; "" for nothing."""
        return self._extensions

    @property
    def protocol(self) -> str | None:
        """The subprotocol that was agreed on; None without one."""
        return self._protocol

    @property
    def close_code(self) -> int | None:
        """None while it is open.  The peer's, where it sent one.

        1005: it closed without one; 1006: it vanished, or did not answer our Close in time; where we ended it for
        its fault, what it was told (RFC 6455 7.1.5).
        """
        return self._link.close_code

    @property
    def close_reason(self) -> str | None:
        """None while it is open; "" where none was given."""
        return self._link.close_reason

    @property
    def ping_interval(self) -> float | None:
        """Seconds between Pings; where no Pong comes within as long, it is closed with 1001.  None: no Pings.

        Setting it raises ValueError unless above 0.
        """
        return self._link.heartbeat.interval

    @ping_interval.setter
    def ping_interval(self, seconds: float | None) -> None:
        check("ping_interval", seconds, is_duration)
        self._link.heartbeat.set_interval(seconds)

    @property
    def max_message_size(self) -> int | None:
        """Bytes of a message, also once it is expanded; a larger one closes it with 1009.  None: any.

        It holds from the next message on.  Setting it raises ValueError below 0.
        """
        return self._link.inbound.max_size

    @max_message_size.setter
    def max_message_size(self, size: int | None) -> None:
        check("max_message_size", size, is_bound)
        self._link.inbound.max_size = size
        self._link.inbox.max_bytes = DEFAULT_SIZE if size is None else size

    @property
    def done(self) -> Future[WebSocket]:
        """Completes with this WebSocket once its connection has ended, in any way."""
        with self._done_lock:
            if self._done is not None:
                return self._done
            done: Future[WebSocket] = Future()
            done.set_running_or_notify_cancel()
            self._done = done
        self._link.when_ended(lambda: done.set_result(self))
        return done

    def __iter__(self) -> Iterator[str | bytes]:
        reading = self._link.reading
        take = reading.within if current_thread() is main_thread() else reading.next_for_ever
        while True:
            try:
                message = take()
            except StopIteration:
                return
            yield message
            del message  # hold nothing while waiting

    def _timed_iterator(self) -> Reading:
        return self._link.reading

    def add(self, data: str | Buffer) -> None:
        """Send one message: a str as text, anything bytes-like as binary; returns once the system has it.

        From any thread.  What the peer's going away does to a write is swallowed: once it has said Close, has vanished
        or has broken the protocol, nothing is sent and nothing is raised, before our ``close`` and after it.  Raises
        StateError where ``close``, the end of a ``with`` block or ``add_error`` came first, while the peer was still
        there.  A thread that adds to sockets which other threads close has to expect that.
        """
        if isinstance(data, str):
            self._send(TEXT, data.encode())
        elif isinstance(data, bytes):
            self._send(BINARY, data)
        else:
            self._send(BINARY, _view_of(data))

    def add_utf8_text(self, data: Buffer) -> None:
        """Send a text that is encoded already.  Raises ValueError if it is not UTF-8, else as ``add``."""
        payload = data if isinstance(data, bytes) else bytes(_view_of(data))
        payload.decode()
        self._send(TEXT, payload)

    def add_stream(self, stream: Iterable[str | Buffer]) -> None:
        """``add`` each, until the end of the stream."""
        for data in stream:
            self.add(data)
            del data

    def add_error(self, error: Exception) -> None:
        """Close with 1011, because what was to be sent failed.  The peer is not told of the error."""
        if not self._link.is_closed_here:
            self.close(WebSocketStatus.INTERNAL_SERVER_ERROR)

    def _send(self, opcode: int, payload: bytes | memoryview) -> None:
        link = self._link
        if link.is_closed_here or (not link.writer.send(opcode, payload) and link.is_closed_here):
            raise StateError("the WebSocket was closed here: nothing can be added any more")

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Send Close, and wait up to 5 s for the peer's; then the connection is cut.  Idempotent, from any thread.

        Raises ValueError unless the code is 1000, 1001, 1003, 1007 to 1011 or 3000 to 4999, and the reason
        has at most 123 bytes in UTF-8, and a code.
        """
        self._link.close(code, check_close(code, reason))

    def __dir__(self) -> list[str]:
        return names_here(type(self), list(super().__dir__()))

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._link.is_closed_here:
            return
        if kind is not None and not issubclass(kind, Exception):
            self._link.close_without_waiting(WebSocketStatus.INTERNAL_SERVER_ERROR)
            return
        self.close(WebSocketStatus.NORMAL_CLOSURE if kind is None else WebSocketStatus.INTERNAL_SERVER_ERROR)


def _view_of(data: Buffer) -> memoryview:
    """The bytes of it.  Raises TypeError for what is not bytes-like."""
    try:
        view = memoryview(data)
    except TypeError:
        raise TypeError(f"add() takes a str or what is bytes-like, got {type(data).__name__}: of a dict, a list or a number "
                        "send json.dumps(...)") from None
    return view.cast("B") if view.c_contiguous else memoryview(view.tobytes())


# What other libraries have under these names.
point_elsewhere(WebSocket, {name: f"a WebSocket has no {name!r}: {place}" for name, place in {
    "send": "add() sends", "recv": "for message in socket receives, and socket.first() the next one",
    "receive": "for message in socket receives, and socket.first() the next one",
}.items()})
