"""HttpHeaders as names and texts: what is kept, what is refused, what goes out."""
from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, MutableMapping
from datetime import datetime, timezone
from typing import Any

import pytest

from blockingio.errors import HttpException
from blockingio.values.cookie import Cookie
from blockingio.values.header_names import SINGLE_VALUED
from blockingio.values.header_value import ContentType, HeaderValue
from blockingio.values.headers import HttpHeaders
from blockingio.values.status import HttpStatus
from blockingio.values.uri import Uri

DATE = datetime(1994, 11, 6, 8, 49, 37, tzinfo=timezone.utc)


def headers_of(*fields: tuple[str, object]) -> HttpHeaders:
    headers = HttpHeaders()
    for name, value in fields:
        headers.add(name, value)
    return headers


# ---------------------------------------------------------------- names

@pytest.mark.parametrize("constant", [name for name in dir(HttpHeaders) if name.endswith("_HEADER")])
def test_constants_are_the_names(constant: str) -> None:
    assert getattr(HttpHeaders, constant) == constant.removesuffix("_HEADER").lower().replace("_", "-")


def test_constants_are_all_there() -> None:
    assert HttpHeaders.CONTENT_DISPOSITION == "content-disposition"
    names = {getattr(HttpHeaders, name) for name in dir(HttpHeaders) if name.endswith("_HEADER")}
    assert len(names) == 58
    assert {"access-control-max-age", "www-authenticate", "content-md5", "te", "set-cookie"} <= names
    lists = (HttpHeaders.GENERAL_HEADERS, HttpHeaders.ENTITY_HEADERS, HttpHeaders.RESPONSE_HEADERS,
             HttpHeaders.REQUEST_HEADERS)
    assert [len(members) for members in lists] == [9, 10, 10, 19]
    assert len({name for members in lists for name in members} & names) == 48


@pytest.mark.parametrize("name", ["Content-Type", "content-type", "CONTENT-TYPE", "cOnTeNt-TyPe"])
def test_names_have_no_case(name: str) -> None:
    headers = HttpHeaders()
    headers.set(name, "text/html")
    assert headers["content-type"] == headers["CONTENT-TYPE"] == headers.value("Content-type") == "text/html"
    assert "CONTENT-type" in headers and headers.get_all("Content-TYPE") == ["text/html"]
    assert list(headers) == ["content-type"]
    headers.remove_all("CONTENT-TYPE")
    assert "content-type" not in headers


@pytest.mark.parametrize("name", [
    "", " ", "a b", "a:", ":a", "a\r\nb", "a\n", "\x00", "\u00e4", "a(b)", '"a"', "a/b", "a,b", "a=b",
    "\u212a"])
@pytest.mark.parametrize("change", [
    lambda headers, name: headers.set(name, "x"),
    lambda headers, name: headers.add(name, "x"),
    lambda headers, name: headers.remove(name, "x"),
    lambda headers, name: headers.remove_all(name),
    lambda headers, name: headers.no_folding(name),
    lambda headers, name: headers.__setitem__(name, "x"),
])
def test_bad_names(change: Callable[[HttpHeaders, str], None], name: str) -> None:
    headers = HttpHeaders()
    with pytest.raises(ValueError, match="a field name is a token"):
        change(headers, name)
    assert headers.encode() == b""
    assert name not in headers and headers.get_all(name) == [] and headers.value(name) is None


@pytest.mark.parametrize("name", [None, 5, b"a"])
def test_names_are_text(name: Any) -> None:
    headers = HttpHeaders()
    assert name not in headers
    for call in (lambda: headers.set(name, "x"), lambda: headers[name], lambda: headers.value(name),
                 lambda: headers.get_all(name)):
        with pytest.raises(TypeError, match="a field name is a str"):
            call()


def test_made_up_names_do_not_pile_up() -> None:
    from blockingio.values.header_names import known_names
    before = dict(known_names)
    try:
        for number in range(3000):
            HttpHeaders().set(f"x-{number}", "y")
        HttpHeaders().set("x" * 1000, "y")
        assert len(known_names) == 1024 and "x" * 1000 not in known_names
        headers = headers_of(("X-2999", "z"))
        assert headers["x-2999"] == "z"
    finally:
        known_names.clear()
        known_names.update(before)


# ---------------------------------------------------------------- values

@pytest.mark.parametrize("value, text", [
    ("", ""), ("x", "x"), ("  x y\t", "x y"), ("a\tb", "a\tb"), ("\u00e4\xff\x80", "\u00e4\xff\x80"),
    (5, "5"),
    (True, "True"), (1.5, "1.5"), (DATE, "Sun, 06 Nov 1994 08:49:37 GMT"),
    (ContentType.TEXT, "text/plain; charset=utf-8"),
    (HeaderValue("a", {"b": "c d"}), 'a; b="c d"'), (Uri.parse("http://h/x"), "http://h/x"),
    (Cookie("a", "b"), "a=b; HttpOnly"), (HttpStatus.OK, "200"), (HttpHeaders.AGE_HEADER, "age"),
])
def test_values_become_text(value: object, text: str) -> None:
    headers = HttpHeaders()
    headers.set("x", value)
    assert headers.get_all("x") == [text]
    headers.remove("x", value)
    assert "x" not in headers
    headers.add("x", value)
    headers["y"] = value
    assert headers["x"] == headers["y"] == text
    assert headers.encode() == f"x: {text}\r\ny: {text}\r\n".encode("latin-1")


class Text(str):
    def __str__(self) -> str:
        return "another"


def test_a_str_is_its_characters() -> None:
    headers = headers_of(("x", Text("this")))
    assert headers["x"] == "this" and type(headers["x"]) is str


@pytest.mark.parametrize("value, found", [
    ("a\r\nb: c", r"'\\r' at character 1"), ("a\n", r"'\\n'"), ("\ra", r"'\\r'"), ("a\x00b", r"'\\x00'"),
    ("\x7f", r"'\\x7f'"), ("\x1b[0m", r"'\\x1b'"), ("\u20ac", "latin-1 text.*'\u20ac'"),
    ("\ud800", "latin-1 text"),
    (Text("a\nb"), r"'\\n'"), (["ok", "a\nb"], r"'\\n'"), (datetime(1994, 11, 6), "naive"),
    (HeaderValue("a\r\n"), r"'\\r'"),
])
@pytest.mark.parametrize("method", ["set", "add"])
def test_bad_values(method: str, value: object, found: str) -> None:
    headers = headers_of(("x", "before"))
    with pytest.raises(ValueError, match=found):
        getattr(headers, method)("x", value)
    assert headers.get_all("x") == ["before"]


@pytest.mark.parametrize("value", [None, b"x", bytearray(b"x"), memoryview(b"x"), ["x", None]])
@pytest.mark.parametrize("method", ["set", "add"])
def test_values_of_the_wrong_type(method: str, value: object) -> None:
    headers = headers_of(("x", "before"))
    with pytest.raises(TypeError, match="a field value cannot be"):
        getattr(headers, method)("x", value)
    assert headers.get_all("x") == ["before"]


@pytest.mark.parametrize("value, texts", [
    (["a", "b"], ["a", "b"]), (("a", 1), ["a", "1"]), (iter("ab"), ["a", "b"]), ({"a": 1}.keys(), ["a"]),
    ([["a"], ["b", DATE]], ["a", "b", "Sun, 06 Nov 1994 08:49:37 GMT"]), ({"a"}, ["a"]), ([], []),
])
def test_a_list_adds_each_of_its_items(value: object, texts: list[str]) -> None:
    headers = HttpHeaders()
    headers.add("x", value)
    assert headers.get_all("x") == texts
    assert ("x" in headers) == bool(texts)


def test_an_empty_list_adds_nothing_and_sets_nothing() -> None:
    headers = headers_of(("x", "a"))
    headers.add("x", [])
    assert headers.get_all("x") == ["a"]
    headers.set("x", [])
    assert "x" not in headers


# ---------------------------------------------------------------- one value or several

@pytest.mark.parametrize("name", ["accept", "vary", "set-cookie", "x-mine", "cache-control", "via", "allow"])
def test_list_valued_names_append(name: str) -> None:
    headers = headers_of((name, "a"), (name, ["b", "c"]))
    assert headers.get_all(name) == ["a", "b", "c"]
    assert headers[name] == "a, b, c"
    with pytest.raises(HttpException, match="expected one value for the field .* found 3"):
        headers.value(name)
    headers.set(name, "d")
    assert headers.get_all(name) == ["d"]


@pytest.mark.parametrize("name", sorted(SINGLE_VALUED - {"content-length"}))
@pytest.mark.parametrize("change", ["add", "set"])
def test_single_valued_names_replace(name: str, change: str) -> None:
    headers = headers_of((name, "a"))
    getattr(headers, change)(name.upper(), "b")
    assert headers.get_all(name) == ["b"]
    getattr(headers, change)(name, ["c", "d"])
    assert headers.get_all(name) == ["d"] and headers.value(name) == "d"


def test_get_all_is_a_copy() -> None:
    headers = headers_of(("x", "a"))
    headers.get_all("x").append("b")
    assert headers.get_all("x") == ["a"]


def test_for_each() -> None:
    headers = headers_of(("b", "1"), ("a", "2"), ("b", "3"))
    seen: list[tuple[str, list[str]]] = []
    headers.for_each(lambda name, values: seen.append((name, values)))
    assert seen == [("b", ["1", "3"]), ("a", ["2"])]
    seen[0][1].clear()
    assert headers.get_all("b") == ["1", "3"]
    headers.for_each(lambda name, values: headers.remove_all(name))
    assert len(headers) == 0


# ---------------------------------------------------------------- removing

def test_remove_takes_one_value() -> None:
    headers = headers_of(("x", ["a", "b", "a"]))
    headers.remove("X", "a")
    assert headers.get_all("x") == ["b", "a"]
    headers.remove("x", "absent")
    headers.remove("y", "a")
    assert headers.get_all("x") == ["b", "a"]
    headers.remove("x", ["a", "b"])
    assert "x" not in headers


def test_remove_all_of_an_absent_field_is_nothing() -> None:
    HttpHeaders().remove_all("x")


def test_del_of_an_absent_field_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="x"):
        del HttpHeaders()["x"]


def test_clear() -> None:
    headers = headers_of(("a", "b"), ("c", "d"))
    headers.clear()
    assert len(headers) == 0 and headers.encode() == b""


# ---------------------------------------------------------------- as a mapping

def test_mapping_protocol() -> None:
    headers = HttpHeaders()
    assert isinstance(headers, MutableMapping)
    assert not headers
    headers["A"] = "1"
    headers["b"] = ["2", "3"]
    assert headers and len(headers) == 2
    assert list(headers) == list(headers.keys()) == ["a", "b"]
    assert list(headers.items()) == [("a", "1"), ("b", "2, 3")]
    assert list(headers.values()) == ["1", "2, 3"]
    assert headers.get("B") == "2, 3" and headers.get("c") is None and headers.get("c", "d") == "d"
    nothing: Any
    for nothing in (5, None):
        assert nothing not in headers
    assert headers.setdefault("a", "9") == "1" and headers.setdefault("C", "4") == "4"
    assert headers.pop("C") == "4" and headers.pop("C", None) is None
    headers.update({"d": "5"}, e="6")
    assert dict(headers) == {"a": "1", "b": "2, 3", "d": "5", "e": "6"}
    del headers["D"]
    assert "d" not in headers
    with pytest.raises(KeyError, match="X-Absent"):
        headers["X-Absent"]
    assert headers.popitem() == ("a", "1")


def test_equality() -> None:
    assert headers_of(("a", "1"), ("b", "2")) == headers_of(("B", "2"), ("A", "1"))
    assert headers_of(("a", ["1", "2"])) != headers_of(("a", "1, 2"))
    assert headers_of(("a", ["1", "2"])) == {"A": "1, 2"}
    assert headers_of(("a", "1")) != {"a": "2"} and headers_of(("a", "1")) != {"a": "1", "b": "2"}
    assert headers_of(("a", "1")) != {"a": "1", 5: "2"}
    assert headers_of(("a", "1")) != [("a", "1")]
    with pytest.raises(TypeError, match="unhashable"):
        hash(HttpHeaders())


def test_texts() -> None:
    headers = headers_of(("Accept", "a"), ("accept", "b"), ("set-cookie", "x=1"), ("set-cookie", "y=2"))
    assert str(headers) == "accept: a, b\nset-cookie: x=1\nset-cookie: y=2\n"
    assert repr(headers) == "<HttpHeaders {'accept': ['a', 'b'], 'set-cookie': ['x=1', 'y=2']}>"
    headers.freeze("done")
    assert repr(headers).endswith(", immutable>")


# ---------------------------------------------------------------- what goes out

def test_encode_folds_and_keeps_the_order() -> None:
    headers = headers_of(("x", "1"), ("y", "2"), ("x", "3"), ("set-cookie", ["a=1", "b=2"]), ("z", ""))
    assert headers.encode() == b"x: 1, 3\r\ny: 2\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nz: \r\n"
    headers.set("x", "4")
    assert headers.encode().startswith(b"x: 4\r\ny: 2\r\n")


def test_no_folding() -> None:
    headers = headers_of(("X-Many", ["1", "2"]), ("y", ["3", "4"]))
    assert headers.encode() == b"x-many: 1, 2\r\ny: 3, 4\r\n"
    headers.no_folding("X-MANY")
    assert headers.encode() == b"x-many: 1\r\nx-many: 2\r\ny: 3, 4\r\n"
    assert str(headers) == "x-many: 1\nx-many: 2\ny: 3, 4\n"
    assert headers["x-many"] == "1, 2"
    headers.no_folding("y")
    assert headers.copy().encode() == b"x-many: 1\r\nx-many: 2\r\ny: 3\r\ny: 4\r\n"


def test_cookies_of_a_request_are_one_line() -> None:
    assert headers_of(("cookie", ["a=1", "b=2"])).encode() == b"cookie: a=1; b=2\r\n"


def test_set_cookie_is_never_folded() -> None:
    headers = headers_of(("set-cookie", Cookie("a", "1")), ("set-cookie", Cookie("b", "2")))
    assert headers.get_all("set-cookie") == ["a=1; HttpOnly", "b=2; HttpOnly"]
    assert headers["set-cookie"] == "a=1; HttpOnly, b=2; HttpOnly"
    assert headers.encode() == b"set-cookie: a=1; HttpOnly\r\nset-cookie: b=2; HttpOnly\r\n"


def test_preserve_header_case() -> None:
    headers = HttpHeaders()
    headers.set("X-MiXed", "1", preserve_header_case=True)
    headers.add("Y", "2")
    assert headers.encode() == b"X-MiXed: 1\r\ny: 2\r\n"
    assert list(headers) == ["X-MiXed", "y"] and headers["x-mixed"] == "1"
    seen: list[str] = []
    headers.for_each(lambda name, values: seen.append(name))
    assert seen == ["X-MiXed", "y"]
    headers.add("x-MIXED", "3", preserve_header_case=True)
    assert headers.encode() == b"x-MIXED: 1, 3\r\ny: 2\r\n"
    assert headers.copy().encode() == headers.encode()
    # The last add or set decides.
    headers.add("x-mixed", "4")
    assert headers.encode() == b"x-mixed: 1, 3, 4\r\ny: 2\r\n"
    headers.set("Z", "5", preserve_header_case=True)
    headers.remove_all("z")
    headers.set("z", "6")
    assert b"z: 6" in headers.encode()
    headers.set("W", [], preserve_header_case=True)
    headers.set("w", "7")
    assert b"w: 7" in headers.encode()


@pytest.mark.parametrize("change", [
    lambda headers: headers.set("x", "2"), lambda headers: headers.add("x", "2"),
    lambda headers: headers.remove("x", "1"), lambda headers: headers.remove_all("x"),
    lambda headers: headers.clear(), lambda headers: headers.__delitem__("x"),
    lambda headers: headers.set_trusted("x", "2"), lambda headers: setattr(headers, "content_length", 1),
    lambda headers: setattr(headers, "persistent_connection", False),
    lambda headers: setattr(headers, "chunked_transfer_encoding", True),
    lambda headers: headers.set("X", "1", preserve_header_case=True),
])
def test_every_change_is_seen_by_encode(change: Callable[[HttpHeaders], None]) -> None:
    headers = headers_of(("x", "1"))
    before = headers.encode()
    assert headers.encode() is before
    change(headers)
    assert headers.encode() != before
    assert headers.encode() is headers.encode()


# ---------------------------------------------------------------- immutable, copies

RECEIVED = [("Host", "h"), ("ACCEPT", "a"), ("accept", "b"), ("X", "")]


def test_received_fields() -> None:
    headers = HttpHeaders.from_fields(RECEIVED, "1.0")
    assert list(headers.items()) == [("host", "h"), ("accept", "a, b"), ("x", "")]
    assert headers.get_all("Accept") == ["a", "b"]
    assert headers.by_name == {"host": ["h"], "accept": ["a", "b"], "x": [""]}
    assert headers.host == "h" and not headers.persistent_connection
    assert headers.encode() == b"host: h\r\naccept: a, b\r\nx: \r\n"
    assert HttpHeaders.from_fields([]) == HttpHeaders()
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        headers.other  # type: ignore[attr-defined]


CHANGES: list[Callable[[HttpHeaders], object]] = [
    lambda headers: headers.set("x", "1"), lambda headers: headers.add("x", "1"),
    lambda headers: headers.remove("x", "1"), lambda headers: headers.remove_all("x"),
    lambda headers: headers.clear(), lambda headers: headers.no_folding("x"),
    lambda headers: headers.__setitem__("x", "1"), lambda headers: headers.__delitem__("x"),
    lambda headers: headers.update(x="1"), lambda headers: headers.pop("x"),
    *[lambda headers, name=name: setattr(headers, name, None) for name in (
        "date", "expires", "if_modified_since", "host", "port", "content_type")],
    *[lambda headers, name=name: setattr(headers, name, 1) for name in (
        "content_length", "persistent_connection", "chunked_transfer_encoding")],
]


@pytest.mark.parametrize("change", CHANGES)
def test_immutable(change: Callable[[HttpHeaders], object]) -> None:
    received = HttpHeaders.from_fields(RECEIVED)
    with pytest.raises(HttpException, match="the headers of a received message cannot be changed"):
        change(received)
    frozen = headers_of(("x", "1"))
    frozen.freeze("the response has begun")
    before = frozen.encode()
    with pytest.raises(HttpException, match="the response has begun"):
        change(frozen)
    assert frozen.encode() == before
    assert frozen == {"x": "1"}


@pytest.mark.parametrize("duplicate", [
    HttpHeaders.copy, copy.copy, copy.deepcopy, lambda headers: pickle.loads(pickle.dumps(headers))])
def test_copies_can_be_changed_and_leave_the_original_alone(
        duplicate: Callable[[HttpHeaders], HttpHeaders]) -> None:
    for original in (HttpHeaders.from_fields(RECEIVED, "1.0"), headers_of(*RECEIVED)):
        original_bytes = original.encode()
        double = duplicate(original)
        assert type(double) is HttpHeaders and double == original
        assert double.encode() == original_bytes
        assert double.persistent_connection == original.persistent_connection
        double.add("accept", "c")
        double.remove("host", "h")
        double.set("X", "y", preserve_header_case=True)
        assert double.encode() == b"accept: a, b, c\r\nX: y\r\n"
        assert original.encode() == original_bytes
        assert original.get_all("accept") == ["a", "b"]
        assert duplicate(double).encode() == double.encode()


def test_a_change_of_the_original_leaves_copies_alone() -> None:
    original = headers_of(("x", "1"))
    original.set("Y", "2", preserve_header_case=True)
    double = original.copy()
    original.add("x", "3")
    original.add("Z", "4", preserve_header_case=True)
    original.add("y", "5")
    assert double.encode() == b"x: 1\r\nY: 2\r\n"


@pytest.mark.parametrize("names", [["a", "content-type", "b"], ["a", "b"], ["content-type"], []])
def test_copies_with_a_content_type_are_as_if_nothing_were_kept_of_the_ones_before(names: list[str]) -> None:
    """What becomes of fields with another type is kept with them, for the next copy."""
    first, texts = HttpHeaders(), ["text/html; charset=utf-8", "image/png", "text/html; charset=utf-8"]
    for name in names:
        first.set(name, "text/plain")
    first.encode()

    def with_type(text: str, *, begin: HttpHeaders, more: bool = False) -> HttpHeaders:
        headers = begin.copy()
        if more:
            headers.add("x-first", "1")
        headers.set("content-type", text)
        return headers

    for text in texts * 2:
        for change in (lambda headers: None, lambda headers: headers.set("x-more", "1"),
                       lambda headers: headers.set("content-type", "a/b"),
                       lambda headers: headers.discard("content-type"),
                       lambda headers: headers.set("Content-Type", "a/b", preserve_header_case=True),
                       lambda headers: headers.add("Transfer-Encoding", "chunked")):
            for more in (False, True):
                anew = HttpHeaders()
                for name in names:
                    anew.set(name, "text/plain")
                kept, new = with_type(text, begin=first, more=more), with_type(text, begin=anew, more=more)
                for headers in (kept, new):
                    change(headers)
                assert kept.encode() == new.encode() and kept == new
                assert kept.section().codec == new.section().codec
                assert kept.section().is_usual == new.section().is_usual
    spelled = first.copy()
    spelled.set("Content-Type", "image/png", preserve_header_case=True)
    spelled.encode()
    spelled.content_type = ContentType.HTML
    again = spelled.copy()
    again.content_type = ContentType.HTML
    assert again.encode() == spelled.encode()


def test_what_is_kept_of_content_types_has_a_bound() -> None:
    """Neither many types nor long ones pile up, nor types behind types."""
    first = HttpHeaders()
    kept = first.section().by_type
    assert kept is not None
    for number in range(1000):
        headers = first.copy()
        headers.set("content-type", f"a/{number}")
        headers.set("content-type", f"b/{number}")
        long = first.copy()
        long.set("content-type", f"a/{number}" + "x" * 1000)
    assert 0 < len(kept) <= 16 and max(map(len, kept)) <= 256
    assert all(section.by_type is None for section in kept.values())


def test_a_copy_for_another_version() -> None:
    headers = HttpHeaders()
    assert headers.persistent_connection and not HttpHeaders.from_fields([], "1.0").copy().persistent_connection
