"""Every row of the response table, as HttpClient reads it from a server made of a bare socket.

Three ways: in one segment, byte by byte, and with a forged response behind it.  Whatever the row
is, the client's next request gets its own answer: what was forged is never believed.
"""
from __future__ import annotations

import pytest

from blockingio import HttpClient, HttpException
from tests.conformance.responses_table import GROUPS, RESPONSES, Broken, Got, ResponseCase
from tests.conformance.stage import Stage

FORGED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"

#: Rows up to this many bytes go out byte by byte, longer ones in larger pieces.
SHORT = 6000


def fetch(client: HttpClient, row: ResponseCase, stage: Stage) -> Got | str:
    """What the caller gets; the text of the HttpException where that is raised."""
    request = client.open("GET" if row.method != "HEAD" else "HEAD", "127.0.0.1", stage.port, "/row")
    request.follow_redirects = False
    try:
        response = request.close()
        if response.status_code == 101:
            response.detach_socket().close()
            return Got(101, response.reason_phrase, b"", None)
        body = response.read()
    except HttpException as error:
        return str(error)
    fields: dict[str, list[str]] = {}
    response.headers.for_each(lambda name, values: fields.update({name.lower(): list(values)}))
    return Got(response.status_code, response.reason_phrase, body, fields)


def differences(got: Got | str, row: ResponseCase) -> list[str]:
    expected = row.outcome
    if isinstance(got, str):
        ok = isinstance(expected, Broken) and len(got) > 10
        return [] if ok else [f"raised {got!r}, expected {expected}"]
    if isinstance(expected, Broken):
        if expected.or_got is None:
            return [f"got {got}, expected an HttpException"]
        expected = expected.or_got
    return [f"{part} is {have!r}, expected {want!r}"
            for part, have, want in zip(Got._fields, got, expected, strict=True)
            if want is not None and have != want]


def try_row(row: ResponseCase, way: str, stage: Stage) -> list[str]:
    stage.closes = row.closes
    forged = b"" if row.closes or way != "followed" else FORGED
    raw = row.raw + forged
    size = len(raw) or 1
    if way == "byte by byte":
        size = 1 if len(raw) <= SHORT else 1000
    stage.pieces = [raw[at:at + size] for at in range(0, len(raw), size)]
    with HttpClient() as client:
        before = stage.connections
        problems = differences(fetch(client, row, stage), row)
        try:
            if client.get("127.0.0.1", stage.port, "/good").close().read() != b"good":
                problems.append("the next request got what was not its answer")
        except HttpException as error:
            # What came late, behind a whole message, can only break the next one.
            return problems if row.trails and way == "byte by byte" else [*problems, str(error)]
        used = stage.connections - before
        again = row.again and not forged
        if again is not None and used != (1 if again else 2):
            problems.append("the connection was used again" if used == 1 else f"{used} connections were used")
    return problems


@pytest.mark.parametrize("way", ["in one segment", "byte by byte", "followed"])
@pytest.mark.parametrize("group", GROUPS)
def test_responses(group: str, way: str) -> None:
    with Stage() as stage:
        problems = [f"{row.name} ({row.section}), {way}: {problem}" for row in GROUPS[group]
                    for problem in try_row(row, way, stage)]
    assert not problems, "\n".join(["", *problems])


def test_the_table_is_whole() -> None:
    assert len(RESPONSES) >= 80
    assert len({name for name, _ in RESPONSES}) == len(RESPONSES)
