"""The fixtures for pytest, in a run of pytest's own; and the same with unittest, as the tutorial has it."""
from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

TESTS = '''
import ssl
import sys
import urllib.request

import pytest

def get(server, path):
    context = None
    if server.context is not None:
        context = ssl.create_default_context(cadata=server.context.certificate_pem)
    with urllib.request.urlopen(server.url + path, timeout=5, context=context) as response:
        return response.read()

def test_0_nothing_is_loaded_before_a_fixture_is_used():
    loaded = [name for name in sys.modules if name.startswith("blockingio")]
    assert not [name for name in loaded if name.split(".")[1:2] in (["server"], ["client"], ["net"])], loaded
    assert "blockingio.testing.plugin" in loaded

def test_1_http(http_server):
    http_server.on("GET", "/a", body="b")
    assert get(http_server, "/a") == b"b" and http_server.url.startswith("http:")

def test_2_https(https_server):
    https_server.on("GET", "/a", body="b")
    assert get(https_server, "/a") == b"b" and https_server.url.startswith("https:")

def test_3_unexpected(http_server):
    http_server.on("POST", "/a")
    with pytest.raises(OSError):
        get(http_server, "/b")

def test_4_an_action_fails(http_server):
    def action(request):
        raise LookupError("in the action")
    http_server.on("GET", "/a", action=action)
    get(http_server, "/a")

def test_5_skipped(http_server):
    pytest.skip("as it says")

def test_6_both_fail(http_server):
    get(http_server, "/c")

def test_7_its_own_fault(http_server):
    assert 1 == 2

@pytest.fixture
def https_server_of_mine(https_server):
    yield https_server
    get(https_server, "/at the end".replace(" ", "%20"))

def test_8_behind_the_test(https_server_of_mine):
    https_server_of_mine.on("GET", "/at%20the%20end", times=2)
'''


def test_the_fixtures(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "-rA", "test_it.py"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    text = result.stdout
    found = re.findall(r"^(PASSED|FAILED|ERROR) test_it\.py::test_(\d)", text, re.MULTILINE)
    assert {number: outcome for outcome, number in found} == {
        "0": "PASSED", "1": "PASSED", "2": "PASSED", "3": "FAILED", "4": "FAILED", "6": "FAILED", "7": "FAILED",
        "8": "PASSED"}, text + result.stderr
    assert "1 skipped" in text and "error" not in text.splitlines()[-1]
    assert re.search(r"FAILED \S+test_3_unexpected - AssertionError: an unexpected request:", text)
    assert re.search(r"E +GET /b from 127\.0\.0\.1:\d+\nE +there was:\nE +POST /a -> 200\n", text)
    assert re.search(r'>       raise LookupError\("in the action"\)', text)
    assert "FAILED test_it.py::test_6_both_fail - AssertionError: an unexpected request" in text
    assert "urllib.error.HTTPError" in text and "assert 1 == 2" in text


def test_the_fixtures_describe_themselves() -> None:
    """As ``pytest --fixtures`` shows them; pytest finds them by their entry point."""
    (found,) = [entry for entry in entry_points(group="pytest11") if entry.value.startswith("blockingio")]
    plugin = found.load()
    for name in ("http_server", "https_server"):
        assert len(getattr(plugin, name).__doc__) > 100
