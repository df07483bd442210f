"""Source: bytes by pull, in whatever pieces they come."""
from __future__ import annotations

import threading
import time

import pytest

from blockingio.errors import BadMessage
from blockingio.wire.limits import BODY_RECEIVE_SIZE, DEFAULT_LIMITS, HEAD_RECEIVE_SIZE
from blockingio.wire.source import LenientSource, Source, Truncated
from tests.wire.feeding import TRAILING, Feed, head_of, rest_of, source_of, sources

LIMITS = DEFAULT_LIMITS


# ------------------------------------------------------------------------- head

@pytest.mark.parametrize("raw, head", [
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a"),
    (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.0"),
    (b"\r\nGET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.0"),
    (b"\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.0"),
    (b"a\r\nb\r\nc\r\n\r\n", b"a\r\nb\r\nc"),
    (b"HTTP/1.1 200 OK\r\nA: \xe4\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: \xe4"),
    (b"G" + b"x" * 10_000 + b"\r\n\r\n", b"G" + b"x" * 10_000),
])
def test_a_head(raw: bytes, head: bytes) -> None:
    for source, trailing in sources(raw):
        assert head_of(source) == head
        assert rest_of(source) == trailing


def test_heads_one_behind_the_other() -> None:
    raw = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(50))
    for source, trailing in sources(raw):
        for number in range(50):
            assert head_of(source) == b"GET /%d HTTP/1.1\r\nHost: a" % number
        assert rest_of(source) == trailing


@pytest.mark.parametrize("size", [HEAD_RECEIVE_SIZE + difference for difference in range(-3, 4)])
def test_a_head_that_ends_about_where_a_piece_ends(size: int) -> None:
    raw = b"GET /".ljust(size - 4, b"x") + b"\r\n\r\n"
    for source, trailing in sources(raw):
        assert head_of(source) == raw[:-4]
        assert rest_of(source) == trailing


def test_the_end_before_a_head() -> None:
    assert head_of(source_of()) is None
    assert head_of(source_of(b"\r\n")) is None
    assert head_of(source_of(b"\r", b"\n\r\n")) is None
    source = source_of(b"a\r\n\r\n")
    assert head_of(source) == b"a"
    assert head_of(source) is None and head_of(source) is None


@pytest.mark.parametrize("raw", [b"G", b"GET / HTTP/1.1", b"GET / HTTP/1.1\r\n",
                                 b"GET / HTTP/1.1\r\nHost: a\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r"])
def test_the_end_in_a_head(raw: bytes) -> None:
    for source, trailing in sources(raw):
        if not trailing:
            with pytest.raises(Truncated, match=str(len(raw))):
                head_of(source)
            assert source.pending == raw, "who takes the connection over gets it"


@pytest.mark.parametrize("raw", [
    b"GET / HTTP/1.1\nHost: a\n\n", b"\n", b"\0", b"GET /\x01 ", b"GET / HTTP/1.1\r\nA: \x7f", b"a\rb",
    b"\x16\x03\x01\x02\0", b"GET / HTTP/1.1\r\nA: b\r\r\n", b"\r\n\n",
])
def test_what_cannot_become_a_head_is_refused_before_it_is_whole(raw: bytes) -> None:
    for source, trailing in sources(raw):
        if not trailing:
            with pytest.raises(BadMessage) as caught:
                head_of(source)
            assert caught.value.status == 400 and not isinstance(caught.value, Truncated)


@pytest.mark.parametrize("start, status", [
    (b"GET /" + b"x" * 300, 414),
    (b"GET / HTTP/1.1\r\nA: " + b"x" * 200, 431),
    (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 40, 431),
])
def test_a_head_past_its_limits_is_refused_before_it_is_whole(start: bytes, status: int) -> None:
    limits = LIMITS._replace(max_header_size=100, max_target_length=10)
    for source, trailing in sources(start):
        if not trailing:
            with pytest.raises(BadMessage) as caught:
                head_of(source, limits)
            assert caught.value.status == status and source.pending


def test_before_wait_is_called_for_each_wait_within_a_head() -> None:
    waits: list[str] = []
    source = source_of(b"GET", b" / HTTP/1.1", b"\r\n\r\nnext", b"\r\n\r\n")
    assert head_of(source, before_wait=lambda: waits.append("wait")) == b"GET / HTTP/1.1"
    assert len(waits) == 2
    assert head_of(source, before_wait=lambda: waits.append("wait")) == b"next"
    assert len(waits) == 3


def test_before_wait_may_refuse() -> None:
    def refuse() -> None:
        raise BadMessage("too slow", 408)

    source = source_of(b"GET", b" / HTTP/1.1\r\n\r\n")
    with pytest.raises(BadMessage, match="too slow"):
        head_of(source, before_wait=refuse)
    assert source.pending == b"GET"


@pytest.mark.parametrize("error", [TimeoutError, BlockingIOError])
def test_nothing_in_time_before_a_head_is_the_callers(error: type[OSError]) -> None:
    source = source_of(error(), b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(error):
        head_of(source)
    assert head_of(source) == b"GET / HTTP/1.1"


@pytest.mark.parametrize("error", [TimeoutError, BlockingIOError])
def test_nothing_in_time_within_a_head(error: type[OSError]) -> None:
    with pytest.raises(BadMessage) as caught:
        head_of(source_of(b"GET", error()))
    assert caught.value.status == 408


def test_a_connection_that_breaks() -> None:
    with pytest.raises(ConnectionResetError):
        head_of(source_of(ConnectionResetError()))
    with pytest.raises(Truncated, match="reset by"):
        head_of(source_of(b"GET", ConnectionResetError("reset by the test")))


def test_what_is_here_of_a_head_can_be_seen() -> None:
    """By a thread that takes the connection over."""
    seen: list[bytes] = []
    source = source_of(b"early", b" data", b"\r\n\r\n")
    head_of(source, before_wait=lambda: seen.append(source.partial))
    assert seen == [b"early", b"early data"] and source.partial == b""


def test_a_head_goes_on_while_another_thread_looks_at_what_is_here() -> None:
    """Without the GIL it may be in the middle of its copy."""
    def look() -> None:
        copying = memoryview(source._partial)
        threading.Timer(0.02, copying.release).start()

    source = source_of(b"early", b" data\r\n\r\n")
    assert head_of(source, before_wait=look) == b"early data"


def test_each_byte_of_a_head_is_looked_at_once() -> None:
    """However small the pieces: 60 KiB byte by byte are a matter of moments, not of minutes."""
    raw = b"GET / HTTP/1.1\r\nA: " + b"x" * 60_000
    began = time.process_time()
    with pytest.raises(Truncated):
        head_of(source_of(*(raw[at:at + 1] for at in range(len(raw)))))
    assert time.process_time() - began < 2


# ------------------------------------------------------------------------- line

@pytest.mark.parametrize("raw, line", [
    (b"5\r\n", b"5"), (b"\r\n", b""), (b"a;b=c\r\n", b"a;b=c"), (b"a\rb\r\n", b"a\rb"),
    (b"x" * 100 + b"\r\n", b"x" * 100),
])
def test_a_line(raw: bytes, line: bytes) -> None:
    for source, trailing in sources(raw):
        assert source.line(100) == line
        assert rest_of(source) == trailing


def test_lines_one_behind_the_other() -> None:
    for source, trailing in sources(b"1\r\n\r\n22\r\n"):
        assert [source.line(5) for _ in range(3)] == [b"1", b"", b"22"]
        assert rest_of(source) == trailing


@pytest.mark.parametrize("raw", [b"5\n", b"\n", b"\r5\n"])
def test_a_bare_line_feed(raw: bytes) -> None:
    for source, _ in sources(raw):
        with pytest.raises(BadMessage, match="LF"):
            source.line(100)


@pytest.mark.parametrize("raw", [b"x" * 101 + b"\r\n", b"x" * 102, b"x" * 5000])
def test_a_line_that_is_too_long(raw: bytes) -> None:
    for source, _ in sources(raw):
        with pytest.raises(BadMessage, match="100") as caught:
            source.line(100)
        assert caught.value.status == 400 and not isinstance(caught.value, Truncated)


@pytest.mark.parametrize("raw", [b"", b"5", b"5\r"])
def test_the_end_in_a_line(raw: bytes) -> None:
    for source, trailing in sources(raw):
        if not trailing:
            with pytest.raises(Truncated):
                source.line(100)


# -------------------------------------------------------------------- read_some

def test_read_some_ahead_receives_what_follows_with_it() -> None:
    feed = Feed([b"x" * 50_000, b"y" * 10])
    source = Source(feed)
    assert source.read_some(40_000, ahead=True) == b"x" * 40_000 and feed.calls == [BODY_RECEIVE_SIZE]
    assert source.read_some(40_000) == b"x" * 10_000


def test_read_some_gives_what_there_is() -> None:
    source = source_of(b"abcdef", b"gh")
    assert [source.read_some(size) for size in (2, 1, 10, 10, 10)] == [b"ab", b"c", b"def", b"gh", b""]


def test_read_some_of_much_asks_for_that_much() -> None:
    """A large read goes past the buffer, so that nothing is copied twice."""
    feed = Feed([b"x" * 50_000, b"y" * 10])
    source = Source(feed)
    assert source.read_some(40_000) == b"x" * 40_000 and feed.calls == [40_000]
    assert source.read_some(40_000) == b"x" * 10_000
    assert source.read_some(3) == b"yyy" and source.pending == b"y" * 7


def test_read_some_never_receives_while_it_can_answer() -> None:
    source = source_of(b"abc", RuntimeError("received too early"))
    assert source.read_some(1) + source.read_some(1) + source.read_some(5) == b"abc"
    with pytest.raises(RuntimeError):
        source.read_some(1)


def test_read_some_that_breaks_or_waits() -> None:
    with pytest.raises(Truncated):
        source_of(ConnectionResetError()).read_some(1)
    with pytest.raises(BadMessage) as caught:
        source_of(TimeoutError()).read_some(1)
    assert caught.value.status == 408


# --------------------------------------------------------------- what is left over

def test_pending_and_unread() -> None:
    raw = b"GET / HTTP/1.1\r\n\r\n"
    source = source_of(raw + TRAILING)
    head = head_of(source)
    assert head and source.pending == TRAILING
    source.unread_head(head)
    assert source.pending == raw + TRAILING
    assert source.take_pending() == raw + TRAILING and source.pending == b""


def test_unread_of_a_head_that_came_in_pieces() -> None:
    raw = b"GET / HTTP/1.1\r\n\r\n"
    source = source_of(raw[:5], raw[5:] + b"rest")
    head = head_of(source)
    assert head
    source.unread_head(head)
    assert source.take_pending() == raw + b"rest"


@pytest.mark.parametrize("raw", [b"\r\nGET / HTTP/1.1\r\n\r\n", b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_unread_of_a_head_behind_empty_lines(raw: bytes) -> None:
    for source, trailing in sources(raw):
        head = head_of(source)
        assert head
        source.unread_head(head)
        assert source.take_pending() == raw + trailing


def test_unread_of_a_head_behind_another() -> None:
    raw = b"GET /1 HTTP/1.1\r\n\r\n"
    for source, trailing in sources(raw + b"\r\nGET /2 HTTP/1.1\r\n\r\n"):
        assert head_of(source) == b"GET /1 HTTP/1.1" and head_of(source) == b"GET /2 HTTP/1.1"
        source.unread_head(b"GET /2 HTTP/1.1")
        assert source.take_pending() == b"\r\nGET /2 HTTP/1.1\r\n\r\n" + trailing


@pytest.mark.parametrize("before", [b"", b"\r\n", b"GET /1 HTTP/1.1\r\n\r\n", b"GET /1 HTTP/1.1\r\n\r\n\r\n"])
def test_unread_of_a_head_with_a_body(before: bytes) -> None:
    head, body = b"POST / HTTP/1.1\r\nContent-Length: 4", b"abcd"
    for source, trailing in sources(before + head + b"\r\n\r\n" + body):
        while head_of(source) != head:
            pass
        if source.take_received(4) is None:
            continue  # it comes byte by byte
        source.unread_head(head, body)
        assert source.take_pending() == before.removeprefix(b"GET /1 HTTP/1.1\r\n\r\n") + head + b"\r\n\r\n" + body + trailing


@pytest.mark.parametrize("size", [0, 1, 5000, 5020])
def test_unread_of_a_head_with_a_body_that_was_received_behind_it(size: int) -> None:
    """``size`` bytes of it were taken."""
    raw = b"POST / HTTP/1.1\r\n\r\n" + b"ab" * 2500 + TRAILING
    feed = Feed([raw])
    source = Source(feed)
    head = head_of(source)
    assert head and source.receive_here(5000, feed) and source.pending == raw[len(head) + 4:]
    assert source.counts() == (1, len(raw))
    taken = source.take_received(size)
    assert taken is not None
    source.unread_head(head, taken[0][taken[1]:taken[2]])
    assert source.take_pending() == raw and source.counts() == (0, len(raw))


def test_what_is_here_is_received_where_more_than_a_head_was_asked_for_and_got() -> None:
    """A receive that got less than it asked for got all there was; and never more is held than one piece more."""
    def never(size: int) -> bytes:
        raise AssertionError("received")

    def nothing_yet(size: int) -> bytes:
        raise BlockingIOError

    head = b"POST / HTTP/1.1\r\n\r\n"
    full = head + b"a" * (HEAD_RECEIVE_SIZE - len(head))
    for raw in [head, full[:-1], b"\r\n" + full, head + full]:  # nothing behind; not full; not alone before the body
        source = source_of(raw)
        for _ in range(raw.count(head)):
            assert head_of(source)
        assert not source.receive_here(9, never)
    source = source_of(full)
    assert head_of(source) and not source.receive_here(9, nothing_yet) and source.pending == full[len(head):]
    assert source.receive_here(9, lambda size: b"b" * size) and source.pending == full[len(head):] + b"b" * 9
    assert not source.receive_here(9, never), "its head is not before it any more"


@pytest.mark.parametrize("raw", [b"\r\n", b"\r", b"\r\n\r", b"\r\n\r\n"])
def test_empty_lines_at_the_end_are_still_pending(raw: bytes) -> None:
    for source, trailing in sources(raw):
        if not trailing:
            assert head_of(source) is None
            assert source.pending == raw


def test_empty_lines_are_part_of_what_can_be_seen() -> None:
    """So that it only ever grows, and is the beginning of what is pending."""
    seen: list[bytes] = []
    source = source_of(b"\r", b"\n", b"\r\na", b"\r\n\r\n")
    assert head_of(source, before_wait=lambda: seen.append(source.partial)) == b"a"
    assert seen == [b"\r", b"\r\n", b"\r\n\r\na"]


def test_empty_lines_for_ever_are_refused() -> None:
    for source, _ in sources(b"\r\n" * 128 + b"GET / HTTP/1.1\r\n\r\n"):
        assert head_of(source) == b"GET / HTTP/1.1"
    for source, _ in sources(b"\r\n" * 129 + b"GET / HTTP/1.1\r\n\r\n"):
        with pytest.raises(BadMessage, match="empty lines") as caught:
            head_of(source)
        assert caught.value.status == 400


# ------------------------------------------------------------------ heads as a client takes them

@pytest.mark.parametrize("raw, head, is_lax", [
    (b"A\r\nB: c\r\n\r\n", b"A\r\nB: c", False),
    (b"A\nB: c\n\n", b"A\r\nB: c", True),
    (b"A\nB: c\r\n\r\n", b"A\r\nB: c", True),
    (b"A\r\nB: c\n\r\n", b"A\r\nB: c", True),
    (b"A\r\nB: c\r\n\n", b"A\r\nB: c", True),
    (b"A\n\n", b"A", True),
    (b"\r\nA\n\n", b"A", True),
])
@pytest.mark.parametrize("behind", [b"", b"rest", b"\r\n\r\n", b"\r\nx\r\n\r\n", b"\n\n"])
def test_a_lenient_head(raw: bytes, head: bytes, is_lax: bool, behind: bytes) -> None:
    whole = raw + behind
    for pieces in ([whole], [whole[at:at + 1] for at in range(len(whole))], [raw, behind]):
        source = LenientSource(Feed(pieces))
        assert head_of(source) == head
        assert source.is_lax is is_lax
        assert rest_of(source) == behind


def test_a_lenient_head_that_comes_again() -> None:
    source = LenientSource(Feed([b"A\r\nB: c\r\n\r\n"] * 2 + [b"A\nB: c\r\n\r\n"] * 2))
    for is_lax in (False, False, True, True):
        assert head_of(source) == b"A\r\nB: c" and source.is_lax is is_lax


@pytest.mark.parametrize("raw", [b"A\rB", b"A\0", b"A\n\rB", b"A: \x7f"])
def test_what_no_lenient_head_has(raw: bytes) -> None:
    with pytest.raises(BadMessage, match="a head contains"):
        head_of(LenientSource(Feed([raw])))
