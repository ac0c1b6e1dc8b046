from __future__ import annotations

from pathlib import Path

import pytest

from inference_server.scoring.models import directory_listing


def test_a_directory_is_shown_as_a_tree(tmp_path: Path) -> None:
    for path in (
        "models/x/f.txt",
        "models/m1/3/sub/b.bin",
        "models/m1/3/a.pkl",
        "models/m1/2/c",
        "models/top",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert directory_listing(str(tmp_path / "models") + "/") == [
        "Model Directory Contents:",
        "models/",
        "    top",
        "    m1/",
        "        2/",
        "            c",
        "        3/",
        "            a.pkl",
        "            sub/",
        "                b.bin",
        "    x/",
        "        f.txt",
    ]


def test_a_long_listing_is_cut(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number:03}").touch()
    lines = directory_listing(str(tmp_path))
    assert len(lines) == 1 + 200 + 1
    assert "200" in lines[-1]
    (tmp_path / "few").mkdir()
    for number in range(199):
        (tmp_path / "few" / f"{number:03}").touch()
    assert len(directory_listing(str(tmp_path / "few"))) == 1 + 200


@pytest.mark.parametrize("missing", ["", "no/such"])
def test_no_directory(missing: str) -> None:
    assert directory_listing(missing) == []
