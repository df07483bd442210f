"""A server's settings: attributes that its threads read too, checked when they are set.

They live in the state; a bad value is a ValueError that names the setting, and changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

from blockingio.values.checks import check
from blockingio.values.headers import HttpHeaders

if TYPE_CHECKING:
    from blockingio.server.state import ServerState

T = TypeVar("T")


class HasState(Protocol):
    """What a setting knows of its server."""

    state: ServerState


class Setting(Generic[T]):
    """An attribute of a server that its threads read too: it lives in the state."""

    def __init__(self, doc: str, is_right: Callable[[Any], bool] | None = None) -> None:
        self.__doc__ = doc
        self._check = is_right

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, server: None, owner: type) -> Setting[T]: ...
    @overload
    def __get__(self, server: HasState, owner: type) -> T: ...
    def __get__(self, server: HasState | None, owner: type) -> T | Setting[T]:
        if server is None:
            return self
        value: T = getattr(server.state, self._name)
        return value

    def __set__(self, server: HasState, value: T) -> None:
        if self._check is not None:
            check(self._name, value, self._check)
        setattr(server.state, self._name, value)
        server.state.forget_known()


class Limit(Setting[T]):
    """A setting that bounds one message: it lives in the state's ``limits``."""

    def __get__(self, server: HasState | None, owner: type) -> Any:
        return self if server is None else getattr(server.state.limits, self._name)

    def __set__(self, server: HasState, value: T) -> None:
        server.state.limits = server.state.limits.changed(self._name, value)  # type: ignore[arg-type]
        server.state.forget_known()


class _Given(Protocol):
    @property
    def given(self) -> Sequence[str]: ...


class ListSetting(Setting[Sequence[str] | None]):
    """A setting that is a list of names or addresses: the state has them ready to be compared.

    ``make`` makes them so, and raises ValueError or TypeError for what it cannot take.
    """

    def __init__(self, doc: str, make: Callable[[Sequence[str]], _Given]) -> None:
        super().__init__(doc)
        self._make = make

    def __get__(self, server: HasState | None, owner: type) -> Any:
        if server is None:
            return self
        made: _Given | None = getattr(server.state, self._name)
        return None if made is None else made.given[:]  # what is in force: a change to this one would not be

    def __set__(self, server: HasState, value: Sequence[str] | None) -> None:
        try:
            made = None if value is None else self._make(value)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self._name} cannot be {value!r}: {error}") from None
        setattr(server.state, self._name, made)
        server.state.forget_known()


def is_headers(value: Any) -> bool:
    """HttpHeaders; for one field set default_response_headers["name"]"""
    return isinstance(value, HttpHeaders)


def is_log(value: Any) -> bool:
    """a logging.Logger, something to call, or None"""
    return value is None or callable(value) or isinstance(value, logging.Logger)
