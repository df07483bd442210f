"""Invariant: whatever comes, the server answers or closes, no thread dies, no traceback is logged, the
next good request is served, and no damaged request is ever seen as two.

``python -m tests.conformance.fuzz --seconds N --seed S`` sends inputs for so long (FUZZ_SECONDS
without the option, else a minute), half of the time as requests to the server, half as responses to
the client, and ends with 1 at the first that breaks it; ``--what requests --only K`` tries that one
input of the seed.  The test suite runs a few thousand by a fixed seed.
"""
from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.conformance import model
from tests.conformance.echo import Echo, echoing
from tests.conformance.mutator import Fuzz, Mutator
from tests.conformance.response_fuzz import ResponseCampaign
from tests.peers import RawClient, RawResponse, eventually

#: Connections at once, each with a thread.
CLIENTS = 4
#: Every so many inputs a client asks for something plain, on a connection of its own.
GOOD_EVERY = 10


class Watch(logging.Handler):
    """Keeps what must not happen: an error in the log, an exception that ends a thread."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.events: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.events.append(f"logged: {self.format(record)}")

    def thread_died(self, args: threading.ExceptHookArgs) -> None:
        self.events.append(f"thread {args.thread} died of {args.exc_type.__name__}: {args.exc_value}")


@contextmanager
def watching() -> Iterator[Watch]:
    watch = Watch()
    logger = logging.getLogger("blockingio")
    hook, threading.excepthook = threading.excepthook, watch.thread_died
    logger.addHandler(watch)
    try:
        yield watch
    finally:
        logger.removeHandler(watch)
        threading.excepthook = hook


def send(client: RawClient, fuzz: Fuzz) -> None:
    """The input's segments, then its end; a server that has closed meanwhile is within its rights."""
    try:
        for segment in fuzz.segments:
            client.send(segment)
        client.finish_sending()
    except OSError:
        pass


def answers(client: RawClient, reading: model.Reading, fuzz: Fuzz) -> list[RawResponse]:
    """Every final response until the server ends the connection; AssertionError where one is malformed."""
    methods = ["HEAD" if message.method == "CONNECT" else message.method for message in reading.messages]
    # Of one whose body breaks: a refusal of HEAD has a body or none, by how much of it was understood.
    rest = "HEAD" if b"HEAD" in fuzz.data else "GET"
    found: list[RawResponse] = []
    while True:
        method = methods[len(found)] if len(found) < len(methods) else rest
        try:
            while (response := client.read_response(method)).status == 100:
                pass
            found.append(response)
            if method == "HEAD" and response.status >= 400:
                body = client.read_until_eof()
                assert len(body) in (0, int(response.header("content-length") or 0)), body
                return found
        except EOFError as error:
            assert str(error).endswith("after b''"), error
            return found
        except ConnectionResetError:
            # Who goes on after a refusal, or after its own close, may be cut off: its answers it has had.
            assert found and found[-1].header("connection") == "close", f"a reset after {found}"
            return found


def try_input(port: int, echo: Echo, fuzz: Fuzz) -> list[str]:
    """Send one input and hold the answers against the model; what is wrong, in words."""
    reading = model.read(fuzz.data)
    with RawClient(port) as client:
        own_port = client.socket.getsockname()[1]
        echo.seen_from(own_port)  # of one before that departed
        send(client, fuzz)
        if fuzz.departs:
            client.reset()
            return []
        try:
            responses = answers(client, reading, fuzz)
        except (AssertionError, OSError) as error:
            return [f"{type(error).__name__}: {error}"]
        refusals = [response for response in responses if response.status != 200]
        seen = [(one.method, one.target, one.version, one.body) for one in echo.seen_from(own_port)]
    problems = []
    if (answered := len(responses) - len(refusals)) != len(seen):
        problems.append(f"{len(seen)} requests were seen, {answered} were answered with 200")
    for refusal in refusals:
        if refusal is not responses[-1] or refusal.header("connection") != "close":
            problems.append(f"{refusal.status} did not end the connection")
        if refusal.status not in (400, 413, 414, 417, 431, 501, 505):
            problems.append(f"refused with {refusal.status} {refusal.reason}")
    found = model.Found(seen, refusals[-1].status if refusals else None)
    return problems + model.disagreements(reading, found)


def serves(port: int) -> list[str]:
    """Whether a plain request on a connection of its own is answered."""
    with RawClient(port) as client:
        response = client.get("/good")
    is_served = response.status == 200 and b'"/good"' in response.body
    return [] if is_served else [f"a good request got {response}"]


class Campaign:
    """One seed's inputs against one server, until the time or the inputs are used up or one fails."""

    def __init__(self, seed: int, *, seconds: float = float("inf"), inputs: int = sys.maxsize,
                 first: int = 0) -> None:
        self.seed = seed
        self.tried = 0
        self.failures: list[str] = []
        self._mutator = Mutator(seed)
        self._numbers = iter(range(first, first + inputs))
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()  # of the numbers and the counts

    def run(self) -> list[str]:
        """What broke the invariant, with the seed and the input's number; nothing where it held."""
        threads = set(threading.enumerate())
        with watching() as watch, echoing(raises=True) as (server, echo):
            with ThreadPoolExecutor(CLIENTS) as clients:
                for done in [clients.submit(self._client, server.port, echo, watch) for _ in range(CLIENTS)]:
                    done.result()
            self.failures += serves(server.port)
            eventually(lambda: not server.connections_info().total)
        eventually(lambda: not set(threading.enumerate()) - threads)
        return self.failures + watch.events

    def _client(self, port: int, echo: Echo, watch: Watch) -> None:
        while not (self.failures or watch.events) and time.monotonic() < self._end:
            with self._lock:
                number = next(self._numbers, None)
                self.tried += number is not None
            if number is None:
                return
            fuzz = self._mutator.make(number)
            problems = try_input(port, echo, fuzz)
            if number % GOOD_EVERY == 0:
                problems += serves(port)
            with self._lock:
                self.failures += [f"seed {self.seed}, input {number}: {problem}\n    {fuzz.data!r} in "
                                  f"{len(fuzz.segments)} segments" for problem in problems]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("FUZZ_SECONDS", 60)))
    parser.add_argument("--seed", type=int, default=None, help="a random one without it")
    parser.add_argument("--what", choices=("requests", "responses"), default=None,
                        help="half of the time each without it")
    parser.add_argument("--only", type=int, default=None, help="one input of the seed, by its number")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10 ** 9) if options.seed is None else options.seed
    parts = [options.what] if options.what else ["requests", "responses"]
    bounds = {"seconds": options.seconds / len(parts)}
    if options.only is not None:
        bounds = {"inputs": 1, "first": options.only}
    for part in parts:
        print(f"{part}, seed {seed} ...", flush=True)
        campaign = Campaign(seed, **bounds) if part == "requests" else ResponseCampaign(seed, **bounds)
        began = time.monotonic()
        failures = campaign.run()
        print(f"{campaign.tried:,} {part}, {campaign.tried / (time.monotonic() - began):,.0f} a second")
        if failures:
            print("\n".join(failures))
            return 1
    print("held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
