"""RecordedRequest: what came, in values that outlive the connection."""

from __future__ import annotations

from blockingio.server.request import HttpRequest


class RecordedRequest:
    """A request as it came.

    ``method`` is "GET", ``uri`` the request target: for most requests a path and perhaps a query.  ``headers`` are
    immutable.  ``body``, decoded from chunked, is filled in as it is read, and whole once the response has begun; where
    the client went away in the middle it is what had come.  ``client`` is "127.0.0.1:51234".
    """

    __slots__ = ("method", "uri", "headers", "body", "client")

    def __init__(self, request: HttpRequest) -> None:
        self.method = request.method
        self.uri = request.uri
        self.headers = request.headers
        self.body = b""
        info = request.connection_info
        self.client = f"{info.remote_address.address}:{info.remote_port}" if info is not None else "-"

    def __repr__(self) -> str:
        body = f" with {len(self.body)} bytes" if self.body else ""
        return f"<RecordedRequest {self.method} {self.uri}{body} from {self.client}>"

    def read_body_of(self, request: HttpRequest) -> None:
        """Keep the request's body, which its handler can read once more.  Raises HttpException where it breaks off."""
        parts: list[bytes] = []
        try:
            parts.extend(request)
        finally:
            self.body = b"".join(parts)
        request.read_again(self.body)
