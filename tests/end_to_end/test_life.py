"""How the server ends, on purpose and by violence, and how it changes while it serves."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import time

import pytest

from tests.end_to_end.conftest import Serve
from tests.end_to_end.load import Asking, Load
from tests.end_to_end.running import Server, alive, wait_for

BOTH = pytest.mark.parametrize("supervisor", ["gunicorn", "none"])

SCRIPT = """
    import json, os, time

    def init():
        pass

    def run(data):
        value = json.loads(data)
        if isinstance(value, dict):
            time.sleep(value["sleep"])
        return value
"""


def refused(port: int) -> bool:
    """Whether nobody listens on the port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it stopped listening while this connection was being made
        return False
    return False


def busy(server: Server, queued: int = 0) -> bool:
    health = server.get("/readyz").json()
    return health["workers"][0]["state"] == "busy" and health["queued"] >= queued


# ---------------------------------------------------------------- violence


@BOTH
def test_a_supervisor_killed_outright_leaves_nothing_behind(serve: Serve, supervisor: str) -> None:
    server = serve(SCRIPT, "--worker_count", "2", "--supervisor", supervisor)
    stuck = Asking(server, {"sleep": 60})
    wait_for(lambda: "busy" in [worker["state"] for worker in server.workers()])
    pids = [server.process.pid, server.front_pid(), *server.worker_pids()]
    began = time.monotonic()
    os.kill(server.process.pid, signal.SIGKILL)
    server.wait()
    wait_for(lambda: not any(map(alive, pids)), 5)
    wait_for(lambda: refused(server.port), 5)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", server.port))
    assert time.monotonic() - began < 5
    with pytest.raises((OSError, http.client.HTTPException)):
        stuck.reply()


def test_a_front_killed_outright_is_started_again_and_new_connections_wait_for_it(serve: Serve) -> None:
    server = serve(SCRIPT)
    front, workers = server.front_pid(), server.worker_pids()
    os.kill(front, signal.SIGKILL)
    assert server.score(1).json() == 1  # asked while there is no front: nobody is refused
    assert server.front_pid() != front
    wait_for(lambda: not any(map(alive, [front, *workers])))
    assert server.process.poll() is None


def test_a_front_that_takes_anothers_place_waits_for_a_broken_script_to_be_repaired(serve: Serve) -> None:
    """Exit code 3 is for a script that never ran; one that did may run again."""
    server = serve(SCRIPT)
    script = server.folder / "score.py"
    good = script.read_text()
    script.write_text("import no_such_module\n")
    os.kill(server.front_pid(), signal.SIGKILL)

    def broken() -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            reply = server.get("/readyz", timeout=2)
            return reply.status == 503 and "no_such_module" in reply.json()["workers"][0]["last_error"]
        return False

    wait_for(broken, 15)
    assert server.process.poll() is None
    script.write_text(good)
    wait_for(lambda: server.answers("/readyz"), 20)
    assert server.score("again").json() == "again"


# ---------------------------------------------------------------- a stop


@BOTH
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_what_was_accepted_and_takes_nothing_new(
    serve: Serve, supervisor: str, number: signal.Signals
) -> None:
    server = serve(SCRIPT, "--supervisor", supervisor)
    idle = server.connect()
    kept = http.client.HTTPConnection("127.0.0.1", server.port)
    kept.request("GET", "/")
    assert kept.getresponse().read() == b"Healthy"
    asked = [Asking(server, {"sleep": 0.5, "number": number}) for number in range(3)]
    wait_for(lambda: busy(server, queued=2))
    workers = server.worker_pids()
    began = time.monotonic()
    server.signal(number)
    wait_for(lambda: refused(server.port))
    for each in asked:
        reply = each.reply()
        assert reply.status == 200
        assert reply.headers["connection"] == "close"
    assert server.wait() == 0
    assert time.monotonic() - began < 6  # the two that lie idle hold nobody up
    assert not any(map(alive, workers))
    assert idle.recv(1) == b""
    assert "Traceback" not in server.log()
    idle.close()
    kept.close()


@BOTH
def test_a_stop_waits_no_longer_than_the_grace(serve: Serve, supervisor: str) -> None:
    server = serve(SCRIPT, "--supervisor", supervisor, "--graceful_timeout", "1")
    stuck = Asking(server, {"sleep": 60})
    wait_for(lambda: busy(server))
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert 0.9 < time.monotonic() - began < 5
    assert stuck.done or stuck.reply(5).status >= 500


@BOTH
@pytest.mark.parametrize("left", [False, True], ids=["waiting", "left"])
def test_a_second_signal_ends_at_once(serve: Serve, supervisor: str, left: bool) -> None:
    server = serve(SCRIPT, "--supervisor", supervisor)
    sock = server.connect()
    sock.sendall(b'POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n{"sleep": 60}')
    wait_for(lambda: busy(server))
    if left:  # then only the worker is waited for
        sock.close()
    workers = server.worker_pids()
    server.signal(signal.SIGTERM)
    wait_for(lambda: refused(server.port))
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert time.monotonic() - began < 4
    assert not any(map(alive, workers))
    sock.close()


def test_a_stop_lets_a_stream_come_to_its_end(serve: Serve) -> None:
    script = """
        import time
        def init(): pass
        def run(data):
            for number in range(10):
                yield f"{number}\\n"
                time.sleep(0.05)
    """
    server = serve(script)
    asked = Asking(server, 1)
    wait_for(lambda: busy(server))
    server.signal(signal.SIGTERM)
    assert asked.reply().body == b"".join(b"%d\n" % number for number in range(10))
    assert server.wait() == 0


def test_a_stop_while_the_script_loads(serve: Serve) -> None:
    server = serve(
        "import time\ndef init(): time.sleep(60)\ndef run(d): pass", "--graceful_timeout", "2", wait=False
    )
    wait_for(lambda: server.answers("/livez"))
    wait_for(server.worker_pids)
    pids = server.worker_pids()
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert time.monotonic() - began < 5
    assert not any(map(alive, pids))


# ---------------------------------------------------------------- changes


@BOTH
def test_hup_rolls_the_workers_and_loses_no_request(serve: Serve, supervisor: str) -> None:
    server = serve(SCRIPT, "--supervisor", supervisor, "--worker_count", "2")
    old = server.worker_pids()
    with Load(server) as load:
        (server.folder / "score.py").write_text("import time\ndef init(): pass\ndef run(d): return 'new'\n")
        server.signal(signal.SIGHUP)
        wait_for(lambda: not set(old) & set(server.worker_pids()), 15)
        new = server.worker_pids()
        wait_for(lambda: set(load.values()) == {"new"})
        (server.folder / "score.py").write_text("def init(): pass\n\nnot python\n")
        server.signal(signal.SIGHUP)
        wait_for(lambda: server.log().count("keeps serving") == 1, 15)
    assert "score.py, line 3" in server.log()
    assert not load.errors
    assert {status for _, status, _ in load.replies} == {200}
    assert all(value in (asked, "new") for asked, _, value in load.replies)
    assert server.worker_pids() == new
    assert all(worker["restarts"] == 0 for worker in server.workers())
    wait_for(lambda: not any(map(alive, old)))


@BOTH
def test_ttin_and_ttou_change_the_number_of_workers(serve: Serve, supervisor: str) -> None:
    server = serve(SCRIPT, "--supervisor", supervisor)
    with Load(server, 2) as load:
        server.signal(signal.SIGTTIN)
        wait_for(lambda: [worker["state"] in ("ready", "busy") for worker in server.workers()] == [True] * 2)
        both = server.worker_pids()
        server.signal(signal.SIGTTOU)
        wait_for(lambda: server.worker_pids() == both[:1])
        wait_for(lambda: not alive(both[1]))
        server.signal(signal.SIGTTOU)  # one stays
        server.wait_log("number of workers is now 1")
    assert not load.errors
    assert all((asked, 200) == (value, status) for asked, status, value in load.replies)


# ---------------------------------------------------------------- rest


def test_an_idle_server_uses_no_processor_time(serve: Serve) -> None:
    server = serve(SCRIPT)
    server.score(1)
    pids = [server.front_pid(), *server.worker_pids()]
    kept = server.connect()  # an idle connection must not change that
    before = sum(map(processor_seconds, pids))
    time.sleep(3)  # what is measured is time itself
    used = sum(map(processor_seconds, pids)) - before
    kept.close()
    assert used < 0.1
    assert processor_seconds(pids[1]) < 2


def processor_seconds(pid: int) -> float:
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()  # noqa: SIM115
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_livez_answers_while_run_holds_the_interpreter_lock(serve: Serve) -> None:
    script = """
        import ctypes
        def init(): pass
        def run(data):
            ctypes.PyDLL(None).usleep(1_500_000)
    """
    server = serve(script)
    held = Asking(server, 1)
    wait_for(lambda: busy(server))
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    times = []
    while not held.done:
        began = time.perf_counter()
        connection.request("GET", "/livez")
        assert connection.getresponse().read()
        times.append(time.perf_counter() - began)
    connection.close()
    times.sort()
    assert len(times) > 100
    assert times[len(times) // 2] < 0.01  # the median: this machine may be busy with other things
