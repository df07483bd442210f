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
_FRAMING = frozenset((b"content-length", b"transfer-encoding"))
#: Bytes of a head and fields in it that no client refuses.
_HEAD, _FIELDS = 16_000, 60


class Expected(NamedTuple):
    """What the caller gets: a response, or (``body`` is None) an HttpException."""

    status: int
    body: bytes | None
    unsure: bool


class _ResponseReader(Reader):
    # No client needs to refuse for these, and which trailers it ignores is its own choice.
    max_header_count = max_header_size = max_body_size = 1 << 40
    no_trailers = frozenset()

    def read_response(self, method: str) -> Expected:
        """Interim responses are skipped; all of ``data`` after that belongs to the one response."""
        status = 0
        try:
            while status < 200:
                if self.data.startswith(b"\r\n"):
                    self.unsure = True
                    self.data = self.data.lstrip(b"\r\n")
                head, found, self.data = self.data.partition(b"\r\n\r\n")
                if not found:
                    raise Cut
                version, status, fields = self._head(head)
                if status < 200:  # has no body, and nothing to say of one
                    self.unsure |= not _FRAMING.isdisjoint(name for name, _ in fields)
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
        """RFC 9112 6.3, step by step; a message with doubtful framing is bad even where it has no body."""
        lengths = [value for name, value in fields if name == b"content-length"]
        codings = [value for name, value in fields if name == b"transfer-encoding"]
        has_none = method == "HEAD" or status in (204, 304)
        self.unsure |= any(name == b"content-encoding" for name, _ in fields)
        if codings:
            self.unsure |= bool(lengths) or version == "1.0" or has_none
            if has_none:
                return b""
            listed = [coding.strip(b" \t").lower() for coding in b",".join(codings).split(b",")]
            self.unsure |= len(listed) > 1
            if [coding for coding in listed if coding] != [b"chunked"]:
                raise Bad
            return self.read_chunks()
        if lengths:
            values = {value for length in lengths for value in re.split(rb"[ \t]*,[ \t]*", length)}
            self.unsure |= len(lengths) > 1 or b"," in lengths[0] or has_none
            if has_none and len(values) == 1:
                return b""
            if len(values) > 1 or not re.fullmatch(rb"[0-9]+", lengths[0].split(b",")[0].rstrip(b" \t")):
                raise Bad
            length = values.pop()
            if len(length) > 12:
                raise Cut
            return self.take(int(length))
        return b"" if has_none else self.data


def read_response(data: bytes, method: str) -> Expected:
    """What a strict client's caller gets for ``data``, after which the connection ends."""
    return _ResponseReader(data).read_response(method)
