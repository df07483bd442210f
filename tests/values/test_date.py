"""HttpDate: the three forms of RFC 9110 5.6.7 in, one out; and the cookie-date of RFC 6265 5.1.1."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone
from time import gmtime

import pytest

from blockingio.values.date import HttpDate, parse_cookie_date

UTC = timezone.utc
THE_DATE = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)

DATES = [
    (THE_DATE, "Sun, 06 Nov 1994 08:49:37 GMT"),
    (datetime(1970, 1, 1, tzinfo=UTC), "Thu, 01 Jan 1970 00:00:00 GMT"),
    (datetime(2000, 2, 29, 23, 59, 59, tzinfo=UTC), "Tue, 29 Feb 2000 23:59:59 GMT"),
    (datetime(1, 1, 1, tzinfo=UTC), "Mon, 01 Jan 0001 00:00:00 GMT"),
    (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "Fri, 31 Dec 9999 23:59:59 GMT"),
]


@pytest.mark.parametrize("date, text", DATES)
def test_format_and_parse_undo_each_other(date: datetime, text: str) -> None:
    assert HttpDate.format(date) == text
    assert HttpDate.parse(text) == date
    assert HttpDate.parse(text).tzinfo is UTC


@pytest.mark.parametrize("month", range(1, 13))
def test_every_month_and_weekday(month: int) -> None:
    for day in range(1, 29):
        date = datetime(2023, month, day, 1, 2, 3, tzinfo=UTC)
        text = HttpDate.format(date)
        assert text == date.strftime("%a, %d %b %Y %H:%M:%S GMT")
        assert HttpDate.parse(text) == date
        assert HttpDate.format_timestamp(int(date.timestamp())) == text


def test_format_converts_to_utc_and_cuts_fractions() -> None:
    east = datetime(1994, 11, 6, 10, 49, 37, 999999, tzinfo=timezone(timedelta(hours=2)))
    assert HttpDate.format(east) == "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize("date, message", [
    (datetime(1994, 11, 6), "naive"),
    (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))), "outside the years"),
])
def test_format_refuses(date: datetime, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HttpDate.format(date)


@pytest.mark.parametrize("date", [None, 0, "Sun, 06 Nov 1994 08:49:37 GMT"])
def test_format_takes_only_datetimes(date: object) -> None:
    with pytest.raises(TypeError, match="expected a datetime"):
        HttpDate.format(date)  # type: ignore[arg-type]


def test_format_does_not_ask_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    import locale
    before = locale.setlocale(locale.LC_TIME)
    try:
        for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8", "C"):
            try:
                locale.setlocale(locale.LC_TIME, name)
            except locale.Error:
                continue
            assert HttpDate.format(THE_DATE) == "Sun, 06 Nov 1994 08:49:37 GMT"
    finally:
        locale.setlocale(locale.LC_TIME, before)


@pytest.mark.parametrize("text, date", [
    ("Sunday, 06-Nov-94 08:49:37 GMT", THE_DATE),
    ("Sun Nov  6 08:49:37 1994", THE_DATE),
    ("Sun Nov 16 08:49:37 1994", THE_DATE.replace(day=16)),
    ("Mon, 06 Nov 1994 08:49:37 GMT", THE_DATE),
    ("Tuesday, 06-Nov-94 08:49:37 GMT", THE_DATE),
    ("Sat, 31 Dec 2016 23:59:60 GMT", datetime(2017, 1, 1, tzinfo=UTC)),
])
def test_parse(text: str, date: datetime) -> None:
    assert HttpDate.parse(text) == date


def test_a_two_digit_year_is_within_fifty_years_of_now() -> None:
    this_year = gmtime().tm_year
    for year in range(this_year - 48, this_year + 50):
        text = f"Monday, 01-Jan-{year % 100:02d} 00:00:00 GMT"
        assert HttpDate.parse(text) == datetime(year, 1, 1, tzinfo=UTC), text


def test_a_two_digit_year_more_than_fifty_years_ahead_is_past() -> None:
    year = gmtime().tm_year + 51
    assert HttpDate.parse(f"Monday, 01-Jan-{year % 100:02d} 00:00:00 GMT").year == year - 100


@pytest.mark.parametrize("text", [
    "", "now", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 06 Nov 1994 08:49:37 +0000",
    "sun, 06 nov 1994 08:49:37 gmt", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT",
    "Sun,  06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 8:49:37 GMT", "Sun 06 Nov 1994 08:49:37 GMT",
    " Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT\n", "Sun, 06 Nov 1994 08:49:37 GMT ",
    "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT", "Tue, 29 Feb 1900 00:00:00 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:00 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
    "Sun, 06 Nov 0000 08:49:37 GMT", "Fri, 31 Dec 9999 23:59:60 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
    "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994", "Sun Nov 06 08:49:37 94",
    "Sunday, 06-Nov-1994 08:49:37 GMT", "Sunday, 29-Feb-01 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT",
])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="expected an HTTP date|no such date"):
        HttpDate.parse(text)


def test_parse_takes_only_text() -> None:
    with pytest.raises(TypeError, match="expected a str, not bytes"):
        HttpDate.parse(b"Sun, 06 Nov 1994 08:49:37 GMT")  # type: ignore[arg-type]


@pytest.mark.parametrize("text, date", [
    ("Sun, 06 Nov 1994 08:49:37 GMT", THE_DATE),
    ("Sunday, 06-Nov-94 08:49:37 GMT", THE_DATE),
    ("Sun Nov  6 08:49:37 1994", THE_DATE),
    ("06-nov-1994 8:49:37", THE_DATE),
    ("8:49:37 6 1994 NOVEMBER", THE_DATE),
    ("Nov/6/1994;08:49:37PM rest 99", THE_DATE),
    ("Thu, 01-Jan-70 00:00:01 GMT", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
    ("Thu, 01-Jan-69 00:00:01 GMT", datetime(2069, 1, 1, 0, 0, 1, tzinfo=UTC)),
    ("Thu, 01-Jan-99 00:00:01 GMT", datetime(1999, 1, 1, 0, 0, 1, tzinfo=UTC)),
    ("1 Jan 1601 0:0:0", datetime(1601, 1, 1, tzinfo=UTC)),
])
def test_cookie_date(text: str, date: datetime) -> None:
    assert parse_cookie_date(text) == date


@pytest.mark.parametrize("text", [
    "", "never", "0", "Sun, 06 Nov 1994", "06 Nov 08:49:37", "Nov 1994 08:49:37", "6 1994 08:49:37",
    "06 Nov 1600 08:49:37", "32 Jan 1994 08:49:37", "30 Feb 1994 08:49:37", "6 Nov 1994 24:00:00",
    "6 Nov 1994 08:60:00", "6 Nov 1994 08:49:60", "006 Nov 1994 08:49:37 x", "6 Nov 19945 08:49:37",
    "6 Nov 1994 008:49:37",
])
def test_no_cookie_date(text: str) -> None:
    assert parse_cookie_date(text) is None
