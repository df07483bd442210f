"""Close codes, and the two errors: the user's, and the one that is told to a peer that broke the protocol."""

from __future__ import annotations

from enum import IntEnum

# What a peer may send in a Close frame: defined by RFC 6455 7.4.1, or registered since, or free (7.4.2).
_TO_RECEIVE = frozenset((*range(1000, 1004), *range(1007, 1015)))
# What an application may close with: 1002 is the library's own, 1012 to 1014 are not for servers of this library.
_TO_SEND = frozenset((1000, 1001, 1003, *range(1007, 1012)))

# Bytes of a reason: a control frame has 125, and the code takes two (RFC 6455 5.5).
MAX_REASON_SIZE = 123


class WebSocketStatus(IntEnum):
    """Why a WebSocket was closed (RFC 6455 7.4.1).  Follows dart:io's WebSocketStatus."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    RESERVED_1004 = 1004
    NO_STATUS_RECEIVED = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_FRAME_PAYLOAD_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MISSING_MANDATORY_EXTENSION = 1010
    INTERNAL_SERVER_ERROR = 1011
    RESERVED_1015 = 1015


class WebSocketException(Exception):
    """The handshake came to nothing, or the peer broke the protocol; ``message`` says how.

    ``http_status_code`` is what a server answered instead of 101, or was answered by ours; None where it
    was something else.  Follows dart:io's WebSocketException.
    """

    #: Whether a client is to blame: a server's for_each and listen do not log that.
    is_of_peer = False

    def __init__(self, message: str = "", http_status_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.http_status_code = http_status_code

    def __repr__(self) -> str:
        status = "" if self.http_status_code is None else f", {self.http_status_code}"
        return f"{type(self).__name__}({self.message!r}{status})"


class Violation(Exception):
    """The peer broke the protocol; ``code`` is what it is told."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def of_peer(error: WebSocketException) -> WebSocketException:
    """The same, as one that the peer of a server is to blame for."""
    error.is_of_peer = True
    return error


def is_code_to_receive(code: int) -> bool:
    """Whether a peer may name it in a Close frame."""
    return code in _TO_RECEIVE or 3000 <= code <= 4999


def check_close(code: int | None, reason: str | None) -> bytes:
    """The reason in UTF-8.  ValueError for what an application may not close with."""
    if code is None:
        if reason:
            raise ValueError(f"a reason needs a code: expected one beside {reason!r}")
        return b""
    if isinstance(code, bool) or not isinstance(code, int) or not (code in _TO_SEND or 3000 <= code <= 4999):
        raise ValueError(f"the code is {code!r}, expected 1000, 1001, 1003, 1007 to 1011, or 3000 to 4999")
    data = (reason or "").encode()
    if len(data) > MAX_REASON_SIZE:
        raise ValueError(f"the reason has {len(data)} bytes in UTF-8, expected at most {MAX_REASON_SIZE}")
    return data
