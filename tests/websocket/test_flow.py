"""Who waits for whom: Pongs for nobody, floods for a reader, writers for the peer; and what a Stream can do."""
from __future__ import annotations

import resource
import select
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from blockingio import WebSocket
from tests.peers import PATIENCE, eventually
from tests.scripts import Script
from tests.websocket.raw import (
    BINARY, CLOSE, FIN, OFF, PING, PONG, TEXT, Frame, RawSocket, background, frame, handling, pair, upgraded)

MIB = 1024 * 1024


def read_until(raw: RawSocket, opcode: int) -> tuple[Frame, list[Frame]]:
    """The frame of this opcode, and the messages before it."""
    before = []
    while (found := raw.read_frame()).opcode != opcode:
        before.append(found)
    return found, before


@pytest.mark.parametrize("server_side", [True, False], ids=["server", "client"])
def test_a_pong_waits_for_no_writer(server_side: bool) -> None:
    """24 MiB go to a peer that first sends 12, a Ping before them: both come through."""
    with pair(server_side=server_side) as (sock, raw):
        raw.seconds = PATIENCE * 4
        with background(lambda: sock.add(bytes(24 * MIB))):
            assert select.select([raw.socket], [], [], PATIENCE)[0]  # the message is on its way
            raw.send_frame(FIN | PING, b"p")
            for _ in range(12):
                raw.send_frame(FIN | BINARY, bytes(MIB))
            big, _ = read_until(raw, BINARY)
            assert len(big.payload) == 24 * MIB
            assert raw.read_frame() == (FIN | PONG, b"p")
        assert [len(message) for message in sock.take(12)] == [MIB] * 12


def test_a_pong_into_a_full_buffer_stops_no_reading() -> None:
    """All that the system takes has been sent, and then the peer pings: its messages are read all the same."""
    with pair() as (sock, raw):
        sent = 0
        stop = threading.Event()

        def fill() -> None:
            nonlocal sent
            while not stop.is_set():
                sock.add(bytes(1000))
                sent += 1

        with background(fill):
            eventually(lambda: sent > 0)
            last = -1
            while last != sent:  # until add() waits
                last = sent
                time.sleep(0.05)
            for number in range(1000):
                raw.send_frame(FIN | PING, b"%d" % number)
            for _ in range(4):
                raw.send_frame(FIN | BINARY, bytes(MIB))
            assert [len(message) for message in sock.take(4)] == [MIB] * 4
            stop.set()
            pong, _ = read_until(raw, PONG)
            while pong.payload != b"999":
                pong, _ = read_until(raw, PONG)


def test_a_pong_that_the_kernel_did_not_take_comes_later() -> None:
    """Nobody writes any more, and only the clock is left to send it."""
    with pair() as (sock, raw):
        filled = threading.Event()

        def fill() -> None:
            channel = sock._link._channel
            while channel.send_now(frame(FIN | BINARY, bytes(1000), masked=False)[:1004]) == 1004:
                pass
            filled.set()

        with background(fill):
            pass
        assert filled.is_set()
        raw.send_frame(FIN | PING, b"p" * 100)
        raw.send_frame(FIN | TEXT, b"read")
        assert sock.first() == "read"
        received = b""
        while not received.endswith(frame(FIN | PONG, b"p" * 100, masked=False)):
            received += raw.socket.recv(65536)


def test_only_the_last_of_many_pings_need_be_answered() -> None:
    with pair() as (sock, raw):
        with background(lambda: sock.add(bytes(24 * MIB))):
            raw.read_exactly(10)
            for number in range(100):
                raw.send_frame(FIN | PING, b"%d" % number)
            raw.send_frame(FIN | TEXT, b"x")
            assert sock.first() == "x"
            raw.read_exactly(24 * MIB)
        assert raw.read_frame() == (FIN | PONG, b"99")


@pytest.mark.parametrize("payload, most", [(b"", 20_000), (bytes(1000), 20_000), (bytes(100_000), 400)])
def test_a_flood_is_not_read(payload: bytes, most: int) -> None:
    """Reading stops at a number of messages, or of bytes; then the peer waits, and nothing is lost."""
    with pair() as (sock, raw):
        sock.max_message_size = 1_000_000
        data = frame(FIN | BINARY, payload) * 10
        raw.socket.settimeout(0.1)
        count, left = 0, memoryview(b"")
        while True:
            if not left:
                assert count < most, "the peer was not made to wait"
                count, left = count + 10, memoryview(data)
            try:
                left = left[raw.socket.send(left):]
            except TimeoutError:
                if sock._link.inbox.is_full:  # else the reader has only had no time
                    break
        kept = sock._link.inbox._queue.qsize()
        assert kept <= 4097 and kept * len(payload) <= 1_200_000
        with background(lambda: raw.send(left)):
            messages = sock.take(count).to_list()
        assert messages == [payload] * count


def test_a_flood_of_pings_costs_nothing() -> None:
    with pair() as (sock, raw):
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]

            def flood() -> None:
                for _ in range(200):
                    raw.send(frame(FIN | PING, bytes(100)) * 100)
                raw.send_frame(FIN | TEXT, b"end")

            with background(flood):
                raw.socket.settimeout(0.05)
                while sock._link.inbox._queue.empty():
                    with suppress(TimeoutError):
                        raw.socket.recv(65536)
            assert sock.first() == "end"
            assert tracemalloc.get_traced_memory()[0] - before < 2 * MIB
        finally:
            tracemalloc.stop()


def test_whole_messages_from_many_threads() -> None:
    with pair() as (sock, raw):
        def send(number: int) -> None:
            for size in range(0, 70_000, 7_000):
                sock.add(bytes([number]) * size)

        threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        found = [raw.read_frame().payload for _ in range(80)]
        for thread in threads:
            thread.join(PATIENCE)
        assert all(len(set(payload)) <= 1 for payload in found)
        for number in range(8):
            mine = [len(payload) for payload in found if payload[:1] == bytes([number])]
            assert mine == list(range(7_000, 70_000, 7_000))


def test_kinds_of_data() -> None:
    with pair() as (sock, raw):
        for data in ("ä", b"1", bytearray(b"2"), memoryview(b"3x")[:1], memoryview(b"4 5 6")[::2]):
            sock.add(data)
        sock.add_utf8_text("ö".encode())
        sock.add_utf8_text(bytearray(b"u"))
        more: list[str | bytes] = ["a", b"b"]
        sock.add_stream(iter(more))
        assert [raw.read_frame() for _ in range(9)] == [
            (FIN | TEXT, "ä".encode()), (FIN | BINARY, b"1"), (FIN | BINARY, b"2"), (FIN | BINARY, b"3"),
            (FIN | BINARY, b"456"), (FIN | TEXT, "ö".encode()), (FIN | TEXT, b"u"), (FIN | TEXT, b"a"),
            (FIN | BINARY, b"b")]
        for wrong in (1, None, ["a"]):
            with pytest.raises(TypeError):
                sock.add(wrong)  # type: ignore[arg-type]
        for text in (b"\xff", b"\xc3"):
            with pytest.raises(ValueError):
                sock.add_utf8_text(text)
        with pytest.raises(ValueError):
            sock.add("\ud800")
        assert sock.ready_state == WebSocket.OPEN


def test_a_stream() -> None:
    with pair() as (sock, raw):
        for number in range(10):
            raw.send_frame(FIN | TEXT, b"%d" % number)
        assert sock.take(2).to_list() == ["0", "1"]
        assert sock.first() == "2"
        assert sock.map(int).where(lambda number: number % 2 == 0).first() == 4
        with pytest.raises(TimeoutError):
            sock.skip(5).timeout(0.05).first()
        raw.send_frame(FIN | TEXT, b"10")
        assert sock.timeout(PATIENCE).first() == "10"
        raw.send_close()
        assert sock.timeout(PATIENCE).to_list() == [] and sock.length() == 0


def test_listening() -> None:
    with pair() as (sock, raw):
        heard: list[object] = []
        done = threading.Event()
        subscription = sock.listen(heard.append, on_done=done.set)
        raw.send_frame(FIN | TEXT, b"a")
        eventually(lambda: heard == ["a"])
        subscription.pause()
        raw.send(frame(FIN | TEXT, b"b") + frame(FIN | PING))
        raw.read_frame()
        assert heard == ["a"]
        subscription.resume()
        eventually(lambda: heard == ["a", "b"])
        raw.send_close()
        assert done.wait(PATIENCE)


def test_listening_to_errors() -> None:
    with pair() as (sock, raw):
        errors: list[Exception] = []
        done = threading.Event()
        sock.listen(None, on_error=errors.append, on_done=done.set)
        raw.send(frame(FIN | 3))
        assert done.wait(PATIENCE) and len(errors) == 1


def test_a_cancelled_listener_leaves_what_comes() -> None:
    with pair() as (sock, raw):
        sock.listen(None).cancel()
        raw.send_frame(FIN | TEXT, b"for the next")
        assert sock.timeout(PATIENCE).first() == "for the next"


def test_several_threads_iterate() -> None:
    with pair() as (sock, raw):
        heard: list[object] = []

        def listen() -> None:
            for message in sock:
                heard.append(message)

        with background(listen), background(listen), background(listen):
            for number in range(100):
                raw.send_frame(FIN | TEXT, b"%d" % number)
            raw.send_close()
        assert sorted(heard, key=lambda text: int(str(text))) == [str(number) for number in range(100)]


class Beats:
    """The clock of a heartbeat, which beats when the test says: on a busy machine an answer may take any time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        self._due: list[Callable[[], object]] = []
        monkeypatch.setattr("blockingio.websocket.link.clock", self)

    def schedule(self, seconds: float, action: Callable[[], object]) -> Beats:
        self.seconds = seconds
        self._due.append(action)
        return self

    def cancel(self) -> None:
        self._due.clear()

    def prune(self) -> None:
        pass

    def beat(self) -> None:
        self._due.pop()()


def test_pings_at_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    beats = Beats(monkeypatch)
    with pair() as (sock, raw):
        assert sock.ping_interval is None
        sock.ping_interval = 20
        for _ in range(4):
            assert beats.seconds == 20
            beats.beat()
            found = raw.read_frame()
            assert found.opcode == PING
            raw.send_frame(FIN | PONG, found.payload).send_frame(FIN | TEXT, b"behind the Pong")
            assert sock.first() == "behind the Pong"
        sock.ping_interval = None
        raw.send_frame(FIN | TEXT, b"still open")
        assert sock.first() == "still open" and sock.ready_state == WebSocket.OPEN


@pytest.mark.parametrize("answer", [None, b"another"])
def test_a_ping_without_its_pong(answer: bytes | None) -> None:
    with pair() as (sock, raw):
        sock.ping_interval = 0.1
        assert raw.read_frame().opcode == PING
        if answer is not None:
            raw.send_frame(FIN | PONG, answer)
        assert raw.read_frame().code == 1001
        assert list(sock) == []  # the peer is given a moment to answer, and then cut off
        assert raw.read_until_eof() == b""
        assert (sock.close_code, sock.ready_state) == (1001, WebSocket.CLOSED)


def test_a_pong_that_waits_in_a_full_inbox_is_none_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    beats = Beats(monkeypatch)
    with pair() as (sock, raw):
        sock.max_message_size = 100
        raw.send(frame(FIN | BINARY, bytes(100)) * 10)
        eventually(lambda: sock._link.inbox.is_full)
        sock.ping_interval = 20
        beats.beat()
        raw.send_frame(FIN | PONG, raw.read_frame().payload)
        for _ in range(5):
            beats.beat()
        sock.ping_interval = None
        assert sock.ready_state == WebSocket.OPEN and sock.take(10).length() == 10
        raw.send_close(1000)
        while raw.read_frame().opcode != CLOSE:
            pass
        assert sock.close_code == 1000


@pytest.mark.parametrize("value", [0, -1])
def test_intervals_that_are_none(value: float) -> None:
    with pair() as (sock, raw):
        with pytest.raises(ValueError):
            sock.ping_interval = value
        with pytest.raises(ValueError):
            sock.max_message_size = -1


CTRL_C = """
import signal, socket
from blockingio import WebSocket
from blockingio.websocket import link
signal.signal(signal.SIGINT, signal.default_int_handler)
link.CLOSE_TIME = 3600.0

def loop(sock):
    print("ready", flush=True)
    for message in sock:
        pass

ours, theirs = socket.socketpair()
sock = WebSocket.from_upgraded_socket(ours, server_side=True)
try:
    loop(sock)
except KeyboardInterrupt:
    print("interrupted", sock, flush=True)
try:
    with sock:
        loop(sock)
except KeyboardInterrupt:
    print("interrupted", sock, theirs.recv(100), flush=True)
theirs.close()
sock.done.result()
"""


def test_ctrl_c_ends_a_loop() -> None:
    """At once, also where the peer does not answer the Close that the end of a with block sends."""
    with Script(CTRL_C, preface="") as script:
        for state in ("<WebSocket open>", f"<WebSocket closing> {bytes.fromhex('880203f3')!r}"):
            assert script.interrupt() == f"interrupted {state}\n"
            if "open" in state:
                assert script.line() == "ready"
        assert script.end() == (0, "", "")


def test_a_chat() -> None:
    """As in the tutorial: whatever one says all hear, and one that leaves disturbs no other."""
    sockets: set[WebSocket] = set()

    def chat(sock: WebSocket) -> None:
        sockets.add(sock)
        try:
            for message in sock:
                for other in list(sockets):
                    other.add(message)
        finally:
            sockets.discard(sock)

    with handling(chat, compression=OFF, workers=8) as server:
        with upgraded(server.port) as one, upgraded(server.port) as two:
            with upgraded(server.port) as three:
                eventually(lambda: len(sockets) == 3)
                three.send_frame(FIN | TEXT, b"hello")
                assert [client.read_frame().payload for client in (one, two, three)] == [b"hello"] * 3
                three.reset()
            one.send_frame(FIN | TEXT, b"who is there?")
            assert [client.read_frame().payload for client in (one, two)] == [b"who is there?"] * 2
            eventually(lambda: len(sockets) == 2)
            one.say_goodbye()
            two.say_goodbye()


def test_memory_of_what_is_announced_and_does_not_come() -> None:
    with pair() as (sock, raw):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        raw.send(frame(FIN | BINARY, b"x", length=b"\x7f" + (64 * MIB).to_bytes(8, "big")))
        raw.send(b"y")
        eventually(lambda: sock._link.inbound.left == 64 * MIB - 2)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024


# ---------------------------------------------------------------- who reads, while somebody iterates

@contextmanager
def iterating(sock: WebSocket, work: Callable[[object], object]) -> Iterator[None]:
    """A thread that iterates and calls `work` with each message, until the end."""

    def iterate() -> None:
        for message in sock:
            work(message)

    with background(iterate):
        yield


def test_a_busy_loop_leaves_nothing_unanswered() -> None:
    """Pings, more messages than a buffer holds, and the end, while a loop that had read for itself is busy."""
    with pair() as (sock, raw):
        go_on = threading.Event()
        busy = threading.Event()

        def work(message: object) -> None:
            if message == "be busy":
                busy.set()
                assert go_on.wait(PATIENCE * 2)

        with iterating(sock, work):
            for text in (b"one", b"two", b"be busy"):
                raw.send_frame(FIN | TEXT, text)
                time.sleep(0.01)
            assert busy.wait(PATIENCE)
            raw.send_frame(FIN | PING, b"now?")
            assert raw.read_frame() == (FIN | PONG, b"now?")
            for _ in range(8):
                raw.send_frame(FIN | BINARY, bytes(MIB))
            raw.send_close(1000)
            assert raw.read_frame().code == 1000
            assert sock.close_code == 1000
            go_on.set()


def test_a_loop_that_is_left_leaves_nothing_unanswered() -> None:
    with pair() as (sock, raw):
        heard: list[object] = []

        def read_three() -> None:
            for message in sock.take(3):
                heard.append(message)

        with background(read_three):
            for text in (b"1", b"2", b"3"):
                raw.send_frame(FIN | TEXT, text)
                time.sleep(0.01)
        raw.send_frame(FIN | PING)
        assert raw.read_frame().opcode == PONG
        raw.close()
        assert sock.done.result(PATIENCE).close_code == 1006
        assert heard == ["1", "2", "3"]


def test_a_busy_loop_keeps_no_other_one_waiting() -> None:
    with pair() as (sock, raw):
        heard: list[object] = []
        go_on = threading.Event()

        def work(message: object) -> None:
            heard.append(message)
            if message == "be busy":
                assert go_on.wait(PATIENCE * 2)

        with iterating(sock, work), iterating(sock, work), iterating(sock, work):
            for _ in range(2):
                raw.send_frame(FIN | TEXT, b"be busy")
            for number in range(100):
                raw.send_frame(FIN | TEXT, b"%d" % number)
            eventually(lambda: len(heard) == 102)
            go_on.set()
            raw.send_close()


def test_closing_while_another_thread_iterates() -> None:
    with pair() as (sock, raw):
        with iterating(sock, lambda message: None):
            raw.send_frame(FIN | TEXT, b"1")
            time.sleep(0.02)
            with background(lambda: sock.close(1000)):
                assert raw.read_frame().code == 1000
                raw.send_close(1000)
        assert sock.close_code == 1000


def test_closing_between_two_messages() -> None:
    """The loop closes by itself, and nobody else is reading: the peer's Close is found at once."""
    with pair() as (sock, raw):
        def work(message: object) -> None:
            if message == "close":
                sock.close(1000)

        with iterating(sock, work):
            for text in (b"1", b"2", b"close"):
                raw.send_frame(FIN | TEXT, text)
                time.sleep(0.01)
            assert raw.read_frame().code == 1000
            raw.send_close(1000)
        assert sock.close_code == 1000  # 1006 where it was waited for in vain


def test_no_message_is_lost_or_overtakes_another() -> None:
    """However reading goes from one thread to the other."""
    with pair() as (sock, raw):
        heard: list[int] = []

        def work(message: object) -> None:
            heard.append(int(str(message)))
            if heard[-1] % 50 == 0:
                time.sleep(0.06)  # longer than a tick of the watch

        with iterating(sock, work):
            for number in range(500):
                raw.send_frame(FIN | TEXT, b"%d" % number)
                if number % 70 == 0:
                    time.sleep(0.03)
            raw.send_close()
        assert heard == list(range(500))
