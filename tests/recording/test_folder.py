"""A folder of recorded requests stays within its limits, and holds whole files only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inference_server.recording.folder import Folder


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records"


def names(path: Path) -> list[str]:
    return sorted(os.listdir(path))


def test_files_and_folder_are_their_owners_alone(path: Path) -> None:
    assert Folder(str(path), 1000, 10).put("failed-1.json", b"x")
    assert path.stat().st_mode & 0o777 == 0o700
    assert (path / "failed-1.json").stat().st_mode & 0o777 == 0o600


def test_the_oldest_good_one_leaves_first_then_the_oldest_failed_one(path: Path) -> None:
    folder = Folder(str(path), 1000, 3)
    for name in ("failed-1.json", "good-2.json", "good-3.json", "failed-4.json"):
        assert folder.put(name, b"x")
    assert names(path) == ["failed-1.json", "failed-4.json", "good-3.json"]
    assert folder.put("failed-5.json", b"x")
    assert not folder.put("good-6.json", b"x")  # nothing here is less wanted
    assert folder.put("failed-7.json", b"x")
    assert names(path) == ["failed-4.json", "failed-5.json", "failed-7.json"]


def test_bytes_are_a_limit_as_well(path: Path) -> None:
    folder = Folder(str(path), 100, 10)
    assert folder.put("failed-1.json", b"x" * 60)
    assert folder.put("failed-2.json", b"x" * 30)
    assert folder.put("failed-3.json", b"x" * 40)
    assert names(path) == ["failed-2.json", "failed-3.json"]
    assert not folder.put("failed-4.json", b"x" * 101)
    assert names(path) == ["failed-2.json", "failed-3.json"]


def test_what_others_do_in_the_folder_is_seen_before_anything_is_removed(path: Path, clock: Clock) -> None:
    folder = Folder(str(path), 1000, 2, clock)
    folder.open()
    assert folder.put("failed-2.json", b"x")
    assert folder.put("failed-3.json", b"x")
    (path / "failed-2.json").unlink()
    (path / "notes.txt").write_text("mine")
    clock.now = 10.0
    assert folder.put("failed-4.json", b"x")
    assert names(path) == ["failed-3.json", "failed-4.json", "notes.txt"]
    (path / "good-1.json").write_text("from another server")
    clock.now = 20.0
    assert folder.put("failed-5.json", b"x")
    assert names(path) == ["failed-4.json", "failed-5.json", "notes.txt"]


def test_what_an_earlier_run_has_left_counts(path: Path) -> None:
    path.mkdir()
    (path / "good-1.json").write_bytes(b"x" * 90)
    given_up, fresh = path / ".unfinished-1", path / ".unfinished-2"
    given_up.touch()
    fresh.touch()
    os.utime(given_up, (0, 0))
    folder = Folder(str(path), 100, 10)
    folder.open()
    assert folder.put("failed-2.json", b"x" * 50)
    assert names(path) == [".unfinished-2", "failed-2.json"]


def test_nothing_is_left_of_a_file_that_could_not_be_written(path: Path) -> None:
    folder = Folder(str(path), 1000, 10)
    (path / "failed-1.json").mkdir(parents=True)  # it cannot be replaced by a file
    with pytest.raises(OSError, match=r"directory|exists"):
        folder.put("failed-1.json", b"x")
    assert names(path) == ["failed-1.json"]
    path = path / "failed-1.json"
    (path / "file").touch()
    with pytest.raises(OSError, match=r"directory|exists"):
        Folder(str(path / "file"), 1000, 10).open()
