"""The arguments of the commands: text -> values, where they are wrong one line on stderr."""

from __future__ import annotations

import argparse
from typing import NoReturn


class OneLineParser(argparse.ArgumentParser):
    """Like argparse's, which prints the usage as well."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def whole_number(text: str) -> int:
    """The number, or an error of argparse that says what was found."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise argparse.ArgumentTypeError(f"expected a whole number, found {text!r}")
    return int(text)
