"""What a commit of a local repository holds."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.storage.sources.opened import contents, fetched, opened, refusal
from tests.tools import require_tool

CONTENT = os.urandom(2_500_000)


def git(repository: Path, *words: str) -> str:
    command = [
        require_tool("git"),
        "-C",
        str(repository),
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@t.example",
        *words,
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "re po"
    (folder / "src" / "conf").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "src" / "score.py").write_text("def run(data): ...\n")
    (folder / "src" / "conf" / "ünï code.bin").write_bytes(CONTENT)
    (folder / "src" / "link.py").symlink_to("score.py")
    (folder / "src" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "src" / "run.sh").chmod(0o755)
    (folder / "secret.txt").write_text("not for export")
    (folder / ".gitattributes").write_text("secret.txt export-ignore\n.gitattributes export-ignore\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "one")
    git(folder, "tag", "v1")
    (folder / "src" / "score.py").write_text("def run(data): return data\n")
    git(folder, "commit", "-qam", "two")
    (folder / "src" / "score.py").write_text("uncommitted")
    return folder


@pytest.mark.system
def test_a_commit_a_folder_and_a_file(repository: Path) -> None:
    address = f"git+file://{repository}"
    newest = b"def run(data): return data\n"
    src = {"score.py": newest, "link.py": newest, "run.sh": b"#!/bin/sh\n", "conf/ünï code.bin": CONTENT}
    assert fetched(address) == {f"src/{path}": content for path, content in src.items()}
    assert fetched(f"{address}#src") == src
    assert fetched(f"{address}@v1#subdirectory=src")["score.py"] == b"def run(data): ...\n"
    assert fetched(f"{address}@{git(repository, 'rev-parse', 'HEAD~1')[:10]}#src/score.py") == {
        "score.py": b"def run(data): ...\n"
    }

    source = opened(f"{address.replace(' ', '%20')}#src")
    found = {entry.path: entry for entry in source.entries()}
    assert (source.name, source.spoken) == ("src", f"git+file://{repository}@HEAD#src")
    assert [path for path, entry in found.items() if entry.executable] == ["run.sh"]
    part = source.read(found["conf/ünï code.bin"], 1_000_000, 2_100_000)
    assert b"".join(bytes(piece) for piece in part) == CONTENT[1_000_000:2_100_000]
    assert contents(source) == src
    git(repository, "clone", "-q", "--bare", ".", "bare@1.git")
    assert fetched(f"{address}/bare@1.git#src") == src
    assert fetched(f"{address}/bare@1.git@v1#src").keys() == src.keys()


@pytest.mark.system
def test_what_is_no_commit(repository: Path, tmp_path: Path) -> None:
    address = f"git+file://{repository}"
    (tmp_path / "plain").mkdir()
    (repository / "src" / "out").symlink_to("/etc/passwd")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "a link that leads out")
    for refused, says in (
        (f"{address}@none", "there is no commit, branch or tag none"),
        (f"{address}@--output=x", "there is no commit, branch or tag --output=x"),
        (f"{address}#none", "there is no none in HEAD"),
        (f"{address}#../..", "in HEAD"),
        (f"git+file://{tmp_path}/plain", "is no git repository"),
        (f"git+file://{tmp_path}/none", "there is no folder"),
        (f"{address}#src", "the link out leads to no file that is packed"),
    ):
        assert says in str(refusal(refused))
    assert "is read with git, which is not here" in str(refusal(address, {"PATH": "/nonexistent"}))
