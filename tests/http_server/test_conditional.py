"""conditional.py: preconditions, in the order of RFC 9110 13.2.2."""
from __future__ import annotations

import pytest

from blockingio.http_server.conditional import evaluate, range_applies

ETAG = '"v1"'
MODIFIED = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT
THEN = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = "Sun, 06 Nov 1994 08:49:38 GMT"


def fields(**values: str) -> dict[str, list[str]]:
    return {name.replace("_", "-"): [value] for name, value in values.items()}


@pytest.mark.parametrize(("given", "answer"), [
    ({}, 200),
    # If-None-Match: weak comparison (13.1.2).
    ({"if_none_match": '"v1"'}, 304),
    ({"if_none_match": 'W/"v1"'}, 304),
    ({"if_none_match": '"v0", W/"v1" , "v2"'}, 304),
    ({"if_none_match": '"a,b","v1"'}, 304),
    ({"if_none_match": ', ,"v1"'}, 304),
    ({"if_none_match": "*"}, 304),
    ({"if_none_match": '"v2"'}, 200),
    ({"if_none_match": "v1"}, 200),
    ({"if_none_match": '"v1'}, 200),
    ({"if_none_match": 'w/"v1"'}, 200),
    ({"if_none_match": '"v1"x'}, 200),
    ({"if_none_match": ""}, 200),
    # If-Modified-Since (13.1.3): all three forms; what is no date is ignored.
    ({"if_modified_since": THEN}, 304),
    ({"if_modified_since": AFTER}, 304),
    ({"if_modified_since": "Sunday, 06-Nov-94 08:49:37 GMT"}, 304),
    ({"if_modified_since": "Sun Nov  6 08:49:37 1994"}, 304),
    ({"if_modified_since": BEFORE}, 200),
    ({"if_modified_since": "yesterday"}, 200),
    # If-Match: strong comparison (13.1.1).
    ({"if_match": '"v1"'}, 200),
    ({"if_match": '"v0", "v1"'}, 200),
    ({"if_match": "*"}, 200),
    ({"if_match": 'W/"v1"'}, 412),
    ({"if_match": '"v2"'}, 412),
    # If-Unmodified-Since (13.1.4).
    ({"if_unmodified_since": THEN}, 200),
    ({"if_unmodified_since": BEFORE}, 412),
    ({"if_unmodified_since": "yesterday"}, 200),
    # The order (13.2.2): tags go before dates, If-Match before If-None-Match.
    ({"if_none_match": '"v2"', "if_modified_since": AFTER}, 200),
    ({"if_none_match": '"v1"', "if_modified_since": BEFORE}, 304),
    ({"if_match": '"v1"', "if_unmodified_since": BEFORE}, 200),
    ({"if_match": '"v2"', "if_unmodified_since": AFTER}, 412),
    ({"if_match": '"v2"', "if_none_match": '"v1"'}, 412),
    ({"if_match": '"v1"', "if_none_match": '"v1"'}, 304),
    ({"if_unmodified_since": BEFORE, "if_none_match": '"v1"'}, 412),
    ({"if_unmodified_since": THEN, "if_modified_since": THEN}, 304),
])
def test_what_a_request_gets(given: dict[str, str], answer: int) -> None:
    assert evaluate(fields(**given), ETAG, MODIFIED) == answer


def test_lists_go_over_several_lines_and_dates_do_not() -> None:
    assert evaluate({"if-none-match": ['"v0"', '"v1"']}, ETAG, MODIFIED) == 304
    assert evaluate({"if-modified-since": [AFTER, AFTER]}, ETAG, MODIFIED) == 200


@pytest.mark.parametrize(("values", "applies"), [
    (None, True),
    (['"v1"'], True),
    (['"v2"'], False),
    (['W/"v1"'], False),  # strong comparison only (13.1.5)
    ([THEN], True),
    ([AFTER], False),  # the very date, not a later one
    ([BEFORE], False),
    (["v1"], False),
    (['"v1"', '"v1"'], False),
])
def test_if_range(values: list[str] | None, applies: bool) -> None:
    given = {} if values is None else {"if-range": values}
    assert range_applies(given, ETAG, MODIFIED, MODIFIED + 60) is applies


def test_a_date_within_the_same_second_is_no_strong_validator() -> None:
    assert not range_applies({"if-range": [THEN]}, ETAG, MODIFIED, MODIFIED + 0.5)
