"""The report: rows by area for people, or JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from blockingio.check.exchange import Observation, Target, observe
from blockingio.check.questions import AREAS, MUST, QUESTIONS, SHOULD, Question
from blockingio.check.verdict import Baseline, Verdict, judge

# Characters of a row's bytes that are shown.
_SHOWN = 200


@dataclass(frozen=True)
class Row:
    """One question with its answer."""

    question: Question
    sent: bytes
    seen: Observation
    verdict: Verdict

    def as_json(self) -> dict[str, object]:
        """What ``--json`` has of it."""
        asked = self.question
        return {"area": asked.area, "name": asked.case.name, "sent": escaped(self.sent), "came": self.seen.came,
                "level": asked.level, "asks": asked.asks, "section": f"RFC {asked.section}", "attack": asked.attack,
                "broken": self.verdict.level, "why": self.verdict.why}

    def as_text(self) -> str:
        """Three lines, and one more where it is not as asked."""
        asked, verdict = self.question, self.verdict
        mark = verdict.level or "ok"
        lines = [f"{mark:7} {asked.case.name}: {self.seen.came}"]
        if verdict.why:
            lines.append(f"        {verdict.why}")
        lines.append(f"        sent {escaped(self.sent)}")
        opens = "" if asked.attack == "-" else f"; a wrong answer opens {asked.attack}"
        lines.append(f"        {asked.level} (RFC {asked.section}): {asked.asks}{opens}")
        return "\n".join(lines)


def escaped(raw: bytes) -> str:
    """As a row's bytes are shown: one line, no control, cut where they are many."""
    text = repr(raw[:_SHOWN])[2:-1]
    return text if len(raw) <= _SHOWN else f"{text}... ({len(raw)} bytes)"


def checked(target: Target, baseline: Baseline, areas: Iterable[str]) -> Iterator[Row]:
    """The rows of these areas, each as soon as it is known.  Raises Unreachable where the server is gone."""
    wanted = set(areas)
    for question in QUESTIONS:
        if question.area in wanted:
            seen = observe(target, question)
            yield Row(question, target.fitted(question.case.raw), seen, judge(question, seen, baseline))


def summary(rows: Iterable[Row]) -> dict[str, dict[str, int]]:
    """For each area, and "all": rows, as asked, MUST and SHOULD that are broken."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        for name in (row.question.area, "all"):
            counts = found.setdefault(name, {"rows": 0, "as asked": 0, MUST: 0, SHOULD: 0})
            counts["rows"] += 1
            counts[row.verdict.level or "as asked"] += 1
    return {name: found[name] for name in (*AREAS, "all") if name in found}


def summary_text(counts: dict[str, dict[str, int]]) -> str:
    """The counts as a table, for people."""
    lines = [f"{'':14}{'rows':>6}{'as asked':>10}{'MUST broken':>13}{'SHOULD broken':>15}"]
    for name, of_area in counts.items():
        lines.append(f"{name:14}{of_area['rows']:6}{of_area['as asked']:10}{of_area[MUST]:13}{of_area[SHOULD]:15}")
    return "\n".join(lines)
