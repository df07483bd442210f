"""RedirectInfo: one step of a request that was redirected."""

from __future__ import annotations

from blockingio.errors import shown_uri
from blockingio.values.uri import Uri


class RedirectInfo:
    """One redirect that was followed: its ``status_code``, and where it led with which ``method``.

    ``location`` is an absolute Uri.  Follows dart:io's RedirectInfo.
    """

    __slots__ = ("status_code", "method", "location")

    def __init__(self, status_code: int, method: str, location: Uri) -> None:
        self.status_code = status_code
        self.method = method
        self.location = location

    def __repr__(self) -> str:
        return f"<RedirectInfo {self.status_code} {self.method} {shown_uri(self.location)}>"
