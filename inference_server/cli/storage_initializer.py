"""Bring models and code to this machine, whole or not at all."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from types import FrameType

from inference_server.cli.command import WRONG_USE, Parser, fail
from inference_server.cli.fetch_view import FetchView
from inference_server.cli.flags import add_flag
from inference_server.errors import InferenceServerError
from inference_server.settings import DECLARED, load
from inference_server.settings.storage import cache_folder
from inference_server.storage.errors import Stopped
from inference_server.storage.initializer import Brought, Work, bring
from inference_server.storage.progress import in_bytes, in_seconds
from inference_server.storage.source import Source
from inference_server.storage.sources import open_source

_SECTION = "storage"
_STOP_SECONDS = 1.0  # how long the work may take to end when it was told to; then the process ends without it
_SIGNAL_EXIT = 128  # what a shell adds to the number of a signal

_ABOUT = """\
Fetches each SRC into the folder DEST: from a path, http(s), Azure Blob or Data Lake, S3, Google Cloud Storage, Hugging
Face, MLflow or a git repository; tar, tar.gz, tar.zst and zip are unpacked. A DEST changes in one step, when all of it
is there and checked; it keeps what it was when anything fails. A run that was cut goes on where it stopped, and one
that finds everything in place does nothing.

exit codes:
  0    every DEST is whole
  1    a source cannot be read
  2    wrong use
  3    no space, no right to write, or something else lies in DEST
  4    what came has a wrong checksum, or an archive is damaged or not harmless
  130  stopped by Ctrl-C, 143 by SIGTERM: the same command goes on from there"""
_EXAMPLES = [
    ("azmlinfsrv storage-initializer s3://models/iris.tar.gz model", "into the folder model"),
    ("azmlinfsrv storage-initializer ./code /app/code https://host/m.onnx /app/model", "two of them"),
    ("azmlinfsrv storage-initializer --verify s3://models/iris.tar.gz model", "read again what is there"),
]


def parser() -> Parser:
    """The command line."""
    made = Parser("storage-initializer", _ABOUT, _EXAMPLES)
    made.add_argument(
        "pairs", nargs="+", metavar="SRC DEST", help="What to fetch, and the folder to have it in."
    )
    made.add_argument(
        "--verify",
        action="store_true",
        help="Read every byte that is there already and compare its checksum, instead of sizes and times.",
    )
    made.add_argument("--no_unpack", action="store_true", help="Leave archives as they are.")
    group = made.add_argument_group("settings")
    for declared in DECLARED.values():
        if declared.section == _SECTION:
            add_flag(group, replace(declared, flag=declared.name))
    return made


def main(words: Sequence[str]) -> int:
    """Fetch; returns the exit code, or ends the process with it when a thread of it cannot be ended."""
    made = parser()
    try:
        options = made.read(words)
        pairs = _pairs(made, options.pairs)
    except SystemExit as end:
        return int(end.code or 0)
    stop = Event()
    signals: list[int] = []

    def end_it(number: int, frame: FrameType | None) -> None:
        signals.append(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_it)
    code = _run(made, options, pairs, stop)
    if signals:
        code = fail(
            made.prog,
            "stopped: what was fetched is kept, the same command goes on from there",
            _SIGNAL_EXIT + signals[0],
        )
    if threading.active_count() > 1:  # in the middle of a request that nobody waits for
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _pairs(made: Parser, words: Sequence[str]) -> list[tuple[str, str]]:
    """Sources and destinations. Ends the program when they are none."""
    if len(words) % 2:
        made.error(f"{words[-1]!r} has no DEST: give a folder for each SRC")
    pairs = list(zip(words[::2], words[1::2], strict=True))
    for source, destination in pairs:
        if not destination.strip():  # a variable that is not set: as a path, the shell's own folder
            made.error(f"the DEST of {source!r} is empty: give a folder")
    folders = [Path(os.path.realpath(os.path.expanduser(folder))) for _, folder in pairs]
    for place, folder in enumerate(folders):
        for other in folders[:place]:
            if folder.is_relative_to(other) or other.is_relative_to(folder):
                made.error(f"{folder} and {other} lie in each other: give folders that do not")
    return pairs


def _run(made: Parser, options: argparse.Namespace, pairs: Sequence[tuple[str, str]], stop: Event) -> int:
    try:
        settings = load(made.settings(options))
    except InferenceServerError as error:
        return fail(made.prog, error, WRONG_USE)
    cache = (
        Path(cache_folder(settings.storage, settings.environment)) if settings.storage.cache_size else None
    )
    codes: list[int] = []
    with FetchView() as view:
        work = Work(settings.storage, cache, view.progress, stop, not options.no_unpack, options.verify)

        def opened(address: str) -> Source:
            return open_source(address, settings.environment, settings.storage)

        thread = Thread(target=lambda: codes.append(_bring_all(made, view, work, pairs, opened)), daemon=True)
        thread.start()
        while thread.is_alive() and not stop.is_set():
            thread.join(0.1)
        thread.join(_STOP_SECONDS)
    return codes[0] if codes else 1


def _bring_all(
    made: Parser,
    view: FetchView,
    work: Work,
    pairs: Sequence[tuple[str, str]],
    opened: Callable[[str], Source],
) -> int:
    """Fetch one after the other, whatever became of those before; returns the first exit code that is not 0."""
    code = 0
    for address, destination in pairs:
        try:
            view.say(_told(bring(address, destination, opened, work)), "green")
        except Stopped:
            return code
        except InferenceServerError as error:
            view.clear()
            failed = fail(made.prog, f"{destination} was not filled: {error}", error.exit_code)
            code = code or failed
    return code


def _told(brought: Brought) -> str:
    """One line: what came from where, how large, how long."""
    files = "1 file" if brought.files == 1 else f"{brought.files:,} files"
    what = f"{brought.source}: {files}, {in_bytes(brought.size)}"
    seconds = in_seconds(brought.seconds)
    if brought.was_there:
        return f"nothing to do for {what}: it is in {brought.folder} ({seconds})"
    if not brought.fetched:
        return f"taken from the cache {what} in {seconds}, now in {brought.folder}"
    rate = in_bytes(brought.fetched / max(brought.seconds, 1e-6))
    fetched = "" if brought.fetched == brought.size else f" ({in_bytes(brought.fetched)} came)"
    return f"fetched {what}{fetched} in {seconds} ({rate}/s), now in {brought.folder}"
