"""docs/debugging.md, word for word: its script, its commands, its edits, and what it says comes out."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.test_walkthroughs import blocks
from tests.end_to_end.load import Asking
from tests.end_to_end.running import Server, clean_environment, free_port, wait_for
from tests.tools import ROOT, require_module

if TYPE_CHECKING:
    from tests.end_to_end.dap import Attached

PAGE = "debugging.md"
MEND = re.compile(r"`(total = [^`]*)`.*`(total \+= [^`]*)`", re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """Each command that the page shows, and what it says comes out."""
    found: list[tuple[str, str]] = []
    for block in blocks(PAGE, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE):
            command, _, out = part.partition("\n")
            found.append((command, out))
    return [(command, out) for command, out in found if command]


def azmlinfsrv(command: str, *more: str) -> list[str]:
    """The page's command; on ports that are free here."""
    program, *words = shlex.split(command)
    assert program == "azmlinfsrv"
    return [sys.executable, "-m", "inference_server", *words, *more]


def plain(text: str) -> str:
    """`text` without times, and with any process, port and folder."""
    text = re.sub(r"^[\d-]+ [\d:,]+ ", "", text, flags=re.MULTILINE)
    text = re.sub(r"\[\d+\]|pid \d+", "PID", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", text)
    return re.sub(r"\d+\.\d+ s\b", "N s", text)


def in_the_page(text: str, server: Server) -> str:
    """`text` with the page's folder for the test's."""
    return text.replace(str(server.folder), "/home/me/shop")


def assert_logged(server: Server, shown: str) -> None:
    """Every line that the page shows is in the log, in that order."""
    log = plain(in_the_page(server.log(), server))
    at = 0
    for line in plain(shown).splitlines():
        if line.strip() != "…":
            at = log.find(line, at)
            assert at >= 0, (line, log)


class Walk:
    """A reader with a terminal, an editor, and the page."""

    def __init__(self, server: Server, port: int) -> None:
        self.server, self.port = server, port
        self.script = server.folder / "score.py"
        self.line = 0

    def run(self, command: str, *more: str) -> tuple[int, str]:
        ran = subprocess.run(
            azmlinfsrv(command, *more),
            cwd=self.server.folder,
            env=clean_environment(NO_COLOR="1"),
            capture_output=True,
            text=True,
            timeout=60,
        )
        return ran.returncode, ran.stdout + ran.stderr

    def attach(self) -> Attached:
        """F5: what launch.json says of it, given to a debug client; breakpoints are those that were set."""
        from tests.end_to_end.dap import Attached

        return Attached(self.port, {self.script: [self.line]})

    def follow(self, editor: Attached) -> Attached:
        """What an editor does when its session ends and is to be restarted."""
        assert editor.event("terminated") == {"restart": True}
        editor.ask("disconnect", restart=True)
        editor.close()
        return self.attach()

    def curl(self, command: str) -> bytes:
        """The body that a curl command of the page sends."""
        words = shlex.split(command)
        assert words[:2] == ["curl", "-d"]
        assert words[3] == "http://127.0.0.1:5001/score"
        return words[2].encode()

    def save(self, before: str, after: str) -> None:
        text = self.script.read_text()
        assert text.count(before) == 1
        self.script.write_text(text.replace(before, after))

    def reload(self) -> dict[str, Any]:
        """The last reload, as /readyz reports it."""
        return dict(self.server.get("/readyz").json()["reload"] or {"number": 0, "state": ""})


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    require_module("debugpy")
    require_module("watchfiles")
    (tmp_path / "score.py").write_text(blocks(PAGE, "python")[0])
    (command, shown), *_ = commands()
    ports = free_port(), free_port()
    words = azmlinfsrv(command, "--port", str(ports[0]), "--debug_port", str(ports[1]))
    server = Server(words, ports[0], tmp_path, clean_environment())
    try:
        server.wait_ready()
        assert_logged(server, shown)
        yield Walk(server, ports[1])
    finally:
        server.stop()


def test_start_attach_break_mend_save_and_see_the_new_answer(walk: Walk) -> None:
    server, text = walk.server, (ROOT / "docs" / PAGE).read_text(encoding="utf-8")
    (curl, wrong), (_, right) = [(one, out) for one, out in commands() if one.startswith("curl")]
    found = MEND.search(text)
    assert found is not None
    mistake, mended = found.groups()
    walk.line = next(
        n for n, line in enumerate(walk.script.read_text().splitlines(), 1) if line.strip() == mistake
    )
    assert server.ask("POST", "/score", walk.curl(curl)).json() == json.loads(wrong)

    assert walk.run("azmlinfsrv vscode", "--debug_port", str(walk.port))[0] == 0
    launch = json.loads((server.folder / ".vscode" / "launch.json").read_text())
    assert launch["configurations"][1] == {
        "name": "azmlinfsrv: attach",
        "type": "debugpy",
        "request": "attach",
        "connect": {"host": "127.0.0.1", "port": walk.port},
    }
    editor = walk.attach()
    asked = Asking(server, json.loads(walk.curl(curl)))
    for seen, then in (
        ("0", "3"),
        ("3", "8"),
    ):  # «`total` is 0, and one step later 3; in the next round it is 8»
        thread, frame = editor.stopped()
        assert (frame["line"], editor.value(frame, "total")) == (walk.line, seen)
        editor.ask("next", threadId=thread)
        thread, frame = editor.stopped()
        assert editor.value(frame, "total") == then
        editor.ask("continue", threadId=thread)
    assert asked.reply().json() == json.loads(wrong)

    walk.save(mistake, mended)
    editor = walk.follow(editor)
    wait_for(lambda: walk.reload()["state"] == "done", why=server.log())
    assert_logged(server, next(out for out in blocks(PAGE, "console") if "Reloading" in out))
    assert_answer(walk, editor, curl, right)

    walk.save(
        "def run(data):", "def run(data:"
    )  # cannot be compiled: the editor comes back to what still serves
    editor = walk.follow(walk.follow(editor))
    wait_for(lambda: walk.reload()["state"] == "failed")
    assert_answer(walk, editor, curl, right)
    number = walk.reload()["number"]
    walk.save("def run(data:", "def run(data):")
    editor = walk.follow(editor)
    wait_for(lambda: walk.reload()["number"] > number and walk.reload()["state"] == "done")
    assert_answer(walk, editor, curl, right)
    editor.ask("disconnect")
    editor.close()


def assert_answer(walk: Walk, editor: Attached, curl: str, answer: str) -> None:
    """The breakpoint holds in each round; when the editor goes on, the answer comes."""
    asked = Asking(walk.server, json.loads(walk.curl(curl)))
    for _ in range(2):
        thread, frame = editor.stopped()
        assert frame["line"] == walk.line
        editor.ask("continue", threadId=thread)
    assert asked.reply().json() == json.loads(answer)


def test_reloading_by_command_and_errors_with_their_place(tmp_path: Path) -> None:
    script, port = tmp_path / "score.py", free_port()
    script.write_text(blocks(PAGE, "python")[0])
    server = Server(
        azmlinfsrv("azmlinfsrv --entry_script score.py --show_errors", "--port", str(port)),
        port,
        tmp_path,
        clean_environment(),
    )
    try:
        walk = Walk(server.wait_ready(), 0)
        (command, done), (_, refused) = [found for found in commands() if found[0] == "azmlinfsrv reload"]
        mended = walk.script.read_text()
        for mistake in MEND.findall((ROOT / "docs" / PAGE).read_text(encoding="utf-8")):
            mended = mended.replace(*mistake)
        script.write_text(mended)
        code, said = walk.run(command, "--port", str(port))
        assert (code, plain(said)) == (0, plain(done))
        walk.save("def run(data):", "def run(data:")
        code, said = walk.run(command, "--port", str(port))
        assert (code, in_the_page(said, server).strip()) == (1, refused.strip())
        (shown,) = map(json.loads, blocks(PAGE, "json"))
        walk.save("def run(data:", "def run(data):")  # the source is shown as it is now
        answer = json.loads(in_the_page(server.ask("POST", "/score", b'{"plum": 1}').body.decode(), server))
        for body in (answer, shown):
            body["traceback"] = re.sub(r"^ +[~^]+\n", "", body["traceback"], flags=re.MULTILINE)
        assert answer == shown
    finally:
        server.stop()
