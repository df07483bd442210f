"""?zip: a folder as one file, within the jail."""
from __future__ import annotations

import errno
import io
import os
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import requests

from blockingio.http_server.listing import Entry
from blockingio.http_server.safe_open import Opened, open_below
from blockingio.http_server.zip_stream import write_zip
from blockingio.server.thread_pool import ThreadPool
from tests.cli.command import Command
from tests.cli.sites import make_directory, send, site
from tests.peers import PATIENCE, RawClient, eventually


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = make_directory(tmp_path)
    (directory / "sub" / "ä.bin").write_bytes(os.urandom(600_000))
    (directory / "sub" / "deep").mkdir()
    (directory / "sub" / "deep" / "empty").write_bytes(b"")
    os.utime(directory / "hello.txt", (0, 0))  # before a ZIP's time begins
    return directory


def fetch(client: RawClient, target: str) -> zipfile.ZipFile:
    response = client.get(target)
    assert (response.status, response.header("content-type")) == (200, "application/zip")
    return zipfile.ZipFile(io.BytesIO(response.body))


def test_all_that_is_below_a_folder(directory: Path) -> None:
    with site(directory) as client:
        archive = fetch(client, "/?zip")
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["hello.txt", "sub/", "sub/deep/", "sub/deep/empty", "sub/ä.bin"]
        assert archive.read("hello.txt") == b"Hello, world!"
        assert archive.read("sub/ä.bin") == (directory / "sub" / "ä.bin").read_bytes()
        assert sorted(fetch(client, "/sub/?zip").namelist()) == ["deep/", "deep/empty", "ä.bin"]
        response = client.get("/sub/?zip")
        assert response.header("content-disposition") == "attachment; filename=\"sub.zip\"; filename*=UTF-8''sub.zip"
        assert send(client, "HEAD", "/?zip").header("content-type") == "application/zip"
        assert b'<a href="?zip" download>' in client.get("/").body


@pytest.mark.needs("dir_fd")
def test_the_jail_and_what_is_hidden_hold(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (directory / "out").symlink_to(tmp_path / "secret")
    (directory / "up").symlink_to(tmp_path)
    (directory / "round").symlink_to(".")
    (directory / "sub" / "round").symlink_to("../sub")
    (directory / "in").symlink_to("hello.txt")
    (directory / ".env").write_text("secret")
    os.mkfifo(directory / "fifo")
    with site(directory) as client:
        assert sorted(fetch(client, "/?zip").namelist()) == [
            "hello.txt", "in", "sub/", "sub/deep/", "sub/deep/empty", "sub/ä.bin"]
        assert client.get("/..%2f?zip").status == client.get("/up/?zip").status == 404


@pytest.mark.parametrize("options", [{"zip": False}, {"listing": False}])
def test_where_it_is_not_wanted(directory: Path, options: dict[str, bool]) -> None:
    with site(directory, **options) as client:
        response = client.get("/?zip")
        assert response.header("content-type") == "text/html; charset=utf-8" and b"?zip" not in response.body


def test_a_page_may_have_a_parameter_of_that_name(directory: Path) -> None:
    """As an address form has for the postal code; a folder that is asked for as ?zip alone is sent whatever it shows."""
    (directory / "index.html").write_text("<h1>Where?</h1>")
    with site(directory) as client:
        for target in ("/?zip=10115", "/?city=a&zip=1"):
            assert client.get(target).body == b"<h1>Where?</h1>"
        assert "index.html" in fetch(client, "/?zip").namelist()
        assert fetch(client, "/sub/?zip=1").namelist()


def test_the_root_of_the_file_system_has_no_name() -> None:
    with site(Path("/")) as client:
        assert 'filename="files.zip"' in str(send(client, "HEAD", "/?zip").header("content-disposition"))


def test_no_thread_for_it(directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with site(directory) as client:
        assert client.get("/hello.txt").status == 200  # it has its thread
        with monkeypatch.context() as patch:
            patch.setattr(ThreadPool, "run", refuse)
            response = client.get("/sub/?zip")
        assert response.status == 503 and b"too much to do for /sub/" in response.body
        assert response.header("content-type") == "text/html; charset=utf-8"
        assert response.header("content-disposition") is None
    assert "could not be begun" in caplog.text


def test_a_client_that_goes_away(directory: Path) -> None:
    with open(directory / "large", "wb") as file:
        file.truncate(200_000_000)
    with site(directory) as client:
        client.send(b"GET /?zip HTTP/1.1\r\nHost: localhost\r\n\r\n").read_exactly(1000)
        client.reset()


def test_the_command(directory: Path, tmp_path: Path) -> None:
    """It is a file that unzip takes too."""
    with Command(directory, "--port", "0", "--quiet") as command:
        url = command.start(directory)
        (tmp_path / "all.zip").write_bytes(requests.get(url + "?zip", timeout=PATIENCE).content)
        assert command.interrupt() == (0, "", "")
    done = subprocess.run(["python3", "-m", "zipfile", "-t", tmp_path / "all.zip"], capture_output=True, text=True,
                          timeout=PATIENCE)
    assert done.returncode == 0, done
    with Command(directory, "--port", "0", "--quiet", "--no-zip") as command:
        url = command.start(directory)
        assert requests.get(url + "?zip", timeout=PATIENCE).headers["content-type"].startswith("text/html")
        assert command.interrupt() == (0, "", "")


def test_names_that_are_not_utf8(directory: Path) -> None:
    """They look the same, and none takes another's place when the ZIP is unpacked."""
    for number, name in enumerate((b"a\xe8.txt", b"a\xe9.txt", "a\ufffd (1).txt".encode(), b"d\xe8/x", b"d\xe9/x")):
        path = Path(directory, "sub", os.fsdecode(name))
        path.parent.mkdir(exist_ok=True)
        path.write_text(str(number))
    with site(directory) as client:
        archive = fetch(client, "/sub/?zip")
    files = {name: archive.read(name) for name in archive.namelist() if name[0] in "ad" and "deep" not in name}
    assert files == {
        "d\ufffd/": b"", "d\ufffd/x": b"3", "d\ufffd (1)/": b"", "d\ufffd (1)/x": b"4",
        "a\ufffd.txt": b"0", "a\ufffd (1).txt": b"1", "a\ufffd (1) (1).txt": b"2"}


def test_it_is_written_at_its_readers_pace(directory: Path) -> None:
    """What waits for the reader does not grow with the folder."""
    with open(directory / "large", "wb") as file:
        file.truncate(20_000_000)

    class Output(io.BytesIO):
        waiting = most = 0

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.waiting += len(data)
            self.most = max(self.most, self.waiting)
            return super().write(data)

        def flush(self) -> None:
            self.waiting = 0

    output = Output()
    write_zip(output, (), lambda names: open_below(str(directory), names),
              lambda folder, names: [Entry(name, False, 0, 0) for name in os.listdir(directory.joinpath(*names))],
              lambda: True)
    assert zipfile.ZipFile(output).testzip() is None
    assert output.most < 2_000_000 and output.tell() > 20_000_000


@pytest.mark.needs("dir_fd")
def test_what_changes_while_it_is_written(directory: Path) -> None:
    """What is gone, may not be read, or is no file any more once its turn comes is left out; all else is there."""
    (directory / "locked").mkdir()
    (directory / "locked" / "inside").touch()
    os.mkfifo(directory / "fifo")
    for name in ("gone", "left"):
        (directory / name).write_text(name)
    os.utime(directory / "left", (1e11, 1e11))  # in the year 5138, and a ZIP's time ends in 2107

    def open_names(names: Sequence[str]) -> Opened:
        if names[-1:] == ("gone",):
            raise FileNotFoundError(errno.ENOENT, "gone")
        return open_below(str(directory), names)

    def entries(folder: Opened, names: Sequence[str]) -> list[Entry]:
        if names[-1:] == ("locked",):
            raise PermissionError(errno.EACCES, "locked")
        found = sorted(os.listdir(directory.joinpath(*names)))
        return [Entry(name, name in ("sub", "deep", "locked"), 0, 0) for name in found]

    output = io.BytesIO()
    assert write_zip(output, (), open_names, entries, lambda: True) == ["locked/"]
    archive = zipfile.ZipFile(output)
    assert archive.testzip() is None
    assert archive.namelist() == ["hello.txt", "left", "locked/", "sub/", "sub/deep/", "sub/deep/empty", "sub/ä.bin"]
    assert archive.getinfo("left").date_time == (2107, 12, 31, 23, 59, 58)
    assert archive.getinfo("hello.txt").date_time == (1980, 1, 1, 0, 0, 0)


def test_what_could_not_be_read_is_told(directory: Path, monkeypatch: pytest.MonkeyPatch,
                                        caplog: pytest.LogCaptureFixture) -> None:
    """Of files that may not be read, the log says which; where no more can be opened, there is none."""
    number = errno.EACCES

    def fail(root: str, names: Sequence[str], **options: bool) -> Opened:
        if names[-1:] == ("empty",):
            raise OSError(number, os.strerror(number))
        return open_below(root, names, **options)

    monkeypatch.setattr("blockingio.http_server.virtual_directory.open_below", fail)
    with site(directory) as client:
        assert sorted(fetch(client, "/?zip").namelist()) == ["hello.txt", "sub/", "sub/deep/", "sub/ä.bin"]
        eventually(lambda: "a ZIP of /?zip is without what could not be read: sub/deep/empty" in caplog.text)
        number = errno.EMFILE
        assert client.get("/?zip").status == 500  # nothing had gone out yet
        eventually(lambda: "a ZIP of /?zip ended early: [Errno 24]" in caplog.text)
