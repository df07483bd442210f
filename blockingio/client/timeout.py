"""Settings of a client that are a time: what is no time is told at once, and not by the request that meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from blockingio.values.checks import check, is_duration


class Timeout:
    """An attribute that is a number of seconds above zero, or None.

    It has no __get__: to look at the attribute is to look into the object's own dictionary, which costs no call.
    """

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    if TYPE_CHECKING:
        @overload
        def __get__(self, client: None, owner: type) -> Timeout: ...
        @overload
        def __get__(self, client: object, owner: type) -> float | None: ...
        def __get__(self, client: object | None, owner: type) -> Timeout | float | None: ...

    def __set__(self, client: object, seconds: Any) -> None:
        check(self._name, seconds, is_duration)
        vars(client)[self._name] = seconds
