"""The words of `azmlinfsrv bench`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any

from inference_server.cli.command import Parser
from inference_server.load.requests import header
from inference_server.settings import read

URL = "http://127.0.0.1:5001/score"
SAMPLE = "sample-request.json"  # what `azmlinfsrv init` writes
PICTURES = (".png", ".svg", ".pdf")
STANDARD_OUTPUT = "-"
MOST_CONNECTIONS, MOST_RATE = 1000, 10_000.0
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)")
_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
WITHOUT_BODY = ("GET", "HEAD", "OPTIONS", "DELETE")
_METHODS = (*WITHOUT_BODY, "POST", "PUT", "PATCH")

_ABOUT = """\
Loads a running server with your requests and shows how many it answers a second, how long they take, what fails, and
where the time goes. Closed loop: so many callers, each with a new request once it has its answer. Open loop (--rate):
requests are due at a constant rate, and latency counts from when each was due, so that a server that stalls is charged
for all who would have waited. Only servers on this machine are loaded, unless --yes says that you may.

Exit code: 0 all requests were answered with 2xx, 1 more failed than --max_errors allows, --max_p99 was missed, or
no server answers, 2 wrong use, 130 ended by Ctrl-C (what was measured is shown)."""
_EXAMPLES = [
    ("azmlinfsrv bench -r request.json", f"8 callers for 10 s on {URL}"),
    ("azmlinfsrv bench -r requests/ -c 1,8,64 --plot load.png", "a folder in turn, three levels, a picture"),
    ("azmlinfsrv bench -r request.json --rate 100,500", "a constant rate, as from callers who do not wait"),
    ("azmlinfsrv bench -r request.json --compare http://127.0.0.1:5002", "two servers in turn"),
    ("azmlinfsrv bench -r request.json -n 1000 --json - --max_p99 50", "for continuous integration"),
]


def parser() -> Parser:
    """The command line."""
    made = Parser("bench", _ABOUT, _EXAMPLES)
    made.add_argument("url", nargs="?", default=URL, metavar="URL", help=f"What is loaded. Default: {URL}.")
    _add_request(made)
    _add_load(made)
    _add_bounds(made)
    _add_comparison(made)
    _add_results(made)
    return made


def _add_request(made: Parser) -> None:
    group = made.add_argument_group("the request")
    group.add_argument(
        "-r",
        "--request",
        action="append",
        default=[],
        metavar="FILE",
        help="Body to send: a file of any kind, a folder whose files are sent in turn, or a .jsonl file with a body in "
        f"each line. May be given several times. Default: {SAMPLE}, if there is one.",
    )
    group.add_argument(
        "-H",
        "--header",
        action="append",
        default=[],
        type=_typed(header),
        metavar="'NAME: VALUE'",
        help="Sent with every request. May be given several times.",
    )
    group.add_argument(
        "--method", default="POST", type=str.upper, choices=_METHODS, metavar="METHOD", help="Default: POST."
    )
    group.add_argument(
        "--key_env",
        default="",
        metavar="NAME",
        help="Variable that holds the key, sent as Authorization: Bearer.",
    )
    group.add_argument("--key_file", default="", metavar="FILE", help="File that holds the key.")
    group.add_argument(
        "--cacert", default="", metavar="FILE", help="Certificates to trust instead of the system's."
    )
    group.add_argument("--insecure", action="store_true", help="Trust any certificate.")
    group.add_argument(
        "--timeout",
        default=10.0,
        type=_seconds,
        metavar="TIME",
        help="A request has failed after that. Default: 10s.",
    )


def _add_load(made: Parser) -> None:
    group = made.add_argument_group("the load")
    group.add_argument(
        "-c",
        "--concurrency",
        default=[],
        type=_list_of(read.whole(1)),
        metavar="N,…",
        help="Callers at a time, one level after the other: 1,8,64. Default: 8, or none with --rate.",
    )
    group.add_argument(
        "--rate",
        default=[],
        type=_list_of(_above_zero),
        metavar="N,…",
        help="Requests a second that are due, one level after the other: 100,500.",
    )
    group.add_argument(
        "-d",
        "--duration",
        default=0.0,
        type=_seconds,
        metavar="TIME",
        help="Of one level: 10s, 500ms, 2m. Default: 10s; with --requests 60s at most.",
    )
    group.add_argument(
        "-n",
        "--requests",
        default=0,
        type=_typed(read.whole(1)),
        metavar="N",
        help="End a level after so many.",
    )
    group.add_argument(
        "--warm_up",
        default=1.0,
        type=_time,
        metavar="TIME",
        help="Before a level, not measured. Default: 1s.",
    )


def _add_bounds(made: Parser) -> None:
    group = made.add_argument_group("bounds")
    group.add_argument(
        "--max_connections",
        default=MOST_CONNECTIONS,
        type=_typed(read.whole(1)),
        metavar="N",
        help=f"Most that may be open at a time. Default: {MOST_CONNECTIONS}.",
    )
    group.add_argument(
        "--max_rate",
        default=MOST_RATE,
        type=_above_zero,
        metavar="N",
        help=f"Most that --rate may ask for. Default: {MOST_RATE:.0f}.",
    )
    group.add_argument(
        "--yes", action="store_true", help="The server is on another machine, and you may load it."
    )


def _add_comparison(made: Parser) -> None:
    group = made.add_argument_group("two servers")
    group.add_argument(
        "--compare", default="", metavar="URL", help="Load this server too, in turn with the first."
    )
    group.add_argument(
        "--turns",
        default=5,
        type=_typed(read.whole(2)),
        metavar="N",
        help="Of each server, to compare. Default: 5.",
    )
    group.add_argument("--compare_key_env", default="", metavar="NAME", help="Variable that holds its key.")
    group.add_argument("--compare_key_file", default="", metavar="FILE", help="File that holds its key.")


def _add_results(made: Parser) -> None:
    group = made.add_argument_group("the results")
    group.add_argument(
        "--json", default="", metavar="FILE", help="Write them as JSON too; - is standard output."
    )
    group.add_argument(
        "--plot", default="", metavar="FILE", help="Draw latency against load: a .png, .svg or .pdf file."
    )
    group.add_argument(
        "--max_errors",
        default=0.0,
        type=_percent,
        metavar="PERCENT",
        help="Exit with 1 when more than so many of 100 requests fail. Default: 0.",
    )
    group.add_argument(
        "--max_p99",
        default=0.0,
        type=_above_zero,
        metavar="MS",
        help="Exit with 1 when 99 of 100 requests take longer than that, at any level.",
    )
    group.add_argument(
        "--no_server_timing",
        action="store_true",
        help="Do not ask, in a part of the requests, where the server spends its time.",
    )


def _typed(reads: Callable[[str], Any]) -> Callable[[str], Any]:
    """A reader whose errors argparse shows."""

    def take(text: str) -> Any:
        try:
            return reads(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return take


def _list_of(reads: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    typed = _typed(reads)
    return lambda text: [typed(part.strip()) for part in text.split(",")]


def _time(text: str) -> float:
    match = _DURATION.fullmatch(text.strip().lower())
    if not match:
        raise argparse.ArgumentTypeError(f"expects a time such as 10s, 500ms or 2m, got {text!r}")
    return float(match[1]) * _UNITS[match[2]]


def _seconds(text: str) -> float:
    value = _time(text)
    if not value:
        raise argparse.ArgumentTypeError(f"expects a time above 0, got {text!r}")
    return value


def _above_zero(text: str) -> float:
    value: float = _typed(read.number)(text)
    if not value:
        raise argparse.ArgumentTypeError(f"expects a number above 0, got {text!r}")
    return value


def _percent(text: str) -> float:
    value: float = _typed(read.number)(text.removesuffix("%").strip())
    if value > 100:
        raise argparse.ArgumentTypeError(f"expects a number from 0 to 100, got {text!r}")
    return value
