"""Systems that lack what Linux has: the suites of server, client, files, command and tutorials without all of that.

tests/bare_system/sitecustomize.py says what is taken away, and takes it from each interpreter that is started here.
A test that is about something of it says so by ``@pytest.mark.needs`` and is left out; all others of these suites
have to pass, but for what is in LEFT_OUT, which comes to nothing in net/system.py that the others do not come to.
"""
from __future__ import annotations

import faulthandler
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.scripts import PYTHON_PATH, ROOT

#: The suites, and how many tests of each there are at least, so that they are run at all.
SUITES = {"server": 1150, "net": 250, "client": 880, "http_server": 500, "cli": 230, "tutorials": 120}

#: What is not run a second time, by what it is about.
LEFT_OUT = {
    "text and values: no system has a part in them": [
        "client/test_auth.py", "client/test_challenges.py", "client/test_damaged.py", "client/test_gzip.py",
        "client/test_second_tries.py", "http_server/test_conditional.py", "http_server/test_form_data.py",
        "http_server/test_mime.py", "http_server/test_multipart.py", "http_server/test_paths.py",
        "http_server/test_ranges.py", "net/test_x509.py", "server/test_allowed_hosts.py", "server/test_compression.py",
        "server/test_piece.py", "server/test_request.py", "server/test_settings.py"],
    "references, collections, memory, threads beside each other: the interpreter's": [
        "http_server/test_file_cache.py::test_many_threads_and_a_file_that_changes",
        "server/test_dropped_responses.py", "server/test_left_loops.py",
        "server/test_many_slow_readers.py::test_a_small_rest_does_not_pin_what_it_is_the_rest_of",
        "server/test_many_slow_readers.py::test_what_they_cost_is_what_is_counted"],
    "what a browser makes of the pages": ["cli/test_browser.py", "tutorials/test_browser.py"],
}

#: Seconds for a suite, on a machine that is busy with all of them.
TIME = 300

HERE = Path(__file__).parent
BARE = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE / "bare_system"), PYTHON_PATH])}


def bare(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """What an interpreter says that lacks all of it."""
    return subprocess.run([sys.executable, "-W", "error", *arguments], cwd=ROOT, env=BARE | more, text=True,
                          capture_output=True, timeout=60)


def test_what_is_taken_away_is_what_the_library_knows_of() -> None:
    """Each function that one system lacks has its other way in net/system.py: all of these are in use here."""
    done = bare("-c", "import socket\n"
                      "from blockingio.net import channel, system\n"
                      "print(system.wait_for.__name__, system.input_watch.__name__, system.CAN_SEE_HANG_UP,\n"
                      "      channel.DuplexChannel.__name__, system.read_at.__name__, system.send_file, system.splice,\n"
                      "      system.AF_UNIX, system.CAN_OPEN_BELOW, system.CAN_WRITE_BELOW, system.CAN_OPEN_DIRECTORIES,\n"
                      "      socket.socketpair()[0].family.name)")
    assert done.stdout.split() == ["_wait_by_select", "_watch_by_select", "False", "NonBlockingChannel",
                                   "_seek_and_read", "None", "None", "None", "False", "False", "False", "AF_INET"
                                   ], done


@pytest.mark.parametrize(("code", "error"), [
    ("HttpServer.bind(InternetAddress('/tmp/no', InternetAddressType.UNIX), 0)",
     "cannot listen on /tmp/no: this system has no Unix-domain sockets (AF_UNIX)"),
    ("HttpServer.bind('127.0.0.1', 0, shared=True)",
     "cannot listen on 127.0.0.1:0: shared=True: this system cannot share a port (SO_REUSEPORT)"),
    ("run(print, HttpServer.bind('127.0.0.1', 0), processes=2)",
     "this system has no fork: one process is all there can be"),
])
def test_what_was_asked_for_and_this_system_does_not_have(code: str, error: str) -> None:
    done = bare("-W", "ignore", "-c", "from blockingio import HttpServer, InternetAddress, InternetAddressType\n"
                                      f"from blockingio.processes import run\n{code}")
    assert done.returncode == 1
    assert re.sub(r"^\[Errno \d+] ", "", done.stderr.splitlines()[-1].removeprefix("OSError: ")) == error


EXCHANGE = """
import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from blockingio import HttpClient, HttpServer
from blockingio.http_server import VirtualDirectory

def handle(request):
    if request.uri.path == "/upgrade":
        request.response.status_code = 101
        request.response.headers.set("connection", "upgrade")
        request.response.headers.set("upgrade", "echo")
        with request.response.detach_socket() as sock:
            while data := sock.recv(100):
                sock.sendall(data)
    elif request.method == "POST":
        request.response.write(request.read())
        request.response.close()
    else:
        directory.serve_request(request)

with TemporaryDirectory() as root, HttpServer.bind("127.0.0.1", 0) as server, HttpClient() as client:
    directory = VirtualDirectory(root)
    Path(root, "large").write_bytes(bytes(5_000_000))
    Path(root, "link").symlink_to("large")
    server.listen(handle, workers=2)
    url = f"http://127.0.0.1:{server.port}"
    print(len(client.get_url(url + "/large").close().read()))
    print(client.get_url(url + "/link").close().status_code)
    request = client.post_url(url)
    request.write(bytes(3_000_000))
    print(len(request.close().read()))
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(b"GET /upgrade HTTP/1.1\\r\\nHost: a\\r\\nConnection: upgrade\\r\\nUpgrade: echo\\r\\n\\r\\nbefore")
        received = b""
        while not received.endswith(b"before"):
            received += sock.recv(100)
        sock.sendall(b"after")
        print(received[:12], sock.recv(100))
        sock.shutdown(socket.SHUT_WR)
        print(sock.recv(100))
"""


def test_an_exchange() -> None:
    done = bare("-c", EXCHANGE)
    assert done.stdout.splitlines() == ["5000000", "404", "3000000", "b'HTTP/1.1 101' b'after'", "b''"], done


@pytest.mark.parametrize(("arguments", "error"), [
    (["--upload"], "argument --upload: this system cannot make files relative to an open directory (dir_fd)"),
    (["--unix", "s"], "argument --unix: this system has no Unix-domain sockets (AF_UNIX)"),
])
def test_the_command_says_so_in_one_line(tmp_path: Path, arguments: list[str], error: str) -> None:
    done = bare("-m", "blockingio", *arguments, str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"python -m blockingio: {error}\n"


class Run(NamedTuple):
    process: subprocess.Popen[bytes]
    output: Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """Each suite in a bare interpreter, all at once, because most tests wait."""
    directory = tmp_path_factory.mktemp("runs")
    found: dict[str, Run] = {}
    try:
        for suite in SUITES:
            found[suite] = start(suite, directory)
        yield found
    finally:
        for process, _ in found.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def start(suite: str, directory: Path) -> Run:
    """In a process group of its own, and for its cost neither measured by coverage nor with asserts rewritten.

    What is only reached in a bare interpreter test_an_exchange reaches under coverage.
    """
    environment = {name: value for name, value in BARE.items() if not name.startswith("COVERAGE_")}
    left_out = [f"--{'deselect' if '::' in name else 'ignore'}=tests/{name}" for name in sum(LEFT_OUT.values(), [])]
    output = directory / f"{suite}.txt"
    with open(output, "wb") as file:
        return Run(subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--assert=plain",
             f"--basetemp={directory / suite}", *left_out, f"tests/{suite}"],
            cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            start_new_session=True), output)


@pytest.mark.parametrize("suite", SUITES)
def test_the_suites_pass_without_it(runs: dict[str, Run], suite: str) -> None:
    faulthandler.cancel_dump_traceback_later()  # the limit for one test, which each of theirs has as well
    process, output = runs[suite]
    status = process.wait(TIME)
    text = output.read_text(errors="replace")
    passed = re.search(r"(\d+) passed", text.splitlines()[-1])
    assert status == 0 and passed and int(passed[1]) >= SUITES[suite], text


def test_what_is_left_out_is_there() -> None:
    for name in sum(LEFT_OUT.values(), []):
        module, _, test = name.partition("::")
        assert module.partition("/")[0] in SUITES and f"def {test}" in (HERE / module).read_text(), name
