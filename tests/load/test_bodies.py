"""Requests from files, folders and lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_server.load.bodies import NoBodies, read


def test_files_folders_and_lines(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text("[2]")
    (tmp_path / "a.csv").write_text("1,2")
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "below").mkdir()
    lines = tmp_path / "below" / "many.jsonl"
    lines.write_text("[3]\n\n[4]\n")
    found = read([str(tmp_path / "b.json"), str(tmp_path), str(lines)])
    assert [body.content for body in found] == [b"[2]", b"1,2", b"[2]", b"[3]", b"[4]"]
    assert [body.content_type for body in found] == [
        "application/json",
        "text/csv",
        *["application/json"] * 3,
    ]
    assert found[-1].name == f"{lines}, line 3"


def test_what_gives_no_request_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoBodies, match=r"missing\.json cannot be read: No such file"):
        read([str(tmp_path / "missing.json")])
    with pytest.raises(NoBodies, match="holds no file"):
        read([str(tmp_path)])
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(NoBodies, match=r"empty\.jsonl holds no line"):
        read([str(tmp_path)])
