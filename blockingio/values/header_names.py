"""The names of header fields: dart:io's constants, and what is known of a field by its name."""

from __future__ import annotations

from typing import ClassVar, Final

from blockingio.values.grammar import TOKEN_RE


class HeaderNames:
    """The constants of dart:io's HttpHeaders; HttpHeaders inherits them."""

    __slots__ = ()

    ACCEPT_HEADER: Final = "accept"
    ACCEPT_CHARSET_HEADER: Final = "accept-charset"
    ACCEPT_ENCODING_HEADER: Final = "accept-encoding"
    ACCEPT_LANGUAGE_HEADER: Final = "accept-language"
    ACCEPT_RANGES_HEADER: Final = "accept-ranges"
    ACCESS_CONTROL_ALLOW_CREDENTIALS_HEADER: Final = "access-control-allow-credentials"
    ACCESS_CONTROL_ALLOW_HEADERS_HEADER: Final = "access-control-allow-headers"
    ACCESS_CONTROL_ALLOW_METHODS_HEADER: Final = "access-control-allow-methods"
    ACCESS_CONTROL_ALLOW_ORIGIN_HEADER: Final = "access-control-allow-origin"
    ACCESS_CONTROL_EXPOSE_HEADERS_HEADER: Final = "access-control-expose-headers"
    ACCESS_CONTROL_MAX_AGE_HEADER: Final = "access-control-max-age"
    ACCESS_CONTROL_REQUEST_HEADERS_HEADER: Final = "access-control-request-headers"
    ACCESS_CONTROL_REQUEST_METHOD_HEADER: Final = "access-control-request-method"
    AGE_HEADER: Final = "age"
    ALLOW_HEADER: Final = "allow"
    AUTHORIZATION_HEADER: Final = "authorization"
    CACHE_CONTROL_HEADER: Final = "cache-control"
    CONNECTION_HEADER: Final = "connection"
    CONTENT_DISPOSITION: Final = "content-disposition"
    CONTENT_DISPOSITION_HEADER: Final = "content-disposition"
    CONTENT_ENCODING_HEADER: Final = "content-encoding"
    CONTENT_LANGUAGE_HEADER: Final = "content-language"
    CONTENT_LENGTH_HEADER: Final = "content-length"
    CONTENT_LOCATION_HEADER: Final = "content-location"
    CONTENT_MD5_HEADER: Final = "content-md5"
    CONTENT_RANGE_HEADER: Final = "content-range"
    CONTENT_TYPE_HEADER: Final = "content-type"
    COOKIE_HEADER: Final = "cookie"
    DATE_HEADER: Final = "date"
    ETAG_HEADER: Final = "etag"
    EXPECT_HEADER: Final = "expect"
    EXPIRES_HEADER: Final = "expires"
    FROM_HEADER: Final = "from"
    HOST_HEADER: Final = "host"
    IF_MATCH_HEADER: Final = "if-match"
    IF_MODIFIED_SINCE_HEADER: Final = "if-modified-since"
    IF_NONE_MATCH_HEADER: Final = "if-none-match"
    IF_RANGE_HEADER: Final = "if-range"
    IF_UNMODIFIED_SINCE_HEADER: Final = "if-unmodified-since"
    LAST_MODIFIED_HEADER: Final = "last-modified"
    LOCATION_HEADER: Final = "location"
    MAX_FORWARDS_HEADER: Final = "max-forwards"
    PRAGMA_HEADER: Final = "pragma"
    PROXY_AUTHENTICATE_HEADER: Final = "proxy-authenticate"
    PROXY_AUTHORIZATION_HEADER: Final = "proxy-authorization"
    RANGE_HEADER: Final = "range"
    REFERER_HEADER: Final = "referer"
    RETRY_AFTER_HEADER: Final = "retry-after"
    SERVER_HEADER: Final = "server"
    SET_COOKIE_HEADER: Final = "set-cookie"
    TE_HEADER: Final = "te"
    TRAILER_HEADER: Final = "trailer"
    TRANSFER_ENCODING_HEADER: Final = "transfer-encoding"
    UPGRADE_HEADER: Final = "upgrade"
    USER_AGENT_HEADER: Final = "user-agent"
    VARY_HEADER: Final = "vary"
    VIA_HEADER: Final = "via"
    WARNING_HEADER: Final = "warning"
    WWW_AUTHENTICATE_HEADER: Final = "www-authenticate"

    GENERAL_HEADERS: ClassVar[tuple[str, ...]] = (
        CACHE_CONTROL_HEADER, CONNECTION_HEADER, DATE_HEADER, PRAGMA_HEADER, TRAILER_HEADER,
        TRANSFER_ENCODING_HEADER, UPGRADE_HEADER, VIA_HEADER, WARNING_HEADER)
    ENTITY_HEADERS: ClassVar[tuple[str, ...]] = (
        ALLOW_HEADER, CONTENT_ENCODING_HEADER, CONTENT_LANGUAGE_HEADER, CONTENT_LENGTH_HEADER,
        CONTENT_LOCATION_HEADER, CONTENT_MD5_HEADER, CONTENT_RANGE_HEADER, CONTENT_TYPE_HEADER,
        EXPIRES_HEADER, LAST_MODIFIED_HEADER)
    RESPONSE_HEADERS: ClassVar[tuple[str, ...]] = (
        ACCEPT_RANGES_HEADER, AGE_HEADER, ETAG_HEADER, LOCATION_HEADER, PROXY_AUTHENTICATE_HEADER,
        RETRY_AFTER_HEADER, SERVER_HEADER, VARY_HEADER, WWW_AUTHENTICATE_HEADER, CONTENT_DISPOSITION)
    REQUEST_HEADERS: ClassVar[tuple[str, ...]] = (
        ACCEPT_HEADER, ACCEPT_CHARSET_HEADER, ACCEPT_ENCODING_HEADER, ACCEPT_LANGUAGE_HEADER,
        AUTHORIZATION_HEADER, EXPECT_HEADER, FROM_HEADER, HOST_HEADER, IF_MATCH_HEADER,
        IF_MODIFIED_SINCE_HEADER, IF_NONE_MATCH_HEADER, IF_RANGE_HEADER, IF_UNMODIFIED_SINCE_HEADER,
        MAX_FORWARDS_HEADER, PROXY_AUTHORIZATION_HEADER, RANGE_HEADER, REFERER_HEADER, TE_HEADER,
        USER_AGENT_HEADER)


# Fields whose ABNF is no list, so that a second value replaces the first (RFC 9110 5.3: a sender
# must not make several of them): RFC 9110, 9111 5, 6266, and the Fetch standard's for CORS.
SINGLE_VALUED: Final = frozenset((
    "access-control-allow-credentials", "access-control-allow-origin", "access-control-max-age",
    "access-control-request-method", "age", "authorization", "content-disposition", "content-length",
    "content-location", "content-md5", "content-range", "content-type", "date", "etag", "expires", "from",
    "host", "if-modified-since", "if-range", "if-unmodified-since", "last-modified", "location",
    "max-forwards", "proxy-authorization", "range", "referer", "retry-after", "server", "user-agent"))

# Names met so far, as spelled -> lower-case: saves the check of the common ones.  Any thread
# adds; a race only does the same work twice.  Bounded, since a program may make names up.
_MOST_NAMES = 1024
_LONGEST_NAME_KEPT = 64

known_names: Final[dict[str, str]] = {
    spelling: value for constant, value in vars(HeaderNames).items()
    if constant.isupper() and isinstance(value, str) for spelling in (value, value.title())}


def lower_name(name: str) -> str:
    """The lower-case form of a field name that is not in ``known_names`` yet.

    TypeError if it is no str, ValueError if it is no token.
    """
    if not isinstance(name, str):
        raise TypeError(f"a field name is a str, not {type(name).__name__}")
    if not TOKEN_RE.fullmatch(name):
        raise ValueError(f"a field name is a token (RFC 9110 5.6.2), found {name[:80]!r}")
    lower = name.lower()
    if len(known_names) < _MOST_NAMES and len(name) <= _LONGEST_NAME_KEPT:
        known_names[name] = lower
    return lower
