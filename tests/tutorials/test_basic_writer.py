from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.peers import PATIENCE, RawClient
from tests.tutorials.programs import QUIETLY, Program

DATA = {"name": "Han Solo", "job": "reluctant hero", "BFF": "Chewbacca", "ship": "Millennium Falcon"}


@pytest.fixture(scope="module")
def working_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program's; beside it lies a file that must stay as it is."""
    around = tmp_path_factory.mktemp("writer")
    (around / "outside.txt").write_text("untouched")
    directory = around / "work"
    directory.mkdir()
    return directory


@pytest.fixture(scope="module")
def writer(working_directory: Path) -> Iterator[Program]:
    """One program for all tests here: whatever they send, it goes on and has nothing to complain of."""
    with Program("basic_writer_server.py", 4049, working_directory) as program:
        yield program
        assert program.interrupt() == QUIETLY


@pytest.fixture
def directory(working_directory: Path) -> Iterator[Path]:
    """The working directory, empty."""
    yield working_directory
    assert (working_directory.parent / "outside.txt").read_text() == "untouched"
    assert sorted(os.listdir(working_directory.parent)) == ["outside.txt", "work"]
    for path in working_directory.iterdir():
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def post(program: Program, target: str, body: bytes | str,
         content_type: str | None = "application/json") -> tuple[int, str]:
    """The status and the text of the answer; the target goes out as it is, which requests would not do."""
    body = body.encode() if isinstance(body, str) else body
    head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    if content_type is not None:
        head += f"Content-Type: {content_type}\r\n"
    with RawClient(program.port) as client:
        client.send(head.encode("latin-1") + b"Connection: close\r\n\r\n" + body)
        response = client.read_response()
    return response.status, response.body.decode()


@pytest.mark.parametrize("target, name", [
    ("/file.txt", "file.txt"),
    ("/deep/down/file.txt", "file.txt"),
    ("/../file.txt", "file.txt"),
    ("/file.txt?x=../y", "file.txt"),
    ("/a%20file.txt", "a file.txt"),
    ("/h%C3%A9ros", "h\xe9ros"),
    ("/%252e%252e", "%2e%2e"),
    ("/...", "..."),
    ("/.hidden", ".hidden"),
])
def test_json_is_written(target: str, name: str, writer: Program, directory: Path) -> None:
    body = json.dumps(DATA)
    assert post(writer, target, body) == (200, "Wrote data for Han Solo.")
    assert os.listdir(directory) == [name]
    assert (directory / name).read_text() == body


def test_a_file_is_written_over(writer: Program, directory: Path) -> None:
    post(writer, "/file.txt", json.dumps(DATA))
    assert post(writer, "/file.txt", '{"name": "Leia"}') == (200, "Wrote data for Leia.")
    assert (directory / "file.txt").read_text() == '{"name": "Leia"}'


@pytest.mark.parametrize("body", [b"[1, 2]", b"null", b"7", b'"name"', b"true", b'[{"name": "Han"}]'])
def test_json_that_is_no_object(body: bytes, writer: Program, directory: Path) -> None:
    assert post(writer, "/file.txt", body) == (
        400, "Bad request: the body is JSON, but no object: expected {...}.")
    assert not os.listdir(directory)


@pytest.mark.parametrize("body, name", [
    ('{"job": "none"}', "file.txt"), ("{}", "file.txt"),
    ('{"name": "Jos\xe9"}', "Jos\xe9"), ('{"name": 5}', "5"),
])
def test_other_objects(body: str, name: str, writer: Program, directory: Path) -> None:
    answer = post(writer, "/file.txt", body, "Application/JSON; charset=utf-8")
    assert answer == (200, f"Wrote data for {name}.")
    assert (directory / "file.txt").read_bytes() == body.encode()


@pytest.mark.parametrize("target", [
    "/", "/dir/", "/.", "/..", "/a/..", "/%2e%2e", "/%2E.", "/..%2Foutside.txt", "/%2Fetc%2Fpasswd", "/a%2Fb",
    "/%00", "/a%00", "/..%2F..%2Foutside.txt", "/link", "/dangling", "/folder", "/a%2",
])
def test_nothing_is_written_outside_the_directory(target: str, writer: Program, directory: Path) -> None:
    (directory / "link").symlink_to(directory.parent / "outside.txt")
    (directory / "dangling").symlink_to(directory.parent / "new.txt")
    (directory / "folder").mkdir()
    before = sorted(os.listdir(directory))
    status, text = post(writer, target, json.dumps(DATA))
    assert status == 400
    assert text
    assert sorted(os.listdir(directory)) == before
    assert not os.listdir(directory / "folder")
    assert post(writer, "/file.txt", json.dumps(DATA))[0] == 200  # it goes on


@pytest.mark.parametrize("body", [b"", b"{", b"name=Han", b"{'name': 'Han'}", b'"\xff"', b"[" * 200_000])
def test_what_is_not_json(body: bytes, writer: Program, directory: Path) -> None:
    status, text = post(writer, "/file.txt", body)
    assert status == 400
    assert text.startswith("Bad request: the body is not JSON: ")
    assert not os.listdir(directory)


@pytest.mark.parametrize("content_type", [
    None, "text/plain", "application/jsonp", "application/x-www-form-urlencoded", "x"])
def test_another_type_is_not_supported(content_type: str | None, writer: Program, directory: Path) -> None:
    status, text = post(writer, "/file.txt", json.dumps(DATA), content_type)
    assert (status, text) == (405, "Unsupported request: POST.  Expected POST with Content-Type: application/json.")
    assert not os.listdir(directory)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_another_method_is_not_supported(method: str, writer: Program, directory: Path) -> None:
    response = requests.request(method, f"{writer.url}/file.txt", json=DATA, timeout=PATIENCE)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.text == f"Unsupported request: {method}.  Expected POST with Content-Type: application/json."
    assert not os.listdir(directory)


def test_too_much(writer: Program, directory: Path) -> None:
    assert post(writer, "/file.txt", b'"' + b"x" * 1_000_000 + b'"')[0] == 413
    assert not os.listdir(directory)


def test_a_client_that_leaves_in_the_middle(writer: Program, directory: Path) -> None:
    with socket.create_connection(("127.0.0.1", writer.port), PATIENCE) as client:
        client.sendall(b"POST /file.txt HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       b'Content-Length: 100\r\n\r\n{"name": ')
    assert post(writer, "/other.txt", json.dumps(DATA)) == (200, "Wrote data for Han Solo.")
    assert os.listdir(directory) == ["other.txt"]
