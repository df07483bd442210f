"""Streams: a sequence of events, and waiting for the next one.  Knows no HTTP."""
