"""The words of `azmlinfsrv tune`: its own options, and all flags of the server but those it sets itself."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from inference_server.cli.command import Parser, fail
from inference_server.cli.flags import add_flag, parse
from inference_server.settings import DECLARED, read

WRONG_WORDS = 1
_OURS = ("workers.worker_count", "listen.port", "listen.host", "listen.health_port")

_ABOUT = """\
Starts the server on the script with one configuration after the other, loads it with your requests, and says which
batch size and how many workers answer the most of them within your limits. The result is written as a configuration
file. All flags of the server may be given too (azmlinfsrv --help); they hold for every measurement."""


_EXAMPLES = [
    (
        "azmlinfsrv tune --entry_script score.py -r requests/",
        "the most requests a second, however long they take",
    ),
    ("azmlinfsrv tune --entry_script score.py -r many.jsonl --latency_ms 50", "99 of 100 within 50 ms"),
    ("azmlinfsrv tune --entry_script score.py -r requests/ --memory 2GiB", "within so much memory"),
]


class _Parser(Parser):
    def error(self, message: str) -> NoReturn:
        self.exit(fail(self.prog, f"{message}; see {self.prog} --help", WRONG_WORDS))


def read_words(words: Sequence[str]) -> tuple[argparse.Namespace, dict[str, Any]]:
    """Our own options, and the server's flags by the settings' keys. Ends the program for errors and --help."""
    parser = _parser()
    options, rest = parser.read_known(words)
    if options.seconds <= 0:
        parser.error("--seconds expects a number above 0")
    for word in rest:
        if word.startswith("--") and not _is_flag(word.partition("=")[0]):
            parser.error(f"unrecognized argument: {word}")
    flags = parse(rest)
    for key in _OURS:
        if key in flags:
            more = ", and --max_workers bounds it" if key == _OURS[0] else ""
            parser.error(f"{DECLARED[key].option} is not for you to give here: tune sets it itself{more}")
    return options, flags


def parser() -> Parser:
    """All flags that may be given, the server's among them: what completion offers."""
    made = _parser()
    group = made.add_argument_group("flags of the server")
    taken = {name for action in made._actions for name in action.option_strings}
    for key, declared in DECLARED.items():
        if declared.flag and key not in _OURS and declared.option not in taken:
            add_flag(group, declared)
    return made


def _is_flag(name: str) -> bool:
    """Whether the server has it; flags of the server we replace may be abbreviated."""
    return any(
        declared.option == name or (declared.incumbent and declared.option.startswith(name))
        for declared in DECLARED.values()
        if declared.flag
    )


def _parser() -> _Parser:
    parser = _Parser("tune", _ABOUT, _EXAMPLES)
    parser.usage = "azmlinfsrv tune --entry_script SCORE.PY -r REQUEST… [options] [flags of the server]"

    def add(*names: str, reads: Any, default: Any, about: str, shown: str = "VALUE") -> None:
        parser.add_argument(*names, type=_reader(reads), default=default, metavar=shown, help=about)

    parser.add_argument(
        "-r",
        "--request",
        nargs="+",
        action="extend",
        required=True,
        metavar="FILE",
        help="Bodies to send: files, folders of files, or .jsonl files with one in each line. The more they "
        "resemble what callers will send, the better.",
    )
    add(
        "--latency_ms",
        reads=read.number,
        default=0.0,
        shown="MS",
        about="Most for 99 in 100 requests. Default: any.",
    )
    add(
        "--memory",
        reads=read.size,
        default=0,
        shown="SIZE",
        about="Most for the front and the workers together. Default: 90 %% of what is free.",
    )
    add(
        "--max_batch_size",
        reads=read.whole(1),
        default=64,
        shown="ROWS",
        about="Largest batch tried. Default: 64.",
    )
    add(
        "--max_workers",
        reads=read.whole(1),
        default=0,
        shown="N",
        about="Most workers tried. Default: one for each processor, or for each of --devices.",
    )
    add("--seconds", reads=read.number, default=2.0, shown="SECONDS", about="Of one measurement. Default: 2.")
    add(
        "--max_seconds",
        reads=read.number,
        default=300.0,
        shown="SECONDS",
        about="Begin no measurement later than that. Default: 300.",
    )
    add(
        "--output",
        reads=read.text,
        default="settings.json",
        shown="FILE",
        about="Where to. Default: settings.json.",
    )
    return parser


def _reader(reads: Any) -> Any:
    def take(text: str) -> Any:
        try:
            return reads(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return take
