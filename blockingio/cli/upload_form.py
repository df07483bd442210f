"""Forms with files, received on threads of their own: a client that sends slowly holds up no other request.

Takes a request and the open directory that it is for, and closes both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from errno import EDQUOT, EFBIG, EMFILE, ENFILE, ENOMEM, ENOSPC
from functools import partial

from blockingio.cli.upload import Saved, Uploads
from blockingio.errors import BadMessage, HttpException
from blockingio.http_server.multipart import MimeMultipartTransformer
from blockingio.http_server.safe_open import Opened
from blockingio.server.state import log
from blockingio.server.request import HttpRequest
from blockingio.server.thread_pool import ThreadPool

_CONTENT_TOO_LARGE = 413
# Bytes that are taken from the system at once: a large file needs fewer calls for it than bodies in general do.
_PIECE = 256 * 1024

_SERVICE_UNAVAILABLE = 503
_INSUFFICIENT_STORAGE = 507

_STATUS_OF = dict.fromkeys((ENOSPC, EDQUOT, EFBIG), _INSUFFICIENT_STORAGE) | dict.fromkeys(
    (EMFILE, ENFILE, ENOMEM), _SERVICE_UNAVAILABLE)

# Bytes that a form has around a file: two boundaries of up to 70 characters, and three short fields with a name of
# up to 255 characters.
_AROUND_A_FILE = 1024

Answer = Callable[[HttpRequest, Sequence[Saved]], object]


class UploadForms:
    """Any number of threads may give it forms, of at most ``most`` bytes of files."""

    def __init__(self, uploads: Uploads, most: int, refuse: Callable[[HttpRequest, int], object]) -> None:
        """``refuse`` answers a request with a status that is an error's, whatever became of it before."""
        self._uploads = uploads
        self._most = most + _AROUND_A_FILE
        self._refuse = refuse
        self._threads = ThreadPool("blockingio upload")
        self._threads.close()  # none waits for the next form, which may never come

    def take(self, request: HttpRequest, directory: Opened, answer: Answer) -> None:
        """Save the files of a form, then ``answer``, on another thread; does not wait for that.

        What says itself that it is too large is refused here, before any of it is read (413).
        """
        if request.content_length > self._most:
            directory.close()
            self._refuse(request, _CONTENT_TOO_LARGE)
            return
        try:
            self._threads.run(partial(self._receive, request, directory, answer))
        except Exception:  # RuntimeError, MemoryError: no thread
            directory.close()
            self._refuse(request, _SERVICE_UNAVAILABLE)

    def _receive(self, request: HttpRequest, directory: Opened, answer: Answer) -> None:
        try:
            with closing(directory):
                status, saved = self._save(request, directory.descriptor)
            if status:
                self._refuse(request, status)
            else:
                answer(request, saved)
        except Exception:
            log.exception("an upload failed")
            self._refuse(request, 500)

    def _save(self, request: HttpRequest, directory: int) -> tuple[int, Sequence[Saved]]:
        """What was saved, with status 0 where that were all and there were some; else one that says why not."""
        content_type = request.headers.content_type
        if content_type is None or content_type.mime_type != "multipart/form-data":
            return 415, ()
        try:
            transformer = MimeMultipartTransformer(content_type.parameters.get("boundary") or "")
            saved = self._uploads.save(transformer.bind(self._body_of(request)), directory)
            return 0 if saved else 400, saved
        except HttpException as error:
            return error.status if isinstance(error, BadMessage) else 400, ()
        except ValueError:
            return 400, ()  # no boundary
        except PermissionError:
            return 403, ()
        except FileExistsError:
            return 409, ()  # thousands of that name
        except OSError as error:
            if error.errno in _STATUS_OF:
                return _STATUS_OF[error.errno], ()
            raise

    def _body_of(self, request: HttpRequest) -> Iterator[bytes]:
        """In its pieces; a chunked one does not say before how large it is."""
        left = self._most
        for chunk in request.pieces(_PIECE):
            left -= len(chunk)
            if left < 0:
                raise BadMessage(f"the form has over {self._most} bytes", _CONTENT_TOO_LARGE)
            yield chunk
