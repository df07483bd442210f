"""The load test: ``python -m tests.load``, not collected by pytest."""
