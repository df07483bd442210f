"""The benchmarks run: no figure is asserted, only that there is one, and that nothing is left behind."""
from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.benchmarks import command, latency, rows
from tests.benchmarks import websocket
from tests.benchmarks.contender import Contender, Unavailable, run_client, started
from tests.benchmarks.contenders import trusting
from tests.benchmarks.load import Load, drive, request
from tests.benchmarks.memory import cost_of_idle
from tests.benchmarks.report import Options, Score, in_turn, print_table


@pytest.mark.parametrize("script", ["ceiling", "http_server", "blockingio"])
@pytest.mark.parametrize("close", [False, True])
def test_a_contender_answers_the_load(script: str, close: bool) -> None:
    with Contender(f"apps.{script}", "plain", *(["close"] if close else [])) as contender:
        load = drive(contender.port, "/", 2, 0.05, close)
        assert load.rate > 0 and load.p99 > 0 and load.errors == 0
        os.kill(contender.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(contender.pid, 0)


_PLACES = """if True:
    import json, os
    from tests.benchmarks.contender import Contender
    from tests.benchmarks.processors import keep_apart
    places = getattr(os, "sched_getaffinity", lambda pid: {0})
    before = places(0)
    text = keep_apart()
    with Contender("apps.ceiling") as usual, Contender("apps.ceiling", needs_several=True) as several:
        print(json.dumps([text, *map(sorted, (before, places(0), places(usual.pid), places(several.pid)))]))
"""


def test_the_load_has_a_processor_of_its_own() -> None:
    text, everything, load, server, several = json.loads(subprocess.check_output([sys.executable, "-c", _PLACES]))
    assert several == everything
    if len(everything) == 1:
        assert "share" in text and load == server == everything
    else:
        assert len(load) == 1 and sorted(load + server) == everything
        assert text == f"the load on processor {load[0]}, servers on {', '.join(map(str, server))}"


def test_the_generator_counts_what_is_not_answered() -> None:
    with Contender("download.source") as contender:
        assert drive(contender.port, "/x", 2, 0.05, False).errors > 0


def test_the_generator_is_a_process_too() -> None:
    with Contender("apps.ceiling") as contender:
        command = [sys.executable, "-m", "tests.benchmarks.load", str(contender.port), "/", "2", "0.05", "0"]
        rate, p99, errors, count = json.loads(subprocess.check_output(command))
    assert rate > 0 and p99 > 0 and errors == 0 and count > 0


@pytest.mark.parametrize("script, size", [("ceiling", 32), ("ceiling", 70_000), ("ceiling_unmasking", 70_000),
                                          ("blockingio", 32), ("blockingio", 70_000)])
def test_a_contender_echoes(script: str, size: int) -> None:
    with Contender(f"echo.{script}") as contender:
        assert websocket.drive(contender.port, 2, size, 0.05) > 0


def test_a_broadcast_is_measured() -> None:
    with Contender("echo.blockingio", "hold", "broadcast") as contender, ExitStack() as stack:
        sockets = [stack.enter_context(websocket.connect(contender.port)) for _ in range(3)]
        assert len(websocket.broadcasts(sockets, 1)) == 1
        assert cost_of_idle(contender, 3, websocket.connect) is not None


def test_uploads_and_zips_are_measured(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "source.bin").write_bytes(bytes(100_000))
    with Contender("files.command", str(tmp_path)) as contender:
        for kind in (command.FILE, command.FORM):
            assert command.upload(kind, contender, tmp_path / "source.bin", tmp_path / "inbox").rate > 0
        assert command.zip_folder(contender, "/").rate > 0
    assert command.receive_by_cat(tmp_path / "source.bin", tmp_path / "copy.bin").rate > 0


@pytest.mark.parametrize("kind, words", [("get", ["plain"]), ("post", ["read"]), ("tls", ["plain", "tls"])])
def test_a_client_is_measured(kind: str, words: list[str]) -> None:
    with Contender("apps.ceiling", *words) as contender:
        for script in ("recv", "http_client", "blockingio"):
            answer = run_client(f"request.{script}", contender.port, kind, "0.05")
            assert answer["rate"] > 0 and answer["cpu"] > 0


def test_a_download_is_measured() -> None:
    with Contender("download.source") as contender:
        answer = run_client("download.recv", contender.port, "/1000", "/100000", "0.05")
    assert answer["rate"] > 0 and answer["total"] > 100000


def test_what_cannot_run_is_left_out_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    with started(["apps.nonesuch", "apps.ceiling"]) as contenders:
        assert [contender.label for contender in contenders] == ["ceiling"]
    assert "without nonesuch: " in capsys.readouterr().err
    with pytest.raises(Unavailable, match="nonesuch"):
        run_client("get.nonesuch", 1, "1")


def test_the_request_has_nine_fields() -> None:
    assert request("/", False).count(b": ") == 9 and request("/", True).count(b": ") == 10


def test_measures_are_taken_in_turn(capsys: pytest.CaptureFixture[str]) -> None:
    taken: list[str] = []
    results = in_turn("a title", {name: partial(taken.append, name) for name in "ab"}, 2)
    assert taken == ["a", "b", "a", "b"] and list(results) == ["a", "b"]
    assert "a title, round 2 of 2: b" in capsys.readouterr().err


def test_a_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("title", ["rate"], [["one", "1"], ["three", "1,000"]], "a note")
    assert capsys.readouterr().out == "\ntitle\n           rate\n  one         1\n  three   1,000\n  a note\n"


@pytest.mark.parametrize("group", rows.GROUPS)
def test_each_row_is_answered_by_the_ceiling_and_by_us(group: str) -> None:
    """What a row counts is the answer that it means."""
    for row in rows.GROUPS[group]:
        if row.route == "flask" and importlib.util.find_spec("flask") is None:
            continue
        words = [row.route, *(["tls"] if row.tls else []), *(["close"] if row.message.close else [])]
        for script in {"ceiling", *row.ours} - set(row.without):
            with Contender(f"apps.{script}", *words) as contender:
                assert row.message.try_once(contender.port, trusting() if row.tls else None) == "", row


def test_the_latency_of_a_row_is_set_against_another_servers(monkeypatch: pytest.MonkeyPatch,
                                                             capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.02, 0.01, 0.03])
    loads = [Load(1.0, 0.0, 0)] * 3  # to warm up
    monkeypatch.setattr(latency, "ROWS", latency.ROWS[:1])
    monkeypatch.setattr(latency, "generate_messages",
                        lambda *args, **kwargs: loads.pop() if loads else Load(1.0, next(times), 0))
    latency.run(Options(1, 1), Score())
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].split() == ["GET", "20.00", "10.00", "30.00", "0.50", "1.50"]
    assert lines[-1].strip() == "behind http.server: GET: blockingio.workers"


def test_the_score_names_the_rows_in_which_others_lead() -> None:
    score = Score()
    score.count("one", True)
    score.count("two", False)
    assert str(score) == "blockingio takes the least processor time in 1 of 2 rows; not in: two"
