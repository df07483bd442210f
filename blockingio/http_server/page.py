"""The HTML that this package writes itself: one plain page around a title and a body.

Nothing is fetched from elsewhere, no script runs, and the headers say so to the browser.  Text
is escaped by whoever puts it in.
"""

from __future__ import annotations

# Markup of another origin cannot come in, were escaping ever forgotten; forms go to us alone.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'self'")

_STYLE = """\
:root { color-scheme: light dark; --line: #d8dee4; --dim: #59636e; --link: #0860c4; --hover: #f3f6f9; }
@media (prefers-color-scheme: dark) {
  :root { --line: #30363d; --dim: #9aa4ae; --link: #6cb2ff; --hover: #ffffff0d; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 3rem; line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.25rem; font-weight: 600; margin: 0 0 1rem; overflow-wrap: anywhere; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
p { color: var(--dim); }
table { border-collapse: collapse; width: 100%; }
th { color: var(--dim); font-size: .8125rem; font-weight: 500; text-align: left; }
th, td { border-bottom: 1px solid var(--line); padding: .5rem .75rem .5rem 0; vertical-align: baseline; }
td:first-child { overflow-wrap: anywhere; width: 100%; }
td:first-child a { display: block; }
tr:hover td { background: var(--hover); }
.directory { font-weight: 600; }
.size, .date { color: var(--dim); font-variant-numeric: tabular-nums; white-space: nowrap; }
.size { text-align: right; }
form { align-items: center; border: 1px solid var(--line); border-radius: .5rem; display: flex;
  flex-wrap: wrap; gap: .75rem;
  margin: 0 0 1.25rem; padding: .75rem; }
input { flex: 1 1 14rem; font: inherit; max-width: 100%; }
button { font: inherit; padding: .25rem 1rem; }
@media (max-width: 34rem) { .date { display: none; } td { padding-block: .75rem; } }
"""


def page(title: str, body: str) -> str:
    """A page; ``title`` and ``body`` are HTML."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def escape(text: str) -> str:
    """Text for HTML, between tags and in quoted attributes."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(character, entity)
    return text
