from __future__ import annotations

import pytest

from tests.net.tls import Files, make_files


@pytest.fixture(scope="package")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_files(tmp_path_factory.mktemp("pem"))
