"""A listing as a page, and as JSON.

The page works without its script, which narrows the rows as one types and turns UTC into local time.  What there is
once for each row is as short as HTML lets it be: end tags that the parser supplies are left out, and icons are the
style's, by the ends of the links.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from time import time
from typing import NamedTuple

from blockingio.http_server.listing import Entry, Listing, View
from blockingio.http_server.page import Script, escape, page
from blockingio.http_server.paths import encode_name, shown
from blockingio.values.date import MONTHS
from blockingio.values.percent import encode_query_component

# Sizes are given in units of 1,000 bytes, as file managers do.
_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")

# What may stand in an attribute without quotes and without being escaped.
_BARE_RE = re.compile(r"[0-9A-Za-z\-._~%/]+")

# Seconds.  A date further back than half a year is shown without its time, as ls does.
_DAY = 24 * 60 * 60
_HALF_A_YEAR = 182 * _DAY

_SVG = ("url(\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
        "%3Cpath d='{}'/%3E%3C/svg%3E\")")
_ICONS = {
    "": ("M3 1h6l4 4v10H3zM4 2v12h8V6H8V2z", ""),
    "folder": ("M1 3h5l2 2h7v9H1z", "/"),
    "image": ("M1 2h14v12H1zM2 3v8l4-4 3 3 2-2 3 3V3zM11 4h2v2h-2z", "png jpg jpeg gif svg webp avif bmp ico heic"),
    "video": ("M1 3h10v3l4-2v8l-4-2v3H1z", "mp4 webm mov mkv avi"),
    "audio": ("M6 2l8-1v10a2 2 0 1 1-1-2V4L7 5v8a2 2 0 1 1-1-2z", "mp3 ogg wav flac m4a opus"),
    "archive": ("M2 1h12v14H2zM3 2v12h10V2zM7 2h2v1H7zM7 4h2v1H7zM7 6h2v1H7zM7 8h2v3H7z",
                "zip gz tar xz bz2 7z zst tgz jar whl"),
    "code": ("M5 4L1 8l4 4 1-1-3-3 3-3zM11 4l4 4-4 4-1-1 3-3-3-3z",
             "py js ts css html htm json xml c h cpp rs go java sh toml yaml yml"),
    "text": ("M2 2h12v1H2zM2 5h12v1H2zM2 8h12v1H2zM2 11h8v1H2z", "txt md rst log csv pdf doc docx odt"),
}


def _icon_rules() -> Iterator[str]:
    for path, ends in _ICONS.values():
        selectors = ",".join(f'[href$="{end if end == "/" else "." + end}"i]' for end in ends.split())
        yield f"td a{selectors and f':is({selectors})'}:before{{--icon:{_SVG.format(path)}}}\n"


_STYLE = """\
nav a+a:before,nav a+span:before{color:var(--dim);content:"/";font-weight:400;padding:0 .375rem}
nav a,nav span{unicode-bidi:isolate}
table{border-collapse:collapse;position:relative;width:100%}
th{color:var(--dim);font-size:.8125rem;font-weight:500;text-align:left;white-space:nowrap}
th a{color:inherit}
th[aria-sort=ascending] a:after{content:" \\2191"}
th[aria-sort=descending] a:after{content:" \\2193"}
th,td{border-bottom:1px solid var(--line);padding:.375rem .75rem .375rem 0;vertical-align:top}
td:first-child{overflow-wrap:anywhere;width:100%}
td a{display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:2;line-clamp:2;overflow:hidden;\
padding-left:1.625rem;position:relative;unicode-bidi:plaintext}
td a:before{background:var(--dim);content:"";height:1rem;left:0;position:absolute;top:.25rem;width:1rem;\
-webkit-mask:var(--icon) center/contain no-repeat;mask:var(--icon) center/contain no-repeat}
td a[href$="/"]{font-weight:600}
td a[href$="/"]:before{background:var(--link)}
tr:hover td{background:var(--hover)}
td+td,th+th{color:var(--dim);font-variant-numeric:tabular-nums;text-align:right;white-space:nowrap}
td:last-child,th:last-child{padding-right:0}
@media(max-width:34rem){th:last-child{border:0;position:absolute;right:5rem;top:0}
table+p{margin-top:1rem}
td:last-child{display:none}td:nth-child(2){padding-right:0}th:nth-child(2){padding-right:0}td{padding-block:.625rem}}
""" + "".join(_icon_rules())

# show() is for the page, and for a list that takes the place of one on it.
_SHOW = """
const show=()=>{const table=document.querySelector("#list table");if(!table)return;
const now=new Date(table.dataset.now*1000),rows=[...table.tBodies[0].rows].filter(row=>row.cells[1].textContent);
const short=new Intl.DateTimeFormat(undefined,{day:"numeric",month:"short",hour:"2-digit",minute:"2-digit"});
const today=`${now.getUTCDate()} ${now.toLocaleString("en",{month:"short",timeZone:"UTC"})}`;
const past=new Intl.DateTimeFormat(undefined,{day:"numeric",month:"short",year:"numeric",timeZone:"UTC"});
const full=new Intl.DateTimeFormat(undefined,{dateStyle:"full",timeStyle:"short"});
for(const row of rows){const cell=row.cells[2],text=cell.textContent.trim(),
found=/^(?:(\\d+ \\w+) )?(\\d+:\\d+)$/.exec(text);
if(!found){const day=new Date(`${text} UTC`);if(!isNaN(day))cell.textContent=past.format(day);continue}
let date=new Date(`${found[1]||today} ${now.getUTCFullYear()} ${found[2]} UTC`);
if(date-now>864e5)date=new Date(`${found[1]} ${now.getUTCFullYear()-1} ${found[2]} UTC`);
if(!isNaN(date)){cell.textContent=short.format(date);cell.title=full.format(date)}}
for(const zone of document.querySelectorAll(".utc"))zone.remove();
const box=document.querySelector("[type=search]");if(!box)return;
const summary=document.querySelector("#summary"),all=summary.textContent;
const rest=document.querySelector("#list [rel]")?" of this page. Enter looks through all pages.":"";
const plain=text=>text.normalize().toLowerCase(),given=plain(box.defaultValue);
const narrow=()=>{const wanted=plain(box.value);let left=0;
for(const row of rows)left+=!(row.hidden=!plain(row.cells[0].textContent).includes(wanted));
summary.textContent=!wanted.includes(given)?"Enter looks through all names.":
left<rows.length?`${left} of ${rows.length} shown${rest}`:all;
for(const link of document.querySelectorAll("#list th a")){const to=new URL(link.href);
to.searchParams.delete("filter");if(box.value)to.searchParams.set("filter",box.value);link.href=to.href}};
box.addEventListener("input",narrow);narrow()};show();
"""


class Extra(NamedTuple):
    """What a listing's owner adds to it: HTML above the list, CSS, and what else the script does.

    Where that does something it may ask its own origin, and call ``show`` once it has put in another list.
    """

    form: str = ""
    style: str = ""
    code: str = ""

    def script(self) -> Script:
        """The page's one script."""
        return Script.of(f'"use strict";{{{_SHOW}{self.code}}}', connects=bool(self.code))


PLAIN = Extra()


def listing_page(root: str, names: Sequence[str], listing: Listing, view: View = View(), extra: Extra = PLAIN,
                 script: Script | None = None, now: float | None = None) -> str:
    """The page for the directory that ``names`` lead to from one that is called ``root``.

    ``script`` is the ``extra``'s, None to make it anew; ``now`` is seconds since 1970, None for the clock's.
    """
    now = time() if now is None else now
    path = escape("/" + "".join(f"{shown(name)}/" for name in names))
    up = '<tr><td><a href=../>Parent folder<td><td>' if names else ""
    rows = up + "".join([_row(entry, now) for entry in listing.entries])
    parts = [f'<nav aria-label="Path"><h1>{_trail(root, names)}</h1></nav>\n',
             extra.form, f'<div id="list">\n<p id="summary" aria-live="polite">{summary(listing)}</p>\n']
    if listing.entries or view.filter:
        parts.append(_filter(view))
    if rows:
        parts.append(f'<table data-now="{int(now)}">\n<thead><tr>{"".join(_headings(view))}</tr></thead>\n'
                     f"<tbody>\n{rows}</tbody>\n</table>\n")
    if not listing.entries:
        parts.append("<p>Nothing here.</p>\n" if not view.filter else "<p>Nothing here has that in its name.</p>\n")
    parts.append(f"{_pages(view, listing.pages)}</div>\n")
    return page(f"Index of {path}", f'<main>\n{"".join(parts)}</main>\n', style=_STYLE + extra.style,
                script=script or extra.script())


def listing_json(names: Sequence[str], listing: Listing, view: View) -> str:
    """The same as JSON: what is unknown is null, times are RFC 3339 in UTC, sizes bytes."""
    return json.dumps({
        "path": "/" + "".join(f"{shown(name)}/" for name in names),
        "folders": listing.folders, "files": listing.files, "size": listing.size,
        "page": min(view.page, listing.pages), "pages": listing.pages,
        "entries": [{
            "name": shown(entry.name), "type": "folder" if entry.is_directory else "file",
            "url": reference(entry.name, entry.is_directory), "size": None if entry.is_directory else entry.size,
            "modified": _iso(entry.modified),
        } for entry in listing.entries],
    }, ensure_ascii=False, indent=1) + "\n"


def summary(listing: Listing) -> str:
    """As "3 folders, 11 files, 9.2 MB"."""
    return (f"{listing.folders:,} folder{'' if listing.folders == 1 else 's'}, "
            f"{listing.files:,} file{'' if listing.files == 1 else 's'}, {size_text(listing.size)}")


def size_text(size: int) -> str:
    """Bytes as people read them: "12 B", "3.4 kB", "56 MB"."""
    if size < 1000:
        return f"{size} B"
    number = float(size)
    for unit in _UNITS:
        number /= 1000
        if number < 999.5 or unit == _UNITS[-1]:
            break
    return f"{number:.1f} {unit}" if number < 9.95 else f"{number:.0f} {unit}"


def _row(entry: Entry, now: float) -> str:
    link = reference(entry.name, entry.is_directory)
    if not _BARE_RE.fullmatch(link):
        link = f'"{escape(link)}"'
    if entry.is_directory:
        size = "–"
    else:
        size = size_text(entry.size) if entry.size is not None else "?"
    # The parser ends a link with its cell, a cell and a row with the next one (HTML 13.2.6.4.15).
    return f"<tr><td><a href={link}>{escape(shown(entry.name))}<td>{size}<td>{date_text(entry.modified, now)}"


def reference(name: str, is_directory: bool = False) -> str:
    """A relative reference; "./" keeps a name with a colon from being taken for a scheme (RFC 3986 4.2)."""
    encoded = encode_name(name)
    return f"{'./' if ':' in encoded else ''}{encoded}{'/' if is_directory else ''}"


def date_text(seconds: float | None, now: float) -> str:
    """UTC: "06:51" today, else as ls has it: "26 Nov 06:51", "27 Nov 1994" for what is longer ago, or in the future.

    "" for what no calendar has.
    """
    date = _date(seconds)
    if date is None or seconds is None:
        return ""
    day = f"{date.day} {MONTHS[date.month]}"
    if not -_HALF_A_YEAR < seconds - now < 60 * 60:
        return f"{day} {date.year}"
    clock = f"{date.hour:02}:{date.minute:02}"
    return clock if seconds // _DAY == now // _DAY else f"{day} {clock}"


def _iso(seconds: float | None) -> str | None:
    date = _date(seconds)
    return None if date is None else f"{date:%Y-%m-%dT%H:%M:%SZ}"


def _date(seconds: float | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None  # a date that no calendar has


def _trail(root: str, names: Sequence[str]) -> str:
    """The path, beginning with the root's name, each directory on it but the last a link."""
    trail = []
    for depth, name in enumerate((root, *names)):
        text = escape(shown(name)) or "/"
        above = len(names) - depth
        trail.append(f'<a href="{"../" * above}">{text}</a>' if above else f'<span aria-current="page">{text}</span>')
    return "".join(trail)


def _filter(view: View) -> str:
    hidden = "".join(f'<input type="hidden" name="{name}" value="{value}">'
                     for name, value in _query(view) if name in ("sort", "order"))
    return (f'<form role="search">{hidden}<input type="search" name="filter" value="{escape(view.filter)}" '
            'placeholder="Filter" aria-label="Show only names with" autocomplete="off">'
            "<noscript><button>Filter</button></noscript></form>\n")


def _headings(view: View) -> Iterator[str]:
    """Each a link that sorts by it, and the other way round where the page is sorted by it already."""
    for sort, text in (("name", "Name"), ("size", "Size"), ("time", 'Modified<span class="utc"> (UTC)</span>')):
        is_current = view.sort == sort
        descending = not view.descending if is_current else sort == "time"  # of times the newest come first
        state = f' aria-sort="{"descending" if view.descending else "ascending"}"' if is_current else ""
        link = _link(View(sort, descending, view.filter))
        yield f'<th scope="col"{state}><a href="{link}">{text}</a></th>'


def _pages(view: View, pages: int) -> str:
    if pages == 1:
        return ""
    current = min(view.page, pages)
    before = f'<a href="{_link(view._replace(page=current - 1))}" rel="prev">Previous</a> ' if current > 1 else ""
    after = f' <a href="{_link(view._replace(page=current + 1))}" rel="next">Next</a>' if current < pages else ""
    return f'<p>{before}Page {current} of {pages}{after}</p>\n'


def _link(view: View) -> str:
    return "?" + "&amp;".join(f"{name}={encode_query_component(value)}" for name, value in _query(view))


def _query(view: View) -> Iterator[tuple[str, str]]:
    yield "sort", view.sort
    yield "order", "desc" if view.descending else "asc"
    if view.filter:
        yield "filter", view.filter
    if view.page > 1:
        yield "page", str(view.page)
