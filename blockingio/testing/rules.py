"""Rules: what a test server answers to which request, and the finding of the one that fits.

A rule is checked where it is written, so that a mistake in it is raised there and not in an answer.
"""

from __future__ import annotations

import json as json_module
import re
from collections.abc import Callable, Mapping
from threading import Event, Lock
from typing import Any

from blockingio.server.request import HttpRequest
from blockingio.testing.fault import NO_FAULT, Fault
from blockingio.values.grammar import TOKEN_RE
from blockingio.values.headers import HttpHeaders

# A target as a client can send it: no blank, no control, no fragment, nothing above ASCII.
_TARGET_RE = re.compile(r"[!\"$-~]+")

_JSON_TYPE = "application/json; charset=utf-8"


class Rule:
    """One call of ``on``.  How often it has answered is written under the Rules' lock."""

    def __init__(self, method: str, path: str, *, status: int, body: str | bytes | None, json: Any,
                 headers: Mapping[str, object] | None, action: Callable[[HttpRequest], object] | None,
                 times: int | None, fault: Fault | None) -> None:
        self.method = _checked_method(method)
        self.path = _checked_path(path, method)
        self.headers = _checked_headers(headers, json is not ...)
        self.body = _checked_body(body, json)
        if not (isinstance(status, int) and 200 <= status <= 999):
            raise ValueError(f"expected a final status as status, 200 to 999, found {status!r}")
        if times is not None and not (isinstance(times, int) and times >= 1):
            raise ValueError(f"expected a number from 1 on as times, or None, found {times!r}")
        self.status = int(status)
        self.times = times
        self.action = action
        self.fault = NO_FAULT if fault is None else fault
        self.used = 0
        if not isinstance(self.fault, Fault):
            raise TypeError(f"expected a Fault as fault, found {fault!r}")
        if action is not None:
            self._check_action(has_answer=status != 200 or body is not None or json is not ... or headers is not None)
        elif len(self.body) + self.fault.wrong_length < 0:
            raise ValueError(f"expected a wrong_length from {-len(self.body)} on, since the body has {len(self.body)} "
                             f"bytes, found {self.fault.wrong_length}")

    def _check_action(self, *, has_answer: bool) -> None:
        if not callable(self.action):
            raise TypeError(f"expected a function of the request as action, found {self.action!r}")
        if has_answer:
            raise ValueError("expected either an action, which answers, or the answer's status, headers, body or json")
        if self.fault.is_of_body:
            raise ValueError(f"expected no fault but delay and close_before_head with an action, found {self.fault!r}")

    def __str__(self) -> str:
        what = "an action" if self.action is not None else str(self.status)
        used = f", {self.used} of {self.times} times used" if self.times is not None else ""
        fault = "" if self.fault is NO_FAULT else f", {self.fault!r}"
        return f"{self.method} {self.path} -> {what}{fault}{used}"

    def fits(self, method: str, targets: tuple[str, str]) -> bool:
        """Whether it answers this request, of whose target there is the form as sent and that without a host."""
        if self.method not in ("*", method) or (self.times is not None and self.used >= self.times):
            return False
        if "?" in self.path:
            return self.path in targets
        return any(self.path == target.partition("?")[0] for target in targets)

    def answer(self, request: HttpRequest, stopped: Event) -> None:
        """Answer without an action, on the worker's thread."""
        response = request.response
        response.status_code = self.status
        for name, values in self.headers:
            response.headers.set(name, values)
        self.fault.send(response, request.method, self.body, stopped)


class Rules:
    """All of one server's; written by the test, read by the workers, both under the lock."""

    def __init__(self) -> None:
        self.begin_anew()
        self._newest_first: list[Rule] = []

    def begin_anew(self) -> None:
        """In a forked child, too: another thread of the parent may have held the lock at the fork."""
        self._lock = Lock()

    def add(self, rule: Rule) -> None:
        with self._lock:
            self._newest_first.insert(0, rule)

    def take(self, method: str, target: str) -> Rule | None:
        """The newest rule that fits, used once more; None where there is none."""
        targets = target, _without_host(target)
        with self._lock:
            for rule in self._newest_first:
                if rule.fits(method, targets):
                    rule.used += 1
                    return rule
        return None

    def described(self) -> str:
        """A line for each rule, the newest first."""
        with self._lock:
            lines = [f"  {rule}\n" for rule in self._newest_first]
        return "".join(lines) or "  no rule at all\n"


def _without_host(target: str) -> str:
    """The path and query of a target in absolute-form (RFC 9112 3.2.2), any other as it is."""
    _, scheme, rest = target.partition("://")
    if not scheme or target.startswith("/"):
        return target
    at = min((found for found in (rest.find("/"), rest.find("?")) if found >= 0), default=len(rest))
    return rest[at:] if rest[at:].startswith("/") else "/" + rest[at:]


def _checked_method(method: str) -> str:
    if not isinstance(method, str):
        raise TypeError(f"expected a str as method, found {method!r}")
    if not TOKEN_RE.fullmatch(method):
        raise ValueError(f"expected a method as GET, or '*' for any, found {method!r}")
    return method


def _checked_path(path: str, method: str) -> str:
    if not isinstance(path, str):
        raise TypeError(f"expected a str as path, found {path!r}")
    if not _TARGET_RE.fullmatch(path):
        raise ValueError(f"expected a path as it is sent, percent-encoded and without a fragment, found {path!r}")
    if not (path.startswith("/") or path == "*" or "://" in path or method == "CONNECT"):
        raise ValueError(f"expected a path that begins with '/', found {path!r}")
    return path


def _checked_headers(headers: Mapping[str, object] | None, is_json: bool) -> list[tuple[str, list[str]]]:
    """The fields with their values as text.  Raises ValueError as HttpHeaders does."""
    if headers is not None and not isinstance(headers, Mapping):
        raise TypeError(f"expected a mapping of names to values as headers, found {headers!r}")
    made = HttpHeaders()
    if is_json:
        made.set("content-type", _JSON_TYPE)
    for name, value in (headers or {}).items():
        made.set(name, value)
    return [(name, made.get_all(name)) for name in made]


def _checked_body(body: str | bytes | None, json: Any) -> bytes:
    if json is not ...:
        if body is not None:
            raise ValueError("expected body or json, found both")
        return json_module.dumps(json).encode("utf-8")
    if body is None or isinstance(body, str):
        return (body or "").encode("utf-8")
    try:
        return bytes(memoryview(body))
    except TypeError:
        raise TypeError(f"expected str or bytes as body, found {body!r}") from None
