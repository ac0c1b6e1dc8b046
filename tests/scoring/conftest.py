from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.scoring.driving import PYTHON, Driven


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Callable[..., Driven]]:
    """Start a process with the given score.py; ended with the test."""
    started: list[Driven] = []

    def start(
        source: str | None,
        python: Sequence[str] = PYTHON,
        cwd: Path | None = None,
        folder: Path = tmp_path,
        **config: Any,
    ) -> Driven:
        started.append(Driven(folder, source, python, cwd, config))
        return started[-1]

    yield start
    for one in started:
        one.close()
