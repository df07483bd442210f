"""A directory to serve."""
from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory to serve, and beside it what must not be served."""
    (tmp_path / "secret.txt").write_text("secret")
    root = tmp_path / "root"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "hello.txt").write_text("Hello, world!")
    (root / "index.html").write_text("<p>Home</p>")
    (root / "sub" / "index.html").write_text("<p>Sub</p>")
    (root / "sub" / "deep" / "a b.css").write_text("p { color: red }")
    return root
