"""Bytes to a message's head: the start line and the header section, checked to the letter.

A head is what ``Source.head`` gives: its lines with CRLF between them.  One pattern checks a line, one checks the whole
header section; what framing needs is taken out once, names and values become objects when they are asked for.
Everything malformed is a BadMessage with the status for it (RFC 9112).
"""

from __future__ import annotations

import re
from socket import AF_INET6, inet_pton

from blockingio.errors import BadMessage
from blockingio.values.cookie import cookie_pairs
from blockingio.values.headers import HttpHeaders
from blockingio.values.uri import Uri
from blockingio.wire.limits import CONTENT_LENGTH_DIGITS, REQUEST_LINE_REST, Limits
from blockingio.wire.spot import Spot, field_spots, reach, spot_in

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"

# request-line = method SP request-target SP HTTP-version (RFC 9112 3).  A target is taken with any
# visible ASCII but "#": browsers send more in a query than RFC 3986 grants.
_REQUEST_LINE = re.compile(rb"(%b) ([\x21\x22\x24-\x7e]++) HTTP/(\d)\.(\d)" % TOKEN)

# status-line = HTTP-version SP status-code SP [ reason-phrase ] (RFC 9112 4), the last SP optional as
# every browser has it.
_STATUS_LINE = re.compile(rb"HTTP/(\d)\.(\d) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*+))?")

# header section = *( field-name ":" OWS field-value OWS CRLF ), no obs-fold (RFC 9112 5).
_FIELDS = re.compile(rb"(?:%b:[\t\x20-\x7e\x80-\xff]*+(?:\r\n|\Z))*+" % TOKEN)
# One field of a section that _FIELDS has checked; words and blanks, so that no run of blanks is tried twice.
_FIELD = re.compile(r"([^:]++):[ \t]*+([^ \t\r]*+(?:[ \t]++[^ \t\r]++)*+)[ \t]*+(?:\r\n|\Z)")
_FRAMING = re.compile(
    rb"(?:\A|\n)(content-length|transfer-encoding|connection|expect|host):[ \t]*([^\r]*)", re.IGNORECASE
)

# obs-fold = OWS CRLF RWS (RFC 9112 5.2)
_OBS_FOLD = re.compile(rb"[ \t]*+\r\n[ \t]++")

# Host = uri-host [ ":" port ] (RFC 9110 7.2), and the authority of an absolute-form target.
_HOST = re.compile(
    rb"(\[(?:[0-9A-Fa-f:.]++|[vV][0-9A-Fa-f]++\.[0-9A-Za-z\-._~!$&'()*+,;=:]++)\]"
    rb"|(?:[0-9A-Za-z\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})++)(?::(\d{0,5}+))?"
)
_ABSOLUTE_FORM = re.compile(rb"(?i:https?)://([^/?]++)(?:[/?].*+)?")
_BAD_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")

# The same piece by piece, to find where something stops being one.
_REQUEST_LINE_PARTS = (
    TOKEN, rb" ", rb"[\x21\x22\x24-\x7e]++", rb" ", rb"H", rb"T", rb"T", rb"P", rb"/", rb"\d", rb"\.", rb"\d")
_FIELD_PARTS = TOKEN, rb":", rb"[\t\x20-\x7e\x80-\xff]*+"
_HOST_PARTS = (
    rb"\[[0-9A-Za-z:.\-_~!$&'()*+,;=]*+\]|(?:[0-9A-Za-z\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})++", rb":", rb"[0-9]{1,5}+")
_SCHEME_PARTS = rb"[hH]", rb"[tT]", rb"[tT]", rb"[pP]", rb"[sS]?", rb":", rb"/", rb"/"


class Fields:
    """A header section: what framing needs of it, and its text for the rest."""

    __slots__ = ("block", "version", "content_length", "chunked", "fault", "keep_alive", "connection",
                 "expects_continue", "host", "_headers", "_cookie_pairs")

    def __init__(self, block: bytes, version: str) -> None:
        self.block = block
        self.version = version
        self.content_length = -1  # -1: none
        self.chunked = False
        self.fault = ""  # of a response: what is wrong with its framing; means nothing where there is no body
        self.keep_alive = version == "1.1"
        self.connection: tuple[bytes, ...] = ()  # the options of Connection, in lower case
        self.expects_continue = False
        self.host: str | None = None
        self._headers: HttpHeaders | None = None
        self._cookie_pairs: list[tuple[str, str]] | None = None

    @property
    def headers(self) -> HttpHeaders:
        """All of them; immutable, so one object serves every message that repeats the section."""
        # Two threads that ask at once may each make one: they are equal, and the last one stays.
        if self._headers is None:
            self._headers = HttpHeaders.from_fields(field_list(self.block), self.version)
        return self._headers

    @property
    def cookie_pairs(self) -> list[tuple[str, str]]:
        """Names and values of the Cookie fields; not to be changed, as one list serves every message, too."""
        if self._cookie_pairs is None:
            self._cookie_pairs = cookie_pairs(self.headers.get_all("cookie"))
        return self._cookie_pairs


class RequestHead:
    """A request's head, and what follows from it; immutable, so one serves every request that repeats it."""

    __slots__ = ("method", "target", "version", "fields", "keep_alive", "has_body", "is_usual", "is_last",
                 "is_followed", "_uri")

    def __init__(self, method: str, target: str, version: str, fields: Fields) -> None:
        self.method = method
        self.target = target
        self.version = version  # "1.0" or "1.1"
        self.fields = fields
        self.keep_alive = fields.keep_alive
        self.has_body = fields.content_length > 0 or fields.chunked
        # Its answer has a body and is framed as HTTP/1.1 has it.
        self.is_usual = version == "1.1" and method != "HEAD" and method != "CONNECT"
        only_http = self.is_usual and b"upgrade" not in fields.connection
        # Behind it comes nothing at all; behind it and its body nothing but another request.
        self.is_last = only_http and not self.has_body and not self.keep_alive
        self.is_followed = only_http and self.keep_alive
        self._uri: Uri | None = None

    @property
    def uri(self) -> Uri:
        """The target as it came; a Uri is immutable, so one serves every request that repeats it."""
        # Two threads that ask at once may each make one: they are equal, and the last one stays.
        if self._uri is None:
            self._uri = Uri.from_target(self.target)
        return self._uri

    @property
    def host(self) -> str | None:
        """The host that it is for, perhaps with a port: a target's goes before Host (RFC 9112 3.2.2, 3.3)."""
        if self.method == "CONNECT":
            return self.target
        _, absolute, rest = ("", "", "") if self.target[:1] == "/" else self.target.partition("://")
        return re.split("[/?]", rest, maxsplit=1)[0] if absolute else self.fields.host


def field_list(block: bytes) -> list[tuple[str, str]]:
    """Names and values of a checked header section, in order, as received but for the blanks around."""
    return _FIELD.findall(block.decode("latin-1")) if block else []


def parse_request_line(line: bytes, limits: Limits) -> tuple[str, str, str]:
    """Method, target and version ("1.0" or "1.1") of a request line."""
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise BadMessage(f"the request line is {_shown(line)}, expected method, target and HTTP-version",
                         section="RFC 9112 3", spot=Spot(line, reach(_REQUEST_LINE_PARTS, line)))
    method, target, major, minor = match.groups()
    if len(line) - len(target) > REQUEST_LINE_REST:
        raise BadMessage(f"the method has {len(method)} bytes, expected a few", 414, "RFC 9112 3",
                         Spot(line, REQUEST_LINE_REST))
    if major != b"1":
        raise BadMessage(f"the request is in HTTP/{major.decode()}.{minor.decode()}, expected HTTP/1.1", 505,
                         "RFC 9112 2.3", Spot(line, match.start(3)))
    if len(target) > limits.max_target_length:
        raise BadMessage(
            f"the request target has {len(target)} bytes, expected no more than {limits.max_target_length}", 414,
            "RFC 9110 15.5.15", Spot(line, match.start(2) + limits.max_target_length))
    if target[0] != 47 or b"%" in target or method == b"CONNECT":
        _check_target(line, method, target)
    return method.decode("ascii"), target.decode("ascii"), "1.0" if minor == b"0" else "1.1"


def _check_target(line: bytes, method: bytes, target: bytes) -> None:
    """The four forms of RFC 9112 3.2, each with the methods that may have it."""
    begin = len(method) + 1
    if method == b"CONNECT":  # authority-form, and nothing else
        authority = _HOST.fullmatch(target)
        if authority is None or not authority[2] or not _is_host(target):
            raise BadMessage(f"the target of CONNECT is {_shown(target)}, expected host:port",
                             section="RFC 9112 3.2.3", spot=Spot(line, begin + _host_fault(target)))
        return
    if target == b"*":  # asterisk-form
        if method != b"OPTIONS":
            raise BadMessage(f"the target * is for OPTIONS, not for {method.decode()}, expected a path",
                             section="RFC 9112 3.2.4", spot=Spot(line, begin))
        return
    if target[0] != 47:  # not origin-form, so absolute-form
        match = _ABSOLUTE_FORM.fullmatch(target)
        if match is None or not _is_host(match[1]):
            at = reach(_SCHEME_PARTS, target)
            if target[at - 3 : at] == b"://":
                at += _host_fault(re.split(rb"[/?]", target[at:], maxsplit=1)[0])
            raise BadMessage(f"the request target is {_shown(target)}, expected a path or an http URI",
                             section="RFC 9112 3.2", spot=Spot(line, begin + at))
    bad = _BAD_PERCENT.search(target.partition(b"?")[0])
    if bad is not None:
        raise BadMessage(f"the request target is {_shown(target)}, expected two hex digits after each %",
                         section="RFC 3986 2.1", spot=Spot(line, begin + bad.start()))


def parse_status_line(line: bytes) -> tuple[str, int, str]:
    """Version, status and reason phrase of a status line."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise BadMessage(f"the status line is {_shown(line)}, expected HTTP-version, three digits and a reason")
    major, minor, status, reason = match.groups()
    if major != b"1":
        raise BadMessage(f"the response is in HTTP/{major.decode()}.{minor.decode()}, expected HTTP/1.1")
    return "1.0" if minor == b"0" else "1.1", int(status), (reason or b"").decode("latin-1")


def parse_fields(block: bytes, version: str, limits: Limits, *, of_request: bool) -> Fields:
    """A header section, checked, with what framing needs; a response's framing is judged by ``response_body``."""
    if len(block) > limits.max_header_size:
        raise BadMessage(
            f"the header section has {len(block)} bytes, expected no more than {limits.max_header_size}", 431,
            "RFC 6585 5", spot_in(block, limits.max_header_size))
    if not of_request and (b"\r\n " in block or b"\r\n\t" in block):
        block = _OBS_FOLD.sub(b" ", block)  # a user agent has to (RFC 9112 5.2)
    if block:
        check_field_lines(block)
        count = block.count(b"\n") + 1
        if count > limits.max_header_count:
            raise BadMessage(f"the header section has {count} fields, expected {limits.max_header_count} at most", 431,
                             "RFC 6585 5", Spot(block.split(b"\r\n")[limits.max_header_count], 0))
    fields = Fields(block, version)
    hosts: list[bytes] = []
    lengths: list[bytes] = []
    codings: list[bytes] = []
    for name, value in _FRAMING.findall(block):
        name = name.lower()
        value = value.rstrip(b" \t")
        if name == b"host":
            hosts.append(value)
        elif name == b"connection":
            fields.connection += tuple(option.strip(b" \t").lower() for option in value.split(b","))
        elif name == b"content-length":
            lengths.append(value)
        elif name == b"transfer-encoding":
            codings += [coding.strip(b" \t").lower() for coding in value.split(b",")]
        elif of_request and version == "1.1":
            if value.lower() != b"100-continue":
                raise BadMessage(f"Expect is {_shown(value)}, expected 100-continue", 417, "RFC 9110 10.1.1",
                                 next(spot for spot in field_spots(block, b"expect") if spot.line.endswith(value)))
            fields.expects_continue = True
    if fields.connection:
        if b"close" in fields.connection:
            fields.keep_alive = False
        elif b"keep-alive" in fields.connection:
            fields.keep_alive = True
    if of_request:
        _frame_request(fields, lengths, codings)
        _take_host(fields, hosts)
    else:
        _frame_response(fields, lengths, codings)
    return fields


def check_field_lines(block: bytes) -> None:
    """Raise BadMessage unless every line is a field (RFC 9112 5.1): also for trailers."""
    if not _FIELDS.fullmatch(block):
        found = next(line for line in block.split(b"\r\n") if not is_field_line(line))
        raise BadMessage(f"a header line is {_shown(found)}, expected a name, a colon and a value",
                         section="RFC 9112 5.1" if found[:1] not in b" \t" else "RFC 9112 5.2",
                         spot=Spot(found, reach(_FIELD_PARTS, found)))


def is_field_line(line: bytes) -> bool:
    """Whether this is one field."""
    return line != b"" and _FIELDS.fullmatch(line) is not None


def _frame_request(fields: Fields, lengths: list[bytes], codings: list[bytes]) -> None:
    """One length of digits, or chunked alone, in HTTP/1.1 and without a length: all else has been used to smuggle.

    Where chunked is not the last coding, the end of the body cannot be told: 400 (RFC 9112 6.3).  501 is for a
    coding before it that we do not know (6.1).
    """
    if lengths:
        if len(lengths) > 1:
            raise BadMessage("Content-Length is there twice, expected once", section="RFC 9112 6.3",
                             spot=_name_spot(fields.block, b"content-length", 1))
        fault, status = _length_fault(lengths[0])
        if fault:
            line, at = field_spots(fields.block, b"content-length")[0]
            digits = reach((rb"[0-9]++",), line, at)
            raise BadMessage(fault, status, "RFC 9110 8.6", Spot(line, min(digits, at + CONTENT_LENGTH_DIGITS)))
        fields.content_length = int(lengths[0])
    if codings:
        if fields.version == "1.0":
            raise BadMessage("Transfer-Encoding in an HTTP/1.0 request, expected Content-Length",
                             section="RFC 9112 6.1", spot=_name_spot(fields.block, b"transfer-encoding"))
        if lengths:
            raise BadMessage("Content-Length together with Transfer-Encoding, expected one of them",
                             section="RFC 9112 6.1", spot=_name_spot(fields.block, b"transfer-encoding"))
        if codings != [b"chunked"]:
            status = 501 if codings[-1] == b"chunked" and all(map(_is_unknown_coding, codings[:-1])) else 400
            raise BadMessage(f"Transfer-Encoding is {_shown(b', '.join(codings))}, expected chunked", status,
                             "RFC 9112 6.1", _coding_spot(fields.block))
        fields.chunked = True


def _name_spot(block: bytes, name: bytes, number: int = 0) -> Spot:
    """The first byte of the field of this name, or of the ``number``th behind it."""
    return Spot(field_spots(block, name)[number].line, 0)


def _coding_spot(block: bytes) -> Spot:
    """The first transfer-coding that is not the one chunked."""
    spots = field_spots(block, b"transfer-encoding")
    seen = False
    for line, begin in spots:
        for coding in re.finditer(rb"[^, \t][^,]*+", line[begin:]):
            if seen or coding[0].rstrip(b" \t").lower() != b"chunked":
                return Spot(line, begin + coding.start())
            seen = True
    return spots[-1]


def _frame_response(fields: Fields, lengths: list[bytes], codings: list[bytes]) -> None:
    """RFC 9112 6.3, for a response.  What is wrong is noted as ``fault``: it counts where there is a body at all.

    Lenient where browsers and curl are: one length several times (RFC 9110 8.6), chunked beside a length, and
    "identity", an encoding of old that is none.  Other software may read the latter two otherwise, so the
    connection is not used again.
    """
    values = list(dict.fromkeys(text.strip(b" \t") for value in lengths for text in value.split(b",")))
    faults = [fault for fault, _ in map(_length_fault, values) if fault]
    if faults:
        fields.fault = faults[0]
    elif len(values) > 1:
        fields.fault = f"the Content-Lengths differ: {_shown(b' and '.join(values))}, expected one"
    elif codings not in ([], [b"chunked"], [b"identity"]):
        fields.fault = f"Transfer-Encoding is {_shown(b', '.join(codings))}, expected chunked"
    elif codings == [b"chunked"]:
        fields.chunked = True
    elif values:
        fields.content_length = int(values[0])
    if fields.fault or codings and (values or not fields.chunked):
        fields.keep_alive = False


def _length_fault(value: bytes) -> tuple[str, int]:
    """What is wrong with a Content-Length, and the status for it; "" where nothing is."""
    if not value.isdigit():
        return f"Content-Length is {_shown(value)}, expected digits", 400
    if len(value) > CONTENT_LENGTH_DIGITS:
        return f"Content-Length has {len(value)} digits, expected {CONTENT_LENGTH_DIGITS} at most", 413
    return "", 0


def _is_unknown_coding(coding: bytes) -> bool:
    """Whether this names a transfer-coding that other software may know (RFC 9112 7): chunked may be there once."""
    name = coding.partition(b";")[0].rstrip(b" \t")
    return name != b"chunked" and re.fullmatch(TOKEN, name) is not None


def _take_host(fields: Fields, hosts: list[bytes]) -> None:
    """RFC 9112 3.2: exactly one in 1.1, at most one in 1.0, and well-formed."""
    if len(hosts) != 1:
        if hosts or fields.version == "1.1":
            last = fields.block.rpartition(b"\n")[2]
            raise BadMessage(f"there are {len(hosts)} Host fields, expected one", section="RFC 9112 3.2",
                             spot=_name_spot(fields.block, b"host", 1) if hosts else Spot(last, len(last)))
        return
    if hosts[0] and not _is_host(hosts[0]):
        line, at = field_spots(fields.block, b"host")[0]
        raise BadMessage(f"Host is {_shown(hosts[0])}, expected a host and perhaps a port",
                         section="RFC 9110 7.2", spot=Spot(line, at + _host_fault(hosts[0])))
    fields.host = hosts[0].decode("ascii")


def _host_fault(text: bytes) -> int:
    """Where this stops being a host, perhaps with a port; where it looks like one, its address or its port is none."""
    match = _HOST.fullmatch(text)
    if match is None:
        return reach(_HOST_PARTS, text)
    if not _is_host(match[1]):
        return 0
    return match.start(2) if int(match[2] or 0) > 65535 else len(text)


def _is_host(text: bytes) -> bool:
    match = _HOST.fullmatch(text)
    if match is None or int(match[2] or 0) > 65535:
        return False
    host = match[1].decode("ascii")
    if host[0] != "[" or host[1] in "vV":
        return True
    try:
        inet_pton(AF_INET6, host[1:-1])
    except OSError:
        return False
    return True


def _shown(data: bytes) -> str:
    """For a message: at most 60 bytes, as Python writes them."""
    return repr(data[:60])[1:] + ("..." if len(data) > 60 else "")
