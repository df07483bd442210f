"""Ctrl-C while a command's own modules are still being imported: it ends, without a traceback."""
from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import blockingio
from tests.scripts import PYTHON_PATH, ROOT

PACKAGE = Path(blockingio.__file__).parent

# Runs the statement that is its first argument.  Whenever that imports a module of the package for the first time, a
# child is forked that presses Ctrl-C there and goes on; then a line is printed: module, child's status, child's words.
PRESSES_AT_EVERY_IMPORT = """
import json, os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] != "blockingio" or os.getpid() != parent:
            return None
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.dup2(writer, 1)
            os.dup2(writer, 2)
            os.close(writer)
            signal.raise_signal(signal.SIGINT)
            return None
        os.close(writer)
        with open(reader) as said:
            words = said.read()
        report.append((name, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), words))
        return None

# A shell without job control starts what is in the background with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
parent, report = os.getpid(), []
sys.meta_path.insert(0, Finder())
statement, sys.argv = sys.argv[1], ["command", "--help"]
try:
    exec(statement)
finally:
    if os.getpid() == parent:
        print("\\n" + json.dumps(report))
"""


def console_scripts() -> list[str]:
    """As pip makes them."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    targets = [line.partition(" = ")[2] for line in
               config["options.entry_points"]["console_scripts"].strip().splitlines()]
    return ["from {} import {} as run; run()".format(*target.split(":")) for target in targets]


COMMANDS = sorted(".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("__main__.py"))
BEGINNINGS = [*(f"import runpy; runpy.run_module({name!r}, run_name='__main__', alter_sys=True)" for name in COMMANDS),
              *console_scripts()]


def presses(statement: str) -> list[Any]:
    done = subprocess.run([sys.executable, "-c", PRESSES_AT_EVERY_IMPORT, statement], cwd=ROOT, capture_output=True,
                          text=True, env=os.environ | {"PYTHONPATH": PYTHON_PATH}, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith("usage"), done
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.needs("os.fork")
@pytest.mark.parametrize("statement", BEGINNINGS)
def test_ctrl_c_at_any_import_ends_it_without_a_word(statement: str) -> None:
    """Only what the interpreter itself loads before the command's first line is its own: the rooms that it is in."""
    report = presses(statement)
    first = [name for name, *_ in report].index("blockingio.cli.program")
    assert {name for name, *_ in report[:first]} <= {"blockingio", "blockingio.cli", "blockingio.__main__", *(
        part for name in COMMANDS for part in (name, f"{name}.__main__"))}
    behind = report[first + 1:]
    assert len(behind) > 10 and all(words == "" for _, _, words in behind), behind
    expected = 130 if "check" in statement or "wire_view" in statement else 0
    assert {status for _, status, _ in behind} == {expected}


def test_the_commands_are_found() -> None:
    assert COMMANDS == ["blockingio", "blockingio.check", "blockingio.wire_view", "blockingio.wsgi"]
    assert len(BEGINNINGS) == 5
