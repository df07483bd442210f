"""WireView: what passes, line by line, for people; whatever a peer sends."""
from __future__ import annotations

import gzip
import io
import random
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from blockingio import HttpClient, WireRecord
from blockingio.wire_view import WireView
from tests.peers import eventually, serving
from tests.server.visits import tell

REQUEST = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Said = tuple[str, bytes]


def records(*said: Said, connection: int = 1, peer: str = "192.0.2.1:5") -> list[WireRecord]:
    """What one connection is told of, from open to close."""
    return [WireRecord(connection, peer, direction, data, at / 1000, False)
            for at, (direction, data) in enumerate([("open", b""), *said, ("close", b"")])]


def written(told: Iterable[WireRecord], **settings: Any) -> str:
    stream = io.StringIO()
    view = WireView(stream, **settings)
    for record in told:
        view(record)
    return stream.getvalue()


def lines(*said: Said, **settings: Any) -> list[str]:
    """Behind the seconds, without the first and the last line."""
    first, *between, last = written(records(*said), **settings).splitlines()
    assert re.fullmatch(r"#1 -- +0\.0000 \* open: 192\.0\.2\.1:5", first) and last.endswith("* close")
    for line in between:
        assert re.match(r"#1 (<-|->|--) +\d\.\d{4} [|*] ", line), line
    return [re.sub(r"^#1 ", "", re.sub(r" +\d\.\d{4} ", " ", line, count=1)) for line in between]


def split(line: str) -> tuple[str, str]:
    """What passed, and the remark beside it."""
    text, _, remark = line.partition(" * ")
    return text.rstrip(), remark


def remarks(*said: Said, **settings: Any) -> list[str]:
    return [remark for line in lines(*said, **settings) if (remark := split(line.replace("- * ", "-  * "))[1])]


@pytest.mark.parametrize("request_goes, answer_goes", [("in", "out"), ("out", "in")], ids=["a server", "a client"])
def test_a_request_and_its_answer(request_goes: str, answer_goes: str) -> None:
    asks, answers = ("<-", "->") if request_goes == "in" else ("->", "<-")
    assert [split(line) for line in lines((request_goes, REQUEST), (answer_goes, OK))] == [
        (rf"{asks} | GET /a HTTP/1.1\r\n", ""), (rf"{asks} | Host: a\r\n", ""), (rf"{asks} | \r\n", "ends the head"),
        (rf"{answers} | HTTP/1.1 200 OK\r\n", ""), (rf"{answers} | Content-Length: 2\r\n", ""),
        (rf"{answers} | \r\n", "ends the head; 2 bytes follow"), (f"{answers} | ok", "")]


def test_each_line_names_connection_direction_and_seconds() -> None:
    text = written(records(("in", REQUEST), ("out", OK), connection=7, peer="[::1]:9"))
    assert text.splitlines()[0] == "#7 --    0.0000 * open: [::1]:9"
    assert text.splitlines()[1] == r"#7 <-    0.0010 | GET /a HTTP/1.1\r\n"
    assert all(line.startswith("#7 ") for line in text.splitlines())
    tls = [WireRecord(1, "-", "open", b"", 0.0, True)]
    assert written(tls) == "#1 --    0.0000 * open: -, TLS\n"


CHUNKS = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1a;x=y\r\n" + b"abc\ndef" * 3
          + b"12345\r\n0\r\nA: b\r\n\r\n")


def test_chunks() -> None:
    shown = [split(line.removeprefix("-> | ")) for line in lines(("in", REQUEST), ("out", CHUNKS)) if line[:2] == "->"]
    assert shown[2:] == [
        (r"\r\n", "ends the head; chunks follow"), (r"1a;x=y\r\n", "0x1A = 26 bytes follow"),
        (r"abc\n", ""), (r"defabc\n", ""), (r"defabc\n", ""), ("def12345", ""), (r"\r\n", "ends the chunk"),
        (r"0\r\n", "the last chunk"), (r"A: b\r\n", "a trailer"), (r"\r\n", "ends the body")]


def test_remarks_on_what_a_connection_does() -> None:
    zipped = gzip.compress(b"x" * 5000)
    expect = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(zipped) + zipped
    last = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    said = [("in", REQUEST), ("out", answer), ("in", expect), ("out", b"HTTP/1.1 100 Continue\r\n\r\n"), ("in", b"x"),
            ("out", OK), ("in", last), ("out", b"HTTP/1.0 200 OK\r\n\r\nold\n")]
    assert remarks(*said) == [
        "ends the head", f"ends the head; {len(zipped)} bytes follow", f"gzip, {len(zipped)} bytes",
        "keep-alive: the same connection goes on", "the body waits for 100 (Continue)", "ends the head; 1 byte follows",
        "100-continue: now the body may come", "ends the head", "ends the head; 2 bytes follow",
        "keep-alive: the same connection goes on", "this ends the connection", "ends the head",
        "ends the head; all that comes is the body, until the connection ends; this ends the connection"]


def test_answers_without_a_body() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    said = [("in", b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + REQUEST + REQUEST), ("out", head),
            ("out", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"), ("out", OK)]
    assert [line for line in lines(*said) if "| HTTP/1.1 " in line] == [
        r"-> | HTTP/1.1 200 OK\r\n", r"-> | HTTP/1.1 304 Not Modified\r\n", r"-> | HTTP/1.1 200 OK\r\n"]
    connect = [("out", b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"), ("in", b"HTTP/1.1 200 OK\r\n\r\n"),
               ("out", REQUEST), ("in", OK)]
    assert remarks(*connect)[1:3] == ["ends the head", "keep-alive: the same connection goes on"]
    switch = [("in", REQUEST), ("out", b"HTTP/1.1 101 Switching\r\n\r\n"), ("out", b"\x81\x01a"), ("in", b"b\nc")]
    assert lines(*switch)[4:] == [
        r"-> | \r\n                                            * ends the head; from here on it is another protocol",
        r"<- | b\n", "<- | c", r"-> | \x81\x01a"]


def test_a_body_is_cut_at_its_limit_over_all_its_records() -> None:
    """The limit is of characters, what was left out of bytes; so a character is never cut."""
    body = "aä€\n" * 500
    raw = body.encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw)
    for size in (1, 7, 100_000):
        pieces = [("out", (head + raw)[at : at + size]) for at in range(0, len(head + raw), size)]
        shown = lines(("in", REQUEST), *pieces, body_limit=10)[6:]
        assert shown == [r"-> | aä€\n", r"-> | aä€\n", "-> | aä", f"-> * {len(raw) - 17} bytes left out"]
    assert lines(("in", REQUEST), ("out", head + raw), body_limit=0)[6:] == [f"-> * {len(raw)} bytes left out"]
    chunks = b"".join(b"5\r\nabcde\r\n" for _ in range(300))
    said = ("out", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    shown = lines(("in", REQUEST), said, body_limit=8)
    assert [split(line)[0] for line in shown[6:13]] == [
        r"-> | 5\r\n", "-> | abcde", r"-> | \r\n", r"-> | 5\r\n", "-> | abc", r"-> | \r\n", "->"]
    assert shown[12:] == ["-> * 1492 bytes left out", "-> * 298 more chunks", *shown[14:]] and len(shown) == 16


def test_bodies_are_text_or_escaped() -> None:
    def shown(body: bytes, content_type: str = "") -> list[str]:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        return [line.removeprefix("-> | ") for line in lines(("in", REQUEST), ("out", head + body))[7:]]

    assert shown(b'{"a": "b\\n"}') == [r'{"a": "b\n"}']
    assert shown("€\t\r\n".encode()) == [r"€\t\r\n"]
    assert shown(b"\xe4\x00\x1b[31m\x7f") == [r"\xe4\x00\x1b[31m\x7f"]
    assert shown(b"\xe4", "text/plain; charset=ISO-8859-1") == ["ä"]
    assert shown("\x9b\u202e\u2028\u200b\ue000\U000e0001".encode()) == [r"\x9b\u202e\u2028\u200b\ue000\U000e0001"]


def test_what_is_not_whole_is_written_at_close() -> None:
    assert lines(("in", b"GET / HTTP/1.1\r\nHost")) == [
        r"<- | GET / HTTP/1.1\r\n", "<- | Host                                            * not whole"]
    said = [("in", REQUEST), ("out", OK[:-1])]
    assert lines(*said)[-1] == "-> | o"


def test_every_piece_gives_the_same_lines() -> None:
    """However the bytes are cut into records, a line is written once it is whole."""
    said = [("in", REQUEST + b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n0\r\n\r\n"),
            ("out", CHUNKS),
            ("out", b"\r\nHTTP/1.1 404 No\r\nCookie: a\r\n b\r\nContent-Length: 3\r\n\r\n\xe2\x82\xac" + OK)]
    whole = lines(*said)
    apart = lines(*[(direction, data[at : at + 1]) for direction, data in said for at in range(len(data))])
    assert apart == whole and len(whole) > 30


# ---------------------------------------------------------------------- secrets

SECRET = "5e6cre7"
NAMES = ["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "cOOKIE"]
FORMS: list[Callable[[str], str]] = [
    lambda name: f"{name}: {SECRET}\r\n", lambda name: f"{name}:Basic {SECRET}\n",
    lambda name: f"{name} : {SECRET}\r\n",
    lambda name: f" {name}: {SECRET}\r\n", lambda name: f"{name}:\r\n {SECRET}\r\n\t{SECRET}\r\n",
    lambda name: f"A: b\r{name}: {SECRET}\r\n", lambda name: f"\x00{name}\x00: {SECRET}\r\n",
    lambda name: f"{name} {SECRET}\r\n", lambda name: f"{name}: a\x1b;{SECRET}\r\n",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", range(len(FORMS)))
def test_secrets_are_masked_however_they_are_written(name: str, form: int) -> None:
    """In requests, answers, interim ones and trailers, whole, in pieces and cut off."""
    field = FORMS[form](name).encode("latin-1")
    chunked = b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n" + field + b"\r\n"
    messages = [b"GET / HTTP/1.1\r\n" + field + b"\r\n", b"HTTP/1.1 200 OK\r\n" + field + b"\r\n",
                b"HTTP/1.1 100 Continue\r\n" + field + b"\r\nHTTP/1.1 200 OK\r\n\r\n", chunked,
                b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n"
                + b"\r\nGET / HTTP/1.1\r\n" + field + b"\r\n"]
    for message in messages:
        for end in (len(message), message.rindex(SECRET.encode()) + len(SECRET), message.index(SECRET.encode()) + 3):
            whole = message[:end]
            for pieces in ([whole], [whole[at : at + 1] for at in range(len(whole))]):
                text = written(records(*[("in", piece) for piece in pieces]))
                assert SECRET[:3] not in text and "***" in text, (message, text)
    shown = written(records(*[("in", message) for message in messages]), secrets=True)
    assert SECRET in shown and "***" not in shown


def test_a_password_in_a_url_is_masked_and_bodies_are_not() -> None:
    text = written(records(("in", b"GET http://me:pass@a/ HTTP/1.1\r\nReferer: http://x:pass@b/c@d\r\n\r\n")))
    assert "pass" not in text and "http://***@a/" in text and "http://***@b/c@d" in text
    body = b"Cookie: mine\n"
    assert r"| Cookie: mine\n" in written(records(
        ("in", REQUEST), ("out", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)))


def test_a_line_without_an_end_is_no_reason_to_show_a_secret() -> None:
    text = written(records(("in", b"GET / HTTP/1.1\r\nCookie: " + SECRET.encode() * 30_000)))
    assert SECRET not in text and "bytes left out" in text
    folded = b"GET / HTTP/1.1\r\nCookie: a\r\n " + SECRET.encode() * 30_000
    assert SECRET not in written(records(("in", folded)))


# ---------------------------------------------------------------------- the terminal

CUTTINGS = [REQUEST, OK, CHUNKS, b"Content-Length: 5\r\n", b"\r\n", b"\n", b"\x1b[2J", b"\xc2\x9b31m", b"\xe2\x80\xae",
            b"\x00", b"0\r\n",
            b"#2 <- 0.0 | GET", b"HTTP/1.1 101 x\r\n", b"Set-Cookie: " + SECRET.encode() + b"\r\n",
            b"ffffffffffffffffffff\r\n",
            b"Transfer-Encoding: chunked\r\n", b"-1\r\n", b"HEAD / HTTP/1.0\r\n", b"\xff\xfe", b"\r", b" ",
            b"Content-Encoding: \x1bgzip\r\n"]


def test_nothing_unprintable_reaches_the_stream_whatever_is_sent() -> None:
    """And no line that does not say whose it is, and no exception; a fuzzer of its own."""
    chance = random.Random(15)
    for _ in range(300):
        said = []
        for _ in range(chance.randrange(1, 12)):
            data = bytearray(b"".join(chance.choices(CUTTINGS, k=chance.randrange(1, 6))))
            if chance.random() < 0.3:
                data[chance.randrange(len(data))] = chance.randrange(256)
            said.append((chance.choice(["in", "out"]), bytes(data)))
        text = written(records(*said), body_limit=chance.choice([0, 3, 1024]))
        assert all(letter.isprintable() for letter in text.replace("\n", "")), said
        assert all(re.match(r"#1 (<-|->|--) +\d\.\d{4} [|*] ", line) for line in text.splitlines()), said
        assert text.endswith("* close\n")


def test_colours_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even there where NO_COLOR is set; with them nothing but SGR is written beside text."""
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def shown(stream: io.StringIO, colour: bool | None = None) -> str:
        view = WireView(stream, colour=colour)
        for record in records(("in", REQUEST), ("out", b"HTTP/1.1 200 OK\x1b[31m\r\nCookie: a\r\n\r\nx")):
            view(record)
        return stream.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    plain = shown(io.StringIO())
    assert "\x1b" not in plain and plain == shown(Terminal(), colour=False)
    coloured = shown(Terminal())
    assert coloured == shown(io.StringIO(), colour=True) != plain
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain
    monkeypatch.setenv("TERM", "dumb")
    assert shown(Terminal()) == plain
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(Terminal()) == plain


def test_a_stream_that_lacks_letters() -> None:
    raw = io.BytesIO()
    view = WireView(io.TextIOWrapper(raw, encoding="ascii"))
    for record in records(("in", REQUEST), ("out", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\xe2\x82\xac")):
        view(record)
    assert rb"| \u20ac" in raw.getvalue()


def test_stderr_unless_told(capsys: pytest.CaptureFixture[str]) -> None:
    for record in records(("in", REQUEST)):
        WireView()(record)
    assert capsys.readouterr().err.count("\n") > 3
    for limit in (-1, 1.5, "x"):
        with pytest.raises(ValueError, match="body_limit"):
            WireView(body_limit=limit)  # type: ignore[arg-type]


def test_lines_of_several_connections_are_never_mixed() -> None:
    """Of a server and its client at once, on many threads."""
    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            return sum(super(Slow, self).write(letter) for letter in text)

    stream = Slow()
    view = WireView(stream)
    with serving(tell, workers=4, wire_log=view) as server, HttpClient() as client:
        client.wire_log = view

        def ask() -> None:
            for number in range(10):
                client.get_url(f"http://127.0.0.1:{server.port}/{number}").close().read()

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.close()
        eventually(lambda: stream.getvalue().count("* close\n") == stream.getvalue().count("* open: "))
    text = stream.getvalue()
    assert all(re.match(r"#\d (<-|->|--) +\d\.\d{4} [|*] ", line) for line in text.splitlines())
    assert text.count("| GET /9 HTTP/1.1") == 8
    assert text.count("keep-alive: the same connection goes on") == 80 - text.count("* open: ")


def test_what_is_told_while_it_writes_comes_behind() -> None:
    """As a collection may close a connection in the midst of it, on the same thread."""
    class Nested(io.StringIO):
        def write(self, text: str) -> int:
            for record in waiting[:]:
                waiting.remove(record)
                view(record)
            return super().write(text)

    waiting = records(connection=2)
    stream = Nested()
    view = WireView(stream)
    view(records()[0])
    assert [line[:5] for line in stream.getvalue().splitlines()] == ["#1 --", "#2 --", "#2 --"]
