"""The state under real kills, real processes at once, a full disk and one that is read-only."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from inference_server.platform.errors import Overtaken, StateUnusable
from inference_server.platform.home import Home
from inference_server.platform.records import Name
from inference_server.platform.store import OPERATIONS, Store
from tests.tools import ROOT

SHOP, BLUE = Name("shop"), Name("shop", "blue")


def writer(home: Home, most: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.platform.writer", str(home.folder), "shop", str(most)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def begin(home: Home) -> None:
    with Store(home) as store, store.atomically():
        store.create(SHOP, {"count": 0})
        store.create(BLUE, {"count": 0})


def check(home: Home) -> int:
    """The invariants; returns how far the counts are."""
    with Store(home) as store:
        with store.database.reading() as connection:
            assert [tuple(row) for row in connection.execute("PRAGMA integrity_check")] == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            last = connection.execute("SELECT last FROM sequence").fetchone()["last"]
        shop, blue = store.get(SHOP), store.get(BLUE)
        assert shop.desired["count"] == blue.desired["count"]
        assert max(shop.generation, blue.generation) == last
        for record in (shop, blue):
            operations = store.operations(record.name)
            assert operations[-1].generation == record.generation
            assert [one.state for one in operations[:-1]] == ["Canceled"] * (len(operations) - 1)
            assert len(operations) == min(record.desired["count"] + 1, OPERATIONS)
        return int(shop.desired["count"])


def test_writers_that_are_killed_leave_whole_changes(home: Home) -> None:
    """What a writer printed is there; at most the one change that each had under way is there beside it."""
    begin(home)
    chance = random.Random(7)
    for _ in range(5):
        running = [writer(home, 100_000) for _ in range(2)]
        answered = 0
        for process in running:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 25)):
                answered = max(answered, int(process.stdout.readline()))
        for process in running:
            process.send_signal(signal.SIGKILL)
        for process in running:
            out, err = process.communicate(timeout=10)
            assert not err, err.decode()
            lines = out.split(b"\n")[:-1]  # the last may be half of one
            answered = max([answered, *map(int, lines)])
        assert answered <= check(home) <= answered + len(running)


def test_processes_at_once_lose_no_update(home: Home) -> None:
    begin(home)
    running = [writer(home, 40) for _ in range(3)]
    printed: list[int] = []
    for process in running:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode()
        printed += map(int, out.split())
    assert sorted(printed) == list(range(1, 121))
    assert check(home) == 120


def test_a_full_disk_is_said_in_one_sentence_and_nothing_is_lost(small_disk: Path) -> None:
    home = Home(small_disk / "home")
    begin(home)
    process = writer(home, 100_000)
    out, err = process.communicate(timeout=60)
    counts = [int(line) for line in out.split()]
    assert process.returncode == 1
    said = err.decode().splitlines()[-1]
    assert said.endswith(
        f"StateUnusable: the disk of {home.folder} is full, nothing was changed: free some space there"
    )
    (small_disk / "more").write_bytes(b"")
    with Store(home) as store:
        assert store.get(SHOP).desired["count"] == counts[-1]
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert check(home) == counts[-1]
    with Store(home) as store:
        store.change(SHOP, store.get(SHOP).generation, {"count": 0})


def test_no_room_for_the_first_byte(small_disk: Path) -> None:
    with (small_disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    with pytest.raises(StateUnusable, match=r"the disk of .* is full"):
        Store(Home(small_disk / "home"))


def test_a_disk_that_is_read_only_is_said_in_one_sentence(small_disk: Path) -> None:
    home = Home(small_disk / "home")
    begin(home)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StateUnusable, match=r"cannot be written .*AZMLINFSRV_HOME"):
        Store(home)
    with pytest.raises(StateUnusable, match="cannot be written"):
        Store(Home(small_disk / "other"))


_SERVE = """
import sys
from pathlib import Path
from inference_server.platform.home import Home
from inference_server.platform.store import Store
with Store(Home(Path(sys.argv[1]))) as store, store.observer("shop"):
    print("serves", flush=True)
    sys.stdin.read()
"""


def test_a_server_that_is_killed_is_followed_by_another_at_once(home: Home) -> None:
    begin(home)
    command = [sys.executable, "-c", _SERVE, str(home.folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == b"serves\n"
    with Store(home) as store:
        with pytest.raises(Overtaken, match="another process serves"), store.observer("shop"):
            pass
        process.kill()
        process.communicate(timeout=10)
        with store.observer("shop") as observer:
            found = store.get(SHOP)
            observer.observe(SHOP, found.generation, {"provisioning_state": "Succeeded"})
            observer.finish(SHOP, found.generation)
        assert store.get(SHOP).settled
