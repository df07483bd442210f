"""form_data.py: a part as a field of a form (RFC 7578)."""
from __future__ import annotations

import pytest

from blockingio import ContentType, HttpException
from blockingio.http_server import HttpMultipartFormData, MimeMultipart, MimeMultipartTransformer


def first_part(head: bytes, content: bytes = b"") -> MimeMultipart:
    """The part; no further one is looked for, which would pass over this one."""
    body = b"--b\r\n" + head + b"\r\n\r\n" + content + b"\r\n--b--"
    return MimeMultipartTransformer("b").bind([body]).first()


def field_of(head: bytes, content: bytes = b"", **arguments: str) -> HttpMultipartFormData:
    return HttpMultipartFormData.parse(first_part(head, content), **arguments)


def test_a_text_field() -> None:
    field = field_of(b'Content-Disposition: form-data; name="a"', "Grüße".encode())
    assert field.content_disposition.value == "form-data"
    assert dict(field.content_disposition.parameters) == {"name": "a"}
    assert (field.content_type, field.content_transfer_encoding) == (None, None)
    assert (field.is_text, field.is_binary) == (True, False)
    assert "".join(field) == "Grüße"


def test_a_file() -> None:
    field = field_of(b'Content-Disposition: form-data; name="a"; filename="b.png"\r\n'
                     b"Content-Type: image/png\r\nContent-Transfer-Encoding: BINARY\r\nX-Other: 1",
                     b"\x89PNG")
    assert field.content_disposition.parameters["filename"] == "b.png"
    assert field.content_type == ContentType("image", "png")
    assert field.content_transfer_encoding is not None
    assert field.content_transfer_encoding.value == "BINARY"
    assert (field.is_text, field.is_binary) == (False, True)
    assert field.value("X-Other") == field.value("x-other") == "1"
    assert field.value("nothing") is None
    assert b"".join(field) == b"\x89PNG"
    assert repr(field) == \
        "HttpMultipartFormData('form-data; name=a; filename=b.png', ContentType.parse('image/png'))"


@pytest.mark.parametrize(("media_type", "is_text"), [
    ("text/plain", True), ("TEXT/x", True), ("application/json", True),
    ("application/json; charset=utf-8", True),
    ("application/octet-stream", False), ("image/svg+xml", False),
])
def test_what_is_text(media_type: str, is_text: bool) -> None:
    field = field_of(f"Content-Disposition: form-data; name=a\r\nContent-Type: {media_type}".encode())
    assert (field.is_text, field.is_binary) == (is_text, not is_text)


# What stands behind filename in the field, and the name; RFC 7578 4.2, RFC 8187.
FILENAMES = [
    ('="a.txt"', "a.txt"),
    ("=a.txt", "a.txt"),
    ('=""', ""),
    ('="a b;c=d, e.txt"', "a b;c=d, e.txt"),
    (r'="a\"b\".txt"', 'a"b".txt'),  # as curl writes a quote
    (r'="a\\b.txt"', r"a\b.txt"),  # ... and a backslash
    (r'="a\\\"b.txt"', r'a\"b.txt'),
    ('="a%22b.txt"', 'a"b.txt'),  # as browsers write a quote
    ('="100%25.txt"', "100%25.txt"),  # ... and nothing else
    (r'="C:\new\a.txt"', r"C:\new\a.txt"),  # as old browsers write a path
    ('="Grüße €.txt"', "Grüße €.txt"),
    # A backslash that ends the name, which browsers do not double: the quote behind it closes.
    ('="dir\\"', "dir\\"),
    (r'="C:\dir\" ; x=1', "C:\\dir\\"),
    ('="dir\\";', "dir\\"),
    ('="dir\\"; x', "dir\\"),
    ('="dir\\"; x="\\"', "dir\\"),
    ('="\\"', "\\"),
    (r'="dir\\"; x=1', "dir\\"),  # ... and one that is
    (r'="x\"y.txt"', 'x"y.txt'),
    (r'="x\"; y.txt"', 'x"; y.txt'),  # no parameter follows
    (r'="x\"; y.txt"; z=1', 'x"; y.txt'),
    (r'="\""', '"'),
    # Without quotes it goes to the semicolon.
    ("=my file.txt", "my file.txt"),
    ("=my file.txt ; x=1", "my file.txt"),
    ("= my  file=1, 2.txt\t", "my  file=1, 2.txt"),
    ('=my "file".txt', 'my "file".txt'),
    ("=", ""),
    ("*=UTF-8''%e2%82%ac%20rates", "€ rates"),
    ("*=utf-8'en'a.txt", "a.txt"),
    ("*=ISO-8859-1''%A3%20rates", "£ rates"),
    ("=\"EURO rates\"; filename*=utf-8''%e2%82%ac%20rates", "€ rates"),
    ("*=utf-8''%e2%82%ac%20rates; filename=\"EURO rates\"", "€ rates"),
    # One that is broken counts for nothing (RFC 8187 4.2).
    ("=\"a.txt\"; filename*=b.txt", "a.txt"),
    ("=\"a.txt\"; filename*=UTF-8''%ff", "a.txt"),
    ("=\"a.txt\"; filename*=UTF-8''%4", "a.txt"),
    ("=\"a.txt\"; filename*=no-such-charset''b.txt", "a.txt"),
    ("=\"a.txt\"; filename*=zlib''b.txt", "a.txt"),
    ("=\"a.txt\"; filename*=\"\"", "a.txt"),
]


@pytest.mark.parametrize(("parameter", "filename"), FILENAMES)
def test_file_names(parameter: str, filename: str) -> None:
    field = field_of(f"Content-Disposition: form-data; name=x; filename{parameter}".encode())
    assert field.content_disposition.parameters["filename"] == filename
    assert field.content_disposition.parameters["name"] == "x"


@pytest.mark.parametrize(("parameters", "names"), [
    ('name="test\\"', {"name": "test\\"}),
    ('name="test\\"; filename="dir\\"', {"name": "test\\", "filename": "dir\\"}),
    (r'NAME="a\"b"; FileName=a b ', {"name": 'a"b', "filename": "a b"}),
    (' name = "a" ;; x ; y=', {"name": "a", "x": None, "y": ""}),
    ("name=first name", {"name": "first name"}),
])
def test_parameters_of_a_disposition(parameters: str, names: dict[str, str | None]) -> None:
    field = field_of(f"Content-Disposition: form-data; {parameters}".encode())
    assert field.content_disposition.value == "form-data"
    assert dict(field.content_disposition.parameters) == names


@pytest.mark.parametrize(("media_type", "default", "content", "text"), [
    ("text/plain; charset=latin-1", "utf-8", b"\xfc", "ü"),
    ("text/plain; charset=\"UTF-8\"", "latin-1", b"\xc3\xbc", "ü"),
    ("text/plain; charset=windows-1252", "utf-8", b"\x80", "€"),
    ("text/plain; charset=utf-16", "utf-8", "ü".encode("utf-16"), "ü"),
    ("text/plain", "utf-8", b"\xc3\xbc", "ü"),
    ("text/plain", "latin-1", b"\xfc", "ü"),
    ("text/plain; charset=Shift_JIS", "utf-8", b"\x82\xa0", "あ"),
])
def test_charsets(media_type: str, default: str, content: bytes, text: str) -> None:
    head = f"Content-Disposition: form-data; name=a\r\nContent-Type: {media_type}".encode()
    assert "".join(field_of(head, content, default_encoding=default)) == text


def test_a_character_may_come_in_pieces() -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + "€€".encode() + b"\r\n--b--"
    for size in (1, 2, 3, 4, 5):
        pieces = [body[at:at + size] for at in range(0, len(body), size)]
        for part in MimeMultipartTransformer("b").bind(pieces):
            assert "".join(HttpMultipartFormData.parse(part)) == "€€"


NAMED = b"Content-Disposition: form-data; name=a"
TYPED = NAMED + b"\r\nContent-Type: text/plain; charset="


@pytest.mark.parametrize(("head", "content", "message"), [
    (b"Content-Type: text/plain", b"", "no Content-Disposition"),
    (b'Content-Disposition: form-data; name="a', b"", "broken Content-Disposition"),
    (b'Content-Disposition: form-data; name="a\\', b"", "broken Content-Disposition"),
    (b'Content-Disposition: form-data; name="a\\" b', b"", "broken Content-Disposition"),
    (b'Content-Disposition: form-data; name="a" b; filename=c', b"", "broken Content-Disposition"),
    (b"Content-Disposition: form-data; n(me=a", b"", "broken Content-Disposition"),
    (TYPED + b'"x', b"", "broken header field"),
    (NAMED + b"\r\nContent-Transfer-Encoding: base64", b"", "Transfer-Encoding is 'base64'"),
    (TYPED + b"nonsense", b"x", "charset is 'nonsense'"),
    (TYPED + b"zlib", b"x", "charset is 'zlib'"),
    (TYPED + b"idna", b"x", "charset is 'idna'"),
    (NAMED, b"\xff", "not in utf-8"),
    (NAMED, b"\xe2\x82", "not in utf-8"),
    (TYPED + b"utf-16", b"ab", "not in utf-16"),
    (TYPED + b"utf-16", b"\xff\xfea", "not in utf-16"),
])
def test_what_is_broken(head: bytes, content: bytes, message: str) -> None:
    with pytest.raises(HttpException, match=message):
        "".join(field_of(head, content))
