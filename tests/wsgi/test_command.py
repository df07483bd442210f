"""python -m blockingio.wsgi, as a process."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import blockingio
from tests.peers import PATIENCE, RawClient

ROOT = Path(blockingio.__file__).parent.parent
APPLICATION = """
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
def make():
    return application
number = 1
"""


def command(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    (directory / "shop.py").write_text(APPLICATION)
    (directory / "broken.py").write_text("1 / 0\n")
    return subprocess.Popen([sys.executable, "-m", "blockingio.wsgi", *arguments], cwd=directory, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=os.environ | {"PYTHONPATH": str(ROOT)})


@pytest.mark.parametrize("name", ["shop:application", "shop:make()"])
def test_serving_until_a_signal(tmp_path: Path, name: str) -> None:
    with command(tmp_path, name, "--port", "0", "--processes", "2") as process:
        assert process.stdout and process.stdout.readline() == f"Serving {name}\n"
        port = int(process.stdout.readline().rstrip("/\n").rpartition(":")[2])
        with RawClient(port) as client:
            assert client.get().body == b"hello"
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=PATIENCE * 2)
        assert (process.returncode, errors) == (0, "") and '"GET / HTTP/1.1" 200' in output


@pytest.mark.parametrize("name, said", [
    ("shop", "expected MODULE:APPLICATION"), ("shop:nothing", "there is no 'nothing' in 'shop'"),
    ("shop:number", "is no application"), ("absent:x", "there is no module 'absent'"),
    ("absent.deeper:x", "there is no module 'absent.deeper'"), ("broken:x", "ZeroDivisionError")])
def test_what_cannot_be_served(tmp_path: Path, name: str, said: str) -> None:
    with command(tmp_path, name, "--port", "0") as process:
        _, errors = process.communicate(timeout=PATIENCE * 2)
    assert process.returncode == 2 and said in errors
    assert errors.count("\n") == 1 or name.startswith("broken")
