"""WWW-Authenticate and Authentication-Info, as servers write them."""

from __future__ import annotations

import time

import pytest

from blockingio.client.challenge import parse_challenges, parse_parameters
from blockingio.values.grammar import quoted


@pytest.mark.parametrize(
    "values, expected",
    [
        ([], []),
        ([""], []),
        ([" , ,, "], []),
        (['Basic realm="a"'], [("Basic", {"realm": "a"})]),
        (["Basic realm=a"], [("Basic", {"realm": "a"})]),
        (['basic REALM="a", charset="UTF-8"'], [("basic", {"realm": "a", "charset": "UTF-8"})]),
        (['Basic realm="a", Bearer realm="b"'], [("Basic", {"realm": "a"}), ("Bearer", {"realm": "b"})]),
        (['Basic realm="a"', "Bearer"], [("Basic", {"realm": "a"}), ("Bearer", {})]),
        (["Negotiate"], [("Negotiate", {})]),
        (["Negotiate, NTLM"], [("Negotiate", {}), ("NTLM", {})]),
        (["Negotiate abc==, Basic realm=x"], [("Negotiate", {}), ("Basic", {"realm": "x"})]),
        (["Negotiate abcd/+, Basic realm=x"], [("Negotiate", {}), ("Basic", {"realm": "x"})]),
        # RFC 9110 11.6.1's own example.
        (
            ['Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""'],
            [
                ("Basic", {"realm": "simple"}),
                ("Newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'}),
            ],
        ),
        (
            ['Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"'],
            [
                ("Newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'}),
                ("Basic", {"realm": "simple"}),
            ],
        ),
        (
            ['Digest realm="a, b", qop="auth, auth-int", nonce="n==",opaque="o\\\\"'],
            [("Digest", {"realm": "a, b", "qop": "auth, auth-int", "nonce": "n==", "opaque": "o\\"})],
        ),
        (['Basic realm = "a" ,\tx\t=\ty'], [("Basic", {"realm": "a", "x": "y"})]),
        (['Basic realm="a", realm="b"'], [("Basic", {"realm": "a"})]),  # the first counts
        # What is not of the grammar: as much as makes sense.
        (["Basic realm=Hello world"], [("Basic", {"realm": "Hello world"})]),
        (['Basic realm="never ends'], [("Basic", {"realm": '"never ends'})]),
        (['realm="a", Basic realm="b"'], [("Basic", {"realm": "b"})]),
        (['"??", Basic realm="b"'], [("Basic", {"realm": "b"})]),
        (["Basic realm="], [("Basic", {})]),
        (['Basic realm=""'], [("Basic", {"realm": ""})]),
        (["Basic @, Bearer"], [("Basic", {}), ("Bearer", {})]),
    ],
)
def test_challenges(values: list[str], expected: list[tuple[str, dict[str, str]]]) -> None:
    assert [(challenge.scheme, challenge.parameters) for challenge in parse_challenges(values)] == expected


def test_the_realm() -> None:
    basic, bearer = parse_challenges(['Basic realm="a", Bearer'])
    assert (basic.realm, bearer.realm) == ("a", None)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", {}),
        ('nextnonce="n"', {"nextnonce": "n"}),
        ('qop=auth, rspauth="a", NC=00000001', {"qop": "auth", "rspauth": "a", "nc": "00000001"}),
        ("???, a=b", {"a": "b"}),
    ],
)
def test_parameters(text: str, expected: dict[str, str]) -> None:
    assert parse_parameters(text) == expected


@pytest.mark.parametrize("text", ["", "plain", 'a "quoted" word', "back\\slash", "ä"])
def test_quoted_strings_come_back(text: str) -> None:
    assert parse_parameters(f"x={quoted(text)}") == {"x": text}


@pytest.mark.parametrize(
    "text",
    [
        'Basic x="' + "\\" * 60_000,
        "a" * 60_000,
        "a " * 30_000,
        "a=" * 30_000,
        ", " * 30_000,
        'x="a' * 15_000,
        "A b, " * 12_000,
    ],
)
def test_long_nonsense_takes_no_long_time(text: str) -> None:
    start = time.process_time()
    parse_challenges([text])
    parse_parameters(text)
    assert time.process_time() - start < 1
