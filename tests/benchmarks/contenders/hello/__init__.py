"""Servers of the same 13 bytes."""
