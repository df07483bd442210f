"""The same name for type checkers, which do not look into __getattr__."""

from blockingio.wsgi.handler import WsgiHandler as WsgiHandler

__all__ = ["WsgiHandler"]
