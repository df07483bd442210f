"""Forms with files, received on threads of their own: a client that sends slowly holds up nobody else.

Takes a request and the open directory that it is for, and closes both.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from errno import EDQUOT, EFBIG, EMFILE, ENFILE, ENOMEM, ENOSPC
from functools import partial

from blockingio.cli.upload import Uploads
from blockingio.errors import BadMessage, HttpException
from blockingio.http_server.multipart import MimeMultipartTransformer
from blockingio.http_server.safe_open import Opened
from blockingio.server.state import log
from blockingio.server.workers import answer_error
from blockingio.server.request import HttpRequest
from blockingio.server.thread_pool import ThreadPool

_SERVICE_UNAVAILABLE = 503
_INSUFFICIENT_STORAGE = 507

_STATUS_OF = dict.fromkeys((ENOSPC, EDQUOT, EFBIG), _INSUFFICIENT_STORAGE) | dict.fromkeys(
    (EMFILE, ENFILE, ENOMEM), _SERVICE_UNAVAILABLE)


class UploadForms:
    """Any number of threads may give it forms."""

    def __init__(self, uploads: Uploads, refuse: Callable[[HttpRequest, int], object]) -> None:
        """``refuse`` answers a request with a status that is an error's."""
        self._uploads = uploads
        self._refuse = refuse
        self._threads = ThreadPool("blockingio upload")
        self._threads.close()  # none waits for the next form, which may never come

    def take(self, request: HttpRequest, directory: Opened, location: str) -> None:
        """Save the files of a form and send the client on to ``location``; does not wait for that."""
        try:
            self._threads.run(partial(self._receive, request, directory, location))
        except Exception:  # RuntimeError, MemoryError: no thread
            directory.close()
            self._refuse(request, _SERVICE_UNAVAILABLE)

    def _receive(self, request: HttpRequest, directory: Opened, location: str) -> None:
        try:
            with closing(directory):
                status = self._save(request, directory.descriptor)
            if status:
                self._refuse(request, status)
            else:
                request.response.redirect(location, status=303)
        except Exception:
            log.exception("an upload failed")
            answer_error(request, 500)

    def _save(self, request: HttpRequest, directory: int) -> int:
        """0 where there were files, and all were saved; else the status that says why not."""
        content_type = request.headers.content_type
        if content_type is None or content_type.mime_type != "multipart/form-data":
            return 415
        try:
            parts = MimeMultipartTransformer(content_type.parameters.get("boundary") or "").bind(request)
            return 0 if self._uploads.save(parts, directory) else 400
        except HttpException as error:
            return error.status if isinstance(error, BadMessage) else 400
        except ValueError:
            return 400  # no boundary
        except PermissionError:
            return 403
        except FileExistsError:
            return 409  # thousands of that name
        except OSError as error:
            if error.errno in _STATUS_OF:
                return _STATUS_OF[error.errno]
            raise
