"""HTTP dates: text <-> aware ``datetime`` in UTC (RFC 9110 5.6.7).

Takes and gives what its three productions say, in English whatever the locale; anything else
is a ValueError.  The clock is looked at for one thing only: the century of a two-digit year.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from time import gmtime

from blockingio.values.grammar import (
    ASCTIME_DATE, COOKIE_DATE_DELIMITERS, COOKIE_DAY, COOKIE_TIME, COOKIE_YEAR, IMF_FIXDATE_RE, RFC850_DATE)

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTH_NUMBERS = {name: number for number, name in enumerate(MONTHS)}

_FORM = "%s, %02d %s %04d %02d:%02d:%02d GMT"


class HttpDate:
    """The HTTP date format; follows dart:io's HttpDate."""

    __slots__ = ()

    @staticmethod
    def format(date: datetime) -> str:
        """The IMF-fixdate of an aware datetime, as "Sun, 06 Nov 1994 08:49:37 GMT".

        Fractions of a second are cut off.  ValueError for a naive datetime.
        """
        if not isinstance(date, datetime):
            raise TypeError(f"expected a datetime, not {type(date).__name__}")
        if date.utcoffset() is None:
            raise ValueError(f"expected a datetime with a timezone, found the naive {date!r}")
        try:
            utc = date.astimezone(timezone.utc)
        except OverflowError as error:
            raise ValueError(f"in UTC, {date!r} is outside the years 1 to 9999") from error
        return _FORM % (WEEKDAYS[utc.weekday()], utc.day, MONTHS[utc.month], utc.year, utc.hour, utc.minute, utc.second)

    @staticmethod
    def parse(date: str) -> datetime:
        """The moment that IMF-fixdate, rfc850-date or asctime-date text names, in UTC.

        A weekday that is not the date's is passed over, a leap second is the second after it,
        and a two-digit year is the one within 50 years of now.  ValueError for other text.
        """
        if not isinstance(date, str):
            raise TypeError(f"expected a str, not {type(date).__name__}")
        if match := IMF_FIXDATE_RE.fullmatch(date):
            day, month, year, hour, minute, second = match.groups()
        elif match := re.fullmatch(ASCTIME_DATE, date):
            month, day, hour, minute, second, year = match.groups()
        elif match := re.fullmatch(RFC850_DATE, date):
            day, month, year, hour, minute, second = match.groups()
        else:
            raise ValueError(f"expected an HTTP date as 'Sun, 06 Nov 1994 08:49:37 GMT', found {date[:80]!r}")
        parts = int(year), MONTH_NUMBERS[month], int(day), int(hour), int(minute), int(second)
        return _moment(date, parts[0] if len(year) == 4 else _full_year(parts), *parts[1:])

    @staticmethod
    def format_timestamp(seconds: float) -> str:
        """The IMF-fixdate of so many seconds since 1970."""
        year, month, day, hour, minute, second, weekday, _, _ = gmtime(seconds)
        return _FORM % (WEEKDAYS[weekday], day, MONTHS[month], year, hour, minute, second)


def _moment(text: str, year: int, month: int, day: int, hour: int, minute: int, second: int) -> datetime:
    try:
        # datetime knows no second 60 (RFC 9110 5.6.7 does), so it is reached from the 59th.
        leap = second == 60
        moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=timezone.utc)
        return moment + timedelta(seconds=1) if leap else moment
    except (ValueError, OverflowError) as error:
        raise ValueError(f"no such date: {text!r} ({error})") from error


def _full_year(parts: tuple[int, int, int, int, int, int]) -> int:
    # RFC 9110 5.6.7: what appears to be more than 50 years in the future is the most recent
    # past year with the same last two digits.
    now = gmtime()
    horizon = (now.tm_year + 50, *now[1:6])
    year = (now.tm_year + 50) // 100 * 100 + parts[0]
    return year if (year, *parts[1:]) <= horizon else year - 100


def parse_cookie_date(text: str) -> datetime | None:
    """The moment in a cookie's Expires, by the lenient algorithm of RFC 6265 5.1.1; None if it finds none."""
    time = day = month = year = None
    for token in re.split(COOKIE_DATE_DELIMITERS, text):
        if time is None and (match := re.match(COOKIE_TIME, token)):
            time = int(match[1]), int(match[2]), int(match[3])
        elif day is None and (match := re.match(COOKIE_DAY, token)):
            day = int(match[1])
        elif month is None and (number := MONTH_NUMBERS.get(token[:3].title())):
            month = number
        elif year is None and (match := re.match(COOKIE_YEAR, token)):
            year = int(match[1])
            if year < 100:
                year += 1900 if year >= 70 else 2000
    # The RFC's last step refuses the years before 1601.
    if time is None or day is None or month is None or year is None or year < 1601:
        return None
    try:
        return datetime(year, month, day, *time, tzinfo=timezone.utc)
    except ValueError:
        return None
