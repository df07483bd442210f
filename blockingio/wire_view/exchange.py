"""One request and its response as they went over the wire, taken from what a wire_log was told."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from blockingio.net.wire_record import WireRecord

Fields = list[tuple[str, str]]


class Message(NamedTuple):
    """A head, its first line and fields, and the bytes behind it."""

    head: bytes
    first: str
    fields: Fields
    body: bytes

    def values(self, name: str) -> list[str]:
        """Of all fields of this name, in lower case."""
        return [value for field, value in self.fields if field.lower() == name]


class Exchange(NamedTuple):
    """``content`` is the response's body, decoded; ``seconds`` what connecting took."""

    url: str
    started: datetime
    seconds: float
    records: list[WireRecord]  # of one connection
    content: bytes

    @property
    def request(self) -> Message:
        """What was sent."""
        return _message(self._bytes("out"))

    @property
    def response(self) -> Message:
        """The final response."""
        message = _message(self._bytes("in"))
        while message.first.partition(" ")[2].startswith("1"):
            message = _message(message.body)
        return message

    def times(self, direction: str) -> list[float]:
        """Seconds since the connection was opened at which something passed."""
        return [record.seconds for record in self.records if record.direction == direction]

    def _bytes(self, direction: str) -> bytes:
        return b"".join(record.data for record in self.records if record.direction == direction)


def exchange_of(url: str, started: datetime, seconds: float, told: list[WireRecord], content: bytes) -> Exchange:
    """From all that was told: the last connection's, without what a proxy was asked first."""
    last = max(record.connection for record in told)
    records = [record for record in told if record.connection == last]
    if any(record.is_tls for record in records):
        records = [record for record in records if record.is_tls or not record.data]
    return Exchange(url, started, seconds, records, content)


def _message(data: bytes) -> Message:
    head, end, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = [(name, value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines)]
    return Message(head + end, first, fields, body)
