"""A person presses F5: how long until the editor stands on the line, and until a save is what is debugged?

The debug client of the tests does what an editor does with a launch.json of `azmlinfsrv vscode`: connects to the running
server, attaches, sets a breakpoint in run(), lets go; a request is sent, and the time ends when the client knows the
frame it stands in. The save changes the script under --reload: it ends when the client stands on the line in the new
worker, and is shown beside the same without --debug, where it ends with the new answer.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.load.lone import Connection, percentile
from benchmarks.servers import OURS, Running, Server, free_port, running
from benchmarks.tables import Goal, number, table
from benchmarks.workloads import Workload

if TYPE_CHECKING:
    from tests.end_to_end.dap import Attached

TITLE = "From F5 to the line"
TIMES, SAVES = 10, 5
SCRIPT = """\
def init():
    pass


def run(data):
    answer = {value}
    return answer
"""
LINE = 7
STEPS = {
    "attach": "from F5 to the line in run()",
    "save": "from a save to the line in the new worker",
    "reload": "from a save to the new answer, without a debugger",
}


def measure(servers: Sequence[str], seconds: float) -> dict[str, Any]:
    """Only ours is asked: the peers have none of it."""
    record: dict[str, Any] = {"rows": []}
    for step, measured in (("attach", attaching), ("save", saving), ("reload", reloading)):
        row: dict[str, Any] = {"step": step}
        try:
            found = measured()
            row |= {"times": len(found), "middle_s": percentile(found, 0.5), "worst_s": max(found)}
        except (RuntimeError, OSError, ImportError, AssertionError) as error:
            row["failed"] = str(error) or type(error).__name__
        record["rows"].append(row)
        print(f"attach: {row}", flush=True)
    return record


@contextlib.contextmanager
def serving(*flags: str) -> Iterator[tuple[Running, Path]]:
    """Ours on a script of its own that answers 0, and that script."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder).resolve() / "score.py"
        script.write_text(SCRIPT.format(value=0))

        def command(bin_folder: Path, port: int, workload: str) -> list[str]:
            program = f"{bin_folder}/azmlinfsrv"
            return [program, "--entry_script", str(script), "--port", str(port), *flags]

        server: Server = replace(OURS, name="ours-debug", command=command)
        workload = Workload("attach", "a number", b"{}", lambda answer: bool(json.loads(answer) == 0))
        with running(server, workload) as now:
            yield now, script


def on_the_line(client: Attached, now: Running) -> threading.Thread:
    """Send a request; returns when the client stands in run(), with the thread that waits for the answer."""
    asking = threading.Thread(target=now.connect().ask)
    asking.start()
    _, frame = client.stopped()
    assert (frame["name"], frame["line"]) == ("run", LINE), frame
    return asking


def let_go(client: Attached, asking: threading.Thread) -> None:
    for thread in client.ask("threads")["threads"]:
        client.send("continue", threadId=thread["id"])
    asking.join()


def attaching() -> list[float]:
    from tests.end_to_end.dap import Attached

    found, port = [], free_port()
    with serving("--debug", "--debug_port", str(port)) as (now, script):
        for _ in range(TIMES):
            begun = time.perf_counter()
            with Attached(port, {script: [LINE]}) as client:
                asking = on_the_line(client, now)
                found.append(time.perf_counter() - begun)
                let_go(client, asking)
                client.ask("disconnect")
    return found


def saving() -> list[float]:
    from tests.end_to_end.dap import Attached

    found, port = [], free_port()
    with serving("--debug", "--debug_port", str(port), "--reload") as (now, script):
        client = Attached(port, {script: [LINE]})
        for value in range(1, SAVES + 1):
            begun = time.perf_counter()
            script.write_text(SCRIPT.format(value=value))
            client.event("terminated")
            client.ask("disconnect", restart=True)
            client.close()
            client = Attached(port, {script: [LINE]})
            reloaded(now, value)
            asking = on_the_line(client, now)
            found.append(time.perf_counter() - begun)
            let_go(client, asking)
        client.ask("disconnect")
        client.close()
    return found


def reloading() -> list[float]:
    found = []
    with serving("--reload") as (now, script), contextlib.closing(now.connect()) as caller:
        for value in range(1, SAVES + 1):
            time.sleep(0.3)
            begun = time.perf_counter()
            script.write_text(SCRIPT.format(value=value))
            while json.loads(caller.ask()[1]) != value:
                time.sleep(0.002)
            found.append(time.perf_counter() - begun)
    return found


def reloaded(now: Running, number_: int) -> None:
    """Returns once reload `number_` is done."""
    with contextlib.closing(Connection(now.port, "/readyz", b"", "GET")) as connection:
        while True:
            report = json.loads(connection.ask()[1]).get("reload") or {"number": 0}
            if report["number"] >= number_ and report["state"] != "running":
                return
            time.sleep(0.002)


def report(record: dict[str, Any]) -> str:
    rows = [
        [STEPS[row["step"]], row["failed"]]
        if "failed" in row
        else [
            STEPS[row["step"]],
            f"{row['times']}",
            number(row["middle_s"], " s"),
            number(row["worst_s"], " s"),
        ]
        for row in record["rows"]
    ]
    return table(["", "times", "in the middle", "worst"], rows)


def goals(record: dict[str, Any]) -> list[Goal]:
    row: dict[str, Any] = next((row for row in record["rows"] if row["step"] == "attach"), {})
    return [Goal("from F5 to the line, worst", row.get("worst_s"), 2, False, " s")]
