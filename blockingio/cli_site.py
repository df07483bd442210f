"""What the command line serves: a VirtualDirectory with an index, a fallback, a door and a letterbox."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from contextlib import closing
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import NamedTuple

from blockingio.cli_gate import OwnHosts, is_own_form, knows
from blockingio.cli_upload import is_temporary, save_uploads
from blockingio.errors import BadMessage, HttpException
from blockingio.http_server.listing import UPLOAD_FORM, begins_with_dot
from blockingio.http_server.multipart import MimeMultipartTransformer
from blockingio.http_server.paths import decode_path, encode_path
from blockingio.http_server.safe_open import Opened, open_below
from blockingio.http_server.virtual_directory import VirtualDirectory
from blockingio.server.request import HttpRequest
from blockingio.values.percent import decode_lenient

INDEX = "index.html"
WELL_KNOWN = ".well-known"

# Seconds for which a browser need not ask again before a request of another origin.
_PREFLIGHT_MAX_AGE = 600

# A member of Accept that names text/html, and one that is not wanted at all (RFC 9110 12.4.2).
_HTML_RE = re.compile(r"text/html[ \t]*(?:;|\Z)")
_REFUSED_RE = re.compile(r";[ \t]*q=0(?:\.0*)?[ \t]*(?:;|\Z)")

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
    dotfiles: bool = False  # serve and list what begins with a dot
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

    def _is_hidden(self, name: str) -> bool:
        return is_temporary(name) or (is_dotfile(name) and not self._options.dotfiles)

    def _open(self, names: Sequence[str], request: HttpRequest) -> Opened | None:
        # What is meant for everybody has its place at the top (RFC 8615).
        if any(map(self._is_hidden, names[1:] if names[:1] == (WELL_KNOWN,) else names)):
            self._refuse(request, 404)
            return None
        return super()._open(names, request)

    def _open_gzipped(self, names: Sequence[str]) -> Opened | None:
        """None where anybody may put a file beside another one, and so in its place."""
        return None if self._options.upload else super()._open_gzipped(names)

    def _serve_directory(self, directory: Opened, names: Sequence[str], request: HttpRequest) -> None:
        if not (self._options.index_page and self._serve_if_file((*names, INDEX), request)):
            super()._serve_directory(directory, names, request)

    def _refuse(self, request: HttpRequest, status: int) -> None:
        response = request.response
        if status == 404 and self._options.spa and request.method in ("GET", "HEAD"):
            response.headers.add("vary", "Accept")
            if _wants_page(request) and self._serve_if_file((INDEX,), request):
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
            if any(map(self._is_hidden, names)):
                # /.well-known/ speaks for the whole host: to certificate authorities, for one.
                self._refuse(request, 403)
                return
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


def is_dotfile(name: str, *, windows: bool = os.name == "nt") -> bool:
    """Whether a name begins with a dot, or may be a short name on Windows of one that does: GIT~1 is .git."""
    return begins_with_dot(name) or (windows and re.search("~[0-9]", name) is not None)


def _wants_page(request: HttpRequest) -> bool:
    """Whether a browser is to show what it gets: not a script, an image, or data for one that runs already.

    Accept names text/html then (RFC 9110 12.5.1).  Where it says nothing, the path tells: a name with an
    extension is a file's.
    """
    accepted = [member.strip().lower() for member in request.headers.get("accept", "").split(",") if member.strip()]
    if any(_HTML_RE.match(member) and not _REFUSED_RE.search(member) for member in accepted):
        return True
    if any(member.partition(";")[0].rstrip() != "*/*" for member in accepted):
        return False
    name = decode_lenient(request.uri.path.rpartition("/")[2])
    return not os.path.splitext(name)[1]
