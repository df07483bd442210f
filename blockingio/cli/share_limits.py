"""When a share ends: after so much time, or so many complete downloads; as options say it, and as people read it."""

from __future__ import annotations

import argparse
import re

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_NAMES = {"d": "day", "h": "hour", "m": "minute", "s": "second"}
_DURATION = re.compile("".join(f"(?:([0-9]{{1,9}}){unit})?" for unit in _UNITS))


def parse_duration(text: str) -> int:
    """Seconds of ``90s``, ``50m``, ``2h``, ``1d`` and what is made of them, as ``1h30m``.

    Raises ArgumentTypeError for anything else, and for no time at all.
    """
    match = _DURATION.fullmatch(text)
    seconds = sum(int(count) * size for count, size in zip(match.groups("0"), _UNITS.values())) if match else 0
    if not seconds:
        raise argparse.ArgumentTypeError(f"expected a time as 90s, 50m, 2h or 1h30m, found {text!r}")
    return seconds


def duration_text(seconds: int) -> str:
    """``1 hour 30 minutes``."""
    parts = []
    for unit, size in _UNITS.items():
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {_NAMES[unit]}{'s' if count > 1 else ''}")
    return " ".join(parts)


def downloads_text(count: int) -> str:
    """``30 downloads``."""
    return f"{count:,} download{'s' if count > 1 else ''}"
