"""Rounds in turn, medians and tables.

Figures go to standard output, what happens meanwhile to standard error.
"""
from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

R = TypeVar("R")


class Options(NamedTuple):
    """The command line's: how long a measurement is, and how often each is taken."""

    seconds: int
    rounds: int

    def __str__(self) -> str:
        return f"{self.rounds} x {self.seconds} s"


class Score:
    """In how many rows we lead."""

    def __init__(self) -> None:
        self.leading: list[str] = []
        self.others: list[str] = []

    def count(self, title: str, leads: bool) -> None:
        (self.leading if leads else self.others).append(title)

    def __str__(self) -> str:
        total = len(self.leading) + len(self.others)
        text = f"blockingio takes the least processor time in {len(self.leading)} of {total} rows"
        return text + (f"; not in: {', '.join(self.others)}" if self.others else "")


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def in_turn(title: str, measures: Mapping[str, Callable[[], R]], rounds: int,
            show: Callable[[R], str] = str) -> dict[str, list[R]]:
    """Take each measure once a round, so that what slows the machine for a while slows them all."""
    results: dict[str, list[R]] = {name: [] for name in measures}
    for number in range(1, rounds + 1):
        for name, measure in measures.items():
            result = measure()
            results[name].append(result)
            say(f"{title}, round {number} of {rounds}: {name} {show(result)}")
    return results


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def ratio(value: float, base: float | None) -> str:
    return f"{value / base:.2f}" if base else "-"


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *notes: str) -> None:
    """A table with its first column to the left and the others to the right, and notes below it."""
    table = [("", *columns), *rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(columns) + 1)]
    print(f"\n{title}")
    for row in table:
        cells = [text.rjust(width + 3) for text, width in zip(row[1:], widths[1:])]
        print("  " + row[0].ljust(widths[0]) + "".join(cells))
    for note in notes:
        print(f"  {note}")
    sys.stdout.flush()
