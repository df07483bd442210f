"""Invariant: whatever a server answers, the client's caller gets what is there or an HttpException, in
time, and the next request gets its own answer.

``fuzz`` runs it; the model says what is there.
"""
from __future__ import annotations

import time

from blockingio import HttpClient, HttpException
from tests.conformance import response_mutator
from tests.conformance.response_model import read_response
from tests.conformance.stage import Stage
from tests.peers import PATIENCE


class ResponseCampaign:
    """One seed's responses, one after another, until the time or the inputs are used up or one fails."""

    def __init__(self, seed: int, *, seconds: float = float("inf"), inputs: int = 1 << 62,
                 first: int = 0) -> None:
        self.seed = seed
        self.tried = 0
        self._numbers = range(first, first + inputs)
        self._end = time.monotonic() + seconds

    def run(self) -> list[str]:
        """What broke the invariant, with the seed and the input's number; nothing where it held."""
        with Stage() as stage:
            stage.closes = True
            for number in self._numbers:
                if time.monotonic() > self._end:
                    break
                self.tried += 1
                fuzz = response_mutator.make(self.seed, number)
                if problems := _try_input(stage, fuzz):
                    return [f"seed {self.seed}, response {number} to {fuzz.method}: {problem}\n"
                            f"    {fuzz.data!r} in {len(fuzz.segments)} segments" for problem in problems]
        return []


def _try_input(stage: Stage, fuzz: response_mutator.FuzzedResponse) -> list[str]:
    stage.pieces = fuzz.segments
    expected = read_response(fuzz.data, fuzz.method)
    problems = []
    with HttpClient() as client:
        began = time.monotonic()
        status, body = _fetch(client, stage.port, fuzz.method)
        if time.monotonic() - began > PATIENCE:
            problems.append(f"it took {time.monotonic() - began:.1f} s")
        if body is None:
            if expected.body is not None and not expected.unsure:
                problems.append(f"an HttpException, expected {expected}")
        elif expected.body is None:
            if not expected.unsure:
                problems.append(f"got {status} and {body!r}, expected an HttpException")
        elif (status, body) != expected[:2]:
            problems.append(f"got {status} and {body!r}, expected {expected}")
        # What comes late behind a whole message can break the next request, and that one alone.
        answers = [_fetch(client, stage.port, "GET", "/good") for _ in range(2)]
        if answers not in ([(200, b"good")] * 2, [(0, None), (200, b"good")]):
            problems.append(f"the next requests got {answers}")
    return problems


def _fetch(client: HttpClient, port: int, method: str, path: str = "/row") -> tuple[int, bytes | None]:
    """Status and body; no body where an HttpException was raised."""
    request = client.open(method, "127.0.0.1", port, path)
    request.follow_redirects = False
    try:
        response = request.close()
        if response.status_code == 101:
            response.detach_socket().close()
            return 101, b""
        return response.status_code, response.read()
    except HttpException:
        return 0, None
