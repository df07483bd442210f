"""python -m blockingio.wire_view URL: one request, shown as text, as HAR or as a command of curl."""
from __future__ import annotations

import base64
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blockingio import HttpRequest, HttpServer
from blockingio.wire_view.command import main
from tests.client.servers import answering, ended, scripted
from tests.peers import Certificates, serving

ROOT = Path(__file__).parents[2]


class Site:
    """Answers with what it was asked, and keeps it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[tuple[str, str]], bytes]] = []

    def __call__(self, request: HttpRequest) -> None:
        fields: list[tuple[str, str]] = []
        request.headers.for_each(lambda name, values: fields.extend((name, value) for value in values))
        body = request.read()
        self.asked.append((f"{request.method} {request.target}", fields, body))
        response = request.response
        if request.uri.path == "/moved":
            response.redirect("/elsewhere?x")
            return
        response.headers.set("set-cookie", "id=5e6cre7; Path=/; Secure; Expires=Thu, 01 Jan 2032 00:00:00 GMT")
        if request.uri.path == "/binary":
            response.headers.set("content-type", "image/x")
            response.write(b"\xff\x00")
        else:
            response.write("text ü " * 100)
        response.close()


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def server(site: Site) -> Iterator[HttpServer]:
    with serving(site, auto_compress=True) as server:
        server.default_response_headers.set("content-type", "text/plain; charset=utf-8")
        yield server


def test_a_request_is_shown(server: HttpServer, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"127.0.0.1:{server.port}/a?b"
    assert main([url]) == 0
    shown, errors = capsys.readouterr()
    assert not errors and r"| GET /a?b HTTP/1.1\r\n" in shown and "* gzip, " in shown
    assert "5e6cre7" not in shown and "\x1b" not in shown
    assert shown.splitlines()[-1].endswith("* close")
    main([url, "--secrets", "--body-limit", "10", "-H", "Accept-Encoding:"])
    shown = capsys.readouterr().out
    assert "id=5e6cre7" in shown and "accept-encoding" not in shown
    assert "| text ü tex\n" in shown and "bytes left out" in shown
    assert [line for line, _, _ in site.asked] == ["GET /a?b"] * 2


def test_method_fields_and_data_are_as_curl_has_them(server: HttpServer, site: Site, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"c=d\r\n\0e\n")
    url = f"http://127.0.0.1:{server.port}/"
    for words in (["-d", "a=ü", "-d", f"@{tmp_path / 'data'}"], ["-X", "PUT", "-d", "{}", "-H", "Content-Type: a/b"],
                  ["-X", "DELETE", "-H", "A: b", "-H", "A:c", "-H", "Empty;", "-H", "User-Agent:"], ["-X", "HEAD"]):
        assert main([url, *words]) == 0
    form, put, delete, head = [(line, dict(fields), body) for line, fields, body in site.asked]
    assert form[0] == "POST /" and form[1]["content-type"] == "application/x-www-form-urlencoded"
    assert form[2] == "a=ü&c=de".encode() and form[1]["content-length"] == str(len(form[2]))
    assert put[0] == "PUT /" and put[1]["content-type"] == "a/b" and put[2] == b"{}"
    assert delete[0] == "DELETE /" and delete[1]["empty"] == "" and "user-agent" not in delete[1] and delete[2] == b""
    assert [value for name, value in site.asked[2][1] if name == "a"] == ["b", "c"]
    assert head[0] == "HEAD /"


def test_a_redirect_is_shown_and_not_followed(server: HttpServer, site: Site,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"http://127.0.0.1:{server.port}/moved"]) == 0
    assert "location: /elsewhere?x" in capsys.readouterr().out and len(site.asked) == 1


def har(file: Path, *words: str) -> dict[str, Any]:
    assert main([*words, "--har", str(file)]) == 0
    entry: dict[str, Any]
    log = json.loads(file.read_text(encoding="utf-8"))["log"]
    [entry] = log["entries"]
    assert log["version"] == "1.2" and log["creator"]["name"] == "blockingio"
    assert set(entry) == {"startedDateTime", "time", "request", "response", "cache", "timings", "serverIPAddress",
                          "connection"}
    timings = entry["timings"]
    assert entry["time"] == pytest.approx(sum(timings[name] for name in ("connect", "send", "wait", "receive")))
    assert min(timings[name] for name in ("connect", "send", "wait", "receive")) >= 0
    return entry


def values(entry: list[dict[str, str]]) -> dict[str, str]:
    return {pair["name"]: pair["value"] for pair in entry}


def test_a_har(server: HttpServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{server.port}/a?b=%20c&b=d"
    words = [url, "-d", "a=ü", "-H", "Cookie: q=r; s=t", "-H", "Authorization: Basic 5e6cre7"]
    entry = har(tmp_path / "har", *words)
    request, response = entry["request"], entry["response"]
    assert (request["method"], request["url"], request["httpVersion"]) == ("POST", url, "HTTP/1.1")
    assert request["queryString"] == [{"name": "b", "value": " c"}, {"name": "b", "value": "d"}]
    assert request["postData"] == {"mimeType": "application/x-www-form-urlencoded", "text": "a=ü", "params": []}
    assert request["bodySize"] == 4 and values(request["headers"])["host"] == f"127.0.0.1:{server.port}"
    assert (response["status"], response["statusText"], response["httpVersion"]) == (200, "OK", "HTTP/1.1")
    content = response["content"]
    assert content["text"] == "text ü " * 100
    assert content["size"] == 800 == response["bodySize"] + content["compression"]
    assert content["mimeType"] == "text/plain; charset=utf-8" and entry["serverIPAddress"] == "127.0.0.1"
    assert "5e6cre7" not in json.dumps(entry) and values(request["cookies"]) == {"q": "***", "s": "***"}
    entry = har(tmp_path / "har", *words, "--secrets")
    assert values(entry["request"]["cookies"]) == {"q": "r", "s": "t"}
    [cookie] = entry["response"]["cookies"]
    assert cookie == {"name": "id", "value": "5e6cre7", "path": "/", "secure": True, "httpOnly": False,
                      "expires": "2032-01-01T00:00:00+00:00"}
    assert values(entry["request"]["headers"])["Authorization"] == "Basic 5e6cre7"
    binary = har(tmp_path / "har", f"http://127.0.0.1:{server.port}/binary")["response"]["content"]
    assert binary["encoding"] == "base64" and base64.b64decode(binary["text"]) == b"\xff\x00"
    moved = har(tmp_path / "har", f"http://127.0.0.1:{server.port}/moved")["response"]
    assert (moved["status"], moved["redirectURL"]) == (302, "/elsewhere?x")
    assert main([url, "--har", "-"]) == 0 and json.loads(capsys.readouterr().out)["log"]["entries"]


def test_https(certificates: Certificates, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any certificate only where it is asked for."""
    with serving(site, context=certificates.server_context()) as server:
        url = f"https://localhost:{server.port}/"
        with pytest.raises(SystemExit) as refused:
            main([url])
        assert refused.value.code == 2 and "certificate verify failed" in capsys.readouterr().err
        assert main([url, "-k"]) == 0
        assert "TLS\n" in capsys.readouterr().out
        assert har(tmp_path / "har", url, "--insecure")["timings"]["ssl"] > 0
        assert main([url, "-k", "--curl"]) == 0
        assert " --insecure " in capsys.readouterr().out


@pytest.mark.parametrize("words, body", [
    ([], b""), (["-d", "a='b' & $c"], b"a='b' & $c"), (["-d", "@-file"], b"x"),
    (["-X", "PATCH", "-d", "a\nb\\"], b"a\nb\\"),
    (["-X", "DELETE", "-H", "A: it's\t\"ü\"", "-H", "Empty;", "-H", "Accept: */*", "-H", "User-Agent:"], b""),
    (["-H", "Cookie: a=b", "-d", "\x01\r"], b"\x01\r"),
], ids=range(6))
def test_the_command_of_curl_repeats_it(server: HttpServer, site: Site, capsys: pytest.CaptureFixture[str],
                                        tmp_path: Path,
                                        words: list[str], body: bytes) -> None:
    """As a shell reads it: a function in curl's place says what it was given."""
    if words == ["-d", "@-file"]:
        (tmp_path / "file").write_bytes(body)
        words = ["-d", f"@{tmp_path / 'file'}"]
    url = f"http://127.0.0.1:{server.port}/a?b=%7B&c='"
    assert main([url, *words, "--curl"]) == 0
    command = capsys.readouterr().out
    script = "curl() { for word; do printf '%s\\0' \"$word\"; done; if [ \"$with_input\" ]; then cat; fi; }\n"
    given = subprocess.run(["sh", "-c", ("with_input=1\n" if "@-" in command else "") + script + command],
                           capture_output=True, check=True).stdout.split(b"\0")
    line, fields, sent = site.asked[0]
    assert sent == body and given[0] == b"--http1.1"
    method = line.partition(" ")[0]
    asks = given[given.index(b"--request") + 1].decode() if b"--request" in given else "POST" if body else "GET"
    assert asks == method and f"http://127.0.0.1:{server.port}{line.partition(' ')[2]}".encode() in given
    headers = [given[at + 1] for at, word in enumerate(given) if word == b"--header"]
    expected = [f"{name}: {value}" if value else f"{name};" for name, value in fields
                if name not in ("host", "content-length")]
    assert {header.decode("utf-8", "replace").lower() for header in headers} >= {
        field.encode("latin-1").decode("utf-8", "replace").lower() for field in expected}
    names = {name for name, _ in fields}
    assert (b"Accept:" in headers) == ("accept" not in names)
    assert (b"User-Agent:" in headers) == ("user-agent" not in names)
    if body:
        data = given[-1] if b"@-" in given else given[given.index(b"--data-raw") + 1]
        assert data == body


def test_what_curl_would_make_something_else_of(server: HttpServer, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{server.port}/.a?b={{c}}"
    assert main([url, "-X", "HEAD", "--curl"]) == 0
    words = shlex.split(capsys.readouterr().out)
    assert {"--head", "--path-as-is"} <= set(words) and "--request" not in words
    assert ("--globoff" in words) == any(letter in words[-1] for letter in "[]{}")


BAD = [
    (["http://127.0.0.1:1/"], "http://127.0.0.1:1/ cannot be reached: "),
    (["http://me:5e6cre7@127.0.0.1:1/"], "http://***@127.0.0.1:1/ cannot be reached: "),
    (["ftp://127.0.0.1/"], "expected an http or https URL, found 'ftp://127.0.0.1/'"),
    (["http://127.0.0.1:99999/"], "99999"),
    (["http://127.0.0.1:1/", "-H", "x"], "expected 'Name: value', found 'x'"),
    (["http://127.0.0.1:1/", "-d", "@/not/there"], "cannot read /not/there"),
    (["http://127.0.0.1:1/", "--body-limit", "x"], "expected a whole number, found 'x'"),
    (["http://127.0.0.1:1/", "-X", "A B"], "'A B'"),
    ([], "URL"),
]


@pytest.mark.parametrize("words, message", BAD, ids=[message for _, message in BAD])
def test_what_is_wrong_is_one_clear_line_and_status_2(words: list[str], message: str, capsys: pytest.CaptureFixture[str]
                                                      ) -> None:
    with pytest.raises(SystemExit) as ended_with:
        main(words)
    shown, errors = capsys.readouterr()
    assert ended_with.value.code == 2 and not shown
    assert errors.count("\n") == 1 and message in errors and "5e6cre7" not in errors


def test_a_server_that_does_not_answer_or_not_in_http(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with scripted(answering(b"SSH-2.0\r\n\r\n", then_close=True), lambda peer: peer.socket.close(), ended) as server:
        for _ in range(2):
            with pytest.raises(SystemExit) as ended_with:
                main([server.url()])
            shown, errors = capsys.readouterr()
            assert ended_with.value.code == 2 and errors.count("\n") == 1 and "* close" in shown
    with serving(Site()) as working, pytest.raises(SystemExit):
        main([f"http://127.0.0.1:{working.port}/", "--har", str(tmp_path / "no" / "har")])
    assert "cannot write" in capsys.readouterr().err


def test_as_a_program_whose_reader_leaves(server: HttpServer) -> None:
    command = f"{shlex.quote(sys.executable)} -m blockingio.wire_view http://127.0.0.1:{server.port}/ -H A:{'b' * 9000}"
    done = subprocess.run(f"{command} | head -n 1", shell=True, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert "* open: 127.0.0.1:" in done.stdout and done.stderr == ""
