"""The command as a process that is killed, stopped, or runs out of disk."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import tools
from tests.storage.bringing import PART, Here, command, content, ended, leftovers, until
from tests.storage.flaky_http import FlakyHttp

BODY = os.urandom(40 * PART)


def complete(here: Here) -> set[str]:
    """The parts of the download that are on the disk."""
    return {
        line for path in (here.cache / "parts").glob("*.list") for line in path.read_text().splitlines()[1:]
    }


def began(web: FlakyHttp) -> set[str]:
    """The parts that were asked for."""
    asked = [seen.range for seen in web.requests("/m.bin") if seen.range not in ("", "bytes=0-0")]
    return {str(int(text.partition("=")[2].partition("-")[0]) // PART) for text in asked}


def test_killed_in_the_middle_it_goes_on_from_there(here: Here, web: FlakyHttp) -> None:
    page = web.put("/m.bin", BODY, etag='"1"', pace=0.03)
    for _ in range(2):  # killed twice
        had = len(complete(here))
        run = command(here, web.url("/m.bin"), here.dest, "--connections", "2")
        until(lambda had=had: len(complete(here)) >= had + 5, "five more parts are there")  # type: ignore[misc]
        run.kill()
        assert ended(run)[0] == -signal.SIGKILL
        assert not here.dest.exists()
    done = complete(here)
    web.seen.clear()
    page.pace = 0
    code, out, err = ended(command(here, web.url("/m.bin"), here.dest))
    assert (code, err) == (0, "")
    assert content(here.dest) == {"m.bin": BODY}
    assert not done & began(web)
    assert len(began(web)) == 40 - len(done)
    assert leftovers(here) == set()
    assert " came) in " in out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_it_ends_at_once_and_says_so(here: Here, web: FlakyHttp, number: int, code: int) -> None:
    web.put("/m.bin", BODY, etag='"1"', pace=0.03)
    run = command(here, web.url("/m.bin"), here.dest, "--connections", "2")
    until(lambda: complete(here), "a part is there")
    before = time.monotonic()
    run.send_signal(number)
    ended_with, _, err = ended(run)
    assert ended_with == code
    assert time.monotonic() - before < 3
    assert err == (
        "azmlinfsrv storage-initializer: error: stopped: what was fetched is kept, the same command goes on from "
        "there\n"
    )
    assert not here.dest.parent.exists() or not list(here.dest.parent.iterdir())
    assert complete(here)


def test_a_silent_source_does_not_hold_a_stop_up(here: Here) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        run = command(here, f"http://127.0.0.1:{server.getsockname()[1]}/m.bin", here.dest)
        connection, _ = server.accept()
        run.send_signal(signal.SIGTERM)
        assert ended(run, 10)[0] == 143
        connection.close()


@pytest.fixture
def small_disk(here: Here) -> Iterator[Path]:
    """A disk of 4 MiB."""
    with tools.small_disk(here.root / "disk", "4m") as path:
        yield path


def test_a_disk_that_is_too_small_is_seen_before_anything_is_fetched(
    here: Here, web: FlakyHttp, small_disk: Path
) -> None:
    web.put("/m.bin", os.urandom(5 << 20), etag='"1"')
    cache = {"AZMLINFSRV_STORAGE_CACHE_DIR": str(small_disk / "cache")}
    code, _, err = ended(command(here, web.url("/m.bin"), here.dest, **cache))
    assert code == 3
    assert "free, and 5.24 MB are needed: free some space there" in err
    assert err.count("\n") == 1
    assert not began(web)
    # The cache has room, the destination has not.
    code, _, err = ended(command(here, web.url("/m.bin"), small_disk / "model"))
    assert code == 3
    assert not (small_disk / "model").exists()
    assert not began(web)
    # The size is not known before.
    web.put("/n.bin", os.urandom(5 << 20), chunked=True, ranges=False)
    code, _, err = ended(command(here, web.url("/n.bin"), here.dest, **cache))
    assert code == 3
    assert "is full" in err
    assert leftovers(here) <= {f"disk/{path}" for path in _files(small_disk)}
    assert not [path for path in _files(small_disk) if path.endswith(".data")]
    # A cache makes room for what is needed: other models' files go.
    for name in ("a", "b"):
        web.put(f"/{name}.bin", os.urandom(3 << 20), etag='"1"')
        assert ended(command(here, web.url(f"/{name}.bin"), here.root / name, **cache))[0] == 0
    # A mount is filled in place, and so again.
    assert (
        ended(command(here, web.url("/b.bin"), small_disk / "in", AZMLINFSRV_STORAGE_CACHE_SIZE="0"))[0] == 3
    )


def test_a_mount_is_filled_in_place(here: Here, web: FlakyHttp, small_disk: Path) -> None:
    web.put("/m.bin", BODY, etag='"1"')
    assert ended(command(here, web.url("/m.bin"), small_disk))[0] == 0
    assert (small_disk / "m.bin").read_bytes() == BODY
    assert {path.name for path in small_disk.iterdir()} == {"m.bin", ".azmlinfsrv"}
    code, out, _ = ended(command(here, web.url("/m.bin"), small_disk))
    assert code == 0
    assert "nothing to do" in out


def _files(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def test_a_limit_on_file_sizes_is_one_clear_line(here: Here, web: FlakyHttp) -> None:
    web.put("/m.bin", BODY, etag='"1"')

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    run = subprocess.run(
        [sys.executable, "-m", "inference_server", "storage-initializer", web.url("/m.bin"), here.dest],
        env={**os.environ, "AZMLINFSRV_STORAGE_CACHE_DIR": str(here.cache)},
        capture_output=True,
        text=True,
        preexec_fn=limited,
    )
    assert run.returncode == 3
    assert "raise the limit (ulimit -f)" in run.stderr
    assert run.stderr.count("\n") == 1
