"""Servers of the files in a directory; argv is the directory, and perhaps "log": a line for each request."""
