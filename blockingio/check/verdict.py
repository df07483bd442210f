"""Whether what came of a row is what the RFCs let a server do."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from blockingio.check.cases import Seen
from blockingio.check.exchange import Exchange, Observation, Target
from blockingio.check.questions import MUST, REFUSED, TAKEN, WAITS, Question

# What a server says to a message that it does not take, beside 5xx; anything else, 404 and 405 too, is said of one
# that was taken.
_REFUSALS = frozenset((400, 408, 411, 413, 414, 417, 431))


@dataclass(frozen=True)
class Baseline:
    """How this server answers ordinary requests: a program of its own may refuse every POST."""

    statuses: dict[str, int]

    def is_refusal(self, status: int, method: str) -> bool:
        return (status in _REFUSALS or status >= 500) and status != self.statuses.get(method)

    def reads_bodies(self) -> bool:
        """Whether an answer to POST says anything of its body."""
        return 200 <= self.statuses.get("POST", 0) < 300


@dataclass(frozen=True)
class Verdict:
    """``level`` is what is broken: "MUST", "SHOULD", or "" where all is as asked; ``why`` says what was expected."""

    level: str
    why: str = ""


class NoHttp(Exception):
    """What is there speaks no HTTP/1.1; the message is for the user."""


def baseline_of(target: Target) -> Baseline:
    """Ask GET, HEAD and POST.  Raises Unreachable, NoHttp."""
    statuses = {}
    for method, body in (("GET", b""), ("HEAD", b""), ("POST", b"hello")):
        with closing(Exchange(target)) as exchange:
            exchange.send(target.plain(method, body))
            answer = exchange.answer_to(method)
            while answer is not None and answer.status < 200:
                answer = exchange.answer_to(method)
            if answer is not None:
                statuses[method] = answer.status
            elif method == "GET":
                found = repr(exchange.rubbish or exchange.end)
                if found == "'open'":
                    found = "none that came to its end"
                raise NoHttp(f"expected an answer of HTTP/1.1 to GET {target.path}, found {found}")
    return Baseline(statuses)


def judge(question: Question, seen: Observation, baseline: Baseline) -> Verdict:
    """The first thing that is wrong, if any."""
    wrong = _too_much(question, seen)
    if wrong:
        return Verdict(MUST, wrong)
    wrong = _outcome(question, seen, baseline) or _end(question, seen) or _shown(question, seen)
    return Verdict(question.level, wrong) if wrong else Verdict("")


def _too_much(question: Question, seen: Observation) -> str:
    """An answer to what was no request; what the row holds behind the end is none either."""
    most = 1 if seen.was_followed else 0
    if len(seen.next_answers) > most:
        count = len(seen.answers) + len(seen.next_answers)
        return f"expected {len(seen.answers) + most} answers, found {count}: something else was taken for a request"
    return ""


def _outcome(question: Question, seen: Observation, baseline: Baseline) -> str:
    found = _found(question, seen, baseline)
    if question.staged and not seen.is_early:
        return "expected 100 or an answer before the body"
    if found not in question.allowed:
        wanted = " or ".join({TAKEN: "an answer as to a good request", REFUSED: "an error or the end",
                              WAITS: "that it waits"}[one] for one in question.allowed)
        return f"expected {wanted}"
    if found == TAKEN and seen.next_answers and baseline.is_refusal(seen.next_answers[0].status, "GET"):
        return f"the next request was read wrongly, and got {seen.next_answers[0].status}"
    if found == TAKEN and not all(answer.is_whole for answer in seen.answers):
        return "expected a whole answer"
    return ""


def _found(question: Question, seen: Observation, baseline: Baseline) -> str:
    """What became of the row, of TAKEN, REFUSED and WAITS; "nothing" where none of them did."""
    if seen.waited:
        return WAITS
    if not seen.answers:
        return REFUSED if seen.end != "open" and not seen.rubbish else "nothing"
    methods = [outcome.method if isinstance(outcome, Seen) else question.case.raw.split(b" ")[0].decode("latin-1")
               for outcome in question.case.outcomes]
    refused = any(baseline.is_refusal(answer.status, method) for answer, method in zip(seen.answers, methods))
    if refused:
        return REFUSED
    if TAKEN not in question.allowed and _is_unread(question, seen, baseline):
        return REFUSED
    if len(seen.answers) < len(methods) and seen.end == "open":
        return "nothing"  # one that ends the connection behind an answer has taken no more
    return TAKEN


def _is_unread(question: Question, seen: Observation, baseline: Baseline) -> bool:
    """Answered without a look at the body that is wrong, after which nothing was taken from the connection."""
    in_body = question.area == "chunks" or question.case.raw.startswith(b"POST ") and question.area == "limits"
    return in_body and not baseline.reads_bodies() and not seen.next_answers and seen.end != "open"


def _end(question: Question, seen: Observation) -> str:
    if question.ends and seen.next_answers:
        return f"expected the end of the connection, found {seen.next_answers[0].status} to the next request"
    if question.ends and seen.end == "open":
        return "expected the end of the connection, found it open"
    if question.stays and not seen.next_answers:
        return "expected that the connection goes on"
    return ""


def _shown(question: Question, seen: Observation) -> str:
    answer = seen.answers[0] if seen.answers else None
    if question.shows == "date" and answer is not None and answer.status < 500 and "date" not in answer.fields:
        return "expected a Date (RFC 9110 6.6.1)"
    if question.shows == "no chunks" and answer is not None and "transfer-encoding" in answer.fields:
        return "expected no Transfer-Encoding for a client of 1.0 (RFC 9112 6.1)"
    if question.shows == "no 100" and seen.interim:
        return "expected no interim answer for a client of 1.0"
    if seen.rubbish and question.allowed == (TAKEN,):
        return f"expected nothing more, found {seen.rubbish[:30]!r}"
    return ""
