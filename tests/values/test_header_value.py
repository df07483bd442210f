"""HeaderValue and ContentType: values with parameters, in and out."""
from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from blockingio.values.header_value import ContentType, HeaderValue

# Text in its one written form, the value, the parameters.
CANONICAL: list[tuple[str, str, dict[str, str | None]]] = [
    ("", "", {}),
    ("xxx", "xxx", {}),
    ("text/plain; charset=utf-8", "text/plain", {"charset": "utf-8"}),
    ("a; b", "a", {"b": None}),
    ('a; b=""', "a", {"b": ""}),
    ('a; b="c d"', "a", {"b": "c d"}),
    ('a; b="c;d,e"', "a", {"b": "c;d,e"}),
    (r'a; b="\"\\\""', "a", {"b": r'"\"'}),
    ('a; b="\u00e4"', "a", {"b": "\u00e4"}),
    ("a; b=1; c; d=!#$%&'*+-.^_`|~", "a", {"b": "1", "c": None, "d": "!#$%&'*+-.^_`|~"}),
    ('attachment; filename="a/b.txt"; filename*=UTF-8\'\'a.txt', "attachment",
     {"filename": "a/b.txt", "filename*": "UTF-8''a.txt"}),
    ('form-data; name="x\t"', "form-data", {"name": "x\t"}),
]


@pytest.mark.parametrize("text, value, parameters", CANONICAL)
def test_parse_and_format_undo_each_other(text: str, value: str, parameters: dict[str, str | None]) -> None:
    parsed = HeaderValue.parse(text)
    assert (parsed.value, dict(parsed.parameters)) == (value, parameters)
    assert str(parsed) == text
    assert HeaderValue(value, parameters) == parsed
    assert str(HeaderValue(value, parameters)) == text
    assert hash(HeaderValue(value, parameters)) == hash(parsed)


@pytest.mark.parametrize("text, value, parameters", [
    ("  xxx  ", "xxx", {}),
    ("xxx;", "xxx", {}),
    ("xxx;;;a=b", "xxx", {"a": "b"}),
    ("xxx ; a = b ;\tC\t=\td ", "xxx", {"a": "b", "c": "d"}),
    ("xxx; A=B; a=C", "xxx", {"a": "C"}),
    ("xxx; a=", "xxx", {"a": ""}),
    ("xxx; a=b\"c", "xxx", {"a": 'b"c'}),
    ("xxx; a=b=c", "xxx", {"a": "b=c"}),
    ('xxx; a="b"; c', "xxx", {"a": "b", "c": None}),
    ("xxx a=b", "xxx", {"a": "b"}),
    ("; a=b", "", {"a": "b"}),
    ('xxx; a="b\\', None, None),
    (r'xxx; a="b\c\"\\"', "xxx", {"a": 'bc"\\'}),
    ('xxx; a="b', None, None),
    ('xxx; a="', None, None),
    (r'xxx; a="b\"', None, None),
    ("xxx; a=b c=d", None, None),
    ('xxx; a="b"c', None, None),
    ("xxx; a b", None, None),
])
def test_parse(text: str, value: str | None, parameters: dict[str, str | None] | None) -> None:
    if value is None:
        with pytest.raises(ValueError, match="a quoted string has no end|expected a separator at character"):
            HeaderValue.parse(text)
    else:
        parsed = HeaderValue.parse(text)
        assert (parsed.value, dict(parsed.parameters)) == (value, parameters)
        assert HeaderValue.parse(str(parsed)) == parsed


@pytest.mark.parametrize("text, options, value, parameters", [
    ('Digest realm="a, b", nonce=c, stale', {"parameter_separator": ","}, "Digest",
     {"realm": "a, b", "nonce": "c", "stale": None}),
    ("a=b, c", {"parameter_separator": ","}, "a=b", {"c": None}),
    ("text/html;q=0.5, text/plain;q=1", {"value_separator": ","}, "text/html", {"q": "0.5"}),
    ("text/html, text/plain;q=1", {"value_separator": ","}, "text/html", {}),
    ('text/html;a="x,y" , z', {"value_separator": ","}, "text/html", {"a": "x,y"}),
    ("text/html;a, z", {"value_separator": ","}, "text/html", {"a": None}),
    ("text/html;a=, z", {"value_separator": ","}, "text/html", {"a": ""}),
    (r'form-data; filename="C:\new\x\"y.txt"', {"preserve_backslash": True}, "form-data",
     {"filename": r'C:\new\x"y.txt'}),
    (r'x; a="\\"', {"preserve_backslash": True}, "x", {"a": r"\\"}),
    (r'x; a="\\"', {"preserve_backslash": False}, "x", {"a": "\\"}),
    ("a]b^c-d", {"parameter_separator": "]", "value_separator": "-"}, "a", {"b^c": None}),
])
def test_separators_and_backslashes(text: str, options: dict[str, Any], value: str,
                                    parameters: dict[str, str | None]) -> None:
    parsed = HeaderValue.parse(text, **options)
    assert (parsed.value, dict(parsed.parameters)) == (value, parameters)


@pytest.mark.parametrize("separator", ["", ";;", " ", "\t", "=", '"', "\\"])
@pytest.mark.parametrize("option", ["parameter_separator", "value_separator"])
def test_bad_separators(option: str, separator: str) -> None:
    with pytest.raises(ValueError, match="a separator is one character"):
        HeaderValue.parse("x", **{option: separator})  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments, error", [
    ((b"x",), TypeError), ((None,), TypeError), (("x", {1: "a"}), TypeError), (("x", {"a": 1}), TypeError),
    (("x", {"": "a"}), ValueError), (("x", {"a b": "c"}), ValueError), (("x", {"a=": "c"}), ValueError),
    (("x", {"a\r\nb": None}), ValueError),
])
def test_constructor_refuses(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        HeaderValue(*arguments)


@pytest.mark.parametrize("parse", [HeaderValue.parse, ContentType.parse])
def test_parse_takes_only_text(parse: Any) -> None:
    with pytest.raises(TypeError, match="expected a str, not bytes"):
        parse(b"text/plain")


def test_immutable() -> None:
    given: dict[str, str | None] = {"a": "b"}
    value = HeaderValue("x", given)
    given["a"] = "c"
    assert str(value) == "x; a=b"
    with pytest.raises(TypeError):
        value.parameters["a"] = "c"  # type: ignore[index]
    for attribute in ("value", "parameters", "other"):
        with pytest.raises(AttributeError):
            setattr(value, attribute, "y")
    assert str(value) == "x; a=b"


def test_as_a_value() -> None:
    value = HeaderValue("x", {"a": "1", "b": None})
    assert value == HeaderValue("x", {"b": None, "a": "1"})
    assert hash(value) == hash(HeaderValue("x", {"b": None, "a": "1"}))
    assert value != HeaderValue("x", {"a": "1"}) and value != HeaderValue("y", {"a": "1", "b": None})
    assert value != "x; a=1; b"
    assert repr(value) == "HeaderValue.parse('x; a=1; b')"
    assert copy.copy(value) == value == pickle.loads(pickle.dumps(value))


def test_long_input_takes_linear_time() -> None:
    for text in ("x; a=\"" + "\\\"" * 200_000, "x; " + "a;" * 200_000, "x" + " " * 400_000 + "y",
                 "x; a" + " " * 400_000 + "b", "x; a=" + " " * 400_000 + '"'):
        try:
            HeaderValue.parse(text)
        except ValueError:
            pass


@pytest.mark.parametrize("constant, text", [
    (ContentType.TEXT, "text/plain; charset=utf-8"),
    (ContentType.HTML, "text/html; charset=utf-8"),
    (ContentType.JSON, "application/json; charset=utf-8"),
    (ContentType.BINARY, "application/octet-stream"),
])
def test_constants(constant: ContentType, text: str) -> None:
    assert str(constant) == text
    assert ContentType.parse(text) == constant
    assert copy.deepcopy(constant) == constant == pickle.loads(pickle.dumps(constant))


@pytest.mark.parametrize("text, primary, sub, mime, charset, parameters", [
    ("text/html", "text", "html", "text/html", None, {}),
    ("Text/HTML; Charset=UTF-8", "text", "html", "text/html", "utf-8", {"charset": "utf-8"}),
    ('text/html; charset="ISO-8859-1"', "text", "html", "text/html", "iso-8859-1", {"charset": "iso-8859-1"}),
    ("multipart/form-data; BOUNDARY=AaB03x", "multipart", "form-data", "multipart/form-data", None,
     {"boundary": "AaB03x"}),
    ("text/html; charset", "text", "html", "text/html", None, {"charset": None}),
    ("a/b; charset=utf-8; charset=latin-1", "a", "b", "a/b", "utf-8", {"charset": "utf-8"}),
    ("a/b; Charset=UTF-8; x=1; charset=x; X=2", "a", "b", "a/b", "utf-8", {"charset": "utf-8", "x": "1"}),
    ("application/vnd.api+json;version=1", "application", "vnd.api+json", "application/vnd.api+json", None,
     {"version": "1"}),
    ("text", "text", "", "text/", None, {}),
    ("text/", "text", "", "text/", None, {}),
    ("", "", "", "/", None, {}),
])
def test_content_type_parse(text: str, primary: str, sub: str, mime: str, charset: str | None,
                            parameters: dict[str, str | None]) -> None:
    parsed = ContentType.parse(text)
    assert (parsed.primary_type, parsed.sub_type, parsed.mime_type) == (primary, sub, mime)
    assert parsed.charset == charset
    assert dict(parsed.parameters) == parameters
    assert type(parsed) is ContentType
    assert ContentType.parse(str(parsed)) == parsed


@pytest.mark.parametrize("text", ['text/html; charset="utf-8', "text/html; a=b c=d"])
def test_content_type_parse_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        ContentType.parse(text)


def test_content_type_constructor() -> None:
    made = ContentType("Text", "HTML", charset="UTF-8", parameters={"Charset": "latin-1", "Level": "1"})
    assert str(made) == "text/html; charset=utf-8; level=1"
    assert (made.value, made.mime_type) == ("text/html", "text/html")
    assert ContentType("text", "x", parameters={"CHARSET": "UTF-8"}).charset == "utf-8"
    assert ContentType("text", "").mime_type == "text/"
    assert repr(ContentType.TEXT) == "ContentType.parse('text/plain; charset=utf-8')"
    with pytest.raises(AttributeError):
        made.charset = "x"  # type: ignore[misc]


@pytest.mark.parametrize("arguments, keywords, error", [
    (("text", "pl ain"), {}, ValueError), (("text/", "plain"), {}, ValueError),
    (("text", "a\r\nb"), {}, ValueError),
    (("text", None), {}, TypeError), ((b"text", "plain"), {}, TypeError),
    (("text", "plain"), {"charset": 1}, TypeError),
    (("text", "plain"), {"parameters": {"a b": "c"}}, ValueError),
])
def test_content_type_constructor_refuses(arguments: tuple[Any, ...], keywords: dict[str, Any],
                                          error: type[Exception]) -> None:
    with pytest.raises(error):
        ContentType(*arguments, **keywords)
