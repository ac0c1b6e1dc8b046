from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scoring.batching.front import Front


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Callable[..., Front]]:
    """Start a worker on the given score.py; ended with the test."""
    started: list[Front] = []

    def start(source: str, **config: Any) -> Front:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Front(folder, source, **config))
        return started[-1]

    yield start
    for one in started:
        one.close()
