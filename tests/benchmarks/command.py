"""The command beside what does the same: a listing, a folder as a ZIP, and an upload."""
from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.contender import Contender, started
from tests.benchmarks.files import CONNECTIONS, WARM_UP, print_loads
from tests.benchmarks.load import drive, generate
from tests.benchmarks.processors import give_servers
from tests.benchmarks.report import Options, Score, in_turn, median, print_table, ratio, say

MEBIBYTE = 1 << 20
ENTRIES = 1000
ZIPPED = 100  # files of a mebibyte
UPLOADED = 500_000_000

_BOUNDARY = b"----a-boundary-as-long-as-that-of-browsers"


class Upload(NamedTuple):
    """How a file is sent to the folder: fields of the head, and what is around it in the body."""

    fields: bytes
    before: bytes = b""
    after: bytes = b""


#: As the page's script sends it.
FILE = Upload(b"Content-Type: application/octet-stream\r\nSlug: a.bin\r\n")
#: As a browser does by itself.
FORM = Upload(b"Content-Type: multipart/form-data; boundary=%b\r\n" % _BOUNDARY,
              b'--%b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
              b"Content-Type: application/octet-stream\r\n\r\n" % _BOUNDARY, b"\r\n--%b--\r\n" % _BOUNDARY)


class Copy(NamedTuple):
    """Bytes a second."""

    rate: float

    def __str__(self) -> str:
        return f"{self.rate / MEBIBYTE:,.0f} MiB/s"


def run(options: Options, score: Score) -> None:
    with tempfile.TemporaryDirectory() as root, tempfile.TemporaryDirectory() as other:
        _fill(Path(root))
        with started(["files.http_server", "files.command"], root) as contenders:
            for contender in contenders:
                drive(contender.port, "/many/", 1, WARM_UP, False)
            loads = in_turn("listing", {
                contender.label: partial(generate, contender.port, CONNECTIONS, options.seconds, target="/many/")
                for contender in contenders}, options.rounds)
            print_loads(f"a listing of {ENTRIES:,} entries, {CONNECTIONS} connections ({options})", loads,
                        ["http.server"], "at least 5.00 times http.server")
            zips: dict[str, Callable[[], Copy]] = {"command ?zip": partial(zip_folder, contenders[-1], "/zipped/")}
            if shutil.which("zip"):
                zips["zip -0"] = partial(_zip_by_program, Path(root, "zipped"))
            else:
                say("without zip -0: it is not installed")
            _print(f"{ZIPPED} files of 1 MiB as a ZIP ({options.rounds} times)", in_turn("ZIP", zips, options.rounds),
                   "zip -0", "at least 1.00")
        source = Path(other, "source.bin")
        _write(source, UPLOADED)
        with Contender("files.command", root) as ours:
            target = Path(other, "copy.bin")
            copies = in_turn("upload", {
                "cat": partial(_cat, source, target), "cat from a socket": partial(receive_by_cat, source, target),
                "command upload": partial(upload, FILE, ours, source, Path(root, "inbox")),
                "a form": partial(upload, FORM, ours, source, Path(root, "inbox"))}, options.rounds)
            _print(f"an upload of {UPLOADED // 1_000_000} MB, until it is on the disk ({options.rounds} times); "
                   f"the server has {_peak(ours)} of memory at most", copies, "cat", "at least 0.80")
            say("cat alone has one copy made, inside the kernel, as has an upload; the one from a socket, and a form, in "
                "which the boundary is looked for, have two")


def _fill(root: Path) -> None:
    for name in ("many", "zipped", "inbox"):
        (root / name).mkdir()
    for number in range(ENTRIES):
        (root / "many" / f"a file with the number {number}.txt").write_bytes(b"x" * number)
    for number in range(ZIPPED):
        _write(root / "zipped" / f"{number}.bin", MEBIBYTE)


def _write(path: Path, size: int) -> None:
    block = os.urandom(MEBIBYTE)
    with open(path, "wb") as file:
        for left in range(size, 0, -MEBIBYTE):
            file.write(block[:left])


def zip_folder(contender: Contender, target: str) -> Copy:
    began = time.perf_counter()
    total = 0
    with socket.create_connection(("127.0.0.1", contender.port)) as connection:
        connection.sendall(f"GET {target}?zip HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        while data := connection.recv(65536):
            total += len(data)
    return Copy(total / (time.perf_counter() - began))


def _zip_by_program(folder: Path) -> Copy:
    """As a script would send it: through a pipe."""
    began = time.perf_counter()
    total = 0
    with subprocess.Popen(["zip", "-0", "-r", "-q", "-", "."], cwd=folder, stdout=subprocess.PIPE,
                          bufsize=0) as process:
        give_servers(process)
        assert process.stdout
        while data := process.stdout.read(65536):
            total += len(data)
    return Copy(total / (time.perf_counter() - began))


def _cat(source: Path, target: Path) -> Copy:
    began = time.perf_counter()
    with open(target, "wb") as file:
        subprocess.run(["cat", source], stdout=file, check=True)
        os.fsync(file.fileno())
    rate = source.stat().st_size / (time.perf_counter() - began)
    target.unlink()
    return Copy(rate)


def receive_by_cat(source: Path, target: Path) -> Copy:
    """What no server can be faster than on this machine: the same bytes by the same way, and no look at them."""
    size = source.stat().st_size
    began = time.perf_counter()
    with socket.create_server(("127.0.0.1", 0)) as listener, open(source, "rb") as file, open(target, "wb") as copy:
        with socket.create_connection(listener.getsockname()) as sender, listener.accept()[0] as receiver:
            with subprocess.Popen(["cat"], stdin=receiver.fileno(), stdout=copy) as process:
                give_servers(process)
                sender.sendfile(file)
                sender.shutdown(socket.SHUT_WR)
                assert process.wait() == 0
        os.fsync(copy.fileno())
    rate = size / (time.perf_counter() - began)
    assert target.stat().st_size == size
    target.unlink()
    return Copy(rate)


def upload(kind: Upload, contender: Contender, source: Path, inbox: Path) -> Copy:
    """``inbox`` is the folder that the file comes to, as /inbox/."""
    size = source.stat().st_size
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", contender.port)) as connection, open(source, "rb") as file:
        length = len(kind.before) + size + len(kind.after)
        connection.sendall(b"POST /inbox/ HTTP/1.1\r\nHost: localhost\r\n%bContent-Length: %d\r\n\r\n%b" % (
            kind.fields, length, kind.before))
        connection.sendfile(file)
        connection.sendall(kind.after)
        answer = connection.recv(1000)
    saved, = inbox.iterdir()
    with open(saved, "rb") as file:
        os.fsync(file.fileno())
    rate = size / (time.perf_counter() - began)
    assert answer.startswith((b"HTTP/1.1 201 ", b"HTTP/1.1 303 ")), answer
    assert saved.stat().st_size == size
    saved.unlink()
    return Copy(rate)


def _peak(contender: Contender) -> str:
    try:
        status = Path(f"/proc/{contender.pid}/status").read_text()
    except FileNotFoundError:
        return "an unknown number of MiB"
    return f"{int(status.partition('VmHWM:')[2].split()[0]) >> 10} MiB"


def _print(title: str, copies: dict[str, list[Copy]], base: str, aim: str) -> None:
    rates = {name: median(run.rate for run in runs) for name, runs in copies.items()}
    rows = [[name, f"{rate / MEBIBYTE:,.0f}", ratio(rate, rates.get(base))] for name, rate in rates.items()]
    print_table(title, ["MiB/s", f"x {base}"], rows, f"the command is to reach {aim} of {base}")
