"""What is loaded, item by item: each returns what it did, in a line, and what was wrong with it.

An item has a server process of its own, or the shared one; it counts each request on both sides, and
at its end the server's threads, sockets and descriptors are back to where they began.
"""
from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.load.process import Child, falls_to, time_left

SERVER, CLIENTS = "tests.load.server", "tests.load.clients"

IDLE, BUSY = 9_000, 8
CHURN, CHURN_AT_ONCE = 20_000, 50
VANISH = 2_000
#: Descriptors of a server that is to run out of them, and the clients that are too many for it.
FEW_FILES, MANY_CLIENTS = 150, 300
#: Descriptors that a process has beside those of its clients.
SPARE = 200
#: Seconds: of each measurement of a rate, and of the waits for what must come next.  Threads of the server that have
#: had work wait half of that for more.
MEASURE, PATIENCE = 3.0, 20.0
#: Of one core: what a server may use while it has nothing to do but wait for room.
IDLE_CPU = 0.15


class Report(NamedTuple):
    """One line of the table: the item, what was done, and what was wrong."""

    item: str
    done: str
    wrong: list[str]


class Bench:
    """The processes of one item: a server, clients that are held, clients that are busy."""

    def __init__(self, *, files: int | None = None) -> None:
        self.server = Child(SERVER, *([str(files)] if files else []))
        self.clients = Child(CLIENTS)
        self.busy = Child(CLIENTS)
        self.port: int = self.server.ask("port")
        self.wrong: list[str] = []
        # A first request each way, so that what is made once is there before the counting begins.
        self.clients.ask("hold", port=self.port, count=1)
        self.clients.ask("drop")
        self.wait("the first connection's end", lambda: self.server.ask("connections") == 0)
        self._at_first = self.server.ask("resources")
        self._counts: dict[str, int] = self.server.ask("counts")

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for child in (self.clients, self.busy, self.server):
            status = child.close()
            self.check(status == 0, f"a process ended with status {status}")

    def check(self, is_right: bool, otherwise: str) -> None:
        if not is_right:
            self.wrong.append(otherwise)

    def wait(self, what: str, condition: Callable[[], object]) -> None:
        began = time.monotonic()
        end = began + min(PATIENCE, time_left())
        while not condition():
            if time.monotonic() > end:
                self.wrong.append(f"{what} did not come within {end - began:.0f} s")
                return
            time.sleep(0.05)

    def seen(self, kind: str) -> int:
        """Requests of this kind that the handler has seen since the beginning."""
        count: int = self.server.ask("counts").get(kind, 0) - self._counts.get(kind, 0)
        return count

    def check_counts(self, kind: str, answered: float) -> None:
        """What one side saw and what the other got: no request is lost."""
        seen = self.seen(kind)
        self.check(seen == answered, f"{seen} {kind} requests were seen, {answered} answered")

    def settle(self) -> None:
        """Threads, sockets and descriptors are back to where they began, and nothing was logged."""
        now: dict[str, Any] = {}

        def is_settled() -> bool:
            now.update(self.server.ask("resources"))
            return all(now[name] <= self._at_first[name] for name in ("threads", "sockets", "descriptors"))

        # First by a count that costs next to nothing: looking at all descriptors keeps the threads from ending.
        if falls_to(self._at_first["threads"], lambda: int(self.server.ask("threads")), PATIENCE):
            self.wait("the end of threads and sockets", is_settled)
        else:
            is_settled()
        for name in ("threads", "sockets", "descriptors"):
            at_first = self._at_first[name]
            self.check(now[name] <= at_first, f"{now[name]} {name}, {at_first} at first")
        log = self.server.ask("log")
        self.check(not log, "logged: " + "; ".join(log)[:500])


def idle() -> Report:
    """Idle connections, busy ones beside them, and all idle ones woken."""
    with Bench() as bench:
        most = bench.clients.ask("limit") - SPARE
        count = min(IDLE, most)
        less = f" (of {IDLE}: the open-file limit of {most + SPARE} allows no more)" if count < IDLE else ""
        before = bench.server.ask("resources")["mib"]
        alone = bench.busy.ask("busy", port=bench.port, connections=BUSY, seconds=MEASURE)
        held = bench.clients.ask("hold", port=bench.port, count=count)
        bench.check(held["open"] == count, f"{held['open']} of {count} opened: {held['why']}")
        memory = (bench.server.ask("resources")["mib"] - before) * 1024 / count
        beside = bench.busy.ask("busy", port=bench.port, connections=BUSY, seconds=MEASURE)
        woken = bench.clients.ask("wake", kind="wake")
        bench.check(woken == count, f"{woken} of {count} answered when woken")
        share = beside["rate"] / alone["rate"]
        bench.check(share >= 0.5, f"the busy ones kept {share:.0%} of their rate")
        bench.check_counts("first", held["answered"])
        bench.check_counts("wake", woken)
        bench.check_counts("busy", alone["answered"] + beside["answered"])
        bench.clients.ask("drop")
        bench.settle()
    return Report("idle", f"{count:,} idle{less}, {memory:.0f} KiB each; {BUSY} busy: "
                          f"{alone['rate']:,.0f}/s alone, {beside['rate']:,.0f}/s beside ({share:.0%}), "
                          f"p99 {beside['p99'] * 1000:.1f} ms", bench.wrong)


def churn() -> Report:
    """Connections opened and closed, a request on each."""
    with Bench() as bench:
        result = bench.clients.ask("churn", port=bench.port, count=CHURN, at_once=CHURN_AT_ONCE)
        bench.check(result["answered"] == CHURN, f"{result['answered']:,} of {CHURN:,} answered")
        bench.check_counts("churn", result["answered"])
        bench.settle()
    return Report("open and close", f"{CHURN:,} connections, {result['rate']:,.0f}/s", bench.wrong)


def vanish() -> Report:
    """Clients that go in the middle of a head, a body or an answer, with busy ones beside them."""
    with Bench() as bench:
        bench.busy.begin("busy", port=bench.port, connections=BUSY, seconds=MEASURE)
        counts = {"head": VANISH // 2, "body": VANISH // 2, "answer": VANISH}
        sent = {where: bench.clients.ask("vanish", port=bench.port, count=count, where=where)["sent"]
                for where, count in counts.items()}
        beside = bench.busy.end()
        bench.check(beside["sent"] == beside["answered"],
                    f"{beside['answered']} of {beside['sent']} busy ones answered")
        bench.check_counts("busy", beside["answered"])
        bench.wait("the broken bodies", lambda: bench.seen("broken") + bench.seen("gone") >= sent["body"])
        bench.check(bench.seen("gone") == 0, f"{bench.seen('gone')} unfinished requests were seen as whole")
        bench.check_counts("broken", sent["body"])
        bench.check_counts("big", sent["answer"])
        bench.settle()
    return Report("vanish", f"{VANISH:,} in the middle of a request, {VANISH:,} of a response; "
                            f"{BUSY} busy: {beside['rate']:,.0f}/s", bench.wrong)


def descriptors() -> Report:
    """More clients than descriptors: no spin, no death, and all are served once there is room."""
    with Bench(files=FEW_FILES) as bench:
        bench.clients.ask("start_heads", port=bench.port, count=MANY_CLIENTS)
        bench.wait("the last descriptor",
                   lambda: bench.server.ask("resources")["descriptors"] >= FEW_FILES - 2)
        before = bench.server.ask("resources")
        time.sleep(MEASURE)  # the measurement
        after = bench.server.ask("resources")
        cpu = (after["cpu"] - before["cpu"]) / (after["clock"] - before["clock"])
        bench.check(cpu < IDLE_CPU, f"{cpu:.0%} of a core was used without a descriptor")
        left = bench.clients.ask("drop", count=MANY_CLIENTS - FEW_FILES // 2)
        answered = bench.clients.ask("finish_heads")
        bench.check(answered == left, f"{answered} of {left} answered once there was room")
        bench.check_counts("half", answered)
        bench.clients.ask("drop")
        served = bench.busy.ask("busy", port=bench.port, connections=BUSY, seconds=1)
        bench.check(served["sent"] == served["answered"] > 0, "newcomers are not served afterwards")
        bench.settle()
    return Report("descriptors", f"{MANY_CLIENTS} clients, {FEW_FILES} descriptors: {cpu:.1%} of a core "
                                 f"meanwhile, {answered} of {left} answered afterwards", bench.wrong)


def _closed(force: bool) -> Report:
    with Bench() as bench:
        bench.clients.ask("hold", port=bench.port, count=100)
        bench.busy.begin("busy", port=bench.port, connections=BUSY, seconds=PATIENCE)
        bench.wait("the load", lambda: bench.seen("busy") > 10_000)
        closed = bench.server.ask("close", force=force)
        load = bench.busy.end()
        seen = bench.seen("busy")
        lost = seen - load["answered"]
        # Each busy connection has one request at most on its way when it is cut.
        answered = load["answered"]
        bench.check(0 <= lost <= (BUSY if force else 0), f"{seen} requests were seen, {answered} answered")
        bench.check(load["sent"] - answered <= BUSY, f"{load['sent']} requests sent, {answered} answered")
        bench.check(force or not load["cut"], f"{load['cut']} answers broke off")
        bench.check(closed["seconds"] < 2, f"close() took {closed['seconds']:.1f} s")
        bench.check(closed["free"], "the port was not free at once")
        bench.check(closed["ended"], "the loops did not end")
        bench.wait("the end of all connections", lambda: bench.server.ask("connections") == 0)
        bench.clients.ask("drop")
        bench.settle()
    return Report(f"close({'force=True' if force else ''})",
                  f"after {answered:,} answers, in {closed['seconds'] * 1000:.0f} ms; of {seen:,} requests "
                  f"seen {lost} were not answered", bench.wrong)


def close() -> Report:
    """close() in the middle of load: what the handler saw is answered."""
    return _closed(False)


def close_by_force() -> Report:
    """close(force=True) in the middle of load: what was open is cut, and nothing else is lost."""
    return _closed(True)


ITEMS: tuple[Callable[[], Report], ...] = (idle, churn, vanish, descriptors, close, close_by_force)
