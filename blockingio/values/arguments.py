"""The arguments of the commands: text -> values, where they are wrong one line on stderr."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import ClassVar, NoReturn


class OneLineParser(argparse.ArgumentParser):
    """Like argparse's, which prints the usage as well; what it does not know it names with what may have been meant."""

    # Options of other programs, and what stands for them here.
    foreign: ClassVar[Mapping[str, str]] = {}

    def parse_args(self, args: Sequence[str] | None = None,  # type: ignore[override]  # of its overloads one
                   namespace: argparse.Namespace | None = None) -> argparse.Namespace:
        """The options; ends with status 2 where there are others."""
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._meant(unknown[0].partition('=')[0])}")
        return options

    def _meant(self, word: str) -> str:
        """A hint, or nothing."""
        if word in self.foreign:
            return f": that is {self.foreign[word]} here"
        known = re.findall(r"(?<![\w-])--([a-z][a-z-]*[a-z])", self.format_help()) if word[:2] == "--" else []
        near = get_close_matches(word[2:], known, n=1, cutoff=0.7)
        return f": did you mean --{near[0]}?" if near else ""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def whole_number(text: str) -> int:
    """The number, or an error of argparse that says what was found."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise argparse.ArgumentTypeError(f"expected a whole number, found {text!r}")
    return int(text)
