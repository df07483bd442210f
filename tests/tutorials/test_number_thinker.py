from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
import requests

from tests.peers import PATIENCE
from tests.tutorials.programs import QUIETLY, TUTORIALS, Program


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One program for all tests here; each leaves it before it says which number is next."""
    with Program("number_thinker.py", 4041, tmp_path_factory.mktemp("thinker")) as program:
        yield program
        number_of(program)
        assert program.interrupt() == QUIETLY


def number_of(program: Program) -> str:
    """The number that it prints when it has thought of one."""
    match = re.fullmatch(r"I'm thinking of (?:a|another) number: ([0-9])", program.line())
    assert match
    return match[1]


def ask(program: Program, target: str = "/", method: str = "GET") -> requests.Response:
    return requests.request(method, program.url + target, timeout=PATIENCE)


def test_guessing(thinker: Program) -> None:
    for _ in range(3):
        number = number_of(thinker)
        for guess in "0123456789".replace(number, ""):
            response = ask(thinker, f"/?q={guess}")
            assert (response.status_code, response.text) == (200, "false\n")
        response = ask(thinker, f"/?q={number}")
        assert (response.status_code, response.text) == (200, "true\nI'm thinking of another number.\n")


@pytest.mark.parametrize("target", [
    "/", "/?", "/?q", "/?q=", "/?q=10", "/?q=-1", "/?q=ten", "/?q=05", "/?q=%2B5", "/?q=+5", "/?q=5.0",
    "/?x=5", "/?Q=5", "/?q=%D9%A5", "/?q=%FF", "/favicon.ico",
])
def test_a_guess_that_is_none(target: str, thinker: Program) -> None:
    number = number_of(thinker)
    response = ask(thinker, target)
    assert response.status_code == 400
    assert response.text == "Guess a number from 0 to 9, like this: /?q=5\n"
    assert ask(thinker, f"/?q={number}").text.startswith("true")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_another_method_is_no_guess(method: str, thinker: Program) -> None:
    number = number_of(thinker)
    response = ask(thinker, f"/?q={number}", method)
    assert (response.status_code, response.headers["allow"]) == (405, "GET")
    if method != "HEAD":
        assert response.text == f"Unsupported request: {method}.  Guess with GET.\n"
    assert ask(thinker, f"/?q={number}").text.startswith("true")


class FormReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str | None]] = {}
        self.options: list[str] = []
        self._in_option = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag] = dict(attrs)
        self._in_option = tag == "option"

    def handle_endtag(self, tag: str) -> None:
        self._in_option = False

    def handle_data(self, data: str) -> None:
        if self._in_option:
            self.options.append(data)


def test_the_page_asks_what_the_server_answers() -> None:
    page = FormReader()
    page.feed((TUTORIALS / "make_a_guess.html").read_text(encoding="utf-8"))
    assert page.found["form"] == {"action": "http://localhost:4041", "method": "GET"}
    assert page.found["select"]["name"] == "q"
    assert page.options == list("0123456789")
    assert page.found["button"] == {"type": "submit"}
    assert page.found["label"]["for"] == page.found["select"]["id"]
