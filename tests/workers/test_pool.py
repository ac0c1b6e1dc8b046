"""The pool with real worker processes: who runs what, and what happens when workers end at any moment."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from inference_server.errors import StartError
from inference_server.lifecycle import WorkerState
from inference_server.messages import DONE, Answer
from tests.workers.pools import Running, alive, pool_of, until

SCRIPT = """
    import json, os, time

    def init():
        with open("starts", "a") as file:
            file.write(f"{os.getpid()}\\n")

    def run(data):
        value = json.loads(data)
        if isinstance(value, dict):
            with open("runs", "a") as file:
                file.write(f"{value.get('id')}\\n")
            time.sleep(value.get("sleep", 0))
            if value.get("die"):
                os._exit(7)
            return value.get("id")
        return value
"""


@pytest.fixture(autouse=True)
def _in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def runs() -> list[str]:
    return Path("runs").read_text().split() if Path("runs").exists() else []


def starts() -> int:
    return len(Path("starts").read_text().split())


def test_requests_are_answered_and_all_processes_end(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, worker_count=2) as running:
            assert await asyncio.gather(*map(running.ask, range(300))) == list(range(300))
            assert running.pool.in_hand() == 0
            pids = running.pids()
            assert len(set(pids)) == 2
        assert not any(map(alive, pids))

    asyncio.run(test())


def test_quick_requests_do_not_wait_behind_a_slow_one_in_their_frame(tmp_path: Path) -> None:
    """The slow one comes unexpectedly: what waits behind it goes to the other worker."""

    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, worker_count=2) as running:
            await running.teach(300)
            slow = asyncio.create_task(running.ask({"id": -1, "sleep": 1.5}))
            began = time.monotonic()
            quick = [running.ask({"id": number}) for number in range(40)]
            assert await asyncio.gather(*quick) == list(range(40))
            assert time.monotonic() - began < 1.0
            assert not slow.done()
            # the same again while that worker is still busy, with its recall not yet confirmed
            assert await asyncio.gather(*map(running.ask, range(40))) == list(range(40))
            assert time.monotonic() - began < 1.3
            assert await slow == -1
            await until(lambda: all(r.state is WorkerState.READY for r in running.pool.reports()))
            assert sorted(map(int, runs())) == list(range(-1, 40))  # each one once
            assert await asyncio.gather(*map(running.ask, range(40))) == list(range(40))

    asyncio.run(test())


def test_a_recalled_request_whose_caller_left_is_not_run(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT) as running:
            await running.teach(300)
            slow = running.submit({"id": "slow", "sleep": 0.5})
            waiting = [running.submit({"id": number}) for number in range(10)]
            await until(lambda: running.pool.in_hand() == 11)
            await until(lambda: len(running.queue) == 10)
            for request in list(running.queue._waiting)[::2]:
                request.state = DONE
                running.queue.left(request)
            await asyncio.gather(slow, *waiting[1::2])
            assert runs() == ["slow", *(str(number) for number in range(1, 10, 2))]

    asyncio.run(test())


def test_an_answer_does_not_wait_for_the_next_run_of_its_frame(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT) as running:
            await running.teach(300)
            began = time.monotonic()
            quick = [running.submit(number) for number in range(5)]
            slow = asyncio.create_task(running.ask({"id": "slow", "sleep": 1}))
            await asyncio.gather(*quick)
            assert time.monotonic() - began < 0.5
            assert await slow == "slow"
            assert await running.ask(6) == 6

    asyncio.run(test())


def test_a_death_costs_what_was_started_and_nothing_else(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT) as running:
            await running.teach(300)
            before = [running.submit(number) for number in range(5)]
            dies = asyncio.create_task(running.ask({"id": "dies", "die": True}))
            after = [running.ask({"id": number}) for number in range(20)]
            assert [answer.status for answer in await asyncio.gather(*before)] == [200] * 5
            assert await dies == 500
            assert await asyncio.gather(*after) == list(range(20))
            assert runs() == ["dies", *map(str, range(20))]
            assert running.restarts == ["crashed"]
            assert running.pool.reports()[0].restarts == 1
            assert "code 7" in running.pool.reports()[0].last_error

    asyncio.run(test())


def test_workers_killed_from_outside_are_replaced_at_once_unless_they_never_answer(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT) as running:
            for _ in range(3):
                await running.ask(1)
                (pid,) = running.pids()
                os.kill(pid, signal.SIGKILL)
                await until(lambda pid=pid: running.pids() not in ([], [pid]))
            assert running.downs == []
            for _ in range(4):
                (pid,) = await until(lambda: running.pool.serving and running.pids())
                os.kill(pid, signal.SIGKILL)
                await until(lambda: not running.pool.serving)
            assert "next start in" in running.pool.reports()[0].reason
            assert await running.ask(1) == 1  # it waits: workers do come up
            assert running.downs == []
            assert running.restarts == ["crashed"] * 7

    asyncio.run(test())


def test_stopping_while_a_script_loads_leaves_nothing_behind(tmp_path: Path) -> None:
    script = (
        "import time\ndef init():\n    open('loading', 'w').close()\n    time.sleep(60)\ndef run(d): pass"
    )

    async def test() -> None:
        async with pool_of(tmp_path, script, start=False) as running:
            start = asyncio.create_task(running.pool.start())
            await until(Path("loading").exists)
            pids = running.pids()
            began = time.monotonic()
            await running.pool.stop(10.0)
            assert time.monotonic() - began < 3
            assert not any(map(alive, pids))
            start.cancel()

    asyncio.run(test())


def test_the_number_of_workers_changes_while_they_load_and_while_they_work(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, start=False) as running:
            start = asyncio.create_task(running.pool.start())
            await asyncio.sleep(0)
            running.pool.scale_to(3)
            running.pool.scale_to(1)
            running.pool.scale_to(2)
            await start
            assert len(running.pids()) == 2
            slow = [asyncio.create_task(running.ask({"id": n, "sleep": 0.4})) for n in range(2)]
            await until(lambda: all(r.state is WorkerState.BUSY for r in running.pool.reports()))
            both = running.pids()
            running.pool.scale_to(1)
            assert await asyncio.gather(*slow) == [0, 1]  # the surplus one finishes what it has
            await until(lambda: [alive(pid) for pid in both] == [True, False])
            assert running.pool.size == 1
            assert await running.ask(5) == 5
            assert running.restarts == []

    asyncio.run(test())


def test_starts_over_tcp_that_are_given_up_leave_the_loop_in_order(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, channel="tcp") as running:
            for moment in range(10):
                running.pool.scale_to(3)
                await asyncio.sleep(moment * 0.01)
                running.pool.scale_to(1)
            running.pool.scale_to(3)
            await until(lambda: running.pool.serving == 3, 10)
            assert await asyncio.gather(*map(running.ask, range(30))) == list(range(30))

    asyncio.run(test())


def test_a_start_that_fails_says_why_and_ends_the_other_workers(tmp_path: Path) -> None:
    script = """
        import os, time
        def init():
            descriptor = os.open("first", os.O_CREAT | os.O_WRONLY, 0o600)
            try:
                os.open("second", os.O_CREAT | os.O_EXCL)
            except FileExistsError:
                raise ValueError("no model")
            time.sleep(60)
        def run(data): pass
    """

    async def test() -> None:
        async with pool_of(tmp_path, script, worker_count=2, start=False) as running:
            with pytest.raises(
                StartError, match=r"ValueError: no model \(.*score.py, line 8, in init\)"
            ) as error:
                await running.pool.start()
            assert "Traceback" in error.value.detail
            assert running.pids() == []

    asyncio.run(test())


def test_loading_that_takes_too_long_is_a_failed_start(tmp_path: Path) -> None:
    script = "import time\ndef init(): time.sleep(60)\ndef run(d): pass"

    async def test() -> None:
        for preload in (False, True):
            async with pool_of(tmp_path, script, boot_timeout=0.7, preload=preload, start=False) as running:
                with pytest.raises(StartError, match=r"import and init.* took longer than 0.7 s"):
                    await running.pool.start()

    asyncio.run(test())


def test_an_interpreter_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, python="/nowhere/python", start=False) as running:
            with pytest.raises(StartError, match=r"/nowhere/python.*--python"):
                await running.pool.start()
        for channel in ("socketpair", "tcp"):
            async with pool_of(
                tmp_path, SCRIPT, python="/bin/false", channel=channel, start=False
            ) as running:
                with pytest.raises(StartError, match="exited with"):
                    await running.pool.start()

    asyncio.run(test())


def test_a_script_that_breaks_later_backs_off_and_recovers(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT) as running:
            await running.ask(1)
            (tmp_path / "score.py").write_text("import nothing_of_that_name\n")
            os.kill(running.pids()[0], signal.SIGKILL)
            await until(lambda: running.downs)
            assert "nothing_of_that_name" in running.pool.down
            assert "nothing_of_that_name" in running.pool.reports()[0].last_error
            (tmp_path / "score.py").write_text("def init(): pass\ndef run(data): return 'repaired'\n")
            running.pool.roll()  # whoever repaired it need not wait for the next attempt
            await until(lambda: running.pool.serving, 3)
            assert running.pool.down == ""
            assert await running.ask(1) == "repaired"

    asyncio.run(test())


@pytest.mark.parametrize("preload", [False, True])
def test_a_roll_takes_the_new_script_and_a_broken_one_changes_nothing(tmp_path: Path, preload: bool) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, worker_count=2, preload=preload) as running:
            old = running.pids()
            (tmp_path / "score.py").write_text("1 / 0\n")
            await running.reload()
            assert running.pids() == old
            assert await running.ask(1) == 1
            assert "ZeroDivisionError" in running.pool.reports()[0].last_error
            (tmp_path / "score.py").write_text("def init(): pass\ndef run(data): return 'new'\n")
            await running.reload()
            assert await running.ask(1) == "new"
            assert not set(old) & set(running.pids())
            await until(lambda: not any(map(alive, old)))
            assert running.restarts == []

    asyncio.run(test())


def test_a_worker_that_dies_while_it_is_being_replaced(tmp_path: Path) -> None:
    script = SCRIPT.replace(
        "def init():", "def init():\n        time.sleep(0.5 if os.path.exists('starts') else 0)"
    )

    async def test() -> None:
        async with pool_of(tmp_path, script) as running:
            (pid,) = running.pids()
            await running.ask(1)
            running.pool.roll()
            await until(lambda: running.pool._slots[0].coming)
            os.kill(pid, signal.SIGKILL)
            await until(lambda: not running.pool.serving)  # readiness does not count a dead one
            assert await running.ask(2) == 2
            assert starts() == 2  # the one that was coming filled the place
            assert running.restarts == ["crashed"]

    asyncio.run(test())


def test_a_request_that_kills_its_reader_is_not_tried_for_ever(tmp_path: Path) -> None:
    """Too large for the worker's memory: it dies before it can note that it has begun."""
    script = """
        import resource
        def init():
            with open("/proc/self/statm") as file:
                now = int(file.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (now + 20_000_000, now + 20_000_000))
        def run(data): return len(data)
    """

    async def test() -> None:
        async with pool_of(tmp_path, script) as running:
            large = running.submit(None, b" " * 60_000_000)
            small = running.submit(None, b"12")
            assert (await asyncio.wait_for(large, 20)).status == 500
            assert (await asyncio.wait_for(small, 20)).body == b"2"

    asyncio.run(test())


@pytest.mark.parametrize("channel", ["socketpair", "tcp"])
def test_systems_that_tell_less_of_processes_do_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.delattr(os, "memfd_create", raising=False)

    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, channel=channel) as running:
            assert await asyncio.gather(*map(running.ask, range(50))) == list(range(50))
            assert await running.ask({"id": 1, "die": True}) == 500
            assert await running.ask(2) == 2
            assert "code 7" in running.pool.reports()[0].last_error

    asyncio.run(test())


def test_a_second_roll_while_the_template_loads_takes_the_newest_script(tmp_path: Path) -> None:
    slow = "import time, os\ndef init():\n    open('loading', 'w').close()\n    time.sleep(0.4)\ndef run(data): return 'old'\n"

    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, preload=True) as running:
            (tmp_path / "score.py").write_text(slow)
            first = asyncio.create_task(running.reload())
            await until(Path("loading").exists)
            (tmp_path / "score.py").write_text("def init(): pass\ndef run(data): return 'new'\n")
            running.pool.roll("once more")
            await first
            assert await running.ask(1) == "new"

    asyncio.run(test())


@pytest.mark.parametrize("preload", [False, True])
def test_what_the_exporters_get_names_its_request_and_comes_from_no_child(
    tmp_path: Path, preload: bool
) -> None:
    script = """
        import os
        def init():
            print("from init")
        def run(data):
            print("before")
            if (child := os.fork()) == 0:
                print("child")
                os._exit(0)
            os.waitpid(child, 0)
            print("after " + data)
    """

    async def test() -> None:
        async with pool_of(tmp_path, script, preload=preload, app_insights_enabled=True) as running:
            answers = [running.submit(number) for number in range(3)]
            await asyncio.gather(*answers)
            said = [(entry["message"], request) for entry, request in running.logs]
            expected = [text for number in range(3) for text in ("before", f"after {number}")]
            assert [text for text, _ in said if text != "from init"] == expected
            requests = [request for text, request in said if text != "from init"]
            assert None not in requests
            assert len(set(requests)) == 3

    asyncio.run(test())


def test_what_a_script_started_ends_with_its_worker(tmp_path: Path) -> None:
    script = """
        import os, subprocess
        def init():
            global child
            child = subprocess.Popen(["sleep", "1000"])
        def run(data):
            if "die" in data:
                os._exit(1)
            return child.pid
    """

    async def test() -> None:
        for preload in (False, True):
            async with pool_of(tmp_path, script, preload=preload) as running:
                first = await running.ask("x")
                assert alive(first)
                if not preload:  # there, the template has started it
                    assert await running.ask("die") == 500
                    await until(lambda pid=first: not alive(pid))
                last = await running.ask("x")
            await until(lambda pid=last: not alive(pid))

    asyncio.run(test())


@pytest.mark.parametrize("preload", [False, True])
def test_a_worker_over_its_memory_limit_is_replaced(tmp_path: Path, preload: bool) -> None:
    script = """
        import os
        kept = []
        def init(): pass
        def run(data):
            if "grow" in data:
                kept.append(os.urandom(1_000_000) * 200)
            return os.getpid()
    """

    async def test() -> None:
        async with pool_of(tmp_path, script, max_worker_rss=150_000_000, preload=preload) as running:
            first = await running.ask("x")
            assert await running.ask("grow") == first
            while await running.ask("x") == first:
                await asyncio.sleep(0.02)
            assert running.restarts == ["rss"]
            assert running.pool.reports()[0].restarts == 0

    asyncio.run(test())


async def _ask_for_ever(running: Running, chance: random.Random, count: int) -> list[tuple[Any, Answer]]:
    """`count` requests, some of which kill their worker, sleep or are left."""
    got: list[tuple[Any, Answer]] = []

    async def one(number: int) -> None:
        value: dict[str, Any] = {"id": number}
        kind = chance.random()
        if kind < 0.02:
            value["die"] = True
        elif kind < 0.04:
            value["sleep"] = 0.05
        got.append((value, await asyncio.wait_for(running.submit(value), 60)))

    async def client(numbers: range) -> None:
        for number in numbers:
            await one(number)

    clients: list[Coroutine[Any, Any, None]] = [client(range(first, count, 16)) for first in range(16)]
    await asyncio.gather(*clients)
    return got


def test_every_request_is_answered_once_with_its_own_answer_whatever_happens(tmp_path: Path) -> None:
    """Crashes, kills from outside, rolls and changes of number, all while requests come."""
    chance = random.Random(3)

    async def trouble(running: Running) -> None:
        while True:
            await asyncio.sleep(chance.uniform(0.05, 0.4))
            what = chance.randrange(3)
            if what == 0 and (pids := running.pids()):
                os.kill(chance.choice(pids), signal.SIGKILL)
            elif what == 1:
                running.pool.roll()
            else:
                running.pool.scale_to(chance.randint(1, 3))

    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, worker_count=2) as running:
            await running.teach()
            troubled = asyncio.create_task(trouble(running))
            got = await _ask_for_ever(running, chance, 1500)
            troubled.cancel()
            errors = 0
            for value, answer in got:
                if answer.status == 200:
                    assert answer.body == str(value["id"]).encode()
                else:
                    errors += 1
                    assert answer.status == 500
            assert len(got) == 1500
            assert errors < 150
            assert len(runs()) == len(set(runs()))  # none was started twice
            await until(lambda: running.pool.serving == running.pool.size)
            assert await asyncio.gather(*map(running.ask, range(100))) == list(range(100))

    asyncio.run(test())


@pytest.mark.parametrize("channel", ["socketpair", "tcp"])
def test_workers_get_devices_in_turn(tmp_path: Path, channel: str) -> None:
    script = """
        import os, time

        def init():
            pass

        def run(data):
            time.sleep(0.05)
            return os.environ["CUDA_VISIBLE_DEVICES"]
    """

    async def test() -> None:
        more: dict[str, Any] = {"worker_count": 3, "channel": channel}
        async with pool_of(tmp_path, script, devices=("0", "GPU-7"), **more) as running:
            assert sorted(await asyncio.gather(*map(running.ask, range(3)))) == ["0", "0", "GPU-7"]
        async with pool_of(tmp_path, script, devices=("0", "1"), preload=True) as running:
            assert await running.ask(1) == "0,1"  # forked from one process, they cannot be told apart
        async with pool_of(tmp_path, script, devices=("",)) as running:
            assert await running.ask(1) == ""

    asyncio.run(test())
