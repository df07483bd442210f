"""Uri: RFC 3986 in and out, its parts, and what a server's targets become."""
from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Mapping
from typing import Any

import pytest

from blockingio.errors import StateError
from blockingio.values.uri import Uri

# Text that needs nothing done to it: scheme, user_info, host, port, path, query, fragment.
PARTS: list[tuple[str, tuple[str, str, str, int, str, str | None, str | None]]] = [
    ("", ("", "", "", 0, "", None, None)),
    ("http://example.com", ("http", "", "example.com", 80, "", None, None)),
    ("https://example.com/", ("https", "", "example.com", 443, "/", None, None)),
    ("http://u:p@example.com:8080/a/b;c=1?d=e&f#g",
     ("http", "u:p", "example.com", 8080, "/a/b;c=1", "d=e&f", "g")),
    ("http://h?q", ("http", "", "h", 80, "", "q", None)),
    ("http://h#f", ("http", "", "h", 80, "", None, "f")),
    ("http://h/?", ("http", "", "h", 80, "/", "", None)),
    ("http://h/#", ("http", "", "h", 80, "/", None, "")),
    ("http://h/p?q?r/s#t?u/v", ("http", "", "h", 80, "/p", "q?r/s", "t?u/v")),
    ("http://[2001:db8::7]:81/x", ("http", "", "2001:db8::7", 81, "/x", None, None)),
    ("http://[::ffff:192.0.2.1]/", ("http", "", "::ffff:192.0.2.1", 80, "/", None, None)),
    ("http://[fe80::1%25eth0]/", ("http", "", "fe80::1%25eth0", 80, "/", None, None)),
    ("http://[v1.a:b]/", ("http", "", "v1.a:b", 80, "/", None, None)),
    ("http://192.0.2.16:80x@h/", ("http", "192.0.2.16:80x", "h", 80, "/", None, None)),
    ("http://h:0/", ("http", "", "h", 0, "/", None, None)),
    ("http://h//a//b/", ("http", "", "h", 80, "//a//b/", None, None)),
    ("http://b%C3%BCcher.example/%7Ea%2f", ("http", "", "b%C3%BCcher.example", 80, "/%7Ea%2f", None, None)),
    ("//h/x", ("", "", "h", 0, "/x", None, None)),
    ("//h:80", ("", "", "h", 80, "", None, None)),
    ("/a:b", ("", "", "", 0, "/a:b", None, None)),
    ("a/b:c", ("", "", "", 0, "a/b:c", None, None)),
    ("./a:b", ("", "", "", 0, "./a:b", None, None)),
    ("?a:b", ("", "", "", 0, "", "a:b", None)),
    ("#a:b", ("", "", "", 0, "", None, "a:b")),
    ("file:///etc/hosts", ("file", "", "", 0, "/etc/hosts", None, None)),
    ("ftp://ftp.is.co.za/rfc/rfc1808.txt", ("ftp", "", "ftp.is.co.za", 0, "/rfc/rfc1808.txt", None, None)),
    ("ldap://[2001:db8::7]/c=GB?objectClass?one",
     ("ldap", "", "2001:db8::7", 0, "/c=GB", "objectClass?one", None)),
    ("mailto:John.Doe@example.com", ("mailto", "", "", 0, "John.Doe@example.com", None, None)),
    ("tel:+1-816-555-1212", ("tel", "", "", 0, "+1-816-555-1212", None, None)),
    ("urn:oasis:names:specification:docbook:dtd:xml:4.1.2",
     ("urn", "", "", 0, "oasis:names:specification:docbook:dtd:xml:4.1.2", None, None)),
    ("data:,A%20b", ("data", "", "", 0, ",A%20b", None, None)),
    ("a+b-c.9:/x", ("a+b-c.9", "", "", 0, "/x", None, None)),
]


@pytest.mark.parametrize("text, parts", PARTS)
def test_parse_and_format_undo_each_other(
        text: str, parts: tuple[str, str, str, int, str, str | None, str | None]) -> None:
    uri = Uri.parse(text)
    scheme, user_info, host, port, path, query, fragment = parts
    assert (uri.scheme, uri.user_info, uri.host, uri.port, uri.path) == (scheme, user_info, host, port, path)
    assert (uri.query, uri.has_query) == (query or "", query is not None)
    assert (uri.fragment, uri.has_fragment) == (fragment or "", fragment is not None)
    assert uri.is_absolute == (scheme != "" and fragment is None)
    assert str(uri) == text
    assert Uri.parse(str(uri)) == uri
    assert Uri.try_parse(text) == uri
    assert uri.replace() == uri
    assert uri.resolve("") == (uri.replace(fragment=None))


@pytest.mark.parametrize("text, normal", [
    ("HTTP://EXAMPLE.com/A?B#C", "http://example.com/A?B#C"),
    ("http://h:80/", "http://h/"),
    ("https://h:443", "https://h"),
    ("http://h:443/", "http://h:443/"),
    ("http://h:/", "http://h/"),
    ("http://h:0080/", "http://h/"),
    ("http://h:08080/", "http://h:8080/"),
    ("http://@h/", "http://h/"),
    ("http://[2001:DB8::A]/", "http://[2001:db8::a]/"),
    ("http://[FE80::1%25Eth0]/", "http://[fe80::1%25Eth0]/"),
    ("http://[fe80::1%eth0]/", "http://[fe80::1%25eth0]/"),
    ("http://[V1.A]/", "http://[v1.a]/"),
    ("http://B\u00dccher.example/", "http://b%C3%BCcher.example/"),
    ("http://ex%41mple%2ecom%c3%bc/", "http://example.com%C3%BC/"),
    ("http://h/a|b[c]^{d}`\"<e>\\f", "http://h/a%7Cb%5Bc%5D%5E%7Bd%7D%60%22%3Ce%3E%5Cf"),
    ("http://h/?a|b[c]^{d}`\"<e>\\f", "http://h/?a%7Cb%5Bc%5D%5E%7Bd%7D%60%22%3Ce%3E%5Cf"),
    ("#a|b[c]#d", "#a%7Cb%5Bc%5D%23d"),
    ("http://h/\u00fc?\u00fc#\u00fc\U0001f600", "http://h/%C3%BC?%C3%BC#%C3%BC%F0%9F%98%80"),
    ("?100%&a=%4&b=%zz&c=%41%", "?100%25&a=%254&b=%25zz&c=%41%25"),
    ("#100%", "#100%25"),
    ("http://a{b@h/", "http://a%7Bb@h/"),
    ("/%7e/%C3%bc", "/%7e/%C3%bc"),
    ("/a/./b/../c", "/a/./b/../c"),
])
def test_parse_normalizes(text: str, normal: str) -> None:
    uri = Uri.parse(text)
    assert str(uri) == normal
    assert Uri.parse(normal) == uri


@pytest.mark.parametrize("text, message", [
    ("http://h/a b", "no blank or control"), ("http://h/\x00", "no blank or control"),
    ("http://h/?a\r\nb", "no blank or control"), ("\thttp://h/", "no blank or control"),
    ("http://h/\x7f", "no blank or control"), ("/a\n", "no blank or control"),
    ("1a:b", "expected a scheme"), (":80", "expected a scheme"), ("a_b:c", "expected a scheme"),
    ("\u00e4:c", "expected a scheme"), ("-a://h/", "expected a scheme"), ("%41:b", "expected a scheme"),
    ("http://h:x/", r"expected \[user@\]host\[:port\]"), ("http://h:-1/", r"expected \[user@\]host\[:port\]"),
    ("http://h:1:2/", r"expected \[user@\]host\[:port\]"),
    ("http://a@b@c/", r"expected \[user@\]host\[:port\]"),
    ("http://[::1", r"expected \[user@\]host\[:port\]"), ("http://::1/", r"expected \[user@\]host\[:port\]"),
    ("http://[::1]x/", r"expected \[user@\]host\[:port\]"),
    ("http://a[b]/", r"expected \[user@\]host\[:port\]"),
    ("http://h:\u0661/", r"expected \[user@\]host\[:port\]"),
    ("http://h:65536/", "expected a port"), ("http://h:99999/", "expected a port"),
    ("http://h:123456/", "expected a port"), ("http://h:" + "9" * 5000, "expected a port"),
    ("http://h\\x/", "expected a host"), ("http://h|x/", "expected a host"),
    ("http://h<x>/", "expected a host"),
    ("http://h%/", "expected a host"), ("http://h%zz/", "expected a host"),
    ("http://{h}/", "expected a host"),
    ("http://[]/", "expected an IPv6 address"), ("http://[1]/", "expected an IPv6 address"),
    ("http://[::1%]/", "expected an IPv6 address"), ("http://[::1%25]/", "expected an IPv6 address"),
    ("http://[v1]/", "expected an IPv6 address"), ("http://[127.0.0.1]/", "expected an IPv6 address"),
    ("http://h/%", "two hexadecimal digits"), ("http://h/%a", "two hexadecimal digits"),
    ("/%zz", "two hexadecimal digits"), ("/100%/x", "two hexadecimal digits"),
    ("/\ud800", "surrogates"),
])
def test_parse_refuses(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Uri.parse(text)
    assert Uri.try_parse(text) is None


@pytest.mark.parametrize("address, valid", [
    ("::", True), ("::1", True), ("1::", True), ("1:2:3:4:5:6:7:8", True), ("1:2:3:4:5:6:1.2.3.4", True),
    ("::1.2.3.4", True), ("1::1.2.3.4", True), ("1:2:3:4:5:6:7::", True), ("::2:3:4:5:6:7:8", True),
    ("ffff:FFFF::", True),
    (":", False), (":::", False), ("1:2", False), ("1:2:3:4:5:6:7", False), ("1:2:3:4:5:6:7:8:9", False),
    ("1::2::3", False), ("12345::", False), (":1::", False), ("1::2:", False), ("::1.2.3", False),
    ("::1.2.3.256", False), ("::1.2.3.04", False), ("1.2.3.4::", False), ("1.2.3.4::5", False),
    ("::g", False),
    ("1:2:3:4:5:6:7:1.2.3.4", False), ("1:2:3:4:5:6:7:8::", False), (".", False),
])
def test_ipv6_literals(address: str, valid: bool) -> None:
    assert (Uri.try_parse(f"http://[{address}]/") is not None) == valid


@pytest.mark.parametrize("value", [None, b"http://h/", 5])
def test_parse_takes_only_text(value: Any) -> None:
    for call in (Uri.parse, Uri.try_parse, Uri.parse("http://h/").resolve):
        with pytest.raises(TypeError, match="expected a str as URI"):
            call(value)


# ---------------------------------------------------------------- RFC 3986 5.4

BASE = "http://a/b/c/d;p?q"

NORMAL_EXAMPLES = [
    ("g:h", "g:h"), ("g", "http://a/b/c/g"), ("./g", "http://a/b/c/g"), ("g/", "http://a/b/c/g/"),
    ("/g", "http://a/g"), ("//g", "http://g"), ("?y", "http://a/b/c/d;p?y"), ("g?y", "http://a/b/c/g?y"),
    ("#s", "http://a/b/c/d;p?q#s"), ("g#s", "http://a/b/c/g#s"), ("g?y#s", "http://a/b/c/g?y#s"),
    (";x", "http://a/b/c/;x"), ("g;x", "http://a/b/c/g;x"), ("g;x?y#s", "http://a/b/c/g;x?y#s"),
    ("", "http://a/b/c/d;p?q"), (".", "http://a/b/c/"), ("./", "http://a/b/c/"), ("..", "http://a/b/"),
    ("../", "http://a/b/"), ("../g", "http://a/b/g"), ("../..", "http://a/"), ("../../", "http://a/"),
    ("../../g", "http://a/g"),
]

ABNORMAL_EXAMPLES = [
    ("../../../g", "http://a/g"), ("../../../../g", "http://a/g"), ("/./g", "http://a/g"),
    ("/../g", "http://a/g"),
    ("g.", "http://a/b/c/g."), (".g", "http://a/b/c/.g"), ("g..", "http://a/b/c/g.."),
    ("..g", "http://a/b/c/..g"),
    ("./../g", "http://a/b/g"), ("./g/.", "http://a/b/c/g/"), ("g/./h", "http://a/b/c/g/h"),
    ("g/../h", "http://a/b/c/h"), ("g;x=1/./y", "http://a/b/c/g;x=1/y"), ("g;x=1/../y", "http://a/b/c/y"),
    ("g?y/./x", "http://a/b/c/g?y/./x"), ("g?y/../x", "http://a/b/c/g?y/../x"),
    ("g#s/./x", "http://a/b/c/g#s/./x"),
    ("g#s/../x", "http://a/b/c/g#s/../x"),
    # "for strict parsers"; the other answer is "for backward compatibility".
    ("http:g", "http:g"),
]


@pytest.mark.parametrize("reference, target", NORMAL_EXAMPLES + ABNORMAL_EXAMPLES)
def test_resolve_rfc_3986_5_4(reference: str, target: str) -> None:
    base = Uri.parse(BASE)
    assert str(base.resolve(reference)) == target
    assert base.resolve(Uri.parse(reference)) == Uri.parse(target)


@pytest.mark.parametrize("base, reference, target", [
    ("http://a", "g", "http://a/g"), ("http://a", "../g", "http://a/g"), ("http://a?q", "g", "http://a/g"),
    ("http://a", "?y", "http://a?y"), ("http://a/b?q#f", "", "http://a/b?q"),
    ("http://u@a:81/b", "/g", "http://u@a:81/g"),
    ("http://a/b", "//h:80/c", "http://h/c"), ("https://a/b", "//h:80/c", "https://h:80/c"),
    ("http://a/b", "HTTPS://H/../c", "https://h/c"), ("http://a/b//c", "../d", "http://a/b/d"),
    ("http://a/b/", "..//../d", "http://a/d"), ("http://a/b/", "..//d", "http://a//d"),
    ("http://a/b", "//h", "http://h"), ("http://a/b", "//h/./x/..", "http://h/"),
    ("mailto:a@b", "c@d", "mailto:c@d"), ("urn:a/../../b", "", "urn:a/../../b"),
    ("urn:x", "a/../../b", "urn:/b"),
    ("urn:x", "../b", "urn:b"), ("urn:x", "./b", "urn:b"), ("urn:x", "..", "urn:"),
    ("urn:x", "a/..", "urn:/"),
    ("x:/a", "..//b", "x:/.//b"), ("x:/a/b", "..//..//b", "x:/.//b"),
    ("a/b/c", "d", "a/b/d"), ("a/b/c", "../d", "a/d"), ("a/b/c", "../../../d", "../d"),
    ("a/b", "../..", "../"),
    ("a/b", "..", "./"), ("a/b", ".", "a/"), ("a", "b:c", "b:c"), ("a", "./b:c", "./b:c"),
    ("/a/b", "../../../c", "/c"),
    ("", "a", "a"), ("?q", "a", "a"), ("?q", "", "?q"), ("../a", "../b", "../../b"),
    ("file:///a/b", "../../c", "file:///c"),
])
def test_resolve(base: str, reference: str, target: str) -> None:
    assert str(Uri.parse(base).resolve(reference)) == target


@pytest.mark.parametrize("text, normal", [
    ("http://h/a/./b/../c", "http://h/a/c"), ("http://h/..", "http://h/"), ("http://h", "http://h"),
    ("/a/b/../../../c/.", "/c/"), ("a/../../b", "../b"), ("a/..", "./"), ("./a", "a"), ("../..", "../../"),
    ("http://h/a/%2e%2E/b", "http://h/a/%2e%2E/b"), ("http://h/a.b/..c/d..", "http://h/a.b/..c/d.."),
    ("x:a/../b:c", "x:/b:c"), ("a/../b:c", "./b:c"), ("/a/..//b", "/.//b"), ("/.//b", "/.//b"),
])
def test_normalize_path(text: str, normal: str) -> None:
    uri = Uri.parse(text).normalize_path()
    assert str(uri) == normal
    assert uri.normalize_path() == uri


# ---------------------------------------------------------------- parts

@pytest.mark.parametrize("text, segments", [
    ("", []), ("/", []), ("http://h", []), ("/a", ["a"]), ("a", ["a"]), ("/a/", ["a", ""]),
    ("/a//b", ["a", "", "b"]),
    ("http://h//a", ["", "a"]), ("/a%20b/%C3%BC/c%2Fd", ["a b", "\u00fc", "c/d"]),
    ("/%FF%C3", ["\ufffd\ufffd"]),
    ("/a+b", ["a+b"]), ("/%2e%2e/..", ["..", ".."]), ("/%00", ["\x00"]),
])
def test_path_segments(text: str, segments: list[str]) -> None:
    uri = Uri.parse(text)
    assert list(uri.path_segments) == segments
    assert uri.path_segments is uri.path_segments


@pytest.mark.parametrize("query, last, every", [
    ("", {}, {}),
    ("a=b", {"a": "b"}, {"a": ["b"]}),
    ("a=1&a=2&b=3", {"a": "2", "b": "3"}, {"a": ["1", "2"], "b": ["3"]}),
    ("a", {"a": ""}, {"a": [""]}),
    ("a=&&b", {"a": "", "b": ""}, {"a": [""], "b": [""]}),
    ("a=b=c", {"a": "b=c"}, {"a": ["b=c"]}),
    ("a+b=c+d%2Be", {"a b": "c d+e"}, {"a b": ["c d+e"]}),
    ("%C3%BC=%F0%9F%98%80", {"\u00fc": "\U0001f600"}, {"\u00fc": ["\U0001f600"]}),
    ("a=%FF&b=%", {"a": "\ufffd", "b": "%"}, {"a": ["\ufffd"], "b": ["%"]}),
    ("a%3Db=c%26d", {"a=b": "c&d"}, {"a=b": ["c&d"]}),
    ("a;b=c", {"a;b": "c"}, {"a;b": ["c"]}),
    ("=x&y=z", {"y": "z"}, {"": ["x"], "y": ["z"]}),
    ("a?b/c=d", {"a?b/c": "d"}, {"a?b/c": ["d"]}),
])
def test_query_parameters(query: str, last: dict[str, str], every: dict[str, list[str]]) -> None:
    uri = Uri.parse("http://h/?" + query)
    assert uri.query_parameters == last
    assert uri.query_parameters is uri.query_parameters
    assert uri.query_parameters_all == every
    assert Uri.parse("/").query_parameters == {} == Uri.parse("/").query_parameters_all


@pytest.mark.parametrize("text, authority, origin, has_port", [
    ("http://h/x", "h", "http://h", False), ("http://h:80/x", "h", "http://h", False),
    ("https://u:p@H:8443", "u:p@h:8443", "https://h:8443", True),
    ("http://[::1]:81/", "[::1]:81", "http://[::1]:81", True),
    ("ftp://h:21/", "h:21", None, True), ("/x", "", None, False), ("//h:1/", "h:1", None, True),
    ("http:///x", "", None, False), ("file:///x", "", None, False),
])
def test_authority_origin_and_port(text: str, authority: str, origin: str | None, has_port: bool) -> None:
    uri = Uri.parse(text)
    assert (uri.authority, uri.has_port) == (authority, has_port)
    if origin is None:
        with pytest.raises(StateError, match="expected an http or https URI with a host"):
            uri.origin
    else:
        assert uri.origin == origin


def test_immutable() -> None:
    uri = Uri.parse("http://h/a?b=c#d")
    for name in ("scheme", "host", "port", "path", "path_segments", "query", "query_parameters", "other"):
        with pytest.raises(AttributeError):
            setattr(uri, name, "x")
    with pytest.raises(TypeError):
        uri.query_parameters["b"] = "x"  # type: ignore[index]
    with pytest.raises(TypeError):
        uri.path_segments[0] = "x"  # type: ignore[index]
    uri.query_parameters_all["b"].append("x")
    assert uri.query_parameters_all == {"b": ["c"]}
    assert str(uri) == "http://h/a?b=c#d"


def test_as_a_value() -> None:
    uri = Uri.parse("HTTP://H/a")
    assert uri == Uri.parse("http://h/a") == Uri(scheme="http", host="h", path="a")
    assert hash(uri) == hash(Uri.parse("http://h/a"))
    assert len({uri, Uri.parse("http://h/a"), Uri.parse("http://h/b")}) == 2
    assert uri != "http://h/a" and uri != Uri.parse("http://h/A")
    assert repr(uri) == "Uri('http://h/a')"
    for text in ("http://h/a?b#c", ""):
        value = Uri.parse(text)
        assert copy.copy(value) == copy.deepcopy(value) == pickle.loads(pickle.dumps(value)) == value


# ---------------------------------------------------------------- from parts

@pytest.mark.parametrize("parts, text", [
    ({}, ""),
    ({"scheme": "HTTP", "host": "H"}, "http://h"),
    ({"scheme": "http", "host": "h", "path": "x"}, "http://h/x"),
    ({"scheme": "http", "host": "::1", "port": 81}, "http://[::1]:81"),
    ({"scheme": "http", "host": "[::1]", "port": 80}, "http://[::1]"),
    ({"scheme": "http", "host": "fe80::1%eth0"}, "http://[fe80::1%25eth0]"),
    ({"scheme": "http", "user_info": "u:p@q", "host": "h"}, "http://u:p%40q@h"),
    ({"scheme": "http", "host": "b\u00fccher"}, "http://b%C3%BCcher"),
    ({"path": "/a b/\u00fc%41%/?#[]"}, "/a%20b/%C3%BC%41%25/%3F%23%5B%5D"),
    ({"path": "a:b"}, "./a:b"),
    ({"path": "//a/b"}, "/.//a/b"),
    ({"scheme": "x", "path": "//a/b"}, "x:/.//a/b"),
    ({"host": "h", "path": "//a/b"}, "//h//a/b"),
    ({"path_segments": ["a", "b c", "d/e?f#g%41", "\u00fc"]}, "a/b%20c/d%2Fe%3Ff%23g%2541/%C3%BC"),
    ({"host": "h", "path_segments": ["a", ""]}, "//h/a/"),
    ({"scheme": "http", "host": "h", "path_segments": iter(["a"])}, "http://h/a"),
    ({"query": "a b=\u00fc&c=%41#"}, "?a%20b=%C3%BC&c=%41%23"),
    ({"query": ""}, "?"),
    ({"query_parameters": {"a b": "c&d=e+f", "\u00fc": ["1", "2"], "x": ""}},
     "?a+b=c%26d%3De%2Bf&%C3%BC=1&%C3%BC=2&x"),
    ({"query_parameters": {"a": []}}, "?"),
    ({"query_parameters": {}}, ""),
    ({"fragment": "a b#c"}, "#a%20b%23c"),
    ({"fragment": ""}, "#"),
    ({"scheme": "file", "path": "/a"}, "file:///a"),
    ({"scheme": "mailto", "path": "a@b"}, "mailto:a@b"),
    ({"scheme": "http", "host": "h", "path": "/a\r\nb"}, "http://h/a%0D%0Ab"),
    ({"port": 5}, "//:5"),
])
def test_constructor(parts: dict[str, Any], text: str) -> None:
    uri = Uri(**parts)
    assert str(uri) == text
    assert Uri.parse(text) == uri


@pytest.mark.parametrize("parts, error", [
    ({"scheme": "1x"}, ValueError), ({"scheme": "a b"}, ValueError), ({"host": "a/b"}, ValueError),
    ({"host": "a b"}, ValueError), ({"host": "a@b"}, ValueError), ({"host": "1:2"}, ValueError),
    ({"host": "h", "port": -1}, ValueError), ({"host": "h", "port": 65536}, ValueError),
    ({"host": "h", "port": 1.5}, TypeError),
    ({"path": "a", "path_segments": ["b"]}, ValueError), ({"query": "a", "query_parameters": {}}, ValueError),
    ({"path_segments": "abc"}, TypeError), ({"query_parameters": {"a": b"c"}}, TypeError),
    ({"other": 1}, TypeError),
])
def test_constructor_refuses(parts: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Uri(**parts)


@pytest.mark.parametrize("arguments, text", [
    (("h",), "http://h"), (("h", "/a b"), "http://h/a%20b"), (("h", "a/b"), "http://h/a/b"),
    (("u@h:81", "/"), "http://u@h:81/"), (("[::1]:8080", "/"), "http://[::1]:8080/"),
    (("h", "/100%/%41?#"), "http://h/100%25/%2541%3F%23"),
    (("h", "/", {"a": 1, "b": [2, "x y"], "c": None, "d": ""}), "http://h/?a=1&b=2&b=x+y&c&d"),
    (("h", "", {"q": "\u00fc"}), "http://h?q=%C3%BC"), (("h", "/", {}), "http://h/"),
])
def test_http_and_https(arguments: tuple[Any, ...], text: str) -> None:
    assert str(Uri.http(*arguments)) == text
    assert str(Uri.https(*arguments)) == text.replace("http:", "https:")
    assert str(Uri.http("h:80")) == "http://h" and str(Uri.https("h:443")) == "https://h"


@pytest.mark.parametrize("authority", ["", ":80", "a b", "h:x", "a/b", "h?q"])
def test_http_refuses(authority: str) -> None:
    with pytest.raises(ValueError):
        Uri.http(authority, "/")


@pytest.mark.parametrize("text, parts, result", [
    ("http://h/a?b#c", {}, "http://h/a?b#c"),
    ("http://h/a", {"scheme": "https"}, "https://h/a"),
    ("http://h:443/a", {"scheme": "https"}, "https://h/a"),
    ("http://h/a", {"host": "Other", "port": 81}, "http://other:81/a"),
    ("http://h:81/a", {"port": None}, "http://h/a"),
    ("http://h:81/a", {"port": 80}, "http://h/a"),
    ("http://u@h:81/a", {"host": None}, "http:/a"),
    ("http://u@h:81/a", {"host": ""}, "http:/a"),
    ("http://u@h/a", {"user_info": None}, "http://h/a"),
    ("http://h/a", {"user_info": "x:y"}, "http://x:y@h/a"),
    ("/a?b", {"scheme": "http", "host": "h"}, "http://h/a?b"),
    ("/a", {"user_info": ""}, "/a"),
    ("/a", {"port": 5}, "//:5/a"),
    ("http://h/a?b#c", {"path": "d e"}, "http://h/d%20e?b#c"),
    ("http://h/a", {"path": None}, "http://h"),
    ("http://h/a", {"path_segments": ["x/y", "z"]}, "http://h/x%2Fy/z"),
    ("http://h/a?b#c", {"query": "d e"}, "http://h/a?d%20e#c"),
    ("http://h/a?b#c", {"query": None, "fragment": None}, "http://h/a"),
    ("http://h/a?b", {"query_parameters": {"x": "y z"}}, "http://h/a?x=y+z"),
    ("http://h/a?b", {"query_parameters": {}}, "http://h/a"),
    ("http://h/a", {"fragment": ""}, "http://h/a#"),
    ("http://h/a", {"scheme": None, "host": None}, "/a"),
    ("foo:///bar", {"query": "x"}, "foo:///bar?x"),
])
def test_replace(text: str, parts: dict[str, Any], result: str) -> None:
    uri = Uri.parse(text)
    assert str(uri.replace(**parts)) == result
    assert str(uri) == text


@pytest.mark.parametrize("parts, error", [
    ({"authority": "h"}, TypeError), ({"path": "a", "path_segments": []}, ValueError),
    ({"query": None, "query_parameters": {}}, ValueError), ({"scheme": "a b"}, ValueError),
    ({"host": "a b"}, ValueError), ({"port": "x"}, ValueError), ({"port": 99999}, ValueError),
])
def test_replace_refuses(parts: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Uri.parse("http://h/").replace(**parts)


# ---------------------------------------------------------------- request targets

@pytest.mark.parametrize("target, text, host, path, query", [
    ("/", "/", "", "/", None),
    ("/a/b?c=d", "/a/b?c=d", "", "/a/b", "c=d"),
    ("/?", "/?", "", "/", ""),
    ("/a?b?c", "/a?b?c", "", "/a", "b?c"),
    ("/%7ea/../b", "/%7ea/../b", "", "/%7ea/../b", None),
    ("/a|b?c[]={d}&e=100%", "/a%7Cb?c%5B%5D=%7Bd%7D&e=100%25", "", "/a%7Cb", "c%5B%5D=%7Bd%7D&e=100%25"),
    ("/a\\b", "/a%5Cb", "", "/a%5Cb", None),
    ("/100%", "/100%25", "", "/100%25", None),
    ("/a:b", "/a:b", "", "/a:b", None),
    ("//evil/x", "//evil/x", "", "//evil/x", None),
    ("//evil/x?y", "//evil/x?y", "", "//evil/x", "y"),
    ("///x", "///x", "", "///x", None),
    ("//|", "//%7C", "", "//%7C", None),
    ("http://H/x?y", "http://h/x?y", "h", "/x", "y"),
    ("http://h:8080", "http://h:8080", "h", "", None),
    ("http://h/a|b", "http://h/a%7Cb", "h", "/a%7Cb", None),
    ("*", "*", "", "*", None),
    ("example.com:443", "example.com:443", "example.com", "", None),
    ("Example.com:80", "example.com:80", "example.com", "", None),
    ("[::1]:443", "[::1]:443", "::1", "", None),
    # What the head's parser should have refused does not raise here either.
    ("http://[x/y", "http://%5Bx/y", "", "http://%5Bx/y", None),
    ("http://h/%zz", "http://h/%25zz", "", "http://h/%25zz", None),
    ("x", "x", "", "x", None),
    ("u@h:1", "u@h:1", "", "u@h:1", None),
    ("%", "%25", "", "%25", None),
    ("", "", "", "", None),
])
def test_targets(target: str, text: str, host: str, path: str, query: str | None) -> None:
    uri = Uri.from_target(target)
    assert (str(uri), uri.host, uri.path) == (text, host, path)
    assert (uri.query, uri.has_query) == (query or "", query is not None)
    assert pickle.loads(pickle.dumps(uri)) == uri


def test_a_target_with_two_slashes_never_names_a_host() -> None:
    uri = Uri.from_target("//evil.example/x/y?z")
    assert (uri.authority, uri.host, uri.scheme) == ("", "", "")
    assert list(uri.path_segments) == ["", "evil.example", "x", "y"]
    assert uri != Uri.parse("//evil.example/x/y?z")
    # What is made from it reads as the same path, whatever parses it again.
    site = Uri.parse("http://good.example/")
    for made in (uri.replace(query="q"), uri.resolve("w"), uri.resolve("?w"), uri.resolve("#w"),
                 uri.replace(path_segments=["", "", "evil.example"]), uri.normalize_path()):
        assert site.resolve(str(made)).host == "good.example", made
    assert str(uri.replace(scheme="http", host="h")) == "http://h//evil.example/x/y?z"
    assert str(uri.resolve("/a")) == "/a"
    assert site.resolve(uri).host == "good.example"


def test_targets_never_raise() -> None:
    source = random.Random(1)
    visible = [chr(code) for code in range(0x21, 0x7f) if code != 0x23]
    tricky = ["/", "//", ":", "?", "@", "[", "]", "%", "%41", "%zz", "://", "http://", "*", "::", "..",
              "\\", "h:80"]
    for _ in range(20_000):
        target = "".join(source.choices(visible + tricky * 6, k=source.randrange(12)))
        uri = Uri.from_target(target)
        for part in (str(uri), uri.path, uri.query, uri.host, uri.authority, uri.path_segments,
                     uri.query_parameters, uri.query_parameters_all, uri.port, repr(uri)):
            assert part is not None
        for made in (uri.resolve("x"), uri.normalize_path(), uri.replace(scheme="http", host="h"),
                     uri.replace(query="q")):
            assert Uri.parse(str(made)) == made
        assert all("\x21" <= character <= "\x7e" for character in str(uri))


def test_any_text_parses_or_is_a_value_error() -> None:
    source = random.Random(2)
    alphabet = [chr(code) for code in range(0x21, 0x7f)]
    alphabet += ["\u00fc", "\U0001f600", "%41", "%C3%BC", "//", "://", "http://"]
    parsed = 0
    for _ in range(20_000):
        uri = Uri.try_parse("".join(source.choices(alphabet, k=source.randrange(12))))
        if uri is not None:
            parsed += 1
            assert Uri.parse(str(uri)) == uri
            assert str(Uri.parse(str(uri))) == str(uri)
            again = Uri.parse("http://base/x/y").resolve(uri)
            assert Uri.parse(str(again)) == again
    assert parsed > 5_000


def test_long_input_takes_linear_time() -> None:
    for text in ("http://" + "a@" * 100_000, "/" + "%41" * 200_000, "?" + "|" * 200_000, "a" * 400_000 + ":",
                 "http://" + "a" * 400_000 + "\\", "http://[" + ":" * 200_000 + "]/", "/" + "../" * 200_000,
                 "http://h:" + "0" * 400_000 + "1", "a/" + "../" * 100_000):
        uri = Uri.try_parse(text)
        if uri is not None:
            Uri.parse("http://h/x").resolve(uri).path_segments


# ---------------------------------------------------------------- encoding

@pytest.mark.parametrize("text, component, query_component", [
    ("", "", ""), ("aZ09-_.~", "aZ09-_.~", "aZ09-_.~"), ("a b+c", "a%20b%2Bc", "a+b%2Bc"),
    ("!*'()", "!*'()", "%21%2A%27%28%29"), ("/?#[]@:&=$,;%", "%2F%3F%23%5B%5D%40%3A%26%3D%24%2C%3B%25",
                                            "%2F%3F%23%5B%5D%40%3A%26%3D%24%2C%3B%25"),
    ("\u00fc\U0001f600", "%C3%BC%F0%9F%98%80", "%C3%BC%F0%9F%98%80"),
    ("\x00\n\x7f", "%00%0A%7F", "%00%0A%7F"),
])
def test_encode_components(text: str, component: str, query_component: str) -> None:
    assert Uri.encode_component(text) == component
    assert Uri.decode_component(component) == text
    assert Uri.encode_query_component(text) == query_component
    assert Uri.split_query_string(f"k={query_component}") == {"k": text}


@pytest.mark.parametrize("text, decoded", [
    ("a+b", "a+b"), ("%c3%bc", "\u00fc"), ("\u00fc%41", "\u00fcA"), ("%25", "%"), ("%2541", "%41")])
def test_decode_component(text: str, decoded: str) -> None:
    assert Uri.decode_component(text) == decoded


@pytest.mark.parametrize("text", [
    "%", "a%4", "%zz", "%%41", "%\u0661\u0661", "%FF", "%C3", "%C3%28", "%ED%A0%80"])
def test_decode_component_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="two hexadecimal digits|percent-encoded utf-8"):
        Uri.decode_component(text)
    for query in (f"{text}=a", f"a={text}"):
        with pytest.raises(ValueError, match="two hexadecimal digits|percent-encoded utf-8"):
            Uri.split_query_string(query)


def test_a_lone_surrogate_is_a_value_error() -> None:
    for call in (Uri.encode_component, Uri.encode_query_component):
        with pytest.raises(ValueError, match="surrogates"):
            call("\ud800")


@pytest.mark.parametrize("query, encoding, parameters", [
    ("", "utf-8", {}), ("a=1&a=2&b=c+d", "utf-8", {"a": "2", "b": "c d"}),
    ("a&b=&=c&&", "utf-8", {"a": "", "b": ""}),
    ("a=%FC", "latin-1", {"a": "\u00fc"}), ("\u00fc%FC=\u20ac+%FC", "latin-1", {"\u00fc\u00fc": "\u20ac \u00fc"}),
    ("%A4=%A4", "iso-8859-15", {"\u20ac": "\u20ac"}),
])
def test_split_query_string(query: str, encoding: str, parameters: Mapping[str, str]) -> None:
    assert Uri.split_query_string(query, encoding=encoding) == parameters


def test_split_query_string_of_an_unknown_encoding() -> None:
    with pytest.raises(LookupError):
        Uri.split_query_string("a=%41", encoding="no-such-encoding")
