"""All the rows for requests, in one tuple, with the group that each belongs to."""

from __future__ import annotations

from blockingio.check import (requests_chunked, requests_connection, requests_fields, requests_framing,
                               requests_start_line)
from blockingio.check.cases import Case

GROUPS: dict[str, tuple[Case, ...]] = {
    "line": requests_start_line.LINES,
    "version": requests_start_line.VERSIONS,
    "target": requests_start_line.TARGETS,
    "field": requests_fields.FIELDS,
    "host": requests_fields.HOSTS,
    "length": requests_framing.LENGTHS,
    "coding": requests_framing.CODINGS,
    "chunk": requests_chunked.SIZES,
    "extension": requests_chunked.EXTENSIONS,
    "trailer": requests_chunked.TRAILERS,
    "expect": requests_connection.EXPECTATIONS,
    "connection": requests_connection.CONNECTIONS,
    "pipeline": requests_connection.PIPELINES,
    "departure": requests_connection.DEPARTURES,
}

REQUESTS: tuple[tuple[str, Case], ...] = tuple(
    (f"{group}: {row.name}", row) for group, rows in GROUPS.items() for row in rows)
