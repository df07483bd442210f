"""Names that people look for on an object, though what they mean is somewhere else: an AttributeError that says where.

A ``__getattr__`` would say the same, and make each attribute of the object twice as slow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn


class Elsewhere:
    """In the place of an attribute that its class does not have."""

    def __init__(self, message: str) -> None:
        self.message = message
        self.__doc__ = f"None here: {message}."

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object | None, owner: type) -> NoReturn:
        raise AttributeError(self.message, name=self._name, obj=instance)

    def __set__(self, instance: object, value: object) -> NoReturn:
        raise AttributeError(self.message, name=self._name, obj=instance)


class WithoutElsewhere(type):
    """A class whose dir(), and so its help(), leaves out what is elsewhere."""

    def __dir__(cls) -> list[str]:
        return names_here(cls, list(super().__dir__()))


def point_elsewhere(kind: type, places: Mapping[str, str]) -> None:
    """Give a class an Elsewhere for each name, with its message; what it has already stays."""
    for name, message in places.items():
        if not hasattr(kind, name):
            elsewhere = Elsewhere(message)
            elsewhere.__set_name__(kind, name)
            setattr(kind, name, elsewhere)


def names_here(kind: type, names: list[str]) -> list[str]:
    """Without those that are elsewhere, for ``__dir__``."""
    return [name for name in names if not any(isinstance(base.__dict__.get(name), Elsewhere) for base in kind.__mro__)]
