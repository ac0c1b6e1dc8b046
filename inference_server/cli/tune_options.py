"""The words of `azmlinfsrv tune`: its own options, and all flags of the server but those it sets itself."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from inference_server.cli.flags import parse
from inference_server.settings import DECLARED, read

WRONG_WORDS = 1
_OURS = ("workers.worker_count", "listen.port", "listen.host", "listen.health_port")

_ABOUT = """\
Starts the server on the script with one configuration after the other, loads it with your requests, and says which
batch size and how many workers answer the most of them within your limits. The result is written as a configuration
file. All flags of the server may be given too (azmlinfsrv --help); they hold for every measurement."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(WRONG_WORDS, f"{self.prog}: error: {message}\n")


def read_words(words: Sequence[str]) -> tuple[argparse.Namespace, dict[str, Any]]:
    """Our own options, and the server's flags by the settings' keys. Ends the program for errors and --help."""
    parser = _parser()
    options, rest = parser.parse_known_args([_underscored(word) for word in words])
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


def _is_flag(name: str) -> bool:
    """Whether the server has it; flags of the server we replace may be abbreviated."""
    return any(
        declared.option == name or (declared.incumbent and declared.option.startswith(name))
        for declared in DECLARED.values()
        if declared.flag
    )


def _parser() -> _Parser:
    parser = _Parser(
        prog="azmlinfsrv tune",
        usage="azmlinfsrv tune --entry_script SCORE.PY -r REQUEST… [options] [flags of the server]",
        description=_ABOUT,
        allow_abbrev=False,
    )

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


def _underscored(word: str) -> str:
    """Dashes may stand for underscores in the name of a flag."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value
