"""What the command line serves: a VirtualDirectory with an index, a fallback, a door and a letterbox."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from contextlib import closing
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import NamedTuple

from blockingio.cli_gate import OwnHosts, is_own_form, knows
from blockingio.cli_upload import save_uploads
from blockingio.errors import BadMessage, HttpException
from blockingio.http_server.listing import UPLOAD_FORM
from blockingio.http_server.multipart import MimeMultipartTransformer
from blockingio.http_server.paths import decode_path, encode_path
from blockingio.http_server.safe_open import Opened, open_below
from blockingio.http_server.virtual_directory import VirtualDirectory
from blockingio.server.request import HttpRequest

INDEX = "index.html"

# Seconds for which a browser need not ask again before a request of another origin.
_PREFLIGHT_MAX_AGE = 600

_NO_ROOM = frozenset((ENOSPC, EDQUOT, EFBIG))
_INSUFFICIENT_STORAGE = 507


class SiteOptions(NamedTuple):
    """How the directory is served; see the command's help."""

    listing: bool = True
    index_page: bool = True
    spa: bool = False
    cors: bool = False
    cache: int | None = None  # seconds; None: browsers ask each time whether they have the newest
    upload: bool = False
    auth: str | None = None  # USER:PASSWORD
    hosts: tuple[str, ...] = ()  # whom else requests may be for


class Site(VirtualDirectory):
    """``handle`` answers every request; any number of threads may call it."""

    def __init__(self, root: str | Path, options: SiteOptions) -> None:
        super().__init__(root)
        self._options = options
        self.allow_directory_listing = options.listing
        self._listing_form = UPLOAD_FORM if options.upload else ""
        methods = ["GET", "HEAD"]
        if options.upload:
            methods.append("POST")
        if options.cors:
            methods.append("OPTIONS")
        self._methods = ", ".join(methods)
        self._hosts = OwnHosts(options.hosts)
        self._cache_control = "no-cache" if options.cache is None else f"max-age={options.cache}"

    def handle(self, request: HttpRequest) -> None:
        """Answer a request."""
        options = self._options
        headers = request.response.headers
        if not self._hosts.has(request):
            self._refuse_host(request)
            return
        if options.cors:
            headers.set("access-control-allow-origin", "*")
            headers.set("access-control-expose-headers", "*")
            if request.method == "OPTIONS":
                self._answer_preflight(request)
                return
        if options.auth is not None and not knows(options.auth, request):
            headers.set("www-authenticate", 'Basic realm="files", charset="UTF-8"')
            self._refuse(request, 401)
        elif options.upload and request.method == "POST":
            self._receive(request)
        else:
            headers.set("cache-control", self._cache_control)
            self.serve_request(request)

    # ---------------------------------------------------------------- files

    def _serve_directory(self, directory: Opened, names: Sequence[str], request: HttpRequest) -> None:
        if not (self._options.index_page and self._serve_if_file((*names, INDEX), request)):
            super()._serve_directory(directory, names, request)

    def _refuse(self, request: HttpRequest, status: int) -> None:
        response = request.response
        if status == 404 and self._options.spa and request.method in ("GET", "HEAD"):
            if self._serve_if_file((INDEX,), request):
                return
        if "cache-control" in response.headers:
            response.headers.remove_all("cache-control")  # an error may be over the next moment
        if status == 405:
            response.headers.set("allow", self._methods)
        super()._refuse(request, status)

    def _serve_if_file(self, names: Sequence[str], request: HttpRequest) -> bool:
        try:
            opened = open_below(str(self.root), names, follow_links=self.follow_links, jail=self.jail_root)
        except OSError:
            return False
        with closing(opened):
            if not stat.S_ISREG(opened.stat.st_mode):
                return False
            self._serve_opened(opened, names, request)
        return True

    # ---------------------------------------------------------------- what is no file

    def _refuse_host(self, request: HttpRequest) -> None:
        response = request.response
        response.status_code = 421
        response.write(self._hosts.refusal(request))
        response.close()

    def _answer_preflight(self, request: HttpRequest) -> None:
        response = request.response
        response.status_code = 204
        # For reading alone: what else a page of another origin asks for, a browser does not send then.
        response.headers.set("access-control-allow-methods", "GET, HEAD")
        response.headers.set("access-control-allow-headers", "Range, Authorization")
        response.headers.set("access-control-max-age", _PREFLIGHT_MAX_AGE)
        response.close()

    def _receive(self, request: HttpRequest) -> None:
        """Save what a form brought, and show the directory again."""
        decoded = decode_path(request.uri.path)
        if not is_own_form(request):
            self._refuse(request, 403)
            return
        if decoded is None:
            self._refuse(request, 404)
            return
        names, is_directory = decoded
        opened = self._open(names, request)
        if opened is None:
            return
        with closing(opened):
            if not (is_directory and stat.S_ISDIR(opened.stat.st_mode)):
                self._refuse(request, 405)
                return
            status = self._save(request, opened.descriptor)
        if status:
            self._refuse(request, status)
        else:
            request.response.redirect(encode_path(names), status=303)

    def _save(self, request: HttpRequest, directory: int) -> int:
        """0 where there were files, and all were saved; else the status that says why not."""
        content_type = request.headers.content_type
        if content_type is None or content_type.mime_type != "multipart/form-data":
            return 415
        try:
            parts = MimeMultipartTransformer(content_type.parameters.get("boundary") or "").bind(request)
            return 0 if save_uploads(parts, directory) else 400
        except HttpException as error:
            return error.status if isinstance(error, BadMessage) else 400
        except ValueError:
            return 400  # no boundary
        except PermissionError:
            return 403
        except FileExistsError:
            return 409  # thousands of that name
        except OSError as error:
            if error.errno in _NO_ROOM:
                return _INSUFFICIENT_STORAGE
            raise
