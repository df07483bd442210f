"""HttpBodyHandler with ``spool``: large files of a form in temporary files, which go with the body."""
from __future__ import annotations

import gc
import os
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from blockingio import HttpException, HttpRequest
from blockingio.http_server import HttpBodyFileUpload, HttpBodyHandler, HttpRequestBody
from tests.conftest import open_descriptors
from tests.peers import PATIENCE, RawClient, serving

MOST = 1024 * 1024
TYPE = "Content-Type: multipart/form-data; boundary=b"


def part(name: str, content: bytes, *, filename: str | None = None, media_type: str | None = None) -> bytes:
    head = f"--b\r\nContent-Disposition: form-data; name={name}"
    if filename is not None:
        head += f"; filename={filename}"
    if media_type is not None:
        head += f"\r\nContent-Type: {media_type}"
    return head.encode() + b"\r\n\r\n" + content + b"\r\n"


def send(body: bytes, handle: Callable[[HttpRequest], object]) -> int:
    """Send one form; the status of the answer."""
    def answer(request: HttpRequest) -> None:
        handle(request)
        request.response.close()

    with serving(answer) as server, RawClient(server.port) as client:
        client.send(f"POST / HTTP/1.1\r\nHost: localhost\r\n{TYPE}\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n".encode())
        return client.send(body).read_response().status


def spooled_by(directory: Path) -> set[str]:
    """This process's descriptors of files there; none of these has a name."""
    assert os.listdir(directory) == []
    return {found for found in open_descriptors() if str(directory) in found}


def test_large_files_are_spooled(tmp_path: Path) -> None:
    """What is no file, or not above 1 MiB, stays what it is without."""
    large = os.urandom(1000) * 3000
    text = ("ä" * MOST).encode()
    form = b"".join((
        part("large", large, filename="l.bin", media_type="application/octet-stream"),
        part("limit", bytes(MOST), filename="s.bin", media_type="application/octet-stream"),
        part("small", "ü".encode(), filename="s.txt"),
        part("latin", b"\xfc", filename="s.txt"),
        part("above", bytes(MOST + 1), media_type="image/png"),
        part("text", text, filename="t.txt", media_type="text/plain"),
        part("field", text), b"--b--\r\n"))

    def handle(request: HttpRequest) -> None:
        with HttpBodyHandler.process_request(request, spool=tmp_path) as found:
            assert len(spooled_by(tmp_path)) == 3
            body = found.body
            assert body["field"] == text.decode()
            assert body["limit"].content == bytes(MOST)
            assert (body["small"].content, body["latin"].content) == ("ü", b"\xfc")
            for name, content in (("large", large), ("above", bytes(MOST + 1)), ("text", text)):
                upload = body[name]
                assert isinstance(upload, HttpBodyFileUpload)
                file: Any = upload.content
                assert file.read() == content
                assert file.seek(-1, os.SEEK_END) == len(content) - 1
                assert file.read() == content[-1:]
                assert "in a file" in repr(upload)
            assert body["large"].filename == "l.bin"
            assert body["large"].content_type.mime_type == "application/octet-stream"
        assert body["large"].content.closed
        assert spooled_by(tmp_path) == set()
        found.close()

    assert send(form, handle) == 200


@pytest.mark.parametrize("spool", [None, False])
def test_without_spool_all_is_in_memory(spool: bool | None) -> None:
    large = part("a", bytes(MOST + 1), filename="a", media_type="image/png") + b"--b--"

    def handle(request: HttpRequest) -> None:
        found = HttpBodyHandler.process_request(request, spool=spool)
        assert found.body["a"].content == bytes(MOST + 1)
        found.close()
        assert found.body["a"].content == bytes(MOST + 1)

    assert send(large, handle) == 200


def test_true_is_the_directory_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def handle(request: HttpRequest) -> None:
        with HttpBodyHandler.process_request(request, spool=True) as found:
            assert len(spooled_by(tmp_path)) == 1
            assert found.body["a"].content.read() == bytes(MOST + 1)

    assert send(part("a", bytes(MOST + 1), filename="a") + b"--b--", handle) == 200


def test_files_go_with_the_body(tmp_path: Path) -> None:
    """Without a close, and without a ResourceWarning, which would fail the test; one that is still in use stays."""
    form = part("a", b"a" * 2 * MOST, filename="a") + part("b", b"b" * 2 * MOST, filename="b") + b"--b--"

    def handle(request: HttpRequest) -> None:
        found = HttpBodyHandler.process_request(request, spool=str(tmp_path))
        kept = found.body["b"]
        assert len(spooled_by(tmp_path)) == 2
        del found
        gc.collect()
        assert len(spooled_by(tmp_path)) == 1
        assert kept.content.read() == b"b" * 2 * MOST
        del kept
        gc.collect()
        assert spooled_by(tmp_path) == set()

    assert send(form, handle) == 200


def test_of_a_repeated_name_the_last_stays(tmp_path: Path) -> None:
    form = part("a", bytes(2 * MOST), filename="a") + part("a", b"x" * 2 * MOST, filename="b") + b"--b--"

    def handle(request: HttpRequest) -> None:
        with HttpBodyHandler.process_request(request, spool=tmp_path) as found:
            gc.collect()
            assert len(spooled_by(tmp_path)) == 1
            assert found.body["a"].content.read() == b"x" * 2 * MOST

    assert send(form, handle) == 200


@pytest.mark.parametrize("end", [
    b"--b\r\nbroken\r\n\r\n", b"--b\r\nContent-Disposition: form-data; name=b; filename=b\r\n\r\n" + bytes(2 * MOST)])
def test_a_form_that_is_broken_leaves_no_file(end: bytes, tmp_path: Path) -> None:
    """Behind a file that is whole, or within one."""
    raised = []

    def handle(request: HttpRequest) -> None:
        with pytest.raises(HttpException) as caught:
            HttpBodyHandler.process_request(request, spool=tmp_path)
        raised.append(caught.value)  # it has the frames in it, and these the form
        assert spooled_by(tmp_path) == set()

    assert send(part("a", bytes(2 * MOST), filename="a") + end, handle) == 400
    assert len(raised) == 1


def test_where_nothing_can_be_written_it_is_an_os_error(tmp_path: Path) -> None:
    def handle(request: HttpRequest) -> None:
        with pytest.raises(FileNotFoundError):
            HttpBodyHandler.process_request(request, spool=tmp_path / "nothing")

    assert send(part("a", bytes(2 * MOST), filename="a") + b"--b--", handle) == 200


@pytest.mark.parametrize("spool", [1024, b"/tmp", 0])
def test_what_is_no_directory(spool: Any) -> None:
    with pytest.raises(TypeError, match="spool"):
        HttpBodyHandler(spool=spool)

    def handle(request: HttpRequest) -> None:
        with pytest.raises(TypeError, match="spool"):
            HttpBodyHandler.process_request(request, spool=spool)

    assert send(b"--b--", handle) == 200


def test_a_spooled_upload_is_not_in_memory(tmp_path: Path) -> None:
    size = 16 * MOST
    start = part("a", b"", filename="a", media_type="image/png")[:-2]
    peaks = []

    def handle(request: HttpRequest) -> None:
        tracemalloc.start()
        try:
            with HttpBodyHandler.process_request(request, spool=tmp_path) as found:
                peaks.append(tracemalloc.get_traced_memory()[1])
                assert found.body["a"].content.seek(0, os.SEEK_END) == size
        finally:
            tracemalloc.stop()
        request.response.close()

    with serving(handle) as server, RawClient(server.port) as client:
        client.send(f"POST / HTTP/1.1\r\nHost: localhost\r\n{TYPE}\r\n"
                    f"Content-Length: {len(start) + size + 7}\r\n\r\n".encode() + start)
        for _ in range(16):
            client.send(bytes(MOST))
        assert client.send(b"\r\n--b--").read_response().status == 200
    assert peaks[0] < 6 * MOST


def test_as_a_transformer_it_spools_too(tmp_path: Path) -> None:
    bodies: list[HttpRequestBody] = []

    def handle(request: HttpRequest) -> None:
        [found] = HttpBodyHandler(spool=tmp_path).bind([request])
        bodies.append(found)
        assert found.body["f"].content.read() == bytes(2 * MOST)
        found.request.response.close()

    with serving(handle) as server:
        requests.post(f"http://127.0.0.1:{server.port}/", files={"f": ("x.bin", bytes(2 * MOST))}, timeout=PATIENCE)
    assert len(spooled_by(tmp_path)) == 1
    bodies.pop().close()
    assert spooled_by(tmp_path) == set()
