"""MODULE:APPLICATION, as a command is given it, to the WSGI application that it names."""

from __future__ import annotations

import os
import pkgutil
import sys
from types import TracebackType
from typing import Any


class NoApplication(Exception):
    """The text says what was given, and why it names none."""


# Files whose frames say nothing of the application.
_OURS = tuple(os.path.join(os.path.dirname(__file__), name) for name in ("application.py", "wsgi_command.py"))


def load(spec: str) -> Any:
    """The application; for MODULE:FACTORY() what that returns.

    Raises NoApplication for a name that is wrong, and what the module or the factory raises as it is.
    """
    module, colon, name = spec.partition(":")
    if not (module and colon and name):
        raise NoApplication(f"expected MODULE:APPLICATION, found {spec!r}")
    try:
        found: Any = pkgutil.resolve_name(module + ":")  # with the colon a module, and nothing inside of one
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            raise
        raise NoApplication(f"there is no module {module!r} here") from None
    except ValueError as error:
        if module in str(error):  # of resolve_name: it can be no module's name
            raise NoApplication(f"expected MODULE:APPLICATION, found {spec!r}") from None
        raise
    for part in name.removesuffix("()").split("."):
        if not hasattr(found, part):
            raise NoApplication(f"there is no {name.removesuffix('()')!r} in {module!r}")
        found = getattr(found, part)
    if name.endswith("()"):
        if not callable(found):
            raise NoApplication(f"{spec} is no factory, expected something to call, found {type(found).__name__}")
        found = found()
    if not callable(found):
        raise NoApplication(f"{spec} is no application, expected something to call, found {type(found).__name__}")
    return found


def show(error: BaseException) -> None:
    """Its traceback on stderr, from the first line of the application's own on."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and _is_on_the_way(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    sys.excepthook(type(error), error.with_traceback(trace), trace)


def _is_on_the_way(file: str) -> bool:
    return file in (*_OURS, pkgutil.__file__) or file.startswith("<frozen importlib") or (
        file == sys.modules["importlib"].__file__)
