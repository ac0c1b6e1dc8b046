"""--record and azmlinfsrv replay: from a failing server to the line in an editor."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Serve
from tests.end_to_end.running import Server, clean_environment, command, free_port, wait_for
from tests.tools import require_module

SCRIPT = """
    import json, os

    def init():
        global prices
        prices = {"apple": 3, "pear": 4}

    def run(data):
        order = json.loads(data)
        total = 0
        for name, count in order.items():
            if name == "die":
                os._exit(7)
            if name == "stream":
                return broken()
            total += prices[name] * count
        return {"total": total}

    def broken():
        yield "a"
        raise ValueError("half way")
"""
FIRST, RAISES = 9, 16


def kept(server: Server, folder: str = "kept") -> list[dict[str, Any]]:
    """The documents that there are, those that failed first."""
    try:
        names = sorted(os.listdir(server.folder / folder))
        return [json.loads((server.folder / folder / name).read_text()) for name in names if name[0] != "."]
    except FileNotFoundError:
        return []


def replay(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    line = command("replay", *words)
    environment = clean_environment(NO_COLOR="1")
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def recorded(serve_module: Serve) -> Server:
    """A server that has kept five requests: one good, one of each way to fail."""
    server = serve_module(SCRIPT, "--record", "kept", "--record_sample", "100", "--record_redact", "ssn")
    headers = {"Authorization": "Bearer sesame", "x-tenant": "7"}
    assert server.score({"apple": 2}, headers).json() == {"total": 6}
    assert server.score({"plum": 1, "ssn": "123-45-6789"}, headers).status == 500
    assert server.score({"die": 1}).status == 500
    server.wait_ready()
    assert server.raw(b"POST /score HTTP/1.0\r\nContent-Length: 13\r\n\r\n" + b'{"stream": 1}').endswith(b"a")
    assert server.ask("POST", "/score", b"\xff\xfe").status == 400
    assert server.ask("DELETE", "/score").status == 405
    assert server.get("/nowhere").status == 404
    wait_for(lambda: len(kept(server)) == 5)
    shutil.copytree(server.folder / "kept", server.folder / "copied")
    return server


def test_what_failed_is_kept_and_answered_again(recorded: Server) -> None:
    raised, died, broke, refused, good = kept(recorded, "copied")
    assert raised["answer"]["status"] == 500
    assert raised["error"]["error"] == "KeyError: 'plum'"
    assert raised["error"]["place"] == {
        "file": str(recorded.folder / "score.py"),
        "line": RAISES,
        "function": "run",
        "source": "total += prices[name] * count",
    }
    assert json.loads(raised["request"]["body"]["text"]) == {"plum": 1, "ssn": "[redacted]"}
    assert "authorization: [redacted]" in raised["request"]["headers"]
    assert "x-tenant: 7" in raised["request"]["headers"]
    assert died["error"] is None
    assert (broke["kind"], broke["answer"]["status"]) == ("failed", 200)
    assert refused["answer"]["status"] == 400
    assert refused["request"]["body"] == {
        "size": 2,
        "not_whole": "it is no JSON, and fields of it are to be redacted",
    }
    assert (good["kind"], good["answer"]["body"]["text"]) == ("good", '{"total": 6}')
    assert good["phases_ms"]["run"] > 0
    metrics = recorded.get("/metrics").body.decode()
    assert 'azmlinfsrv_requests_recorded_total{outcome="failed"} 4.0' in metrics
    assert 'azmlinfsrv_requests_recorded_total{outcome="good"} 1.0' in metrics
    for file in (recorded.folder / "kept").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600
        assert "sesame" not in file.read_text()

    again = replay(recorded.folder, "copied", "--json")
    assert again.returncode == 0, again.stderr
    words = [one["outcome"] for one in json.loads(again.stdout)["requests"]]
    assert words == ["fails again", "fails again", "fails again", "not sent", "same"]

    url = f"http://127.0.0.1:{recorded.port}"
    asked = replay(
        recorded.folder, "kept", "--url", url, "--only", "good", "-H", "Authorization: Bearer sesame"
    )
    assert asked.returncode == 0, asked.stdout
    assert "1 request: 1 same" in asked.stdout


def test_two_versions_are_compared(recorded: Server) -> None:
    mended = (recorded.folder / "score.py").read_text()
    mended = mended.replace("os._exit(7)", "continue").replace(
        "prices[name] * count", "prices.get(name, 0) * 4.0"
    )
    (recorded.folder / "new.py").write_text(mended)
    compared = replay(recorded.folder, "copied", "--diff", "new.py")
    assert compared.returncode == 1
    assert "5 requests: 1 differs, 2 now work, 1 fails again, 1 not sent" in compared.stdout
    assert ["$.total", "6", "12.0"] in [line.split() for line in compared.stdout.splitlines()]


def test_replay_stops_in_run_and_on_the_line_that_raised(recorded: Server) -> None:
    require_module("debugpy")
    from tests.end_to_end.dap import Attached

    file = next(iter(sorted((recorded.folder / "copied").glob("failed-*-500-*"))))
    port = free_port()
    line = command("replay", str(file), "--break", "--debug_port", str(port))
    running = subprocess.Popen(
        line, cwd=recorded.folder, env=clean_environment(NO_COLOR="1"), stdout=subprocess.PIPE, text=True
    )
    try:
        with Attached(port, {}) as editor:
            for place in (FIRST, RAISES):
                thread, frame = editor.stopped()
                assert (frame["name"], frame["line"]) == ("run", place)
                assert frame["source"]["path"] == str(recorded.folder / "score.py")
                assert "plum" in editor.value(frame, "data")
                editor.send("continue", threadId=thread)
            out, _ = running.communicate(timeout=20)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 0
    assert f"Attach your editor to 127.0.0.1:{port}" in out
    assert "the editor stops in run(). Then: 500 KeyError: 'plum' at score.py:16" in out
    assert "1 request: 1 fails again" in out


def test_a_folder_that_cannot_be_written_costs_one_warning(serve: Serve) -> None:
    server = serve(SCRIPT, "--record", "score.py")  # a file
    for _ in range(3):
        assert server.score({"plum": 1}).status == 500
        assert server.score({"apple": 1}).json() == {"total": 3}
    server.wait_log("Requests cannot be recorded in ")
    assert server.stop() == 0
    assert server.log().count("cannot be recorded") == 1
    assert "score.py: File exists. Serving goes on" in server.log()


def test_flood_stays_within_the_limits_and_nothing_is_lost_at_the_end(serve: Serve) -> None:
    server = serve(SCRIPT, "--record", "kept", "--record_files", "5", "--record_sample", "50%")
    for _ in range(10):
        assert server.score({"plum": 1}).status == 500
        server.score({"apple": 1})
    assert server.stop() == 0
    found = kept(server)
    assert [one["kind"] for one in found] == ["failed"] * 5


def test_a_replay_that_is_killed_leaves_nothing_behind(recorded: Server) -> None:
    script = recorded.folder / "endless.py"
    script.write_text(
        "import os\ndef init(): print('pid', os.getpid())\ndef run(data):\n    while True: pass\n"
    )
    running = subprocess.Popen(
        command("replay", "copied", "--entry_script", "endless.py"),
        cwd=recorded.folder,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    pid = next(int(line.split()[1]) for line in running.stderr if line.startswith("pid"))
    running.kill()
    running.wait()
    wait_for(lambda: not Path(f"/proc/{pid}").exists())
