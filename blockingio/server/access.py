"""AccessRecord: what an access log is told of each answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import localtime

from blockingio.values.date import MONTHS
from blockingio.values.headers import HttpHeaders


class AccessRecord:
    """One answered request; ``str(record)`` is its line in the common log format with the time taken.

    ``remote`` is ``request.client_address``, or "-" where that is none, ``time`` the Unix time of the answer's end,
    ``seconds`` from the request's head to there, ``body_size`` bytes of body that were sent: those that the system
    has taken to send. ``is_complete`` is False where that is not the whole answer, because the client left, was too
    slow, or was cut. ``method``, ``target`` and ``version`` are "-" where the request could not be read; ``user`` is
    None unless a handler sets it.
    """

    __slots__ = ("remote", "user", "time", "method", "target", "version", "status", "body_size", "seconds",
                 "request_headers", "is_complete")

    def __init__(self, remote: str, user: str | None, time: float, method: str, target: str, version: str,
                 status: int, body_size: int, seconds: float, request_headers: HttpHeaders,
                 is_complete: bool = True) -> None:
        self.remote = remote
        self.user = user
        self.time = time
        self.method = method
        self.target = target
        self.version = version
        self.status = status
        self.body_size = body_size
        self.seconds = seconds
        self.request_headers = request_headers
        self.is_complete = is_complete

    def common_log_line(self) -> str:
        """``127.0.0.1 - - [06/Nov/1994:08:49:37 +0000] "GET / HTTP/1.1" 200 13 0.000412``."""
        return f"{self.common_fields(str(self.status))} {self.seconds:.6f}"

    def common_fields(self, status: str) -> str:
        """The common log format's seven fields, with the status as it is to be shown."""
        date = _date_of(self.time)
        request = f"{self.method} {quoted(self.target)} HTTP/{self.version}" if self.method != "-" else "-"
        user = quoted(self.user).replace(" ", "%20") if self.user else "-"
        return f'{self.remote} - {user} [{date}] "{request}" {status} {self.body_size or "-"}'

    __str__ = common_log_line

    def __repr__(self) -> str:
        return f"<AccessRecord {self.common_log_line()}>"


def _date_of(second: float) -> str:
    """In local time.  Not by strftime, which takes longer than all the rest of the line."""
    now = localtime(second)
    minutes = now.tm_gmtoff // 60
    zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    return (f"{now.tm_mday:02}/{MONTHS[now.tm_mon]}/{now.tm_year}:"
            f"{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02} {zone}")


def quoted(text: str) -> str:
    """What a line of the log has between quotes: nothing in it passes for another field or another line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    if escaped.isascii() and escaped.isprintable():
        return escaped
    # Letter by letter: ascii() of it all would escape the backslashes once more, and so free the quotes behind them.
    return "".join(letter if " " <= letter <= "~" else ascii(letter)[1:-1] for letter in escaped)


def log_access(access_log: Callable[[AccessRecord], object] | logging.Logger | None, record: AccessRecord) -> None:
    """Tell the server's access log; what it raises is the owner's mistake, and goes to the error log."""
    try:
        if isinstance(access_log, logging.Logger):
            access_log.info("%s", record)
        elif access_log is not None:
            access_log(record)
    except Exception:
        logging.getLogger("blockingio").exception("the access log failed")
