"""Preconditions of a request, in the order of RFC 9110 13.2.2.

Takes the request's fields by lower-cased name and what there is to hold them against, an
entity-tag and a date; gives what to answer.  Knows no files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from blockingio.values.date import HttpDate

# entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE (RFC 9110 8.8.3), and the comma after it in a list
_ENTITY_TAG = re.compile(r'[ \t,]*+(W/)?("[\x21\x23-\x7e\x80-\xff]*+")[ \t]*+(?=,|\Z)')

# Seconds after which a second change would show in a date of whole seconds, so that the date is
# a strong validator (RFC 9110 8.8.2.2).
_STRONG_AFTER = 1

PROCEED, NOT_MODIFIED, PRECONDITION_FAILED = 200, 304, 412

CONDITIONAL_FIELDS = frozenset(("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"))


def evaluate(fields: Mapping[str, list[str]], etag: str, modified: int) -> int:
    """What a GET or HEAD for a resource with this strong ``etag`` gets: 200, 304 or 412.

    ``modified`` is when it last was, in whole seconds since 1970.
    """
    match = fields.get("if-match")
    if match is not None:
        if not _matches(", ".join(match), etag, weak=False):
            return PRECONDITION_FAILED
    elif "if-unmodified-since" in fields:
        since = _timestamp(fields["if-unmodified-since"])
        if since is not None and modified > since:
            return PRECONDITION_FAILED
    none_match = fields.get("if-none-match")
    if none_match is not None:
        if _matches(", ".join(none_match), etag, weak=True):
            return NOT_MODIFIED
    elif "if-modified-since" in fields:
        since = _timestamp(fields["if-modified-since"])
        if since is not None and modified <= since:
            return NOT_MODIFIED
    return PROCEED


def range_applies(fields: Mapping[str, list[str]], etag: str, modified: int, now: float) -> bool:
    """Whether If-Range, if it is there, lets the Range be (RFC 9110 13.1.5, 14.2)."""
    values = fields.get("if-range")
    if values is None:
        return True
    validator = values[0]
    if len(values) > 1:
        return False
    if validator.startswith(('"', "W/")):
        return validator == etag
    return _timestamp(values) == modified and now - modified >= _STRONG_AFTER


def _matches(field: str, etag: str, weak: bool) -> bool:
    """Whether a list of entity-tags has one that is ``etag``, by weak or strong comparison (8.8.3.2)."""
    if field == "*":
        return True
    at = 0
    while match := _ENTITY_TAG.match(field, at):
        if match[2] == etag and (weak or not match[1]):
            return True
        at = match.end()
    return False


def _timestamp(values: list[str]) -> int | None:
    """Seconds since 1970 of a date field; None where it is no date, so that it is ignored."""
    if len(values) > 1:
        return None
    try:
        return int(HttpDate.parse(values[0]).timestamp())
    except ValueError:
        return None
