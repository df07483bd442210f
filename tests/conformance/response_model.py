"""What a strict client makes of bytes that hold one response: a model to hold HttpClient against.

As ``model`` it is written from RFC 9112 alone, for whole inputs behind which the connection
ends, and marks as ``unsure`` what a client may take, but then only so, or refuse.
"""
from __future__ import annotations

import re
from typing import NamedTuple

from tests.conformance.model import Bad, Cut, Reader

_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9][0-9])(?: [\t -~\x80-\xff]*)?")
_FOLD = re.compile(rb"\r\n[ \t]+")
#: Bytes of a head and fields in it that no client refuses.
_HEAD, _FIELDS = 16_000, 60


class Expected(NamedTuple):
    """What the caller gets: a response, or (``body`` is None) an HttpException."""

    status: int
    body: bytes | None
    unsure: bool


class _ResponseReader(Reader):
    # No client needs to refuse for these.
    max_header_count = max_header_size = max_body_size = 1 << 40
    takes_padding = True

    def read_response(self, method: str) -> Expected:
        """Interim responses are skipped; all of ``data`` after that belongs to the one response."""
        status = 0
        try:
            while status < 200:
                if self.data.startswith(b"\r\n"):
                    self.unsure = True
                    self.data = self.data.lstrip(b"\r\n")
                found = re.search(rb"\r?\n\r?\n", self.data)
                if not found:
                    raise Cut
                head, self.data = self.data[:found.start()], self.data[found.end():]
                if re.search(rb"(?<!\r)\n", head + found[0]):
                    self.unsure = True  # LF for CRLF may be taken (RFC 9112 2.2)
                    head = re.sub(rb"\r?\n", b"\r\n", head)
                version, status, fields = self._head(head)
                if status == 101:
                    self.unsure = True
                    return Expected(101, b"", True)
            return Expected(status, self._response_body(method, status, version, fields), self.unsure)
        except (Bad, Cut):
            return Expected(status, None, self.unsure)

    def _head(self, head: bytes) -> tuple[str, int, list[tuple[bytes, bytes]]]:
        line, _, block = head.partition(b"\r\n")
        if _FOLD.search(b"\r\n" + block):
            self.unsure = True  # a user agent may put a folded value together (RFC 9112 5.2)
            block = _FOLD.sub(b" ", block)
        match = _STATUS_LINE.fullmatch(line)
        if not match:
            raise Bad
        lines = block.split(b"\r\n") if block else []
        self.unsure |= len(lines) > _FIELDS or len(block) > _HEAD
        return ("1.0" if match[1] == b"0" else "1.1"), int(match[2]), self.read_fields(lines)

    def _response_body(self, method: str, status: int, version: str,
                       fields: list[tuple[bytes, bytes]]) -> bytes:
        """RFC 9112 6.3, step by step; of a message without a body its framing means nothing."""
        if method == "HEAD" or status in (204, 304):
            return b""
        lengths = [value for name, value in fields if name == b"content-length"]
        codings = [value for name, value in fields if name == b"transfer-encoding"]
        self.unsure |= any(name == b"content-encoding" for name, _ in fields)
        values = {value.strip(b" \t") for length in lengths for value in length.split(b",")}
        if len(values) > 1 or any(not re.fullmatch(rb"[0-9]+", value) for value in values):
            raise Bad
        listed = [coding.strip(b" \t").lower() for coding in b",".join(codings).split(b",")] if codings else []
        if listed and listed != [b"identity"]:
            self.unsure |= version == "1.0" or len(listed) > 1 or any(len(value) > 12 for value in values)
            if [coding for coding in listed if coding] != [b"chunked"]:
                raise Bad
            return self.read_chunks()
        if not values:
            return self.data
        length = values.pop()
        if len(length) > 12:
            raise Cut
        return self.take(int(length))

    def read_trailers(self) -> None:
        """Whatever is wrong with them, they are left out."""
        while True:
            line, found, self.data = self.data.partition(b"\n")
            if not found:
                raise Cut
            if not line.removesuffix(b"\r"):
                return


def read_response(data: bytes, method: str) -> Expected:
    """What a strict client's caller gets for ``data``, after which the connection ends."""
    return _ResponseReader(data).read_response(method)
