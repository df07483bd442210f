"""Whether what a parser or a server made of a row's bytes is what the row says.

``Summary`` is what a reader of requests saw, in plain values; ``differences`` holds it
against a row and gives a line of text for each part that is wrong.
"""
from typing import NamedTuple

from blockingio.check.cases import Seen


class Summary(NamedTuple):
    """One whole request as its reader saw it; field names in lower case."""

    method: str
    target: str
    version: str
    fields: dict[str, list[str]]
    body: bytes
    trailers: dict[str, list[str]]


def grouped(fields: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Field lines by their names, in lower case."""
    found: dict[str, list[str]] = {}
    for name, value in fields:
        found.setdefault(name.lower(), []).append(value)
    return found


def differences(got: Summary, expected: Seen) -> list[str]:
    """What is wrong with ``got``: nothing, or a line for each part."""
    return [f"{part} is {have!r}, expected {want!r}" for part, have, want in (
        ("method", got.method, expected.method),
        ("target", got.target, expected.target),
        ("version", got.version, expected.version),
        ("fields", got.fields, expected.fields),
        ("body", got.body, expected.body),
        ("trailers", got.trailers, expected.trailers),
    ) if want is not None and have != want]
