"""HttpClientResponse: the answer to a request, its body read as it comes.

Takes the head that an Exchange has read, and the Lease of the connection that the body is still on.  Raises
HttpException, with the request's URI, where the body breaks off or is malformed.  The connection goes back
to the pool with the last byte of the body; a response that is dropped before gives it back if the
rest has come already, and closes it otherwise.

Belongs to one thread at a time.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import Future
from enum import Enum

from blockingio.client.connection import Connection
from blockingio.client.follow import follow, redirected
from blockingio.client.gzip import GzipReader
from blockingio.client.plan import Plan
from blockingio.client.pool import Lease
from blockingio.client.redirect import RedirectInfo as RedirectInfo
from blockingio.client.redirect import is_redirect
