"""What a strict reader makes of bytes that hold requests: a model to hold the server against.

Written from RFC 9112 alone, for whole inputs, without a thought for speed; it knows nothing of the library.  Where the
standard leaves a choice between taking and refusing (a coding between commas of its own, say), the reading is given and
marked ``unsure``: a server may take the message, but then only so, or refuse it.
"""
import re
from typing import NamedTuple

from blockingio.check.cases import MAX_BODY_SIZE, MAX_HEADER_COUNT, MAX_HEADER_SIZE, MAX_TARGET_LENGTH

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_LINE = re.compile(rb"(" + _TOKEN + rb") ([!-\"$-~]+) HTTP/([0-9])\.([0-9])")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*(|[!-~\x80-\xff](?:[ \t!-~\x80-\xff]*[!-~\x80-\xff])?)[ \t]*")
_CHUNK = re.compile(rb"([0-9A-Fa-f]+)(.*)", re.DOTALL)
_EXTENSIONS = re.compile(rb'(?:[ \t]*;[ \t]*' + _TOKEN + rb'(?:[ \t]*=[ \t]*(?:' + _TOKEN +
                         rb'|"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*')
_NAME = rb"(?:[0-9A-Za-z\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*"
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|" + _NAME + rb")(?::[0-9]*)?")
_SURE_HOST = re.compile(rb"(?:\[::1\]|[0-9A-Za-z\-._]+)(?::[0-9]{1,4})?")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]+)(?:[/?].*)?")
_SURE_PATH = re.compile(rb"/(?:[0-9A-Za-z\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*"
                        rb"(?:\?(?:[0-9A-Za-z\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*)?")

#: Trailers that would change what was decided already (RFC 9110 6.5.1): framing and routing for certain.
_NO_TRAILERS = frozenset((b"content-length", b"transfer-encoding", b"host", b"trailer"))
#: Short of a limit by so much nobody may refuse; past it by so much nobody may take.
_SLACK = 300


class Message(NamedTuple):
    """One whole request: what its reader must have seen."""

    method: str
    target: str
    version: str
    body: bytes
    unsure: bool


class Reading(NamedTuple):
    """Whole requests, and then: "end" (nothing more, or the rest of a head), "cut" inside a body,
    "bad" (refused), "close" (the connection's end was asked for); ``unsure`` of that last one alone."""

    messages: list[Message]
    ending: str
    unsure: bool = False


class Bad(Exception):
    """Not HTTP, or not HTTP that a strict reader takes."""


class Cut(Exception):
    """The input ends in a body."""


class Reader:
    """Whole messages out of ``data``, which shrinks from its beginning."""

    max_header_count, max_header_size, max_body_size = MAX_HEADER_COUNT, MAX_HEADER_SIZE, MAX_BODY_SIZE
    no_trailers = _NO_TRAILERS
    takes_padding = False  # blanks behind a chunk's size

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.unsure = False

    def read(self) -> Reading:
        messages: list[Message] = []
        try:
            while True:
                self.unsure = False
                while self.data.startswith(b"\r\n"):
                    self.data = self.data[2:]
                if b"\r\n\r\n" not in self.data:
                    return Reading(messages, *self._rest())
                message, keep = self._message()
                messages.append(message)
                if not keep:
                    return Reading(messages, "close")
        except Cut:
            return Reading(messages, "cut", self.unsure)
        except Bad:
            return Reading(messages, "bad")

    def _rest(self) -> tuple[str, bool]:
        """A head without an end: nonsense in it may be answered before its end, or never."""
        rest = self.data
        bad = re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r[^\n]", rest)
        return "end", bad is not None or len(rest) > 400

    def _message(self) -> tuple[Message, bool]:
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        line, *lines = head.split(b"\r\n")
        match = _LINE.fullmatch(line)
        if not match:
            raise Bad
        method, target, major, minor = match.groups()
        if major != b"1" or len(target) > MAX_TARGET_LENGTH:
            raise Bad
        if len(method) > 20:
            self.unsure = True
        version = "1.0" if minor == b"0" else "1.1"
        self._target(method, target)
        fields = self.read_fields(lines)
        self._host([value for name, value in fields if name == b"host"], version)
        expectations = {value.lower() for name, value in fields if name == b"expect"}
        if version == "1.1" and expectations - {b"100-continue"}:
            raise Bad
        body = self._body(fields, version)
        options = [option.strip(b" \t").lower() for name, value in fields if name == b"connection"
                   for option in value.split(b",")]
        keep = b"close" not in options and (version == "1.1" or b"keep-alive" in options)
        keep &= method != b"CONNECT"  # 200 to that begins a tunnel (RFC 9110 9.3.6)
        return Message(method.decode(), target.decode(), version, body, self.unsure), keep

    def _target(self, method: bytes, target: bytes) -> None:
        path = target
        if method == b"CONNECT":
            host, _, port = target.rpartition(b":")
            if not (host and port.isdigit() and _HOST.fullmatch(host)) or int(port) > 65535:
                raise Bad
            self.unsure = True
            return
        if target == b"*" and method == b"OPTIONS":
            return
        if absolute := _ABSOLUTE.fullmatch(target):
            if not _HOST.fullmatch(absolute[1]) or absolute[1].startswith(b":"):
                raise Bad
            self.unsure = True  # of its host, which is not what this is about
        elif not target.startswith(b"/"):
            raise Bad
        elif not _SURE_PATH.fullmatch(target):
            self.unsure = True
        if re.search(rb"%(?![0-9A-Fa-f]{2})", path.partition(b"?")[0]):
            raise Bad

    def read_fields(self, lines: list[bytes]) -> list[tuple[bytes, bytes]]:
        fields = []
        size = sum(map(len, lines)) + 2 * len(lines)
        for line in lines:
            match = _FIELD.fullmatch(line)
            if not match:
                raise Bad
            fields.append((match[1].lower(), match[2]))
        if len(fields) > self.max_header_count or size > self.max_header_size + _SLACK:
            raise Bad
        if size > self.max_header_size - _SLACK:
            self.unsure = True
        return fields

    def _host(self, hosts: list[bytes], version: str) -> None:
        if len(hosts) > 1 or (not hosts and version == "1.1"):
            raise Bad
        if hosts and not _HOST.fullmatch(hosts[0]):
            raise Bad
        if hosts and not _SURE_HOST.fullmatch(hosts[0]):
            self.unsure = True

    def _body(self, fields: list[tuple[bytes, bytes]], version: str) -> bytes:
        lengths = [value for name, value in fields if name == b"content-length"]
        codings = [value for name, value in fields if name == b"transfer-encoding"]
        if codings:
            listed = [coding.strip(b" \t").lower() for coding in b",".join(codings).split(b",")]
            if lengths or version == "1.0" or [coding for coding in listed if coding] != [b"chunked"]:
                raise Bad
            self.unsure |= len(listed) > 1
            return self.read_chunks()
        if not lengths:
            return b""
        if len(lengths) > 1 or not re.fullmatch(rb"[0-9]+", lengths[0]):
            raise Bad
        if len(lengths[0]) > 10 or int(lengths[0]) > self.max_body_size:
            self.unsure |= len(lengths[0].lstrip(b"0")) < 4
            if not self.unsure:
                raise Bad
        return self.take(int(lengths[0]))

    def take(self, size: int) -> bytes:
        if len(self.data) < size:
            raise Cut
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def _framing_line(self) -> bytes:
        """Up to CRLF; a LF without its CR is wrong as soon as it is there."""
        end = self.data.find(b"\n")
        if end < 0:
            self.unsure |= len(self.data) > _SLACK or bool(re.search(rb"[^\t\r -~\x80-\xff]|\r.", self.data))
            raise Cut
        line = self.take(end + 1)
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise Bad
        self.unsure |= len(line) > _SLACK
        return line[:-2]

    def read_chunks(self) -> bytes:
        body = b""
        while True:
            match = _CHUNK.fullmatch(self._framing_line())
            if not match:
                raise Bad
            digits, extensions = match.groups()
            if not _EXTENSIONS.fullmatch(extensions.rstrip(b" \t") if self.takes_padding else extensions):
                raise Bad
            self.unsure |= len(digits) > 8
            size = int(digits, 16)
            if len(body) + size > self.max_body_size:
                raise Bad
            if not size:
                break
            body += self.take(size)
            if self.data[:2] != b"\r\n":
                if b"\n" not in self.data:  # a reader of lines need not see yet that this is none
                    self.unsure |= not b"\r\n".startswith(self.data)
                    raise Cut
                raise Bad
            self.take(2)
        self.read_trailers()
        return body

    def read_trailers(self) -> None:
        lines = []
        ends = self.data.startswith(b"\r\n") or b"\r\n\r\n" in self.data
        try:
            while line := self._framing_line():
                lines.append(line)
        except (Bad, Cut):
            if ends:
                raise
            # Whether what is wrong in a section is told before its end is the reader's choice.
            self.unsure = True
            raise Cut from None
        names = {name for name, _ in self.read_fields(lines)}
        if names & self.no_trailers:
            raise Bad
        self.unsure |= bool(names - {b"a", b"x-check", b"etag"})


def read(data: bytes) -> Reading:
    """What a strict reader makes of ``data``, after which the input ends."""
    return Reader(data).read()


class Found(NamedTuple):
    """What a server made of the same bytes: requests that its handler saw whole, and the refusal or None."""

    seen: list[tuple[str, str, str, bytes]]  # method, target, version, body
    refusal: int | None


def disagreements(reading: Reading, found: Found) -> list[str]:
    """How a server's answer differs from what a strict reader may make of the same bytes."""
    problems = []
    for at, message in enumerate(reading.messages):
        if at == len(found.seen):
            if found.refusal is None:
                problems.append(f"request {at} was not answered: {message}")
            elif not message.unsure:
                problems.append(f"request {at} was refused with {found.refusal}: {message}")
            return problems
        method, target, version, body = found.seen[at]
        if message.unsure:
            target = message.target  # one that a URI's parser may spell in another way
        if (method, target, version, body) != message[:4]:
            problems.append(f"request {at} was seen as {found.seen[at]}, expected {message}")
    if more := found.seen[len(reading.messages):]:
        problems.append(f"{len(found.seen)} requests were seen, there are {len(reading.messages)}: {more}")
    elif reading.ending == "bad" and found.refusal is None:
        problems.append("a bad request was not refused")
    elif reading.ending in ("end", "close") and found.refusal is not None and not reading.unsure:
        problems.append(f"refused with {found.refusal} where nothing was wrong")
    elif reading.ending == "cut" and found.refusal not in (None, 400) and not reading.unsure:
        problems.append(f"a body cut short got {found.refusal}")
    return problems
