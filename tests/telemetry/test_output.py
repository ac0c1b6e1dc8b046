from __future__ import annotations

import errno
import fcntl
import os
import resource
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from inference_server.telemetry import output
from inference_server.telemetry.output import PIPE_BUF, TextStream, Writer

LINE = b"x" * 99 + b"\n"


@pytest.fixture
def pipe() -> tuple[int, int]:
    return os.pipe()


def read_all(fd: int, enough: Callable[[bytes], bool], seconds: float = 10) -> bytes:
    """What comes out of a pipe until it is enough."""
    os.set_blocking(fd, False)
    data, deadline = b"", time.monotonic() + seconds
    while not enough(data):
        assert time.monotonic() < deadline, data[-300:]
        try:
            data += os.read(fd, 1 << 16)
        except BlockingIOError:
            time.sleep(0.002)
    return data


def longest_write(writer: Writer, count: int) -> float:
    """Seconds of the slowest of `count` writes."""
    slowest = 0.0
    for _ in range(count):
        began = time.monotonic()
        writer.write(LINE)
        slowest = max(slowest, time.monotonic() - began)
    return slowest


def test_a_pipe_nobody_reads_never_holds_the_writer_and_the_loss_is_told(pipe: tuple[int, int]) -> None:
    reader, end = pipe
    writer = Writer(end, backlog_bytes=10_000)
    assert longest_write(writer, 2000) < 0.5
    assert os.get_blocking(end), "others hold this description: it must stay blocking"
    data = read_all(reader, lambda data: b"were dropped" in data)
    assert writer.flush(5)
    lines = data.splitlines(keepends=True)
    assert set(lines[:-1]) == {LINE}, "no line is cut"
    assert len(lines) - 1 + writer.dropped == 2000
    assert f"{writer.dropped} log lines were dropped".encode() in lines[-1]
    writer.write(b"after\n")
    assert read_all(reader, lambda data: data.endswith(b"\n")) == b"after\n"


def test_the_backlog_is_written_in_order_once_somebody_reads(pipe: tuple[int, int]) -> None:
    reader, end = pipe
    writer = Writer(end)
    expected = b"".join(b"%06d %s" % (number, LINE) for number in range(3000))
    for at in range(0, len(expected), 107 * 30):
        writer.write(expected[at : at + 107 * 30])
    assert read_all(reader, lambda data: len(data) >= len(expected)) == expected
    assert writer.flush(5)
    assert writer.dropped == 0


def test_lines_of_several_processes_do_not_cut_each_other(pipe: tuple[int, int]) -> None:
    reader, end = pipe
    writer = Writer(end)
    other = os.fork()
    if other == 0:
        for _ in range(3000):
            os.write(end, b"o" * 150 + b"\n")
        os._exit(0)
    batch = LINE * 64  # longer than PIPE_BUF
    assert len(batch) > PIPE_BUF
    received: list[bytes] = []
    total = 150 * len(batch) + 3000 * 151
    thread = threading.Thread(target=lambda: received.append(read_all(reader, lambda d: len(d) >= total)))
    thread.start()
    for _ in range(150):
        writer.write(batch)
    os.waitpid(other, 0)
    thread.join(15)
    assert set(received[0].splitlines(keepends=True)) == {LINE, b"o" * 150 + b"\n"}


def test_a_reader_that_left_costs_nothing(pipe: tuple[int, int]) -> None:
    reader, end = pipe
    writer = Writer(end)
    os.close(reader)
    writer.write(LINE)
    writer.write(LINE)
    assert writer.dropped == 2
    assert writer.flush(0)


def test_a_stream_closed_before_or_after_the_start(pipe: tuple[int, int]) -> None:
    reader, end = pipe
    writer = Writer(end)
    os.close(end)
    writer.write(LINE)
    assert os.read(reader, 200) == LINE
    nowhere = Writer(end)
    nowhere.write(LINE)
    assert nowhere.dropped == 1


def test_a_full_disk_drops_lines_and_says_so_when_there_is_room(tmp_path: Path) -> None:
    target = os.open("/dev/full", os.O_WRONLY)
    writer = Writer(target)
    writer.write(LINE * 3)
    assert writer.dropped == 3
    with open(tmp_path / "log", "wb") as file:
        os.dup2(file.fileno(), writer._own)
        writer.write(b"room\n")
    told, room = (tmp_path / "log").read_bytes().splitlines()
    assert b"3 log lines were dropped" in told
    assert room == b"room"


def test_a_socket_and_a_regular_file(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    writer = Writer(ours.fileno(), backlog_bytes=5000)
    assert longest_write(writer, 20_000) < 0.5
    assert ours.getblocking()
    assert writer.dropped > 0
    assert theirs.recv(100) == LINE
    with open(tmp_path / "log", "wb") as file:
        plain = Writer(file.fileno())
        plain.write(LINE)
        plain.write(LINE * 1000)
    assert (tmp_path / "log").read_bytes() == LINE * 1001


def test_without_proc_a_pipe_is_asked_first(monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]) -> None:
    def refuse(path: str, *rest: int) -> int:
        raise OSError(errno.EACCES, "not yours", path)

    monkeypatch.setattr(output.os, "open", refuse)
    reader, end = pipe
    writer = Writer(end, backlog_bytes=10_000)
    assert longest_write(writer, 2000) < 0.5
    monkeypatch.undo()
    data = read_all(reader, lambda data: b"were dropped" in data)
    assert set(data.splitlines(keepends=True)[:-1]) == {LINE}


def test_a_forked_child_does_not_repeat_the_backlog(pipe: tuple[int, int]) -> None:
    reader, end = pipe
    fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 4096)
    writer = Writer(end)
    for number in range(100):
        writer.write(b"%03d " % number + LINE)
    child = os.fork()
    if child == 0:
        writer.write(b"child\n")
        os._exit(0 if writer.flush(5) else 1)
    data = read_all(reader, lambda data: data.count(b"\n") == 101)
    assert os.waitpid(child, 0)[1] == 0
    lines = data.splitlines()
    assert lines.count(b"child") == 1
    assert [line[:3] for line in lines if line != b"child"] == [b"%03d" % n for n in range(100)]


def test_a_write_without_a_spare_thread_is_kept(
    monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]
) -> None:
    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    reader, end = pipe
    fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 4096)
    writer = Writer(end)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        for _ in range(60):
            writer.write(LINE)
    writer.write(LINE)
    assert len(read_all(reader, lambda data: len(data) >= 61 * 100)) == 61 * 100


def test_text_of_any_kind_goes_out_as_utf8(pipe: tuple[int, int]) -> None:
    reader, end = pipe
    stream = TextStream(Writer(end))
    assert stream.write("ü \udcff\n") == 4
    stream.flush()
    assert os.read(reader, 100) == "ü \\udcff\n".encode()
    assert stream.fileno() == end


def test_an_idle_writer_has_no_thread_and_a_stuck_one_hardly_works(pipe: tuple[int, int]) -> None:
    before = threading.active_count()
    _, end = pipe
    writer = Writer(end)
    writer.write(LINE)
    assert threading.active_count() == before
    while threading.active_count() == before:
        writer.write(LINE * 100)
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    assert not writer.flush(0.5)
    assert sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - used < 0.1
