"""The cache: each content once, for every deployment, within its bounds, whoever else uses it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from inference_server.storage import eviction, initializer, linking
from inference_server.storage.store import Blob, Store
from tests.storage.bringing import PART, Here, blobs, command, content, ended, leftovers
from tests.storage.flaky_http import FlakyHttp

BODY = os.urandom(4 * PART)


def test_two_deployments_share_what_is_fetched_once(here: Here, web: FlakyHttp) -> None:
    web.put("/m.bin", BODY, etag='"1"')
    other = here.root / "out" / "other"
    assert here.bring(web.url("/m.bin")).fetched == len(BODY)
    assert here.bring(web.url("/m.bin"), other).fetched == 0
    assert content(other) == content(here.dest) == {"m.bin": BODY}
    assert (other / "m.bin").stat().st_blocks == (here.dest / "m.bin").stat().st_blocks
    assert not (other / "m.bin").stat().st_mode & 0o222


def test_two_processes_at_once_fetch_once(here: Here, web: FlakyHttp) -> None:
    body = os.urandom(16 * PART)
    web.put("/m.bin", body, etag='"1"', pace=0.3)
    parts = {"AZMLINFSRV_STORAGE_PART_SIZE": str(4 * PART)}
    runs = [command(here, web.url("/m.bin"), here.root / f"to{number}", **parts) for number in range(3)]
    results = [ended(run) for run in runs]
    assert [code for code, _, _ in results] == [0, 0, 0], results
    assert all(content(here.root / f"to{number}") == {"m.bin": body} for number in range(3))
    fetched = [seen for seen in web.requests("/m.bin") if seen.method == "GET" and seen.range != "bytes=0-0"]
    assert len(fetched) == 4
    said = "".join(out for _, out, _ in results)
    assert said.count("taken from the cache") == 2
    assert "is being fetched by another process" in said
    assert not list((here.cache / "parts").iterdir())


def test_without_a_cache_there_is_one_copy_and_nothing_else(here: Here, web: FlakyHttp) -> None:
    web.put("/m.bin", BODY, etag='"1"')
    here.bring(web.url("/m.bin"), cached=False)
    assert content(here.dest) == {"m.bin": BODY}
    assert leftovers(here) == set()
    assert not here.cache.exists()


def test_a_cache_that_cannot_be_used_is_done_without(here: Here, web: FlakyHttp) -> None:
    web.put("/m.bin", BODY, etag='"1"')
    here.cache.write_bytes(b"in the way")
    here.bring(web.url("/m.bin"))
    assert content(here.dest) == {"m.bin": BODY}
    assert "going on without; --cache_dir names another" in here.said[0]


def test_a_file_that_was_written_into_is_fetched_again(here: Here, web: FlakyHttp) -> None:
    web.put("/m.bin", BODY, etag='"1"')
    here.bring(web.url("/m.bin"))
    blob = next(path for path in (here.cache / "blobs").rglob("*") if path.is_file())
    blob.chmod(0o644)
    blob.write_bytes(BODY[::-1])
    assert here.bring(web.url("/m.bin"), here.root / "other").fetched == len(BODY)
    assert content(here.root / "other") == {"m.bin": BODY}


def test_what_was_not_used_for_longest_goes_first(here: Here, web: FlakyHttp) -> None:
    bodies = [os.urandom(PART) for _ in range(4)]
    for number, body in enumerate(bodies):
        web.put(f"/{number}.bin", body, etag=f'"{number}"')
        here.bring(web.url(f"/{number}.bin"), here.root / f"to{number}", cache_size=3 * PART)
        for path in (here.cache / "index").rglob("*"):  # an hour later
            os.utime(path, (path.stat().st_atime - 3600, path.stat().st_mtime - 3600))
        if number == 1:
            here.bring(web.url("/0.bin"), here.root / "again")  # in use: it stays
    assert len(blobs(here)) == 3
    fetched = [
        here.bring(web.url(f"/{number}.bin"), here.root / f"new{number}").fetched for number in (0, 2, 3, 1)
    ]
    assert fetched == [0, 0, 0, PART]
    assert content(here.root / "to1") == {"1.bin": bodies[1]}  # a deployment loses nothing


def test_downloads_that_nobody_goes_on_with_are_forgotten(here: Here) -> None:
    store = Store(here.cache)
    old, young = store.part("a" * 64).with_suffix(".data"), store.part("b" * 64).with_suffix(".data")
    for path in (old, young):
        path.write_bytes(b"half")
    past = time.time() - eviction.FORGOTTEN_SECONDS - 60
    os.utime(old, (past, past))
    eviction.evict(store, 1 << 30)
    assert [path.exists() for path in (old, young)] == [False, True]
    eviction.evict(store, 1 << 30, needed=1, keep={"b" * 64})
    assert young.exists()
    eviction.evict(store, 1 << 30, needed=1)
    assert not young.exists()


def test_a_file_that_is_evicted_while_it_is_wanted_is_fetched_again(
    here: Here, web: FlakyHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.put("/m.bin", BODY, etag='"1"')
    shares, turns = linking.shares, []

    def and_evicts(source: Path, target: Path) -> bool:
        turns.append(1)
        if len(turns) == 2:  # another process, between the download and the move
            eviction.evict(Store(here.cache), 0)
        return shares(source, target)

    monkeypatch.setattr(initializer, "shares", and_evicts)
    here.bring(web.url("/m.bin"))
    assert content(here.dest) == {"m.bin": BODY}
    assert len(turns) == 4


def test_an_executable_is_another_file_than_its_twin(here: Here) -> None:
    folder = here.root / "src"
    folder.mkdir()
    for name, mode in (("run", 0o755), ("data", 0o644)):
        (folder / name).write_bytes(b"same")
        (folder / name).chmod(mode)
    here.bring(folder)
    assert os.access(here.dest / "run", os.X_OK)
    assert not (here.dest / "data").stat().st_mode & 0o111


def test_other_disks_get_copies(here: Here, web: FlakyHttp, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where cache and destination lie on two file systems: no clone, no link."""

    def crosses(*args: object, **named: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    web.put("/m.bin", BODY, etag='"1"')
    monkeypatch.setattr(linking, "_clone", lambda source, target: False)
    monkeypatch.setattr(os, "link", crosses)
    here.bring(web.url("/m.bin"))
    assert here.bring(web.url("/m.bin")).was_there  # the copy has its source's stamp
    blob = next(path for path in (here.cache / "blobs").rglob("*") if path.is_file())
    assert not os.path.samefile(blob, here.dest / "m.bin")


def test_a_store_keeps_a_content_once(here: Here) -> None:
    store = Store(here.cache)
    blob = Blob("ab" * 32, 4)
    for name in ("one", "two"):
        (here.root / name).write_bytes(b"same")
        store.adopt(here.root / name, blob)
    assert blobs(here) == {"ab" * 32}
    assert not (here.root / "two").exists()
