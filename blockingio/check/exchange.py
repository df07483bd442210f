"""One connection to the server that is checked: a row's bytes out, and what comes back, as it comes.

It knows sockets and as much of HTTP as to tell where an answer ends; nothing of this library reads here, so that its
own server can be checked as any other.  An end of input, a reset and silence are three different answers.
One thread, one connection at a time.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from blockingio.check.cases import Seen
from blockingio.check.questions import Question

# What is read of one row at most, from a server that does not come to an end: bytes, and times the silence that is
# waited for.
_MOST = 8 << 20
_LONGEST = 30

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?")
# As large as they are anywhere; int() would take signs and blanks, and not take very many digits.
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)

_FIELD = re.compile(rb"([^:\r\n]*):[ \t]*([^\r\n]*?)[ \t]*")

# A row's targets and hosts, where they are at the beginning of a message: none in a chunk, and not what is hidden.
_REQUEST_LINE = re.compile(
    rb"(?<![0-9a-f]\r\n)\b(GET|HEAD|POST|PUT|DELETE) /[125cx]? (HTTP/1\.[0-9]\r\n)(Host: a\r\n)?")


class Unreachable(Exception):
    """No connection is taken; the message is the system's."""


@dataclass(frozen=True)
class Target:
    """The server: where it is, and what is asked of it."""

    address: tuple[Any, ...]
    family: int
    authority: str  # as Host has it
    path: str  # with its query
    tls: ssl.SSLContext | None
    host: str
    patience: float  # seconds of silence after which nothing more is waited for

    def fitted(self, raw: bytes) -> bytes:
        """A row's bytes, for this host and path."""
        host = self.authority.encode("latin-1")

        def of_here(match: re.Match[bytes]) -> bytes:
            hosted = b"Host: %b\r\n" % host if match[3] else b""
            return b"%b %b %b%b" % (match[1], self.path.encode("latin-1"), match[2], hosted)

        return _REQUEST_LINE.sub(of_here, raw).replace(b"a.example", host)

    def plain(self, method: str, body: bytes = b"") -> bytes:
        """An ordinary request, the last on its connection."""
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        return b"%b %b HTTP/1.1\r\nHost: %b\r\n%bConnection: close\r\n\r\n%b" % (
            method.encode(), self.path.encode("latin-1"), self.authority.encode("latin-1"), length, body)

    def connect(self) -> socket.socket:
        """A connection, by TLS where that is asked for, which does not block.  Raises Unreachable."""
        try:
            sock = socket.socket(self.family, socket.SOCK_STREAM)
            try:
                sock.settimeout(max(self.patience, 1.0) * 2)
                sock.connect(self.address)
                if self.tls is not None:
                    sock = self.tls.wrap_socket(sock, server_hostname=self.host)
                sock.setblocking(False)
                return sock
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            raise Unreachable(error.strerror or str(error)) from error


@dataclass
class Answer:
    """One response, final or interim."""

    status: int
    fields: dict[str, str] = field(default_factory=dict)  # the last one of each name, in lower case
    is_whole: bool = True

    @property
    def closes(self) -> bool:
        return "close" in self.fields.get("connection", "").lower()


@dataclass
class Observation:
    """What came of one row."""

    answers: list[Answer] = field(default_factory=list)  # final ones to the row itself
    interim: int = 0
    next_answers: list[Answer] = field(default_factory=list)  # to what followed on the connection
    was_followed: bool = False
    waited: bool = False  # nothing came until this side had ended its sending
    is_early: bool = False  # 100 or a final answer came before the body
    rubbish: bytes = b""  # that came where an answer was expected
    end: str = "open"  # or "end", "reset"

    @property
    def came(self) -> str:
        """What came, in words for the report."""
        parts = ["100"] * bool(self.interim) + [str(answer.status) for answer in self.answers]
        if self.rubbish:
            parts.append(f"{self.rubbish[:30]!r}, which is no answer")
        if not parts:
            parts.append("no answer")
        if self.waited:
            parts.append("only once the sending had ended")
        if self.next_answers:
            parts.append(f"{' and '.join(str(answer.status) for answer in self.next_answers)} to the next request")
        parts.append({"end": "the end", "reset": "a reset", "open": "no end"}[self.end])
        return ", ".join(parts)


class Exchange:
    """Send and receive on one connection, and take answers from what came."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._socket = target.connect()
        self._out = memoryview(b"")
        self._received = bytearray()
        self._left = _MOST
        self._last = monotonic() + target.patience * _LONGEST
        self.end = "open"

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Later, while receiving: a server may answer, and stop to read, in the middle."""
        self._out = memoryview(bytes(self._out) + data)

    def finish_sending(self) -> None:
        self._out = memoryview(b"")
        try:
            socket.socket.shutdown(self._socket, socket.SHUT_WR)  # not ssl's own, which would end TLS
        except OSError:
            self.end = "reset"

    def answer_to(self, method: str) -> Answer | None:
        """The next answer; None where none comes, and ``rubbish`` and ``end`` say why."""
        while True:
            taken = _take_answer(self._received, method, self.end != "open")
            if taken is not None:
                return taken
            if self.rubbish or self.end != "open":
                return None
            if not self._receive() and self.end == "open":
                return None  # silence; behind an end once more, since what has no length is whole by it

    @property
    def rubbish(self) -> bytes:
        """What stands where a status line should."""
        start = bytes(self._received[:5])
        return bytes(self._received[:100]) if start and not b"HTTP/".startswith(start) else b""

    def wait_for_end(self) -> None:
        """Read until the connection ends, or nothing comes any more."""
        while self.end == "open" and self._receive():
            pass

    def _receive(self) -> bool:
        """Wait for some bytes, sending meanwhile; False at the end, after so much silence, or past _MOST bytes."""
        deadline = monotonic() + self._target.patience
        while self.end == "open":
            left = min(deadline, self._last) - monotonic()
            if left <= 0 or self._left <= 0:
                return False
            can_read, can_write, _ = select.select([self._socket], [self._socket] if self._out else [], [], left)
            if can_write and self._send_some():
                deadline = monotonic() + self._target.patience
            if can_read and self._receive_some():
                return True
        return False

    def _send_some(self) -> bool:
        try:
            sent = self._socket.send(self._out[:65536])
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            self._out = memoryview(b"")  # it reads no more; what it answered may still be here
            return False
        self._out = self._out[sent:]
        return True

    def _receive_some(self) -> bool:
        try:
            data = self._socket.recv(65536)
            while isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
                data += self._socket.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            self.end = "reset"
            return False
        if not data:
            self.end = "end"
        self._received += data
        self._left -= len(data)
        return bool(data)


def _take_answer(received: bytearray, method: str, is_over: bool) -> Answer | None:
    """The first answer, taken off; None where it is not whole, unless nothing more comes."""
    head_end = received.find(b"\r\n\r\n")
    match = _STATUS_LINE.match(received)
    if head_end < 0 or match is None:
        return None
    head = bytes(received[:head_end])
    fields = {}
    for line in head.split(b"\r\n")[1:]:
        if parts := _FIELD.fullmatch(line):
            fields[parts[1].decode("latin-1").lower()] = parts[2].decode("latin-1")
    answer = Answer(int(match[1]), fields)
    size = _body_size(bytes(received[head_end + 4 :]), answer, method)
    if size is None:
        if not is_over:
            return None
        answer.is_whole = "content-length" not in fields and "transfer-encoding" not in fields
        size = len(received)
    del received[: head_end + 4 + size]
    return answer


def _body_size(rest: bytes, answer: Answer, method: str) -> int | None:
    """Bytes of the body with its framing (RFC 9112 6.3); None where it is not whole, or ends with the connection."""
    if method == "HEAD" or answer.status < 200 or answer.status in (204, 304):
        return 0
    if "chunked" in answer.fields.get("transfer-encoding", "").lower():
        return _chunked_size(rest)
    length = answer.fields.get("content-length", "")
    if not _LENGTH.fullmatch(length):
        return None
    return int(length) if len(rest) >= int(length) else None


def _chunked_size(rest: bytes) -> int | None:
    at = 0
    while True:
        line_end = rest.find(b"\r\n", at)
        match = _CHUNK_SIZE.fullmatch(rest, at, line_end) if line_end >= 0 else None
        if match is None:
            return None
        size = int(match[1], 16)
        at = line_end + 2
        if not size:
            break
        at += size + 2
    while (line_end := rest.find(b"\r\n", at)) > at:
        at = line_end + 2
    return None if line_end < 0 else line_end + 2


def observe(target: Target, question: Question) -> Observation:
    """Ask it, and see.  Raises Unreachable where the server is gone."""
    seen = Observation()
    with closing(Exchange(target)) as exchange:
        raw = target.fitted(question.case.raw)
        if question.staged:
            raw = _send_head(exchange, raw, seen)
        exchange.send(raw)
        _read_answers(exchange, question, seen)
        if exchange.end == "open" and not seen.answers and not exchange.rubbish:
            seen.waited = True
            exchange.finish_sending()
            _read_answers(exchange, question, seen)
        else:
            _follow(target, exchange, seen)
        exchange.wait_for_end()
        seen.rubbish = b"" if any(answer.status == 101 for answer in seen.answers) else exchange.rubbish
        seen.end = exchange.end
    return seen


def _send_head(exchange: Exchange, raw: bytes, seen: Observation) -> bytes:
    """The head alone, and wait for the leave to send the body; returns what is left to be sent."""
    head, blank, body = raw.partition(b"\r\n\r\n")
    exchange.send(head + blank)
    answer = exchange.answer_to("POST")
    seen.is_early = answer is not None
    if answer is not None and answer.status >= 200:
        seen.answers.append(answer)
        return b""
    seen.interim += answer is not None
    return body


def _read_answers(exchange: Exchange, question: Question, seen: Observation) -> None:
    methods = [outcome.method if isinstance(outcome, Seen) else "GET" for outcome in question.case.outcomes]
    while len(seen.answers) < len(methods):
        answer = exchange.answer_to(methods[len(seen.answers)])
        if answer is None:
            return
        if answer.status < 200 and answer.status != 101:
            seen.interim += 1
        else:
            seen.answers.append(answer)


def _follow(target: Target, exchange: Exchange, seen: Observation) -> None:
    """One request more, unless the server has said that it takes none; whatever is answered now is kept."""
    if seen.answers and seen.answers[-1].status == 101:
        return  # what comes now is another protocol
    if exchange.end == "open" and not (seen.answers and seen.answers[-1].closes):
        exchange.send(target.plain("GET"))
        seen.was_followed = True
    while (answer := exchange.answer_to("GET")) is not None:
        if answer.status >= 200:
            seen.next_answers.append(answer)
