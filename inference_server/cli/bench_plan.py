"""What the words of `azmlinfsrv bench` ask for."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass

from inference_server.cli.bench_options import PICTURES, SAMPLE, STANDARD_OUTPUT, WITHOUT_BODY, parser
from inference_server.cli.command import Parser
from inference_server.load import bodies
from inference_server.load.bodies import Body
from inference_server.load.generator import Closed, Open
from inference_server.load.requests import Header, header
from inference_server.load.target import Target, target

_SECONDS = 10.0  # of a level
_COUNTED_SECONDS = 60.0  # most, where a number of requests is asked for


@dataclass(frozen=True)
class Side:
    """One of the servers: where it is, and the headers its requests carry."""

    where: Target
    headers: tuple[Header, ...]


@dataclass(frozen=True)
class Plan:
    """What is asked for. Times in seconds."""

    sides: tuple[Side, ...]  # one, or two to compare
    bodies: Sequence[Body]
    method: str
    paces: tuple[Closed | Open, ...]
    duration: float  # of one level, on one server
    requests: int  # of one level, at most; 0: any number
    warm_up: float
    timeout: float
    turns: int
    timing: bool
    json: str
    plot: str
    max_errors: float  # per cent
    max_p99: float  # milliseconds; 0: any


def read_words(words: Sequence[str]) -> Plan:
    """What the command line asks for. Ends the program for errors and --help; raises BadTarget and NoBodies."""
    made = parser()
    options = made.read(words)
    paces = _paces(made, options)
    if options.plot and os.path.splitext(options.plot)[1].lower() not in PICTURES:
        made.error(
            f"argument --plot: expects a file that ends in {', '.join(PICTURES)}, got {options.plot!r}"
        )
    for name in ("json", "plot"):
        path = getattr(options, name)
        folder = os.path.dirname(path) or "."
        if path not in ("", STANDARD_OUTPUT) and (not os.path.isdir(folder) or os.path.isdir(path)):
            made.error(
                f"argument --{name}: {path!r} cannot be written: there is no folder {folder!r}, or it is one"
            )
    return Plan(
        sides=_sides(made, options),
        bodies=_bodies(made, options),
        method=options.method,
        paces=paces,
        duration=options.duration or (_COUNTED_SECONDS if options.requests else _SECONDS),
        requests=options.requests,
        warm_up=options.warm_up,
        timeout=options.timeout,
        turns=options.turns,
        timing=not options.no_server_timing,
        json=options.json,
        plot=options.plot,
        max_errors=options.max_errors,
        max_p99=options.max_p99,
    )


def _paces(made: Parser, options: argparse.Namespace) -> tuple[Closed | Open, ...]:
    callers = options.concurrency or ([] if options.rate else [8])
    if max(callers, default=0) > options.max_connections:
        made.error(
            f"argument -c/--concurrency: {max(callers)} callers are more than the {options.max_connections} "
            f"connections that are allowed; to go on: --max_connections {max(callers)}"
        )
    if max(options.rate, default=0) > options.max_rate:
        made.error(
            f"argument --rate: {max(options.rate):g} requests a second are more than the {options.max_rate:g} that "
            f"are allowed; to go on: --max_rate {max(options.rate):g}"
        )
    return (*map(Closed, callers), *(Open(rate, options.max_connections) for rate in options.rate))


def _sides(made: Parser, options: argparse.Namespace) -> tuple[Side, ...]:
    key = _key(made, "key", options.key_env, options.key_file)
    other_key = _key(made, "compare_key", options.compare_key_env, options.compare_key_file)
    wheres = [target(url, options.cacert, options.insecure) for url in (options.url, options.compare) if url]
    for where in wheres:
        if not where.local and not options.yes:
            made.error(
                f"{where.url} is not on this machine, and a load can do harm there: add --yes if you may load it"
            )
    sides = []
    for place, where in enumerate(wheres):
        # a key is for the server it was given for, and not shown to another
        own = (key if where.host == wheres[0].host else "") if place == 0 or not other_key else other_key
        headers = [*options.header, *([("Authorization", f"Bearer {own}")] if own else [])]
        sides.append(Side(where, tuple(headers)))
    return tuple(sides)


def _key(made: Parser, name: str, variable: str, file_name: str) -> str:
    """The key, which need not stand on the command line; "" where none is named."""
    if variable and file_name:
        made.error(f"--{name}_env and --{name}_file name two keys: give one of them")
    if variable:
        value = os.environ.get(variable, "").strip()
        if not value:
            made.error(f"argument --{name}_env: the variable {variable} is not set")
    elif file_name:
        try:
            with open(file_name, encoding="utf-8") as file:
                value = file.read().strip()
        except (OSError, UnicodeDecodeError) as error:
            made.error(f"argument --{name}_file: {file_name} cannot be read ({error})")
        if not value:
            made.error(f"argument --{name}_file: {file_name} is empty")
    else:
        return ""
    try:
        header(f"Authorization: Bearer {value}")
    except ValueError:
        made.error(f"argument --{name}_{'env' if variable else 'file'}: holds more than one line, or no key")
    return value


def _bodies(made: Parser, options: argparse.Namespace) -> list[Body]:
    if options.request:
        return bodies.read(options.request)
    if options.method in WITHOUT_BODY:
        return [bodies.NONE]
    if not os.path.isfile(SAMPLE):
        made.error(f"nothing to send: name a file with -r (there is no {SAMPLE} in this folder)")
    return bodies.read([SAMPLE])
