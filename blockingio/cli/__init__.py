"""The command, python -m blockingio: a directory is served."""
