"""Which thread reads a WebSocket: its background thread, or a thread that iterates it and has to wait anyway.

The thread that holds ``_turn`` owns the reading half of the socket.  To hand each message from one thread to another
takes several times as long as the message itself, so the background thread rests while another thread iterates, and
that one receives for itself.  While the iterating thread is busy with a message, no thread reads; but not for long.
The watch sees within two of its ticks that it has not come back, and recalls the background thread, which then answers
Pings, notices the end, and fills the inbox.

    rest        the background thread does, when a single thread waits and there is a message for it
    recall      the watch does; a thread that closes or pings; a reader that waits with a limit, or beside another

The background thread acts on the end of a connection, also where another thread has read it.
Where two threads each write one thing and then look at the other's, each writes first: one of the two sees the other.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from queue import Empty
from threading import Lock, current_thread, main_thread

from blockingio.net.channel import Channel
from blockingio.websocket.frames import Close, Ping, Pong
from blockingio.websocket.inbound import Inbound
from blockingio.websocket.inbox import Inbox, Message
from blockingio.websocket.status import Violation
from blockingio.websocket.watch import watch

# Bytes asked of the kernel at once: between frames (small, because each idle socket holds a buffer of this size while
# it waits), and in the payload of a large one.
_USUAL_SIZE = 4096
_LARGE_SIZE = 256 * 1024


class Reading:
    __slots__ = ("received", "is_watched", "leaves", "seen_leaves", "_channel", "_inbound", "_inbox", "_on_ping",
                 "_on_pong", "_is_dropping", "_turn", "_end", "_wake", "_rest_lock", "_is_resting", "__weakref__")

    def __init__(self, channel: Channel, inbound: Inbound, inbox: Inbox, *, on_ping: Callable[[bytes], object],
                 on_pong: Callable[[bytes], object]) -> None:
        self.received = 0  # how often something came; written with the turn
        # The watch's: see there.
        self.is_watched = False
        self.leaves = 0
        self.seen_leaves = -1
        self._channel = channel
        self._inbound = inbound
        self._inbox = inbox
        self._on_ping = on_ping
        self._on_pong = on_pong
        self._is_dropping = False  # messages that come are dropped; written by any thread, for good
        self._turn = Lock()
        # What was read last, written with the turn; None in it: the end of input.
        self._end: tuple[Close | Violation | None] | None = None
        self._wake = Lock()  # the background thread rests by acquiring it
        self._wake.acquire()
        self._rest_lock = Lock()  # guards _is_resting
        self._is_resting = False

    # ---------------------------------------------------------------- the background thread

    def read_to_end(self) -> Close | Violation | None:
        """Until a Close or a violation, or None where the peer has vanished; in turns with threads that iterate."""
        while True:
            with self._turn:
                while self._end is None and not self._may_rest():
                    self._receive(self._inbox.put)
            if self._end is not None:
                return self._end[0]
            self._rest()

    def _may_rest(self) -> bool:
        """Whether a thread will come for the turn, and need not be given a message first."""
        return self._inbox.has_one_waiting and not self._is_dropping

    def _rest(self) -> None:
        with self._rest_lock:
            self._is_resting = True
        watch.add(self)
        if self._end is not None or self._is_dropping or self._inbox.is_hungry:
            self.recall()  # for the thread that wrote this before it could see the rest
        self._wake.acquire()

    # ---------------------------------------------------------------- from any thread

    def recall(self) -> None:
        """Wake the background thread: it reads as soon as it gets the turn."""
        with self._rest_lock:
            if self._is_resting:
                self._is_resting = False
                self._wake.release()

    @property
    def has_ended(self) -> bool:
        """The peer's Close has been read, a violation, or the end of input."""
        return self._end is not None

    @property
    def is_left(self) -> bool:
        """Whether no thread reads."""
        return self._is_resting and not self._turn.locked()

    def drop(self) -> None:
        """Messages that come from now on are dropped, and reading goes on to the end."""
        self._is_dropping = True
        self._inbox.take_all()
        self.recall()

    def within(self, seconds: float = inf) -> Message:
        """The next message.  StopIteration, TimeoutError, and what ended the connection: as Inbox.get."""
        if seconds == inf and current_thread() is not main_thread():
            return self.next_for_ever()
        # This thread may have to stop waiting, by its limit or by Ctrl-C, and not in the middle of a frame.
        with self._inbox.waiting():
            self.recall()
            return self._inbox.get(seconds)

    __next__ = within

    def put_back(self, message: Message) -> bool:
        """Give back what was given last: another reader gets it."""
        self._inbox.put_back(message)
        return True

    def next_for_ever(self) -> Message:
        """``within`` for a thread that is not the main one."""
        inbox = self._inbox
        while True:
            if not inbox.is_empty:
                try:
                    return inbox.get_now()
                except Empty:
                    pass
            if self._end is None and self._turn.acquire(False):
                message = self._take_turn()
                if message is not None:
                    return message
                continue
            with inbox.waiting():
                # The thread that had the turn may have left it without having seen this one wait.
                if self._end is not None or self._turn.locked() or not self._is_resting:
                    return inbox.get()

    def _take_turn(self) -> Message | None:
        """With the turn, which is given back: receive until there is a message."""
        inbox = self._inbox
        kept: list[Message] = []
        try:
            # What was put between a look at the inbox and the turn comes first.
            while self._end is None and not kept and inbox.is_empty:
                self._receive(kept.append)
            for message in kept[1:]:
                inbox.put_at_once(message)
        finally:
            self._turn.release()
        self.leaves += 1
        if not self.is_watched:
            watch.add(self)
        if self._end is not None or inbox.is_hungry:
            self.recall()
        return kept[0] if kept else None

    # ---------------------------------------------------------------- with the turn

    def _receive(self, put: Callable[[Message], object]) -> None:
        left = self._inbound.left
        try:
            data = self._channel.receive(_USUAL_SIZE if left < _USUAL_SIZE else min(left, _LARGE_SIZE))
        except OSError:
            data = b""
        if not data:
            self._end = (None,)
            return
        for event in self._inbound.feed(data):
            if isinstance(event, str | bytes):
                if not self._is_dropping:
                    put(event)
            elif isinstance(event, Ping):
                self._on_ping(event.payload)
            elif isinstance(event, Pong):
                self._on_pong(event.payload)
            else:
                self._end = (event,)
        self.received += 1
