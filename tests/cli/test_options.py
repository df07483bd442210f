"""cli/options.py and cli/environment.py: what can be asked for, and what is wrong with it."""
from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import requests

import blockingio
from blockingio.cli.command import main
from blockingio.cli.options import make_parser
from tests.cli.command import Command
from tests.peers import PATIENCE


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The line that the command ends with."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    output, errors = capsys.readouterr()
    assert (ended.value.code, output) == (2, "")
    assert errors.startswith("python -m blockingio: ") and errors.endswith("\n") and errors.count("\n") == 1
    return errors[len("python -m blockingio: "):-1]


@pytest.mark.parametrize(("arguments", "message"), [
    (["nowhere"], "cannot serve nowhere: it does not exist"),
    (["8080"], "cannot serve 8080: it does not exist; for a port: --port 8080"),
    (["{site}/hello.txt"], "cannot serve {site}/hello.txt: it is no directory"),
    (["no\nwhere"], "cannot serve no\\nwhere: it does not exist"),
    ([""], "argument DIRECTORY: expected a path, found ''"),
    (["--unix", ""], "argument --unix: expected a path, found ''"),
    (["--log-file", ""], "argument --log-file: expected a path, found ''"),
    (["--certificate="], "argument --certificate: expected a path, found ''"),
    (["--nonsense"], "unrecognized arguments: --nonsense"),
    (["--list"], "unrecognized arguments: --list"),
    (["--prt=80"], "unrecognized arguments: --prt=80: did you mean --port?"),
    (["--uplod=1"], "unrecognized arguments: --uplod=1: did you mean --upload?"),
    (["--directory=a"], "unrecognized arguments: --directory=a: that is the DIRECTORY, without an option here"),
    (["-d", "a"], "unrecognized arguments: -d a: that is the DIRECTORY, without an option here"),
    (["--tls-cert=a.pem"], "unrecognized arguments: --tls-cert=a.pem: that is --certificate here"),
    (["a", "b"], "unrecognized arguments: b"),
    (["--port"], "argument -p/--port: expected one argument"),
    (["--port", "http"], "argument -p/--port: expected a whole number, found 'http'"),
    (["--port", "-1"], "argument -p/--port: expected a whole number, found '-1'"),
    (["--port", "65536"], "argument -p/--port: expected a number from 0 to 65535, found 65536"),
    (["--workers", "0"], "argument --workers: expected at least 1"),
    (["--workers", "9999999999"], "argument --workers: expected 10,000 at most, found 9,999,999,999"),
    (["--processes", "9999999999"], "argument --processes: expected 1,000 at most, found 9,999,999,999"),
    (["--cache", "1.5"], "argument --cache: expected a whole number, found '1.5'"),
    (["--cache", "html=5"], "argument --cache: expected a media type as text/css or image/*, found 'html'"),
    (["--cache", "text/css=5s"], "argument --cache: expected a whole number, found '5s'"),
    (["--auth", "me"], "argument --auth: expected USER:PASSWORD, found no colon"),
    (["--auth", ":secret"], "argument --auth: expected USER:PASSWORD, found no user"),
    (["--auth", "me:secret\r"],
     "argument --auth: expected no control character and what UTF-8 has, found '\\r'"),
    (["--auth", "me:\udcff"],
     "argument --auth: expected no control character and what UTF-8 has, found '\\udcff'"),
    (["--upload", "--upload-auth", "me"], "argument --upload-auth: expected USER:PASSWORD, found no colon"),
    (["--upload", "--upload-auth", ":x"], "argument --upload-auth: expected USER:PASSWORD, found no user"),
    (["--upload-auth", "me:x"], "argument --upload-auth: expected --upload or --drop with it"),
    pytest.param(["--drop", "--spa"], "argument --drop: nothing is served then, so expected no --spa with it",
                 marks=pytest.mark.needs("dir_fd")),
    pytest.param(["--drop", "--after", "3"], "argument --drop: nothing is served then, so expected no --after with it",
                 marks=pytest.mark.needs("dir_fd")),
    (["--host", "a:80"], "argument --host: expected a name as a.example or *.example, or an address, without port, "
                         "found 'a:80'"),
    (["--key", "{site}/hello.txt"], "argument --key: expected --certificate with it"),
    (["--https", "--certificate", "{site}/hello.txt"],
     "argument --https: it makes a certificate of its own, so expected no --certificate with it"),
    (["--unix", "{site}/s", "--port", "0"], "argument --unix: a socket without ports, so expected no --port with it"),
    (["--unix", "{site}/s", "--open"],
     "argument --open: no browser opens a Unix-domain socket, so expected no --unix with it"),
    pytest.param(["--unix", "{site}/no/s"], "argument --unix: cannot listen on {site}/no/s: ...",
                 marks=pytest.mark.needs("socket.AF_UNIX")),
    (["--https", "--bind", "no.such.host.invalid"], "argument -b/--bind: no address for host 'no.such.host.invalid': ..."),
    (["--certificate", "{site}/nothing"],
     "cannot use --certificate {site}/nothing: {site}/nothing: No such file or directory"),
    (["--certificate", "{site}/hello.txt"], "cannot use --certificate {site}/hello.txt: ..."),
    (["--certificate", "{site}/hello.txt", "--key", "{site}/x"],
     "cannot use --certificate {site}/hello.txt with --key {site}/x: ..."),
    (["--bind", "no.such.host.invalid"], "argument -b/--bind: no address for host 'no.such.host.invalid': ..."),
    (["--bind", "203.0.113.7"], "argument -b/--bind: cannot listen on 203.0.113.7:8000: ..."),
    (["--after", "0"], "argument --after: expected at least 1"),
    (["--once", "--after", "2"], "argument --once: it is --after 1, so expected no --after with it"),
    pytest.param(["--once", "--processes", "2"],
                 "argument --once: it is one process that counts, so expected no --processes with it",
                 marks=pytest.mark.needs("os.fork")),
    pytest.param(["--for", "2h", "--processes", "2"],
                 "argument --for: it is one process that counts, so expected no --processes with it",
                 marks=pytest.mark.needs("os.fork")),
    pytest.param(["--reload", "--processes", "2"],
                 "argument --reload: it is one process that looks, so expected no --processes with it",
                 marks=pytest.mark.needs("os.fork")),
    (["--reload", "--cache", "5"],
     "argument --reload: pages would come from the browser's cache, so expected no --cache with it"),
    (["--for", "50"], "argument --for: expected a time as 90s, 50m, 2h or 1h30m, found '50'"),
    (["--log", "nonsense"], "argument --log: invalid choice: 'nonsense' (choose from ..."),
    (["--log-file", "{site}/no/log"], "argument --log-file: cannot write {site}/no/log: No such file or directory"),
    (["--log-file", "{site}"], "argument --log-file: cannot write {site}: Is a directory"),
    (["--header", "X-Frame-Options"], "argument --header: expected NAME:VALUE, found 'X-Frame-Options'"),
    (["--header", ": x"], "argument --header: a field name is a token (RFC 9110 5.6.2), found ''"),
    (["--header", "a b: x"], "argument --header: a field name is a token (RFC 9110 5.6.2), found 'a b'"),
    (["--header", "a: x\r\nb: y"], "argument --header: expected no control character ..."),
    (["--header", "a: \u2603"], "argument --header: expected latin-1 text ..."),
    (["--header", "Content-Length: 5"],
     "argument --header: Content-Length is the server's own to say, expected another name"),
])
def test_what_is_wrong_is_one_line(directory: Path, capsys: pytest.CaptureFixture[str], arguments: list[str],
                                   message: str) -> None:
    if arguments[0].startswith("-"):
        arguments = [str(directory), *arguments]
    found = refusal(capsys, *[argument.replace("{site}", str(directory)) for argument in arguments])
    start, anything, rest = message.replace("{site}", str(directory)).partition("...")
    assert found.startswith(start) and found.endswith(rest)
    assert anything or found == start


def test_a_directory_that_may_not_be_read(directory: Path, monkeypatch: pytest.MonkeyPatch,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert refusal(capsys, str(directory)) == f"cannot serve {directory}: it may not be read"


def test_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In groups, with examples, in lines that fit a terminal."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    groups = re.findall("^([a-zA-Z ]+):$", text, re.MULTILINE)
    assert groups == ["positional arguments", "options", "where it listens", "what it shows", "who may do what",
                      "HTTPS", "when it ends", "how it answers", "what it tells", "examples"]
    examples = text.partition("examples:\n")[2]
    assert len(re.findall("^  python -m blockingio", examples, re.MULTILINE)) == 3
    assert max(map(len, text.splitlines())) < 80
    for option in ("--upload", "--log", "--header", "--https", "BLOCKINGIO_PORT"):
        assert option in text
    for line in re.findall("^  python -m blockingio(.*)$", examples, re.MULTILINE):
        parser = make_parser({})
        assert parser.parse(line.split())


def test_version() -> None:
    with Command("--version") as command:
        assert command.end() == (0, f"blockingio {blockingio.__version__}\n", "")


# ------------------------------------------------------------ the environment

def test_options_from_the_environment() -> None:
    parser = make_parser({
        "BLOCKINGIO_PORT": "8080", "BLOCKINGIO_UPLOAD": "yes", "BLOCKINGIO_ZIP": "0", "BLOCKINGIO_CORS": "off",
        "BLOCKINGIO_NO_LISTING": "1", "BLOCKINGIO_NO_INDEX": "TRUE", "BLOCKINGIO_LOG_FILE": "/tmp/a log",
        "BLOCKINGIO_HOST": "a.example\nb.example\n", "BLOCKINGIO_HEADER": "A: 1\nB: -2, 3", "BLOCKINGIO_AUTH": "",
        "BLOCKINGIO_BIND": "-", "PORT": "1"})
    options = parser.parse([])
    assert (options.port, options.upload, options.zip, options.cors) == (8080, True, False, False)
    assert (options.listing, options.index, options.gzip, options.auth) == (False, False, True, None)
    assert (options.log_file, options.bind) == (Path("/tmp/a log"), "-")
    assert options.host == ["a.example", "b.example"] and options.header == [("A", "1"), ("B", "-2, 3")]
    assert parser.unknown_variables == []


def test_the_command_line_goes_over_the_environment() -> None:
    parser = make_parser({"BLOCKINGIO_PORT": "8080", "BLOCKINGIO_ZIP": "0", "BLOCKINGIO_HOST": "a.example"})
    options = parser.parse(["--port", "9090", "--zip", "--host", "b.example"])
    assert (options.port, options.zip, options.host) == (9090, True, ["a.example", "b.example"])


@pytest.mark.parametrize(("name", "value", "arguments", "message"), [
    ("PORT", "tcp://10.0.0.1:80", [],
     "argument -p/--port: expected a whole number, found 'tcp://10.0.0.1:80' (BLOCKINGIO_PORT is set)"),
    ("UPLOAD", "maybe", [], "BLOCKINGIO_UPLOAD: expected 1 or 0, found 'maybe'"),
    ("WORKERS", "0", [], "argument --workers: expected at least 1 (BLOCKINGIO_WORKERS is set)"),
    ("HEADER", "A: x\rB: y", [],
     "argument --header: expected no control character but HTAB in a field value, found '\\r' at character 1 "
     "(BLOCKINGIO_HEADER is set)"),
    ("HEADER", "A: x\u2028B: y", [],
     "argument --header: expected latin-1 text in a field value, found '\\u2028' at character 1 "
     "(BLOCKINGIO_HEADER is set)"),
    ("PORT", "80", ["--unix", "s"],
     "argument --unix: a socket without ports, so expected no --port with it (BLOCKINGIO_PORT is set)"),
    ("OPEN", "1", ["--port", "x"], "argument -p/--port: expected a whole number, found 'x'"),
])
def test_what_is_wrong_in_the_environment(directory: Path, capsys: pytest.CaptureFixture[str], name: str, value: str,
                                          monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str) -> None:
    monkeypatch.setenv(f"BLOCKINGIO_{name}", value)
    assert refusal(capsys, str(directory), *arguments) == message


# ------------------------------------------------------------ what they do

def test_fields_and_logs(directory: Path, tmp_path: Path) -> None:
    """--header, --log and --log-file, from the environment and from the command line."""
    log = tmp_path / "access.log"
    fields = ["--header", "X-Frame-Options: DENY", "--header", "Cache-Control:max-age=5", "--header", "link: <a>",
              "--header", "Link: <b>"]
    with Command(directory, "--port", "0", "--cors", "--log-file", log, *fields, BLOCKINGIO_LOG="combined",
                 BLOCKINGIO_AUHT="me:secret") as command:
        url = command.start(directory)
        for path, status in (("hello.txt", 200), ("", 200), ("nothing", 404)):
            answer = requests.get(url + path, timeout=PATIENCE, headers={"User-Agent": "me"})
            assert (answer.status_code, answer.headers["x-frame-options"]) == (status, "DENY")
            assert answer.headers["link"] == "<a>, <b>"
            assert answer.headers["cache-control"] == "max-age=5"
            assert answer.headers["access-control-allow-origin"] == "*"
        assert command.interrupt() == (
            0, "", "BLOCKINGIO_AUHT in the environment is no option, and changes nothing\n")
    assert [line.split()[-4:] for line in log.read_text().splitlines()] == [
        [status, size, '"-"', '"me"'] for status, size in re.findall(r'" (\d+) (\d+) "', log.read_text())]
    # Each came on a connection of its own, so their lines may be in another order.
    assert sorted(line.split()[8] for line in log.read_text().splitlines()) == ["200", "200", "404"]
