"""Every row of the request table against the parser alone, whatever the segments it comes in."""
from collections.abc import Callable, Iterable

import pytest

from blockingio.errors import BadMessage
from blockingio.wire.body import request_body
from blockingio.wire.head import parse_fields, parse_request_line
from blockingio.wire.limits import Limits
from blockingio.wire.source import Source, Truncated
from blockingio.check.cases import (MAX_BODY_SIZE, MAX_HEADER_COUNT, MAX_HEADER_SIZE, MAX_TARGET_LENGTH,
                                     Case, Cut, Ignored, Refused, Seen)
from tests.conformance.judge import Summary, differences, grouped
from blockingio.check.questions import GROUPS

LIMITS = Limits(MAX_HEADER_SIZE, MAX_HEADER_COUNT, MAX_TARGET_LENGTH, MAX_BODY_SIZE)

#: Rows up to this many bytes are cut in two at every byte, longer ones only about their line ends.
SHORT = 250


def feeding(segments: Iterable[bytes]) -> Callable[[int], bytes]:
    """A receive() that gives these segments, one a call, however much was asked for; then the end."""
    rest = iter(segments)
    left = b""

    def receive(size: int) -> bytes:
        nonlocal left
        data = left or next(rest, b"")
        left = data[size:]
        return data[:size]

    return receive


def read_requests(segments: Iterable[bytes]) -> list[Summary | int | str]:
    """What the parser makes of these bytes: whole requests, then how it ended (a status, "cut" or "end")."""
    source = Source(feeding(segments))
    found: list[Summary | int | str] = []
    in_body = False
    try:
        while (head := source.head(LIMITS, lambda: None)) is not None:
            line, _, block = head.partition(b"\r\n")
            method, target, version = parse_request_line(line, LIMITS)
            fields = parse_fields(block, version, LIMITS, of_request=True)
            body = request_body(source, fields, LIMITS)
            in_body = True
            parts = []
            while body and (part := body.read_some(1000)):
                parts.append(part)
            in_body = False
            headers: dict[str, list[str]] = {}
            fields.headers.for_each(headers.__setitem__)
            found.append(Summary(method, target, version, headers, b"".join(parts),
                                 grouped(body.trailers) if body else {}))
            if not fields.keep_alive:
                return found
    except Truncated:
        return [*found, "cut" if in_body else "end"]
    except BadMessage as error:
        return [*found, error.status]
    return [*found, "end"]


def wrong(row: Case, found: list[Summary | int | str]) -> list[str]:
    """How what the parser found differs from the row."""
    problems: list[str] = []
    for outcome in row.outcomes:
        got = found.pop(0) if found else "nothing"
        match outcome:
            case Refused(statuses, or_seen):
                if isinstance(got, Summary) and or_seen:
                    problems += differences(got, or_seen)
                elif got not in statuses:
                    problems.append(f"got {got!r}, expected {statuses}")
            case Seen() if isinstance(got, Summary):
                # An absolute target's scheme and host are lower-cased by Uri, above the parser.
                if outcome.target and outcome.target.lower().startswith("http"):
                    got = got._replace(target=outcome.target if got.target.lower() == outcome.target.lower()
                                       else got.target)
                problems += differences(got, outcome)
            case Ignored() if got == "end":
                pass
            case Cut() if got == "cut":
                pass
            case _:
                problems.append(f"got {got!r}, expected {outcome}")
    left = [one for one in found if one != "end"]
    return problems + [f"then {left!r}, expected nothing more"] * bool(left)


def cuts(raw: bytes) -> Iterable[int]:
    """Where a row is cut in two."""
    if len(raw) <= SHORT:
        return range(1, len(raw))
    ends = [at for at in range(len(raw)) if raw[at] in b"\r\n"]
    return sorted({at + shift for at in ends for shift in (0, 1)} - {0, len(raw)})


REQUESTS = [(f"{group}: {row.name}", row) for group, rows in GROUPS.items() for row in rows]
ROWS = pytest.mark.parametrize("row", [row for _, row in REQUESTS], ids=[name for name, _ in REQUESTS])


@ROWS
def test_in_one_segment(row: Case) -> None:
    assert not wrong(row, read_requests([row.raw]))


@ROWS
def test_byte_by_byte(row: Case) -> None:
    assert not wrong(row, read_requests(row.raw[at:at + 1] for at in range(len(row.raw))))


@ROWS
def test_in_two_segments(row: Case) -> None:
    whole = read_requests([row.raw])
    for at in cuts(row.raw):
        assert read_requests([row.raw[:at], row.raw[at:]]) == whole, f"cut at {at}"


def test_the_table_is_whole() -> None:
    assert len(REQUESTS) >= 200
    assert len({name for name, _ in REQUESTS}) == len(REQUESTS)
    assert all(row.section and row.outcomes for _, row in REQUESTS)
