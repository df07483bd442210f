"""Tests of blockingio.values."""
