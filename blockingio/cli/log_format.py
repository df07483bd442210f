"""The formats of access logs: each makes a line, without its end, of an AccessRecord.

All of a line is printable ASCII, whatever a client has sent.  ``status`` is how the status is to be shown, as its
digits or with a terminal's colour around them; what programs read has the digits alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from time import localtime, strftime

from blockingio.server.access import AccessRecord, quoted

LogFormat = Callable[[AccessRecord, str], str]

# Behind the line of an answer that did not go out whole.
_CUT = " cut"


def common(record: AccessRecord, status: str) -> str:
    """The common log format, then the seconds from the request's head to the answer's end."""
    return f"{record.common_fields(status)} {record.seconds:.6f}{_mark(record)}"


def combined(record: AccessRecord, status: str) -> str:
    """Apache's combined log format as log readers know it: the common one's fields, Referer and User-Agent."""
    headers = record.request_headers
    referer, agent = (quoted(headers.get(name, "")) or "-" for name in ("referer", "user-agent"))
    return f'{record.common_fields(status)} "{referer}" "{agent}"{_mark(record)}'


def json_line(record: AccessRecord, status: str) -> str:
    """A JSON object: what is not known is null, the time RFC 3339 in UTC, ``size`` the body's bytes that were sent.

    ``complete`` is false for an answer that did not go out whole.
    """
    headers = record.request_headers
    is_known = record.method != "-"
    moment = datetime.fromtimestamp(record.time, timezone.utc)
    return json.dumps({
        "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "remote": None if record.remote == "-" else record.remote, "user": record.user or None,
        "method": record.method if is_known else None, "target": record.target if is_known else None,
        "version": record.version if is_known else None, "status": int(record.status), "size": record.body_size,
        "seconds": round(record.seconds, 6), "complete": record.is_complete,
        "referer": headers.get("referer"), "user_agent": headers.get("user-agent"),
    })


def short(record: AccessRecord, status: str) -> str:
    """``08:49:37 200 GET /hello.txt 13 B 0.4 ms``, to be read on a terminal."""
    request = f"{record.method} {quoted(record.target)}" if record.method != "-" else "-"
    milliseconds = record.seconds * 1000
    spent = f"{milliseconds:.1f} ms" if milliseconds < 1000 else f"{record.seconds:.1f} s"
    time = strftime("%H:%M:%S", localtime(record.time))
    return f"{time} {status} {request} {record.body_size:,} B {spent}{_mark(record)}"


#: By the names that the commands give them.
LOG_FORMATS: Mapping[str, LogFormat] = {"common": common, "combined": combined, "json": json_line, "short": short}


def _mark(record: AccessRecord) -> str:
    return "" if record.is_complete else _CUT
