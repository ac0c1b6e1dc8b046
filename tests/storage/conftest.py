"""Fixtures of the storage initializer's tests.

The stores are started when the first test asks for one; every test takes a fresh bucket or container.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage import emulators
from tests.storage.bringing import Here
from tests.storage.emulators import S3, Azurite, Gcs
from tests.storage.flaky_http import FlakyHttp


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


@pytest.fixture
def web() -> Iterator[FlakyHttp]:
    with FlakyHttp() as server:
        yield server


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with emulators.azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with emulators.seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcs]:
    with emulators.fake_gcs(tmp_path_factory.mktemp("gcs")) as server:
        yield server
