"""Fixtures of the command's tests."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.sites import make_directory


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return make_directory(tmp_path)
