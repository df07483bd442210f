"""number_guesser.py and basic_writer_client.py, run as processes against what they are made for."""
from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.servers import Asked, Peer, always, answering, scripted
from tests.peers import PATIENCE, eventually, is_asleep
from tests.tutorials.programs import QUIETLY, TUTORIALS, Program
from tests.scripts import PYTHON_PATH

_LAUNCH = Path(__file__).with_name("launch_client.py")


def start(name: str, port: int, real_port: int, *arguments: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-u", str(_LAUNCH), str(TUTORIALS / name), str(port), str(real_port),
         *arguments],
        env=environment | {"PYTHONPATH": PYTHON_PATH},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(name: str, port: int, real_port: int, *arguments: str) -> tuple[int, str, str]:
    """Its exit status, what it printed, and its errors."""
    with start(name, port, real_port, *arguments) as process:
        try:
            printed, errors = process.communicate(timeout=PATIENCE * 4)
        finally:
            process.kill()
    return process.returncode, printed, errors


def text(body: str, status: int = 200) -> bytes:
    return f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def test_guessing_against_the_thinker(tmp_path: Path) -> None:
    with Program("number_thinker.py", 4041, tmp_path) as thinker:
        match = re.fullmatch(r"I'm thinking of a number: ([0-9])", thinker.line())
        assert match
        status, printed, errors = run("number_guesser.py", 4041, thinker.port)
        assert (status, errors) == (0, "")
        assert thinker.line().startswith("I'm thinking of another number: ")
        assert thinker.interrupt() == QUIETLY
    wrong = r"Is it [0-9]\?\nfalse\n\(a second\)\n"
    right = rf"Is it {match[1]}\?\ntrue\nI'm thinking of another number\.\n"
    assert re.fullmatch(f"(?:{wrong})*{right}", printed), printed


def test_it_asks_once_a_second_until_right() -> None:
    guesses = []

    def answer(asked: Asked) -> bytes:
        assert asked.method == "GET"
        guesses.append(asked.target)
        return text("true\n" if len(guesses) == 4 else "false\n")

    with scripted(always(answer)) as server:
        status, printed, errors = run("number_guesser.py", 4041, server.port)
        assert server.connections == 1
    assert (status, errors) == (0, "")
    assert len(guesses) == 4 and all(re.fullmatch(r"/\?q=[0-9]", guess) for guess in guesses)
    assert printed.count("(a second)") == 3


def test_a_thinker_that_does_not_understand() -> None:
    with scripted(answering(text("Guess a number.\n", 400))) as server:
        status, printed, errors = run("number_guesser.py", 4041, server.port)
    assert (status, errors) == (1, "The number thinker answered 400: I give up.\n")
    assert printed.endswith("Guess a number.\n")


@pytest.mark.parametrize("name, port, hint", [
    ("number_guesser.py", 4041, "Does number_thinker.py run?"),
    ("basic_writer_client.py", 4049, "Does basic_writer_server.py run?")])
def test_nobody_answers(name: str, port: int, hint: str, free_port: int) -> None:
    status, _, errors = run(name, port, free_port)
    assert status == 1
    assert "Connection refused" in errors and errors.endswith(f"{hint}\n") and "Traceback" not in errors


def test_ctrl_c_ends_the_guesser_quietly() -> None:
    def script(peer: Peer) -> None:
        peer.demand()
        eventually(lambda: is_asleep(process.pid))
        process.send_signal(signal.SIGINT)  # while it waits for the answer
        try:
            eventually(lambda: process.poll() is not None, PATIENCE / 2)
        except AssertionError:  # it slept for something short, behind which Python has dropped that one: see is_asleep
            process.send_signal(signal.SIGINT)
        assert peer.is_ended()

    with scripted(script) as server, start("number_guesser.py", 4041, server.port) as process:
        try:
            printed, errors = process.communicate(timeout=PATIENCE * 4)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")
    assert re.fullmatch(r"Is it [0-9]\?\n", printed)


def test_writing(tmp_path: Path) -> None:
    with Program("basic_writer_server.py", 4049, tmp_path) as writer:
        assert run("basic_writer_client.py", 4049, writer.port) == (0, "Wrote data for Han Solo.\n", "")
        assert writer.interrupt() == QUIETLY
    assert json.loads((tmp_path / "file.txt").read_text())["ship"] == "Millennium Falcon"


def test_what_is_posted() -> None:
    with scripted(answering(text("Wrote data for Han Solo."))) as server:
        run("basic_writer_client.py", 4049, server.port)
    asked = server.asked[0]
    assert (asked.line, asked.header("content-type")) == (
        "POST /file.txt HTTP/1.1", "application/json; charset=utf-8")
    assert json.loads(asked.body)["name"] == "Han Solo"


def test_the_tests_of_the_weather() -> None:
    """With pytest, which runs those for unittest too."""
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider",
               "-p", "blockingio.testing.plugin", "test_weather.py", "unittest_weather.py"]
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    ran = subprocess.run(command, cwd=TUTORIALS, env=environment, capture_output=True, text=True, timeout=PATIENCE * 6)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "9 passed" in ran.stdout
