"""The same name for type checkers, which do not look into __getattr__."""

from blockingio.wire_view.view import WireView as WireView

__all__ = ["WireView"]
