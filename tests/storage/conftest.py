"""Fixtures of the storage initializer's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.bringing import Here
from tests.storage.flaky_http import FlakyHttp


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


@pytest.fixture
def web() -> Iterator[FlakyHttp]:
    with FlakyHttp() as server:
        yield server
