"""multipart.py: a body's parts, however its bytes come (RFC 2046 5.1.1)."""
from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import pytest

from blockingio import HttpException, StateError, Stream
from blockingio.http_server import MimeMultipart, MimeMultipartTransformer
from blockingio.http_server.multipart import MAX_PART_HEADER_SIZE, MAX_PARTS

Parts = list[tuple[dict[str, str], bytes]]


def parse(pieces: Iterable[bytes], boundary: str = "b") -> Parts:
    parts = MimeMultipartTransformer(boundary).bind(Stream.from_iterable(pieces))
    return [(dict(part.headers), b"".join(part)) for part in parts]


def pieces_of(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at:at + size] for at in range(0, len(data), size))


# Body with boundary "b", and its parts.
CASES: dict[str, tuple[bytes, Parts]] = {
    "one part": (b"--b\r\nA: 1\r\n\r\nx\r\n--b--\r\n", [({"a": "1"}, b"x")]),
    "two parts": (
        b"--b\r\nA: 1\r\n\r\nx\r\n--b\r\nA: 2\r\n\r\ny\r\n--b--\r\n",
        [({"a": "1"}, b"x"), ({"a": "2"}, b"y")]),
    "no parts": (b"--b--", []),
    "no parts, and a line": (b"--b--\r\n", []),
    "preamble and epilogue": (
        b"pre\r\namble\r\n--b\r\n\r\nx\r\n--b--\r\nepi\r\n--b\r\n\r\nlogue", [({}, b"x")]),
    "a preamble that mentions the boundary": (b"this is --b\r\n--b\r\n\r\nx\r\n--b--", [({}, b"x")]),
    "a leading line": (b"\r\n--b\r\n\r\nx\r\n--b--", [({}, b"x")]),
    "no fields": (b"--b\r\n\r\nx\r\n--b--", [({}, b"x")]),
    "no content": (b"--b\r\nA: 1\r\n\r\n\r\n--b--", [({"a": "1"}, b"")]),
    "no content and no line for it": (b"--b\r\nA: 1\r\n\r\n--b--", [({"a": "1"}, b"")]),
    "neither fields nor content": (b"--b\r\n\r\n--b\r\n\r\n\r\n--b--", [({}, b""), ({}, b"")]),
    "line ends in the content": (b"--b\r\n\r\n\r\n\r\nx\r\n\r\n\r\n--b--", [({}, b"\r\n\r\nx\r\n\r\n")]),
    "nearly boundaries": (
        b"--b\r\n\r\n--b\r\n\r\n"
        b"\n--b\r\n\r--b\r\n--c\r\n-\r\n--\r\n--b-\r\n--bb\r\n--b x\r\n--b \t-\r\n--b--",
        [({}, b""), ({}, b"\n--b\r\n\r--b\r\n--c\r\n-\r\n--\r\n--b-\r\n--bb\r\n--b x\r\n--b \t-")]),
    "blanks behind the boundary": (
        b"--b \t\r\n\r\nx\r\n--b   \r\n\r\ny\r\n--b--  \r\n", [({}, b"x"), ({}, b"y")]),
    "any bytes": (b"--b\r\n\r\n" + bytes(range(256)) + b"\r\n--b--", [({}, bytes(range(256)))]),
    "fields": (
        b"--b\r\ncOnTent-Type:  text/plain \r\nX-Empty:\r\nX-Twice: 1\r\nx-twice: 2\r\n\r\nx\r\n--b--",
        [({"content-type": "text/plain", "x-empty": "", "x-twice": "1, 2"}, b"x")]),
    "a folded field": (b"--b\r\nA: 1;\r\n\tx=2;\r\n   y=3\r\n\r\nx\r\n--b--", [({"a": "1; x=2; y=3"}, b"x")]),
    "UTF-8 in a field": ("--b\r\nA: ü\r\n\r\nx\r\n--b--".encode(), [({"a": "ü"}, b"x")]),
    "latin-1 in a field": ("--b\r\nA: ü\r\n\r\nx\r\n--b--".encode("latin-1"), [({"a": "ü"}, b"x")]),
}

BROKEN: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "ended in part 0"),
    "no boundary": (b"x" * 1000, "ended in part 0"),
    "another boundary": (b"--c\r\n\r\nx\r\n--c--", "ended in part 0"),
    "line feeds alone": (b"--b\n\nx\n--b--\n", "ended in part 0"),
    "ends in the fields": (b"--b\r\nA: 1", "ended in part 1"),
    "ends in the content": (b"--b\r\nA: 1\r\n\r\nx", "ended in part 1"),
    "ends in the boundary": (b"--b\r\n\r\nx\r\n--b", "ended in part 1"),
    "ends in the closing boundary": (b"--b\r\n\r\nx\r\n--b-", "ended in part 1"),
    "ends in the blanks": (b"--b\r\n\r\nx\r\n--b  \r", "ended in part 1"),
    "ends after a boundary": (b"--b\r\n\r\nx\r\n--b\r\n", "ended in part 2"),
    "no empty line": (b"--b\r\nA: 1\r\n--b--\r\n\r\n", "header line is '--b--'"),
    "no colon": (b"--b\r\nA 1\r\n\r\nx\r\n--b--", "header line is 'A 1'"),
    "no name": (b"--b\r\n: 1\r\n\r\nx\r\n--b--", "header line"),
    "a blank before the colon": (b"--b\r\nA : 1\r\n\r\nx\r\n--b--", "header line"),
    "a fold to begin with": (b"--b\r\n A: 1\r\n\r\nx\r\n--b--", "header line"),
    "NUL in a field": (b"--b\r\nA: \0\r\n\r\nx\r\n--b--", "control character"),
    "CR in a field": (b"--b\r\nA: 1\r2\r\n\r\nx\r\n--b--", "control character"),
    "LF in a field": (b"--b\r\nA: 1\n2\r\n\r\nx\r\n--b--", "control character"),
    "two dispositions": (
        b"--b\r\nContent-Disposition: form-data; name=a\r\n"
        b"Content-Disposition: form-data; name=b\r\n\r\n\r\n--b--",
        "two content-disposition fields"),
    "too many blanks": (b"--b" + b" " * 1000 + b"\r\n\r\nx\r\n--b--", "over 256 blanks"),
}

SIZES = [10**9, 1, 2, 3, 5, 7]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"in {size}s")
@pytest.mark.parametrize("case", CASES)
def test_parts(case: str, size: int) -> None:
    body, parts = CASES[case]
    assert parse(pieces_of(body, size)) == parts


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"in {size}s")
@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken(case: str, size: int) -> None:
    body, message = BROKEN[case]
    with pytest.raises(HttpException, match=message):
        parse(pieces_of(body, size))


@pytest.mark.parametrize("case", CASES)
def test_split_in_two_anywhere(case: str) -> None:
    body, parts = CASES[case]
    for at in range(len(body)):
        assert parse([body[:at], b"", body[at:]]) == parts


def test_there_and_back_in_random_pieces() -> None:
    chance = random.Random(2046)
    boundary = "-" * 20 + "'()+_,./:=? x"
    delimiter = f"\r\n--{boundary}".encode()
    for _ in range(200):
        contents = [
            b"".join(
                chance.choice((b"\r\n", b"--", b"\r", b"x", delimiter[:chance.randrange(1, len(delimiter))]))
                for _ in range(chance.randrange(12)))
            for _ in range(chance.randrange(5))
        ]
        contents = [content for content in contents if delimiter not in b"\r\n" + content + b"\r\n"]
        body = b"".join(delimiter + b"\r\nX: 1\r\n\r\n" + content for content in contents)
        body = (body + delimiter + b"--\r\n")[2:]
        pieces = []
        while body:
            size = chance.randrange(1, 40)
            pieces.append(body[:size])
            body = body[size:]
        assert parse(pieces, boundary) == [({"x": "1"}, content) for content in contents]


def test_a_part_is_read_as_it_comes() -> None:
    given: list[bytes] = []

    def source() -> Iterator[bytes]:
        for piece in (b"--b\r\nA: 1\r\n\r\n", b"one", b"two", b"\r\n--b\r\n\r\n", b"x", b"\r\n--b--"):
            given.append(piece)
            yield piece

    parts = iter(MimeMultipartTransformer("b").bind(Stream.from_iterable(source())))
    part = next(parts)
    assert len(given) == 1
    content = iter(part)
    assert next(content) == b"one"
    assert len(given) == 2
    assert next(content) == b"two"
    assert len(given) == 3
    assert next(content, None) is None
    assert b"".join(next(parts)) == b"x"


def test_what_is_not_read_is_passed_over() -> None:
    body = b"--b\r\n\r\n" + b"x" * 100_000 + b"\r\n--b\r\n\r\ny\r\n--b--"
    parts = iter(MimeMultipartTransformer("b").bind(pieces_of(body, 1000)))
    first = next(parts)
    assert b"".join(next(parts)) == b"y"
    with pytest.raises(StateError, match="before this one was read"):
        b"".join(first)
    assert next(parts, None) is None


def test_what_holds_nothing_of_a_boundary_is_not_copied() -> None:
    pieces: list[bytes | bytearray] = [
        b"--b\r\n\r\n", b"x" * 1000, b"y" * 1000, b"z" * 1000 + b"\r", bytearray(b"u" * 1000), b"v", b"\r\n--b--"]
    part, = (list(part) for part in MimeMultipartTransformer("b").bind(pieces))  # type: ignore[arg-type]
    assert part[1] is pieces[2]  # the first came behind the part's head
    assert b"".join(part) == b"".join(pieces[1:6])
    assert {type(chunk) for chunk in part} == {bytes}


@pytest.mark.parametrize("end", [b"\r.", b"\r\n", b"\r\n-", b"\r\n--", b"\r\n--a-bound", b"\r\r\n--", b"\r\n-a"])
def test_only_what_is_the_beginning_of_a_boundary_is_held_back(end: bytes) -> None:
    """Of content of any bytes every sixth piece has a CR near its end, which is the beginning of nothing."""
    is_beginning = b"\r\n--a-boundary".startswith(end[end.rindex(b"\r"):])
    pieces = [b"--a-boundary\r\n\r\n", b"x" * 1000, b"y" * 1000 + end, b"z" * 1000, b"\r\n--a-boundary--"]
    part, = (list(part) for part in MimeMultipartTransformer("a-boundary").bind(pieces))
    assert (part[1] is pieces[2]) is not is_beginning
    assert b"".join(part) == b"".join(pieces[1:4])


def test_memory_does_not_grow_with_a_part() -> None:
    longest = 0
    part: MimeMultipart
    pieces = [b"--b\r\n\r\n", *[b"x" * 1000] * 1000, b"\r\n--b--"]
    for part in MimeMultipartTransformer("b").bind(pieces):
        for chunk in part:
            longest = max(longest, len(chunk))
    assert 0 < longest <= 1000


def test_after_an_error_comes_the_end() -> None:
    parts = iter(MimeMultipartTransformer("b").bind([b"--b\r\nbroken\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--"]))
    with pytest.raises(HttpException):
        next(parts)
    assert next(parts, None) is None


def test_an_error_of_the_source_goes_on_up() -> None:
    def source() -> Iterator[bytes]:
        yield b"--b\r\n\r\nx"
        raise OSError("gone")

    parts = iter(MimeMultipartTransformer("b").bind(source()))
    part = next(parts)
    with pytest.raises(OSError, match="gone"):
        b"".join(part)
    assert next(parts, None) is None


def test_the_number_of_parts_is_limited() -> None:
    body = b"--b\r\n\r\nx\r\n" * MAX_PARTS
    assert len(parse([body + b"--b--"])) == MAX_PARTS
    with pytest.raises(HttpException, match=f"over {MAX_PARTS} parts"):
        parse([body + b"--b\r\n\r\nx\r\n--b--"])


@pytest.mark.parametrize("size", [10**9, 100])
def test_the_fields_of_a_part_are_limited(size: int) -> None:
    field = b"A: " + b"x" * (MAX_PART_HEADER_SIZE - 5)
    assert len(parse(pieces_of(b"--b\r\n" + field + b"\r\n\r\nx\r\n--b--", size))) == 1
    with pytest.raises(HttpException, match=f"over {MAX_PART_HEADER_SIZE} bytes"):
        parse(pieces_of(b"--b\r\n" + field + b"x\r\n\r\nx\r\n--b--", size))


def test_an_endless_field_is_not_kept() -> None:
    taken = 0

    def source() -> Iterator[bytes]:
        nonlocal taken
        yield b"--b\r\nA: "
        while True:
            taken += 1000
            yield b"x" * 1000

    with pytest.raises(HttpException, match="header section"):
        parse(source())
    assert taken < MAX_PART_HEADER_SIZE + 2000


@pytest.mark.parametrize("boundary", ["", " ", "x ", "x" * 71, "x\r\n", "x\n", "ü", "a\tb", "a\x7f"])
def test_what_is_no_boundary(boundary: str) -> None:
    with pytest.raises(ValueError, match="boundary"):
        MimeMultipartTransformer(boundary)


# What RFC 2046 allows, and what real clients send besides.
@pytest.mark.parametrize("boundary", [
    "*****", "a.b*c", "[x]^$", 'a"b', "a;b", "a b", "-", "--", "\\d+", "(?:x)", "{1}",
    "".join(map(chr, range(33, 103))), "".join(map(chr, range(57, 127)))])
def test_what_is_printable_is_a_boundary(boundary: str) -> None:
    body = f"--{boundary}\r\n\r\nx\r\n--{boundary}\r\n\r\ny\r\n--{boundary}--\r\n".encode()
    for size in SIZES:
        assert parse(pieces_of(body, size), boundary) == [({}, b"x"), ({}, b"y")]


def test_a_boundary_is_text() -> None:
    with pytest.raises(TypeError, match="str"):
        MimeMultipartTransformer(b"b")  # type: ignore[arg-type]


def test_fields_are_found_in_any_case() -> None:
    [part] = MimeMultipartTransformer("b").bind([b"--b\r\nContent-Type: text/plain\r\n\r\n--b--"])
    assert part.headers["Content-Type"] == part.headers["content-type"] == "text/plain"
    assert "CONTENT-TYPE" in part.headers
    assert list(part.headers) == ["content-type"]
    assert part.headers.get("x") is None
    assert repr(part) == "MimeMultipart({'content-type': 'text/plain'})"
