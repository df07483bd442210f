"""HttpStatus: every code of the registry, by the names of http.HTTPStatus and of dart:io."""
from __future__ import annotations

import copy
import pickle
from http import HTTPStatus

import pytest

from blockingio.server.response_head import phrase_of
from blockingio.values.status import HttpStatus

# dart:io's HttpStatus, in our spelling.
DART = {
    "CONTINUE": 100, "SWITCHING_PROTOCOLS": 101, "PROCESSING": 102, "OK": 200, "CREATED": 201,
    "ACCEPTED": 202,
    "NON_AUTHORITATIVE_INFORMATION": 203, "NO_CONTENT": 204, "RESET_CONTENT": 205, "PARTIAL_CONTENT": 206,
    "MULTI_STATUS": 207, "ALREADY_REPORTED": 208, "IM_USED": 226, "MULTIPLE_CHOICES": 300,
    "MOVED_PERMANENTLY": 301, "FOUND": 302, "MOVED_TEMPORARILY": 302, "SEE_OTHER": 303, "NOT_MODIFIED": 304,
    "USE_PROXY": 305, "TEMPORARY_REDIRECT": 307, "PERMANENT_REDIRECT": 308, "BAD_REQUEST": 400,
    "UNAUTHORIZED": 401, "PAYMENT_REQUIRED": 402, "FORBIDDEN": 403, "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "NOT_ACCEPTABLE": 406, "PROXY_AUTHENTICATION_REQUIRED": 407, "REQUEST_TIMEOUT": 408, "CONFLICT": 409,
    "GONE": 410, "LENGTH_REQUIRED": 411, "PRECONDITION_FAILED": 412, "REQUEST_ENTITY_TOO_LARGE": 413,
    "REQUEST_URI_TOO_LONG": 414, "UNSUPPORTED_MEDIA_TYPE": 415, "REQUESTED_RANGE_NOT_SATISFIABLE": 416,
    "EXPECTATION_FAILED": 417, "MISDIRECTED_REQUEST": 421, "UNPROCESSABLE_ENTITY": 422, "LOCKED": 423,
    "FAILED_DEPENDENCY": 424, "UPGRADE_REQUIRED": 426, "PRECONDITION_REQUIRED": 428, "TOO_MANY_REQUESTS": 429,
    "REQUEST_HEADER_FIELDS_TOO_LARGE": 431, "CONNECTION_CLOSED_WITHOUT_RESPONSE": 444,
    "UNAVAILABLE_FOR_LEGAL_REASONS": 451, "CLIENT_CLOSED_REQUEST": 499, "INTERNAL_SERVER_ERROR": 500,
    "NOT_IMPLEMENTED": 501, "BAD_GATEWAY": 502, "SERVICE_UNAVAILABLE": 503, "GATEWAY_TIMEOUT": 504,
    "HTTP_VERSION_NOT_SUPPORTED": 505, "VARIANT_ALSO_NEGOTIATES": 506, "INSUFFICIENT_STORAGE": 507,
    "LOOP_DETECTED": 508, "NOT_EXTENDED": 510, "NETWORK_AUTHENTICATION_REQUIRED": 511,
    "NETWORK_CONNECT_TIMEOUT_ERROR": 599,
}


@pytest.mark.parametrize("name, code", DART.items())
def test_dart_names(name: str, code: int) -> None:
    assert HttpStatus[name] == code


@pytest.mark.parametrize("name", HTTPStatus.__members__)
def test_python_names(name: str) -> None:
    assert HttpStatus[name].value == HTTPStatus[name].value


# RFC 9110 15 renamed these; the versions of Python follow it at different times.
RENAMED = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 418: "I'm a Teapot",
           422: "Unprocessable Content"}


@pytest.mark.parametrize("status", HttpStatus)
def test_phrases(status: HttpStatus) -> None:
    if status in RENAMED:
        assert status.phrase == RENAMED[status]
    elif int(status) in [code.value for code in HTTPStatus]:
        assert status.phrase == HTTPStatus(status).phrase
    else:
        assert status.phrase.upper().replace(" ", "_") == status.name
    assert phrase_of(int(status)) == status.phrase


def test_is_an_int() -> None:
    assert isinstance(HttpStatus.NOT_FOUND, int) and int(HttpStatus.NOT_FOUND) == 404
    assert {HttpStatus.NOT_FOUND: "x"}[404] == "x"  # type: ignore[index]
    assert f"{HttpStatus.NOT_FOUND}" == str(HttpStatus.NOT_FOUND) == "404"
    assert HttpStatus(404) is HttpStatus.NOT_FOUND
    assert HttpStatus["MOVED_TEMPORARILY"] is HttpStatus.FOUND
    assert copy.copy(HttpStatus.OK) is HttpStatus.OK
    assert pickle.loads(pickle.dumps(HttpStatus.OK)) is HttpStatus.OK


def test_unknown_code() -> None:
    with pytest.raises(ValueError, match="299"):
        HttpStatus(299)
