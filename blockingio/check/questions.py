"""What is asked of a server: rows of the conformance tables, each with what RFC 9110 and 9112 say of it.

A row's own outcome is what this library does, which is strict; a question holds what the RFCs let any server do.

    TAKEN    it is answered as a good request, and what follows it is read rightly
    REFUSED  it gets an error (4xx or 5xx), or the connection ends
    WAITS    the server waits for more, since it takes the row for less than a whole message

What no server may do is checked of every row: answer what was no request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from blockingio.check import (requests_chunked, requests_connection, requests_fields, requests_framing,
                               requests_start_line)
from blockingio.check.cases import Case
from blockingio.check.requests_limits import LIMITS

#: The tables whose rows this library's own server is held to as they stand.
GROUPS: Final[dict[str, tuple[Case, ...]]] = {
    "line": requests_start_line.LINES,
    "version": requests_start_line.VERSIONS,
    "target": requests_start_line.TARGETS,
    "field": requests_fields.FIELDS,
    "host": requests_fields.HOSTS,
    "length": requests_framing.LENGTHS,
    "coding": requests_framing.CODINGS,
    "chunk": requests_chunked.SIZES,
    "extension": requests_chunked.EXTENSIONS,
    "trailer": requests_chunked.TRAILERS,
    "expect": requests_connection.EXPECTATIONS,
    "connection": requests_connection.CONNECTIONS,
    "pipeline": requests_connection.PIPELINES,
    "departure": requests_connection.DEPARTURES,
}

TAKEN: Final = "taken"
REFUSED: Final = "refused"
WAITS: Final = "waits"
EITHER: Final = (TAKEN, REFUSED)

MUST: Final = "MUST"
SHOULD: Final = "SHOULD"

_SMUGGLING = "request smuggling"
_HOSTS = "routing and cache poisoning by Host"
_INJECTION = "injection into logs and backends"
_EXHAUSTION = "exhaustion of memory"
_STEALING = "another client's answer is read"
_NONE = "-"


class Question(NamedTuple):
    """One row of the report."""

    area: str
    level: str  # MUST or SHOULD
    case: Case
    section: str  # of the RFC that asks: "9112 5.1"
    asks: str
    allowed: tuple[str, ...]
    attack: str  # what a wrong answer opens
    ends: bool = False  # the connection must end behind the answer
    stays: bool = False  # it should not
    staged: bool = False  # the body is sent once 100 or nothing has come
    shows: str = ""  # what is looked at besides: "date", "no chunks", "no 100"


_CASES = {(group, case.name): case for group, rows in (*GROUPS.items(), ("limits", LIMITS)) for case in rows}


def _asked(level: str, section: str, asks: str, allowed: tuple[str, ...], attack: str, group: str, *names: str,
           **more: Any) -> Callable[[str], list[Question]]:
    """The same of all rows of a group that have these names; in an area."""
    return lambda area: [Question(area, level, _CASES[group, name], section, asks, allowed, attack, **more)
                         for name in names]


_ASKED: Final = {
    "request line": (
        _asked(MUST, "9110 9.1", "GET and HEAD are served", (TAKEN,), _NONE, "line", "get", "head", shows="date"),
        _asked(SHOULD, "9112 2.2", "an empty line before a request is passed over", (TAKEN,), _NONE, "line",
               "an empty line first"),
        _asked(SHOULD, "9112 3", "an invalid request line gets 400", (REFUSED,), _SMUGGLING, "line",
               "a parenthesis in the method", "a NUL in the method", "no method", "no target", "no version",
               "a fourth word", "a blank in the target", "a line that is no HTTP"),
        _asked(SHOULD, "9110 2.5", "another minor version is taken as 1.1", (TAKEN,), _NONE, "version",
               "1.2 is taken as 1.1"),
        _asked(SHOULD, "9110 15.6.6", "another major version gets 505", (REFUSED,), _SMUGGLING, "version",
               "2.0", "9.9"),
        _asked(SHOULD, "9112 2.3", "what is no HTTP version gets 400", (REFUSED,), _SMUGGLING, "version",
               "a version in lower case", "a version of two digits", "a version without its dot", "another protocol"),
        _asked(MUST, "9112 3.2.2", "absolute-form is accepted", (TAKEN,), _NONE, "target", "absolute-form"),
        _asked(MUST, "9110 4.2.1", "an http URI without a host is rejected", (REFUSED,), _HOSTS, "target",
               "absolute-form without a host"),
        _asked(SHOULD, "9112 3.2", "an invalid target gets 400", (REFUSED,), _INJECTION, "target",
               "a fragment", "latin-1 in the path", "a NUL in the path", "a path without its slash"),
    ),
    "fields": (
        _asked(MUST, "9112 5.1", "blanks around a value are no part of it", (TAKEN,), _NONE, "field",
               "one field", "blanks around a value"),
        _asked(SHOULD, "9110 5.6.2", "a name is any token", (TAKEN,), _NONE, "field",
               "a name of every token mark", "bytes above ASCII in a value"),
        _asked(MUST, "9112 5.1", "a blank before the colon gets 400", (REFUSED,), _SMUGGLING, "field",
               "a blank before the colon", "a tab before the colon"),
        _asked(SHOULD, "9112 2.2", "what is no field line gets 400", (REFUSED,), _SMUGGLING, "field",
               "a blank in a name", "no name", "no colon", "a NUL in a name", "latin-1 in a name",
               "a second request line among the fields"),
        _asked(MUST, "9112 2.2", "a bare CR is refused or becomes a blank, and ends no line", EITHER, _SMUGGLING,
               "field", "a bare CR in a value", "a bare CR that would begin a field"),
        _asked(MUST, "9110 5.5", "a NUL is refused or becomes a blank", EITHER, _INJECTION, "field",
               "a NUL in a value"),
        _asked(MUST, "9112 5.2", "a folded value is refused or becomes one line", EITHER, _SMUGGLING, "field",
               "a folded value"),
        _asked(MUST, "9112 2.2",
               "a line of blanks before the first field is refused or passed over, and so Host with it", (REFUSED,),
               _SMUGGLING, "field", "a blank before the first field"),
    ),
    "Host": (
        _asked(MUST, "9112 3.2", "HTTP/1.1 without Host gets 400", (REFUSED,), _HOSTS, "host", "no host on 1.1"),
        _asked(MUST, "9112 3.2", "absolute-form without Host gets 400", (REFUSED,), _HOSTS, "target",
               "absolute-form without Host"),
        _asked(MUST, "9112 3.2", "a second Host gets 400", (REFUSED,), _HOSTS, "host",
               "two hosts", "a host twice", "two hosts in other cases", "two hosts in one line"),
        _asked(MUST, "9112 3.2", "a Host that is none gets 400", (REFUSED,), _HOSTS, "host",
               "a blank in the host", "a path in the host", "a user in the host", "a backslash in the host",
               "a port of letters", "an IPv6 host without brackets", "an open bracket", "latin-1 in the host"),
        _asked(MUST, "9112 3.2", "HTTP/1.0 needs no Host", (TAKEN,), _NONE, "host", "no host on 1.0"),
        _asked(MUST, "9112 5.1", "blanks around Host are no part of it", (TAKEN,), _NONE, "host", "a host in blanks"),
    ),
    "framing": (
        _asked(MUST, "9112 6.3", "a body is as long as Content-Length says", (TAKEN,), _SMUGGLING, "length",
               "a length", "a length on GET", "a body that looks like a request", "a body that looks like a chunk",
               "no length on 1.0 is no body"),
        _asked(MUST, "9110 5.1", "a field of another name is another field", (TAKEN,), _SMUGGLING, "length",
               "Content_Length is another field"),
        _asked(MUST, "9112 6.3", "an invalid Content-Length gets 400 and the end", (REFUSED,), _SMUGGLING, "length",
               "a length with a plus", "a length with a minus", "a length in hex", "a length with an underscore",
               "a length with a blank inside", "a superscript length, a digit to str.isdigit", "an empty length",
               "two lengths", "a list of lengths", ends=True),
        _asked(MUST, "9112 6.3", "a length twice is refused or taken once", EITHER, _SMUGGLING, "length",
               "a length twice", "a list of one length twice"),
        _asked(MUST, "9110 8.6", "a large Content-Length is not cut to fit a number", (REFUSED, WAITS), _SMUGGLING,
               "length", "a length of many digits", "a length at 2**64 + 5"),
        _asked(MUST, "9112 5.1", "a blank before the colon gets 400", (REFUSED,), _SMUGGLING, "length",
               "a length and a blank before its colon"),
        _asked(MUST, "9112 7.1", "chunked is understood, whatever its case", (TAKEN,), _SMUGGLING, "coding",
               "chunked", "chunked in another case", "chunked on GET"),
        _asked(MUST, "9112 6.3", "a last coding other than chunked gets 400 and the end", (REFUSED,), _SMUGGLING,
               "coding", "gzip", "a coding nobody knows", "chunked, then gzip", "chunked with a letter before",
               "chunked in quotes", "the classic TE.TE", ends=True),
        _asked(MUST, "9110 5.5", "a NUL is refused or becomes a blank", EITHER, _SMUGGLING, "coding",
               "chunked before a NUL"),
        _asked(SHOULD, "9112 6.1", "a coding that is not known gets 501", (REFUSED,), _SMUGGLING, "coding",
               "gzip, then chunked", "a coding nobody knows, then chunked"),
        _asked(MUST, "9112 6.3",
               "Content-Length beside Transfer-Encoding is refused or passed over, and the connection ends", EITHER,
               _SMUGGLING, "coding", "a length and chunked", "chunked and a length", "the classic CL.TE",
               "the classic TE.CL", ends=True),
        _asked(MUST, "9112 6.1", "Transfer-Encoding on 1.0 is faulty framing, and the connection ends", EITHER,
               _SMUGGLING, "coding", "chunked on 1.0", "chunked on 1.0 that would stay open", ends=True),
    ),
    "chunks": (
        _asked(MUST, "9112 7.1", "chunks are decoded", (TAKEN,), _SMUGGLING, "chunk",
               "one chunk", "a size in lower hex", "a size with leading zeros", "a chunk that looks like the last"),
        _asked(MUST, "9112 7.1.1", "extensions that are not known are passed over", (TAKEN,), _SMUGGLING, "extension",
               "an extension", "a semicolon in quotes"),
        _asked(MUST, "9112 7.1.2", "trailers belong to the message", (TAKEN,), _SMUGGLING, "trailer", "trailers"),
        _asked(MUST, "9112 7.1", "a large size is not cut to fit a number", (REFUSED, WAITS), _SMUGGLING, "chunk",
               "a size that wraps at 64 bits"),
        _asked(SHOULD, "9112 2.2", "what is no size gets 400 and the end", (REFUSED,), _SMUGGLING, "chunk",
               "no size", "a size with a plus", "a size with 0x", "a size with an underscore",
               "a size with a letter after", "a size ended by LF", "a size ended by CR", ends=True),
        _asked(SHOULD, "9112 7.1", "a chunk is as long as its size says, and ends with CRLF", (REFUSED,), _SMUGGLING,
               "chunk", "data longer than its size", "data without an end", "data ended by LF", ends=True),
        _asked(SHOULD, "9112 7.1.1", "an extension holds no line end", (REFUSED,), _SMUGGLING, "extension",
               "a LF in an extension", "a chunk hidden in an extension by LF", ends=True),
    ),
    "Expect": (
        _asked(MUST, "9110 10.1.1", "100 or the final answer comes before the body", (TAKEN,), _NONE, "expect",
               "100-continue and a length", "100-continue and chunks", "100-continue in another case", staged=True),
        _asked(MUST, "9110 10.1.1", "a client of 1.0 gets no 100", (TAKEN,), _STEALING, "expect",
               "100-continue on 1.0 is not looked at", shows="no 100"),
        _asked(SHOULD, "9110 10.1.1", "without a body it is an ordinary request", (TAKEN,), _NONE, "expect",
               "100-continue without a body"),
    ),
    "connections": (
        _asked(MUST, "9112 9.6", "close ends the connection", (TAKEN,), _NONE, "connection",
               "close", "close in capitals", "close in a list", "close in a second line", "close after a body",
               ends=True),
        _asked(MUST, "9112 9.6", "nothing is answered behind close", EITHER, _STEALING, "pipeline",
               "nothing is read past close", "nothing is read past 1.0", ends=True),
        _asked(MUST, "9112 9.3", "1.0 ends unless it asked for more", (TAKEN,), _NONE, "connection",
               "1.0 closes", ends=True, shows="no chunks"),
        _asked(SHOULD, "9112 9.3", "1.1 goes on", (TAKEN,), _NONE, "connection", "keep-alive on 1.1", stays=True),
        _asked(MUST, "9112 9.3.2", "pipelined requests are answered in their order", (TAKEN,), _STEALING, "pipeline",
               "two", "a body between", "chunks between", "trailers between", "HEAD between",
               "a request inside chunks stays there"),
        _asked(MUST, "9110 7.8", "an upgrade that is not wanted is passed over", (TAKEN,), _SMUGGLING, "connection",
               "an upgrade to h2c that nobody takes"),
    ),
    "limits": (
        _asked(SHOULD, "9112 3", "a request line of 8000 bytes is taken", (TAKEN,), _NONE, "limits",
               "a request line of 8000 bytes"),
        _asked(MUST, "9112 3", "a target that is too long gets 414", EITHER, _EXHAUSTION, "limits",
               "a target of 1 MiB"),
        _asked(MUST, "9110 5.4", "fields that are too large get 4xx", EITHER, _EXHAUSTION, "limits",
               "a field of 1 MiB", "100,000 fields"),
        _asked(SHOULD, "9110 17.5", "what does not end is refused", (REFUSED,), _EXHAUSTION, "limits",
               "a request line that does not end", "a field that does not end", "fields that do not end"),
        _asked(SHOULD, "9112 7.1.1", "the length of chunk extensions, sizes and trailers is limited", (REFUSED,),
               _EXHAUSTION, "limits", "a chunk extension of 1 MiB", "a chunk's size of 1 MiB of zeros",
               "100,000 trailers"),
    ),
}

#: The areas of the report, in its order.
AREAS: Final = tuple(_ASKED)

QUESTIONS: Final[tuple[Question, ...]] = tuple(
    question for area, asked in _ASKED.items() for questions_of in asked for question in questions_of(area))
