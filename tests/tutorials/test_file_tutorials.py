from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.peers import PATIENCE
from tests.tutorials.programs import QUIETLY, TUTORIALS, Program

INDEX = (TUTORIALS / "index.html").read_bytes()
CORS = {"access-control-allow-origin": "*", "access-control-allow-methods": "POST, OPTIONS",
        "access-control-allow-headers": "Content-Type"}


@pytest.mark.parametrize("name, port", [("mini_file_server.py", 4044), ("basic_file_server.py", 4046)])
def test_one_file_whatever_is_asked_for(name: str, port: int, tmp_path: Path) -> None:
    with Program(name, port, tmp_path) as program:
        for target in ("/", "/index.html", "/what/ever?x=1", "/..%2f"):
            response = requests.get(program.url + target, timeout=PATIENCE)
            assert (response.status_code, response.content) == (200, INDEX)
            assert response.headers["content-type"] == "text/html; charset=utf-8"
        response = requests.head(program.url, timeout=PATIENCE)
        assert (response.status_code, response.content) == (200, b"")
        assert program.interrupt() == QUIETLY


def test_the_mini_file_server_says_that_there_is_no_file(tmp_path: Path) -> None:
    """Run from a copy of its own, which has no index.html beside it."""
    (tmp_path / "mini_file_server.py").write_bytes((TUTORIALS / "mini_file_server.py").read_bytes())
    with Program(str(tmp_path / "mini_file_server.py"), 4044, tmp_path) as program:
        response = requests.get(program.url, timeout=PATIENCE)
        assert response.status_code == 404
        assert response.text == "Cannot open index.html: No such file or directory."
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert program.interrupt() == QUIETLY


def test_the_basic_file_server_knows_what_the_browser_has(tmp_path: Path) -> None:
    with Program("basic_file_server.py", 4046, tmp_path) as program:
        etag = requests.get(program.url, timeout=PATIENCE).headers["etag"]
        response = requests.get(program.url, headers={"If-None-Match": etag}, timeout=PATIENCE)
        assert (response.status_code, response.content) == (304, b"")
        response = requests.get(program.url, headers={"Range": "bytes=0-14"}, timeout=PATIENCE)
        assert (response.status_code, response.content) == (206, b"<!DOCTYPE html>")
        assert program.interrupt() == QUIETLY


def test_the_static_file_server(tmp_path: Path) -> None:
    with Program("static_file_server.py", 4048, tmp_path) as program:
        for target in ("", "index.html", "note_client.js", "make_a_guess.html"):
            response = requests.get(f"{program.url}/{target}", timeout=PATIENCE)
            expected = (TUTORIALS / (target or "index.html")).read_bytes()
            assert (response.status_code, response.content) == (200, expected)
        assert requests.get(program.url + "/nothing", timeout=PATIENCE).status_code == 404
        assert requests.get(program.url + "/certificates/", timeout=PATIENCE).status_code == 404
        assert requests.get(program.url + "/%2e%2e/setup.cfg", timeout=PATIENCE).status_code == 404
        response = requests.get(program.url + "/certificates", timeout=PATIENCE, allow_redirects=False)
        assert (response.status_code, response.headers["location"]) == (301, "/certificates/")
        assert program.interrupt() == QUIETLY


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[Program]:
    with Program("note_server.py", 4042, tmp_path) as program:
        yield program
        assert program.interrupt() == QUIETLY


def post(program: Program, body: object) -> tuple[int, str]:
    """The status and the text of the answer; bytes go out as they are, anything else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    response = requests.post(program.url, data=data, headers=headers, timeout=PATIENCE)
    assert CORS.items() <= response.headers.items()
    return response.status_code, response.text


def test_notes(notes: Program, tmp_path: Path) -> None:
    assert post(notes, {"getNote": 0}) == (404, "There is no such note. Notes so far: 0, counted from 0.\n")
    assert post(notes, {"myNote": "Buy milk"}) == (200, "Notes so far: 1.\n")
    assert post(notes, {"myNote": "Grüße\nan\u2028 alle"}) == (200, "Notes so far: 2.\n")
    assert post(notes, {"getNote": 0}) == (200, "Buy milk\n")
    assert post(notes, {"getNote": "1"}) == (200, "Grüße an alle\n")
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "Buy milk\nGrüße an alle\n"


def test_notes_are_still_there_the_next_time(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"one\n\xfftwo\n")
    with Program("note_server.py", 4042, tmp_path) as program:
        assert post(program, {"getNote": "1"}) == (200, "\ufffdtwo\n")
        assert post(program, {"myNote": "\ud800"}) == (200, "Notes so far: 3.\n")
        assert post(program, {"getNote": 2}) == (200, "?\n")
        assert program.interrupt() == QUIETLY


def test_a_bad_number_gets_404(notes: Program) -> None:
    post(notes, {"myNote": "a"})
    post(notes, {"myNote": "b"})
    answer = (404, "There is no such note. Notes so far: 2, counted from 0.\n")
    for number in ("2", 2, "-1", -1, "one", "", "1.0", 1.5, None, True, [0], "٠", " 0", "00"):
        assert post(notes, {"getNote": number}) == answer, number


def test_bad_json_gets_400(notes: Program) -> None:
    for body in (b"", b"{", b"\xff", b"[" * 100_000, b"[]", b"null", b"{}", b'"myNote"', b'{"note": "x"}',
                 b'{"myNote": 1}'):
        status, text = post(notes, body)
        assert status == 400, body
        assert text in ("That is not JSON.\n", 'Expected {"myNote": "text"} or {"getNote": 0}.\n'), body


def test_other_methods_get_an_answer(notes: Program) -> None:
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        response = requests.request(method, notes.url, timeout=PATIENCE)
        assert (response.status_code, response.headers["allow"]) == (405, "POST, OPTIONS"), method
        assert CORS.items() <= response.headers.items()


def test_a_preflight_gets_an_answer(notes: Program) -> None:
    response = requests.options(notes.url, timeout=PATIENCE, headers={
        "Origin": "null", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type"})
    assert (response.status_code, response.content) == (204, b"")
    assert CORS.items() <= response.headers.items()


def test_too_long_a_note_gets_an_answer(notes: Program) -> None:
    response = requests.post(notes.url, data=b"x" * 1_000_001, timeout=PATIENCE)
    assert response.status_code == 413
