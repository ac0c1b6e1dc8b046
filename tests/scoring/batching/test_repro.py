from __future__ import annotations

from pathlib import Path

import pytest

from inference_server.scoring.answer import Answer
from inference_server.scoring.batching import repro


def mismatch(*bodies: bytes, at: int = 0) -> repro.Mismatch:
    sent = [repro.Sent("POST", b"a=1", b"meta", body) for body in bodies]
    alone = Answer(200, "application/json", b"[1]", headers=[("X-A", "b")])
    return repro.Mismatch("it differs", sent, at, alone, Answer(200, "application/json", b"[2]"))


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    script = tmp_path / "score.py"
    script.write_text("def run(data): ...")
    path = repro.save(str(tmp_path / "kept"), str(script), {"threads": 1}, mismatch(b"\x00\xff", b"2", at=1))
    facts = repro.read(path)
    assert [sent.body for sent in facts["requests"]] == [b"\x00\xff", b"2"]
    assert facts["requests"][0] == repro.Sent("POST", b"a=1", b"meta", b"\x00\xff")
    assert facts["index"] == 1
    assert facts["alone"].body == b"[1]"
    assert facts["alone"].headers == [("X-A", "b")]
    assert facts["merged"].body == b"[2]"
    assert facts["digest"] == repro.digest(str(script))
    assert facts["config"] == {"threads": 1}
    assert Path(path).stat().st_mode & 0o777 == 0o600
    assert Path(path).parent.stat().st_mode & 0o777 == 0o700


def test_the_file_is_bounded_but_holds_the_one_that_differs(tmp_path: Path) -> None:
    big = b"x" * (repro.MOST_BYTES // 2 + 1)
    facts = repro.read(repro.save(str(tmp_path), "score.py", {}, mismatch(big, big, b"this", at=2)))
    assert facts["left_out"] == 1
    assert facts["requests"][facts["index"]].body == b"this"


def test_the_folder_is_bounded(tmp_path: Path) -> None:
    for number in range(repro.MOST_FILES):
        (tmp_path / str(number)).touch()
    assert repro.save(str(tmp_path), "score.py", {}, mismatch(b"1")) == ""


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert repro.save(str(tmp_path / "file"), "score.py", {}, mismatch(b"1")) == ""


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": "other"}'])
def test_another_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(ValueError, match="not a mismatch file"):
        repro.read(str(tmp_path / "file"))
