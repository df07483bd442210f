"""Text <-> value: what HTTP says in fields, dates and URIs; no socket and no thread."""
