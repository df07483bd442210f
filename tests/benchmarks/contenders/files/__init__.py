"""Servers of the files in a directory; argv is the directory."""
