"""The writer: it never holds up who hands over, and a folder that cannot be written costs one warning."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import pytest

from inference_server import fields
from inference_server.recording.folder import Folder
from inference_server.recording.making import Maker, Taken
from inference_server.recording.recorder import MOST_A_SECOND, RETRY_SECONDS, WAITING_BYTES, Recorder
from inference_server.recording.redaction import Redaction
from tests.end_to_end.running import wait_for
from tests.recording.making import taken


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowMaker(Maker):
    """Makes nothing before it is let go."""

    def __init__(self) -> None:
        super().__init__(Redaction(fields.parse("")), 1000, "", "")
        self.go = threading.Event()

    def made(self, taken: Taken) -> tuple[str, bytes]:
        assert self.go.wait(20)
        return super().made(taken)


def recorder(path: Path, maker: Maker | None = None, clock: Clock | None = None) -> Recorder:
    made = maker or Maker(Redaction(fields.parse("")), 1000, "", "")
    return Recorder(Folder(str(path), 10**6, 1000), made, clock or Clock())


def test_what_is_offered_is_written_when_it_is_closed(tmp_path: Path) -> None:
    made = recorder(tmp_path / "r")
    made.open()
    made.offer(taken())
    made.offer(taken(status=200))
    made.close(10)
    assert len(os.listdir(tmp_path / "r")) == 2
    assert made.counts() == {"failed": 1, "good": 1, "unwritten": 0, "dropped": 0}


def test_more_than_can_be_written_is_dropped_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    maker = SlowMaker()
    made = recorder(tmp_path / "r", maker)
    made.open()
    for _ in range(MOST_A_SECOND + 5):
        made.offer(taken())
    made.offer(taken(status=200))  # these have a share of their own
    large = taken(b"x" * (WAITING_BYTES // 2), when=2.0)
    for _ in range(2):
        made.offer(large)
    maker.go.set()
    made.close(20)
    assert made.counts() == {"failed": MOST_A_SECOND + 1, "good": 1, "unwritten": 0, "dropped": 6}
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "6 request(s) were not recorded: they came faster than they may be written"


def test_a_folder_that_cannot_be_written_costs_one_warning_and_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    path = tmp_path / "r"
    path.write_text("a file where the folder is to be")
    made = recorder(path, clock=clock)
    made.open()
    for number in range(3):
        made.offer(taken(when=float(number)))
    wait_for(lambda: made.counts()["unwritten"] == 3)
    path.unlink()
    clock.now = RETRY_SECONDS
    made.offer(taken())
    made.close(10)
    assert made.counts()["failed"] == 1
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        f"Requests cannot be recorded in {path}: File exists. Serving goes on",
        f"Requests are recorded in {path} again",
    ]


def test_a_request_that_cannot_be_made_a_document_is_said_once_and_the_next_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = recorder(tmp_path / "r")
    broken = taken()._replace(phases=None)  # type: ignore[arg-type]
    for one in (broken, broken, taken()):
        made.offer(one)
    made.close(10)
    assert made.counts() == {"failed": 1, "good": 0, "unwritten": 2, "dropped": 0}
    assert [record.getMessage() for record in caplog.records] == ["A request could not be recorded"]
