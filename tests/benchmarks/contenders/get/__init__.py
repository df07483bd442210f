"""Clients that GET the same resource over one connection; argv is PORT SECONDS."""
