"""Workers in all their kinds: with threads, preloaded, over TCP, recycled, async, and what scripts do to them."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.end_to_end.conftest import Serve
from tests.end_to_end.load import Asking, Load
from tests.end_to_end.running import Server, alive, parent_of, wait_for

FAILED = {"message": "An unexpected error occurred in scoring script. Check the logs for more info."}

SCRIPT = """
    import asyncio, ctypes, json, os, threading, time

    def init():
        pass

    def run(data):
        value = json.loads(data)
        if not isinstance(value, dict):
            return value
        if "sleep" in value:
            time.sleep(value["sleep"])
        if value.get("do") == "segfault":
            ctypes.string_at(0)
        if value.get("do") == "os._exit":
            os._exit(1)
        if value.get("do") == "raise":
            raise ValueError("no")
        if value.get("do") == "close":
            os.closerange(3, 4096)
        if value.get("do") == "stream":
            return (f"{number}\\n" for number in range(1000))
        return threading.current_thread() is threading.main_thread()
"""


def state(server: Server, worker: int = 0) -> str:
    return str(server.workers()[worker]["state"])


# ---------------------------------------------------------------- over TCP


def test_everything_works_over_tcp(serve: Serve) -> None:
    server = serve(SCRIPT, "--channel", "tcp", env={"SCORING_TIMEOUT_MS": "300"})
    with Load(server) as load:
        wait_for(lambda: len(load.replies) > 200)
    assert not load.errors
    assert all((asked, 200) == (value, status) for asked, status, value in load.replies)
    assert server.score("x" * 3_000_000).json() == "x" * 3_000_000
    assert server.score({"do": "stream"}).body == b"".join(b"%d\n" % number for number in range(1000))
    assert server.score({"do": "raise"}).json() == FAILED
    assert server.score({"sleep": 5}).json() == {"message": "Scoring timeout after 300 ms"}
    assert server.score(1).json() == 1
    for restarts, do in enumerate(["segfault", "os._exit", "close"], 1):
        assert server.score({"do": do}).json() == FAILED
        assert server.score(restarts).json() == restarts
        assert server.workers()[0]["restarts"] == restarts


# ---------------------------------------------------------------- what scripts do to them


def test_a_script_that_closes_every_descriptor_costs_its_worker_and_no_answer(serve: Serve) -> None:
    server = serve(SCRIPT)
    assert server.score({"do": "close"}).json() is True  # it was finished: the front finds it in the page
    assert server.score("next").json() == "next"
    wait_for(lambda: server.workers()[0]["restarts"] == 1)


def test_async_scripts_have_one_loop_for_their_life(serve: Serve) -> None:
    script = """
        import asyncio, json
        async def init():
            global loop, lock, queue
            loop, lock, queue = asyncio.get_running_loop(), asyncio.Lock(), asyncio.Queue()
            queue.put_nowait("from init")
        async def run(data):
            assert asyncio.get_running_loop() is loop
            async with lock:
                got = await asyncio.wait_for(queue.get(), 1)
            queue.put_nowait(json.loads(data))
            return got
    """
    for threads in ("1", "3"):
        server = serve(script, "--threads", threads)
        values = ["from init", 1, 2, 3]
        assert [server.score(value).json() for value in [1, 2, 3, 4]] == values
        server.stop()


# ---------------------------------------------------------------- threads


@pytest.mark.parametrize(("kind", "preload"), [("def", "false"), ("async def", "false"), ("def", "true")])
def test_threads_let_run_calls_overlap(serve: Serve, kind: str, preload: str) -> None:
    script = f"""
        import asyncio, json, time
        def init(): pass
        {kind} run(data):
            {"await asyncio.sleep(0.5)" if "async" in kind else "time.sleep(0.5)"}
            return json.loads(data)
    """
    server = serve(script, "--threads", "4", env={"WORKER_PRELOAD": preload})
    began = time.monotonic()
    asked = [Asking(server, number) for number in range(8)]
    assert [each.reply().json() for each in asked] == list(range(8))
    took = time.monotonic() - began
    assert 1.0 < took < 2.5  # two rounds of four


def test_threads_stream_keep_limits_and_die_together(serve: Serve) -> None:
    server = serve(SCRIPT, "--threads", "4", "--stall_grace_ms", "600", env={"SCORING_TIMEOUT_MS": "1000"})
    assert server.score({}).json() is False  # not the main thread
    lines = b"".join(b"%d\n" % number for number in range(1000))
    asked = [Asking(server, {"do": "stream", "sleep": 0.1}) for _ in range(4)]
    assert [each.reply().body for each in asked] == [lines] * 4

    (pid,) = server.worker_pids()
    began = time.monotonic()
    stuck = Asking(server, {"sleep": 60})
    wait_for(lambda: state(server) == "busy")
    assert server.score("beside").json() == "beside"
    assert stuck.reply().json() == {"message": "Scoring timeout after 1000 ms"}
    assert 0.9 < time.monotonic() - began < 2.5
    assert server.score("after").json() == "after"  # by a new worker: a thread cannot be stopped
    assert server.worker_pids() != [pid]
    assert "did not stop within 0.6 s" in server.log()

    neighbours = [Asking(server, {"sleep": 0.5}) for _ in range(3)]
    wait_for(lambda: "3 request(s)" in server.workers()[0]["reason"])
    assert server.score({"do": "os._exit"}).json() == FAILED
    assert [each.reply().json() for each in neighbours] == [FAILED] * 3
    assert server.score("next").json() == "next"


# ---------------------------------------------------------------- preload

PRELOADED = """
    import json, os, time

    def init():
        global loaded_by
        loaded_by = os.getpid()
        with open("inits", "a") as file:
            file.write("init ")

    def run(data):
        if "exit" in data:
            os._exit(1)
        if "sleep" in data:
            time.sleep(0.3)
        return [loaded_by, os.getpid()]
"""


def inits(server: Server) -> int:
    return len((server.folder / "inits").read_text().split())


def test_preloaded_workers_share_one_init(serve: Serve) -> None:
    server = serve(PRELOADED, "--worker_count", "2", env={"WORKER_PRELOAD": "true"})
    assert inits(server) == 1
    pids = server.worker_pids()
    asked = [Asking(server, "sleep") for _ in range(2)]
    replies = [each.reply().json() for each in asked]
    (template,) = {loaded_by for loaded_by, _ in replies}
    assert {pid for _, pid in replies} == set(pids)
    assert {parent_of(pid) for pid in pids} == {template}
    assert template not in pids

    assert server.score("exit").json() == FAILED
    # in service, not only forked: one that dies before that was not restarted, it did not start
    wait_for(
        lambda: {worker["state"] for worker in server.workers()} == {"ready"} and server.worker_pids() != pids
    )
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    wait_for(lambda: sorted(worker["restarts"] for worker in server.workers()) in ([1, 1], [0, 2]))
    assert server.score(1).json()[0] == template
    assert inits(server) == 1  # forked again, not loaded again

    with Load(server, 2) as load:
        server.signal(signal.SIGHUP)
        wait_for(lambda: inits(server) == 2 and all(value[0] != template for value in load.values()), 15)
    assert not load.errors
    assert {status for _, status, _ in load.replies} == {200}
    wait_for(lambda: not alive(template))

    template = server.score(1).json()[0]
    os.kill(template, signal.SIGKILL)  # its workers end with it
    wait_for(lambda: server.answers() and inits(server) == 3)
    assert server.score(1).json()[0] != template
    wait_for(lambda: len(server.worker_pids()) == 2)
    pids = server.worker_pids()
    assert server.stop() == 0
    assert not any(map(alive, pids))


def test_preload_is_refused_when_init_leaves_threads(serve: Serve) -> None:
    script = """
        import threading, time
        def init():
            threading.Thread(target=time.sleep, args=(60,), name="cache filler", daemon=True).start()
        def run(data): pass
    """
    server = serve(script, env={"WORKER_PRELOAD": "true"}, wait=False)
    assert server.wait() == 3
    assert "WORKER_PRELOAD is not possible: init() left 1 thread(s) running (cache filler)" in server.log()


# ---------------------------------------------------------------- recycling


@pytest.mark.parametrize("preload", ["false", "true"])
def test_workers_are_replaced_after_so_many_requests_and_none_is_lost(serve: Serve, preload: str) -> None:
    server = serve(
        PRELOADED,
        *("--worker_count", "2", "--max_requests", "40", "--max_requests_jitter", "20"),
        env={"WORKER_PRELOAD": preload},
    )
    with Load(server) as load:
        wait_for(lambda: len({value[1] for _, _, value in load.replies}) >= 6, 20)
    assert not load.errors
    assert {status for _, status, _ in load.replies} == {200}
    assert all(worker["restarts"] == 0 for worker in server.workers())
    metrics = server.get("/metrics").body.decode()
    assert 'azmlinfsrv_worker_restarts_total{deployment="default",reason="max_requests"}' in metrics
    assert inits(server) == 1 or preload == "false"


def test_workers_over_their_memory_limit_are_replaced_and_no_request_is_lost(serve: Serve) -> None:
    script = """
        import os
        kept = []
        def init(): pass
        def run(data):
            if sum(map(len, kept)) < 150_000_000:
                kept.append(os.urandom(1000) * 3000)
            return os.getpid()
    """
    server = serve(script, "--max_worker_rss", "100M")
    with Load(server, 2) as load:
        wait_for(lambda: len({value for _, _, value in load.replies}) >= 2, 20)
    assert not load.errors
    assert {status for _, status, _ in load.replies} == {200}
    assert "over max_worker_rss" in server.log()


# ---------------------------------------------------------------- fair shares


def test_a_slow_request_holds_nobody_up_while_another_worker_is_free(serve: Serve) -> None:
    server = serve(SCRIPT, "--worker_count", "2")
    for number in range(100):
        server.score(number)  # the front learns that run() is quick
    slow = Asking(server, {"sleep": 3})
    began = time.monotonic()
    with Load(server, 8) as load:
        wait_for(lambda: len(load.replies) > 400)
    took = time.monotonic() - began
    assert not slow.done
    assert took < 2.5
    assert not load.errors
    assert all((asked, 200) == (value, status) for asked, status, value in load.replies)
    assert slow.reply().status == 200
