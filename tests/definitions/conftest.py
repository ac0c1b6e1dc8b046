"""A folder with everything that the example files name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.definitions.examples import BESIDE
from tests.tools import require_module


@pytest.fixture(scope="session")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the examples name; nothing writes there but `written`."""
    require_module("yaml", "pyyaml")
    folder = tmp_path_factory.mktemp("examples")
    for name in BESIDE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.fixture
def write(beside: Path) -> Callable[[str], Path]:
    """`write(text)`: a YAML file in that folder."""

    def made(text: str, name: str = "file.yml") -> Path:
        (beside / name).write_text(text, encoding="utf-8")
        return beside / name

    return made
