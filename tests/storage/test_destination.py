"""A destination is what it was, or what it shall be; never anything between, and nobody else's files are lost."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inference_server.storage import destination as destinations
from inference_server.storage.errors import ContentError, DestinationError, Stopped
from inference_server.storage.layout import is_model_folder, model_folder
from inference_server.storage.source import SourceError
from tests.storage.bringing import Here, content, leftovers, until


@pytest.fixture
def source(here: Here) -> Path:
    folder = here.root / "src" / "iris"
    (folder / "deep").mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"one" * 1000)
    (folder / "deep" / "labels.txt").write_bytes(b"labels")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "score.pyc").write_bytes(b"compiled")
    return folder


FIRST = {"model.bin": b"one" * 1000, "deep/labels.txt": b"labels"}


def change(source: Path) -> dict[str, bytes]:
    (source / "deep" / "labels.txt").unlink()
    (source / "deep").rmdir()
    (source / "model.bin").write_bytes(b"two" * 1000)
    (source / "new.txt").write_bytes(b"new")
    return {"model.bin": b"two" * 1000, "new.txt": b"new"}


def test_it_is_filled_once_and_follows_its_source(here: Here, source: Path) -> None:
    assert not here.bring(source).was_there
    assert content(here.dest) == FIRST
    assert here.bring(source).was_there
    second = change(source)
    here.bring(source)
    assert content(here.dest) == second
    assert {path.partition("/")[0] for path in leftovers(here)} == {"src"}


def test_a_folder_keeps_its_name_in_a_model_folder_a_file_does_not(here: Here, source: Path) -> None:
    folder = Path(model_folder(str(here.root / "app"), "iris", 3))
    assert folder == here.root / "app" / "azureml-models" / "iris" / "3"
    here.bring(source, folder)
    assert content(folder) == {f"iris/{path}": data for path, data in FIRST.items()}
    other = Path(model_folder(str(here.root / "app"), "iris", "4"))
    here.bring(source / "model.bin", other)
    assert content(other) == {"model.bin": FIRST["model.bin"]}
    assert not is_model_folder(str(folder / "iris"))
    for wrong in ("", "..", "a/b"):
        with pytest.raises(ValueError, match="no name or version"):
            model_folder("/app", wrong, 1)


def test_what_others_put_there_is_not_lost(here: Here, source: Path) -> None:
    here.bring(source)
    (here.dest / "notes.txt").write_text("mine")
    assert here.bring(source).was_there  # nothing to change, nothing to lose
    change(source)
    with pytest.raises(DestinationError, match=r"holds notes\.txt, which was not brought"):
        here.bring(source)
    assert content(here.dest) == {**FIRST, "notes.txt": b"mine"}
    (here.dest / "notes.txt").unlink()
    (here.dest / "__pycache__").mkdir()
    (here.dest / "__pycache__" / "score.pyc").write_bytes(b"compiled")
    here.bring(source)  # what Python left does not matter
    assert "new.txt" in content(here.dest)
    with pytest.raises(DestinationError, match="is a file"):
        here.bring(source, here.dest / "new.txt")


def test_a_folder_is_not_brought_into_itself(here: Here, source: Path) -> None:
    before = content(source)
    for dest in (source, source / "copy", source / "deep" / "copy"):
        with pytest.raises(DestinationError, match="lies in its own source"):
            here.bring(source, dest)
    assert content(source) == before
    assert not [path for path in here.root.rglob("*") if "azmlinfsrv" in path.name]
    here.bring(source / "model.bin", source / "beside")  # a file has no inside
    assert content(source / "beside") == {"model.bin": FIRST["model.bin"]}


def test_what_was_changed_there_is_restored(here: Here, source: Path) -> None:
    here.bring(source)
    path = here.dest / "model.bin"
    path.chmod(0o644)
    path.write_bytes(b"ruined")
    (here.dest / "deep" / "labels.txt").unlink()
    assert not here.bring(source).was_there
    assert content(here.dest) == FIRST  # also where the cache shared the ruined file
    assert any("was changed since" in line for line in here.said)


def test_verify_reads_every_byte(here: Here, source: Path) -> None:
    here.bring(source)
    path = here.dest / "model.bin"
    status = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"eno" * 1000)  # as a disk that rots: same size, same time
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert here.bring(source).was_there
    assert not here.bring(source, verifies=True).was_there
    assert content(here.dest) == FIRST
    assert here.bring(source, verifies=True).was_there


def test_it_is_there_at_every_instant_while_it_changes(here: Here, source: Path) -> None:
    here.bring(source)
    seen: set[bytes] = set()
    ends = threading.Event()

    def look() -> None:
        while not ends.is_set():
            seen.add((here.dest / "model.bin").read_bytes())  # a missing one ends this thread: see below

    thread = threading.Thread(target=look)
    thread.start()
    for turn in range(20):
        (source / "model.bin").write_bytes(b"%03d" % turn * 1000)
        here.bring(source)
    assert thread.is_alive()
    ends.set()
    thread.join()
    assert seen <= {FIRST["model.bin"], *(b"%03d" % turn * 1000 for turn in range(20))}


@pytest.fixture(params=["exchange", "two renames", "in place"])
def way(request: pytest.FixtureRequest, here: Here, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The ways a destination can change: this system's, that of one without exchange, and that of a mount."""
    if request.param == "two renames":
        monkeypatch.setattr(destinations, "exchange", lambda one, other: False)
    if request.param == "in place":
        here.dest.mkdir(parents=True)
        monkeypatch.chdir(here.dest)
    return request.param


def killed_after(steps: int, here: Here, source: Path) -> bool:
    """Bring the source in a process that dies as if by SIGKILL instead of changing a disk once more than `steps`
    times. Returns whether it died."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    left = steps

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def counting(*args: object, **named: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(9)
            return call(*args, **named)

        return counting

    try:
        for name in ("rename", "replace", "mkdir", "link", "utime", "unlink", "rmdir", "pwrite", "write"):
            setattr(os, name, counted(getattr(os, name)))
        destinations.exchange = counted(destinations.exchange)  # type: ignore[assignment]
        here.bring(source, connections=1)
        os._exit(0)
    finally:
        os._exit(1)


def test_a_run_that_is_killed_at_any_step_leaves_the_old_or_the_new(
    here: Here, source: Path, way: str
) -> None:
    before = FIRST
    here.bring(source)
    after = change(source)
    for steps in range(500):
        died = killed_after(steps, here, source)
        if way == "exchange":
            assert shown(here.dest) in (before, after), steps
        here.bring(source)
        assert shown(here.dest) == after, steps
        if not died:
            break
        (source / "new.txt").unlink()  # and back again
        (source / "deep").mkdir()
        (source / "deep" / "labels.txt").write_bytes(b"labels")
        (source / "model.bin").write_bytes(b"one" * 1000)
        here.bring(source)
        assert change(source) == after
    else:
        pytest.fail("it never came to its end")
    assert steps > 20
    kept = here.dest / ".azmlinfsrv" if way == "in place" else here.dest.parent / ".model.azmlinfsrv"
    assert [path.name for path in kept.iterdir()] == ["manifest.json"]


def shown(folder: Path) -> dict[str, bytes]:
    """What lies in a destination, but for our own folder."""
    return {path: data for path, data in content(folder).items() if not path.startswith(".azmlinfsrv/")}


def test_the_manifest_says_what_is_there(here: Here, source: Path) -> None:
    here.bring(source)
    manifest = json.loads((here.dest.parent / ".model.azmlinfsrv" / "manifest.json").read_text())
    assert manifest["source"] == str(source)
    assert {item["path"]: item["size"] for item in manifest["files"]} == {
        path: len(data) for path, data in FIRST.items()
    }
    assert all(len(item["sha256"]) == 64 for item in manifest["files"])


def test_a_second_run_waits_for_the_first(here: Here, source: Path) -> None:
    first, said = here.work(), list[str]()
    to = destinations.Destination(str(here.dest))
    with to.held(first.stop, lambda: None):
        thread = threading.Thread(target=lambda: said.append(str(here.bring(source).was_there)))
        thread.start()
        until(lambda: here.said, "the second run says that it waits")
        assert "being filled by another process" in here.said[0]
        assert not said
        stopped = here.work()
        stopped.stop.set()
        with pytest.raises(Stopped), to.held(stopped.stop, lambda: None):
            pass
    thread.join()
    assert said == ["False"]


def test_names_that_no_folder_can_hold_are_refused(here: Here, source: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        here.bring(here.root / "missing")
    (here.root / "empty").mkdir()
    with pytest.raises(SourceError, match="empty folder"):
        here.bring(here.root / "empty")
    os.mkfifo(source / "pipe")
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        here.bring(source)
    (source / "pipe").unlink()
    (source / "back\\slash").write_bytes(b"")
    with pytest.raises(ContentError, match="rename it"):
        here.bring(source)
    assert not here.dest.exists()
    assert not list(here.dest.parent.iterdir())


def test_links_of_a_local_folder_are_followed(here: Here, source: Path) -> None:
    (source / "linked").symlink_to("deep")
    (source / "back").symlink_to("..")  # leads back to the folder itself: left out below that
    (source / "copy.bin").symlink_to("model.bin")
    here.bring(source)
    assert content(here.dest)["linked/labels.txt"] == b"labels"
    assert content(here.dest)["copy.bin"] == FIRST["model.bin"]
    assert not (here.dest / "linked").is_symlink()
