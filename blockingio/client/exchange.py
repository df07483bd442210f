"""One request on one connection: its bytes out, the head of its response in.

Takes a PreparedRequest and bytes that are framed already; gives an HttpClientResponse.  Raises HttpException, with the
request's URI, where the server went away, broke HTTP or was cut off.  An idempotent request whose
connection had been used before and ends before a byte of a response came is sent once more, on a
fresh one (RFC 9112 9.3.1): the server may have been about to close it.

Belongs to one thread at a time, but for ``cut``.
"""

from __future__ import annotations

from collections.abc import Callable

from blockingio.client.connection import Connection
from blockingio.client.lease import Lease
from blockingio.client.prepared_request import IDEMPOTENT, MOST_INTERIM, PreparedRequest
from blockingio.client.response import HttpClientResponse
from blockingio.client.upload import Head, Upload
from blockingio.client.waits import TOO_LATE, HeadWait, receive_now, receive_slowly
from blockingio.errors import BadMessage, HttpException
from blockingio.wire.body import has_body
from blockingio.wire.head import parse_fields, parse_status_line
from blockingio.wire.limits import KIB, OUTPUT_BUFFER_SIZE
from blockingio.wire.source import TIMED_OUT

# Bytes of a request that are kept to be sent once more: what fits the output buffer, and its head.
_RECORD_SIZE = 2 * OUTPUT_BUFFER_SIZE

_SWITCHING_PROTOCOLS = 101

# Bytes that a connection takes on which all that was sent before is answered: no system's buffer is smaller.
_SURELY_TAKEN = 16 * KIB


class Exchange:
    __slots__ = ("prepared", "lease", "connection", "cut_reason", "_record", "_record_size", "_has_sent", "_upload")

    def __init__(self, prepared: PreparedRequest, lease: Lease[Connection]) -> None:
        connection = lease.connection
        assert connection is not None  # an exchange is only given a lease that has one
        self.prepared = prepared
        self.lease = lease
        self.connection = connection
        self.cut_reason: str | None = None
        # What has been sent, to send it again; None where that will not be done.
        self._record: list[bytes] | None = [] if lease.is_reused and prepared.method in IDEMPOTENT else None
        self._record_size = 0
        self._has_sent = False
        self._upload: Upload | None = None  # for what is more than a little

    def send(self, data: bytes) -> None:
        """Send all of it; nothing any more once the server's answer stops it."""
        upload = self._upload
        if upload is not None and upload.is_stopped:
            return
        if self._record is not None:
            self._record_size += len(data)
            if self._record_size <= _RECORD_SIZE:
                self._record.append(data)
            else:
                self._record = None
        try:
            has_sent, self._has_sent = self._has_sent, True
            if has_sent or len(data) > _SURELY_TAKEN:
                upload = upload or self._begin_upload()
                upload.send(data)
            else:
                self.connection.send(data)
        except OSError as error:
            # A server may answer and close before it has read everything (RFC 9112 9.5).
            upload = upload or self._begin_upload()
            upload.head = upload.head or self._read_head()
            upload.is_stopped = True
            if upload.head is None:
                self._send_again(error)

    def _begin_upload(self) -> Upload:
        self._upload = Upload(self.connection, self.prepared.method, self._read_head_now, self._failure)
        return self._upload

    def response(self) -> HttpClientResponse:
        """Wait for the response's head."""
        prepared = self.prepared
        head = self._upload.head if self._upload is not None else None
        while head is None:
            head = self._read_head()
            if head is None:
                self._send_again(None)
        version, status, reason, fields = head
        is_kept = (
            (self._upload is None or self._upload.is_clean)
            and fields.keep_alive
            and ("connection" not in prepared.headers.by_name or prepared.headers.persistent_connection)
            and not (version == "1.0" and fields.chunked)  # RFC 9112 6.1: its framing is faulty
            and not self.connection.source.is_lax
        )
        if prepared.response_timeout is not None:
            self.connection.limit_waits(prepared.response_timeout)
        response = HttpClientResponse(prepared, self.lease, status, reason, fields, is_kept=is_kept)
        if prepared.attempt is not None:
            prepared.client.credentials.take_info(prepared.attempt, response.headers.get_all("authentication-info"))
        if prepared.proxy_attempt is not None:
            fields_of_proxy = response.headers.get_all("proxy-authentication-info")
            prepared.client.proxy_credentials.take_info(prepared.proxy_attempt, fields_of_proxy)
        return response

    def give_up(self) -> None:
        """The request ends here, and its connection."""
        self.lease.discard()

    def cut(self, reason: str) -> None:
        """End it from any thread."""
        self.cut_reason = reason
        self.connection.cut(reason)

    def _read_head(self) -> Head | None:
        """Wait for the final response's head; None where the connection ended before any byte came."""
        connection = self.connection
        receive: Callable[[int], bytes] | None = None  # None: as the channel does
        try:
            if self.prepared.response_timeout is not None:
                receive = HeadWait(connection, self.prepared.response_timeout).receive
            if self.prepared.takes_over:
                receive = receive_slowly(receive or connection.channel.receive)
            if receive is not None:
                connection.receive_by(receive)
            return self._final_head(connection)
        except TIMED_OUT:
            raise self._failure(self._no_response()) from None
        except BadMessage as error:
            if error.status == TOO_LATE:
                raise self._failure(self._no_response("whole ")) from None
            raise self._failure(f"the response is broken: {error.message}") from error
        except HttpException as error:
            raise self._failure(error.message) from None
        except OSError:
            if connection.cut_reason is not None:
                raise self._failure("") from None
            return None
        finally:
            if receive is not None:
                connection.receive_by(None)

    def _no_response(self, kind: str = "") -> str:
        seconds = self.prepared.response_timeout
        if seconds is None:
            return f"no {kind}response came in the time that the socket allows"
        return f"no {kind}response head came within {seconds:g} seconds after the request was sent"

    def _read_head_now(self) -> Head | None:
        """The final response's head, None where it is not whole yet; for a socket that does not wait.

        Raises OSError where the connection ended.
        """
        connection = self.connection
        receive = receive_now(connection.channel.receive)
        connection.receive_by(receive_slowly(receive) if self.prepared.takes_over else receive)
        try:
            head = self._final_head(connection)
        except BlockingIOError:
            return None
        except BadMessage as error:
            if error.status == TOO_LATE:
                return None
            raise self._failure(f"the response is broken: {error.message}") from error
        except HttpException as error:
            raise self._failure(error.message) from None
        finally:
            connection.receive_by(None)
        if head is None:
            raise ConnectionAbortedError("the server ended the connection")
        return head

    def _final_head(self, connection: Connection) -> Head | None:
        limits = self.prepared.limits
        for interim in range(MOST_INTERIM):
            data = connection.source.head(limits, _nothing)
            if data is None:
                if not interim and connection.cut_reason is None:
                    return None
                raise HttpException("the server ended the connection before its response came")
            line, _, block = data.partition(b"\r\n")
            if line != connection.seen_line:
                connection.seen_status = parse_status_line(line)
                connection.seen_line = line
            version, status, reason = connection.seen_status
            fields = connection.seen_fields
            if (fields is None or block != fields.block or version != fields.version
                    or limits is not connection.seen_limits):
                fields = parse_fields(block, version, limits, of_request=False)
            if status >= 200 or status == _SWITCHING_PROTOCOLS:
                connection.seen_fields = fields
                connection.seen_limits = limits
                if fields.fault and has_body(self.prepared.method, status):
                    raise BadMessage(fields.fault)
                return version, status, reason, fields
        raise HttpException(f"{MOST_INTERIM} interim responses came, expected a final one")

    def _send_again(self, error: OSError | None) -> None:
        """The connection is gone and no response came: do it over where that is safe."""
        record, self._record = self._record, None
        if record is None or self.connection.cut_reason is not None:
            self.lease.discard()
            cause = f" ({error})" if error is not None else ""
            raise self._failure(f"the server ended the connection before its response came{cause}") from error
        self.lease.discard()
        self.lease = self.prepared.client.lease(self.prepared, is_fresh=True)
        assert self.lease.connection is not None
        self.connection = self.lease.connection
        self._has_sent = False
        self._upload = None
        if self.cut_reason is not None:
            # It was cut while there was no connection to be cut.
            self.connection.cut(self.cut_reason)
        for data in record:
            self.send(data)

    def _failure(self, message: str) -> HttpException:
        return HttpException(self.connection.cut_reason or message, self.prepared.uri)


def _nothing() -> None:
    """``Source.head`` calls this before it waits for more: a client does nothing then."""
