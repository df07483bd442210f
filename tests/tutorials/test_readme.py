"""The tutorials' text says what the programs do."""
from __future__ import annotations

import re
import socket
import textwrap
from pathlib import Path

import pytest

from tests.tutorials.programs import TUTORIALS, ended

README = (TUTORIALS / "README.rst").read_text(encoding="utf-8")
SERVERS = {"hello_world_server.py": 4040, "hello_world_server_secure.py": 4047,
           "number_thinker.py": 4041, "basic_writer_server.py": 4049, "mini_file_server.py": 4044,
           "basic_file_server.py": 4046, "static_file_server.py": 4048, "note_server.py": 4042, "chat_server.py": 4043,
           "steady_server.py": 4045}


@pytest.mark.parametrize("name, port", SERVERS.items())
def test_each_server_has_its_chapter(name: str, port: int) -> None:
    scheme = "https" if "secure" in name else "http"
    assert f"python tutorials/{name}\n" in README or f"python ../tutorials/{name}\n" in README
    assert f"    Listening on {scheme}://127.0.0.1:{port}/\n" in README
    assert re.search(rf"^``{name}`` +{scheme}://127.0.0.1:{port}/ ", README, re.MULTILINE)


@pytest.mark.parametrize("name, port", SERVERS.items())
def test_a_port_that_is_taken_is_one_clear_line(name: str, port: int, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        status, printed, errors = ended(name, port, taken, tmp_path)
    assert status == 1 and "Listening" not in printed
    assert re.fullmatch(rf"\[Errno \d+\] cannot listen on 127\.0\.0\.1:{taken}: Address already in use\n", errors)


def code_blocks() -> list[str]:
    return re.findall(r"^\.\. code-block:: (?:python|html)\n\n((?:    .*\n|\n)+)", README, re.MULTILINE)


def test_the_code_in_the_text_is_the_code_in_the_programs() -> None:
    lines = {line.strip() for file in (*TUTORIALS.glob("*.py"), *TUTORIALS.glob("*.html"), *TUTORIALS.glob("*.js"))
             for line in file.read_text(encoding="utf-8").splitlines()}
    blocks = code_blocks()
    assert len(blocks) > 10
    for block in blocks:
        missing = [line for line in textwrap.dedent(block).splitlines() if line.strip() not in lines | {""}]
        assert not missing
