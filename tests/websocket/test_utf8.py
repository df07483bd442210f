"""Text byte by byte against the table of RFC 3629 4: each byte is refused exactly where no text has it."""
from __future__ import annotations

from itertools import product

import pytest

from blockingio.websocket.status import Violation
from blockingio.websocket.message import Utf8Check

TAIL = range(0x80, 0xC0)
# UTF8-octets: the bytes that may follow each first byte.
FORMS = [
    (range(0x00, 0x80),), (range(0xC2, 0xE0), TAIL), (range(0xE0, 0xE1), range(0xA0, 0xC0), TAIL),
    (range(0xE1, 0xED), TAIL, TAIL), (range(0xED, 0xEE), range(0x80, 0xA0), TAIL), (range(0xEE, 0xF0), TAIL, TAIL),
    (range(0xF0, 0xF1), range(0x90, 0xC0), TAIL, TAIL), (range(0xF1, 0xF4), TAIL, TAIL, TAIL),
    (range(0xF4, 0xF5), range(0x80, 0x90), TAIL, TAIL),
]


def may_begin(data: bytes) -> bool:
    """Whether a letter begins, or is, or one is followed by a first byte of another."""
    for form in FORMS:
        if all(byte in allowed for byte, allowed in zip(data, form)):
            rest = data[len(form):]
            return not rest or may_begin(rest)
    return False


def is_taken(data: bytes) -> bool:
    check = Utf8Check()
    try:
        for byte in data:
            check.add(bytes([byte]))
    except Violation as violation:
        assert violation.code == 1007
        return False
    return True


def test_every_two_bytes() -> None:
    wrong = [pair for pair in product(range(256), repeat=2) if is_taken(bytes(pair)) != may_begin(bytes(pair))]
    assert not wrong


@pytest.mark.parametrize("start", [b"\xe0\xa0", b"\xed\x9f", b"\xef\xbf", b"\xf0\x90", b"\xf4\x8f", b"\xf0\x90\x80",
                                   b"\xf3\xbf\xbf"])
def test_every_byte_behind(start: bytes) -> None:
    wrong = [byte for byte in range(256) if is_taken(start + bytes([byte])) != may_begin(start + bytes([byte]))]
    assert not wrong
