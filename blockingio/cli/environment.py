"""Options from the environment: BLOCKINGIO_PORT=8080 stands for ``--port 8080``.

They come before the command line's, which go over them; what may be given several times adds up.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

PREFIX = "BLOCKINGIO_"

_TRUE = frozenset(("1", "true", "yes", "on"))
_FALSE = frozenset(("0", "false", "no", "off"))


class FromEnvironment(NamedTuple):
    """``arguments`` as a command line has them, ``options`` with the variable that each came from.

    ``unknown`` are variables with the prefix that are no option's.
    """

    arguments: list[str]
    options: dict[str, str]
    unknown: list[str]


def read_environment(actions: Iterable[argparse.Action], environment: Mapping[str, str]) -> FromEnvironment:
    """What the variables ask for; those that are empty, or 0 for a plain switch, ask for nothing.

    Raises ValueError for a switch that is neither 1 nor 0.
    """
    found = FromEnvironment([], {}, [])
    names = {variable(option): (action, option) for action in actions for option in action.option_strings
             if option.startswith("--")}
    for name, text in sorted(environment.items()):
        if not name.startswith(PREFIX):
            continue
        if name not in names:
            found.unknown.append(name)
        elif arguments := list(_arguments(*names[name], name, text)):
            found.arguments.extend(arguments)
            found.options[names[name][1]] = name
    return found


def variable(option: str) -> str:
    """``--log-file`` is BLOCKINGIO_LOG_FILE."""
    return PREFIX + option.removeprefix("--").replace("-", "_").upper()


def _arguments(action: argparse.Action, option: str, name: str, text: str) -> Iterator[str]:
    if not text:
        return
    if action.nargs != 0:
        several = isinstance(action.default, list)
        # Not splitlines(), to which other characters end a line too: a value would become two in silence.
        values = filter(None, text.replace("\r\n", "\n").split("\n")) if several else (text,)
        yield from (f"{option}={value}" for value in values)
        return
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{name}: expected 1 or 0, found {text!r}")
    if word in _TRUE:
        yield option
    elif f"--no-{option[2:]}" in action.option_strings:
        yield f"--no-{option[2:]}"
