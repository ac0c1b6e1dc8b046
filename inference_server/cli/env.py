"""Make, list and remove environments, from conda files, requirements or pyproject.toml."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from typing import NoReturn

from inference_server.cli.command import INTERRUPTED, WRONG_USE, Parser, fail
from inference_server.cli.model_python import Progress
from inference_server.cli.terminal import Terminal
from inference_server.environments.build import Asked, ensure
from inference_server.environments.cache import Cache, Listed
from inference_server.environments.errors import BadDefinition, EnvironmentFailed
from inference_server.errors import SettingsError
from inference_server.settings import Settings, load, read
from inference_server.settings.environments import environments_folder

FAILED = 1
BUILD, LIST, REMOVE = "build", "list", "remove"
DAY = 86400.0
_USUAL = ("conda.yml", "conda.yaml", "environment.yml", "requirements.txt", "pyproject.toml")

_ABOUT = """\
build makes what a definition file asks for, or finds it made, and writes the path of its Python to standard output.
azmlinfsrv --python_environment FILE does the same before it loads the script. Equal definitions share one environment.
list shows what there is, remove takes away what no server uses."""
_EXAMPLES = [
    ("azmlinfsrv env build conda.yml", ""),
    ("azmlinfsrv env build requirements.txt --python python3.9", "for another Python than the server's"),
    ("azmlinfsrv env list", ""),
    ("azmlinfsrv env remove py39-5c0e1f2a7b44", "one of them"),
    ("azmlinfsrv env remove --unused 30", "those that nobody used for 30 days"),
]


def parser() -> Parser:
    """The command line."""
    made = Parser("env", _ABOUT, _EXAMPLES)
    made.add_argument("action", choices=(BUILD, LIST, REMOVE), help="What to do.")
    made.add_argument(
        "names",
        nargs="*",
        default=[],
        metavar="FILE or KEY",
        help="build: the definition. Default: the one in this folder. remove: keys, as list shows them.",
    )
    made.add_argument(
        "--compile",
        action="store_true",
        help="build: compile all modules now, for a disk that is read-only later. Otherwise each is at its first import.",
    )
    made.add_argument(
        "--unused", type=float, metavar="DAYS", help="remove: all that were not used for so long."
    )
    made.add_argument("--all", action="store_true", help="remove: all that are not in use.")
    made.add_argument("--force", action="store_true", help="remove: also those in use.")
    made.add_argument("--json", action="store_true", help="list: as JSON, for other programs.")
    made.add_settings("workers.python", "environments.cache_dir")
    return made


def main(words: Sequence[str]) -> int:
    """Build, list or remove; returns the exit code.

    0: done · 1: it cannot be made, or one was not removed · 2: wrong use, or a definition that cannot be used.
    """
    made = parser()
    try:
        options = made.read(words)
        settings = load(made.settings(options))
    except SystemExit as end:
        return int(end.code or 0)
    except SettingsError as error:
        return fail(made.prog, error)
    if wrong := _wrong(options):
        return fail(made.prog, wrong)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        cache = Cache(environments_folder(settings.environments, settings.environment))
        if options.action == BUILD:
            return _build(cache, settings, options)
        return _list(cache, options.json) if options.action == LIST else _remove(cache, options, made.prog)
    except BadDefinition as error:
        return fail(made.prog, error)
    except EnvironmentFailed as error:
        code = fail(made.prog, error, FAILED)
        terminal = Terminal(sys.stderr)
        for line in error.detail.splitlines():
            terminal.say(f"  {terminal.paint(line, 'dim')}")
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _wrong(options: Namespace) -> str:
    """What is wrong with the words; "" for nothing."""
    if options.action == BUILD and len(options.names) > 1:
        return "build takes one definition"
    if options.action == BUILD and not options.names and not _usual():
        return (
            f"build needs a definition: there is no {', '.join(_USUAL[:-1])} or {_USUAL[-1]} in this folder"
        )
    if options.action == BUILD and options.names and not read.is_definition(options.names[0]):
        return f"{options.names[0]} is neither a conda file (.yml, .yaml) nor a requirements.txt nor a pyproject.toml"
    if options.action == LIST and options.names:
        return "list takes no name"
    if options.action == REMOVE and bool(options.names) + options.all + (options.unused is not None) != 1:
        return "remove takes keys, or --unused DAYS, or --all"
    return ""


def _usual() -> str:
    return next((name for name in _USUAL if os.path.isfile(name)), "")


# ------------------------------------------------------------ build


def _build(cache: Cache, settings: Settings, options: Namespace) -> int:
    progress = Progress(Terminal(sys.stderr))
    asked = Asked(
        source=options.names[0] if options.names else _usual(),
        cache=cache,
        environ=settings.environment,
        given=settings.workers.python if "workers.python" in settings.given else "",
        compile=options.compile,
        say=progress.say,
    )
    try:
        cache.sweep()
        made = ensure(asked)
        cache.use(made).close()  # as far as `remove --unused` goes, this is a use
    finally:
        progress.close()
    if not progress.said:
        Terminal(sys.stderr).say(f"{made.key} was made before")
    Terminal().say(made.interpreter)
    return 0


# ------------------------------------------------------------ list


def _list(cache: Cache, as_json: bool) -> int:
    cache.sweep()
    entries = cache.entries()
    terminal = Terminal()
    if as_json:
        terminal.say(json.dumps([_facts(entry) for entry in entries], indent=2))
        return 0
    if not entries:
        terminal.say(f"no environments in {terminal.paint(str(cache.folder))}")
        return 0
    head = ("KEY", "PYTHON", "PACKAGES", "SIZE", "AGE", "LAST USED", "MADE FROM")
    rows = [_row(entry) for entry in entries]
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head) - 1)]
    terminal.say(terminal.paint(_columns(head, widths), "bold"))
    for row in rows:
        terminal.say(terminal.paint(_columns(row, widths)))
    return 0


def _facts(entry: Listed) -> dict[str, object]:
    facts = {**asdict(entry.made), "interpreter": entry.made.interpreter}
    return {**facts, "packages": entry.packages, "size": entry.size, "used": entry.used, "users": entry.users}


def _row(entry: Listed) -> tuple[str, ...]:
    made, now = entry.made, time.time()
    used = "in use" if entry.users else _ago(now - entry.used)
    source = _below_home(made.source)
    return (
        made.key,
        made.python,
        str(entry.packages),
        _size(entry.size),
        _ago(now - made.created),
        used,
        source,
    )


def _columns(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [f"{cell:{width}}" for cell, width in zip(cells, widths, strict=False)]
    return "  ".join([*padded, cells[-1]])


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _ago(seconds: float) -> str:
    for name, length in (("d", DAY), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"


def _below_home(path: str) -> str:
    home = os.path.expanduser("~")
    return "~" + path[len(home) :] if path.startswith(home + os.sep) else path


# ------------------------------------------------------------ remove


def _remove(cache: Cache, options: Namespace, prog: str) -> int:
    cache.sweep()
    entries = {entry.made.key: entry for entry in cache.entries()}
    if options.names:
        keys, problems = _named(options.names, list(entries))
        if problems:
            return fail(prog, "; ".join(problems), WRONG_USE)
    else:
        oldest = time.time() - options.unused * DAY if options.unused is not None else float("inf")
        keys = [key for key, entry in entries.items() if entry.used <= oldest]
        if not options.force:
            keys = [key for key in keys if not entries[key].users]
    terminal, failed = Terminal(), 0
    for key in keys:
        why = cache.remove(key, options.force)
        if why:
            failed = fail(prog, f"{key} stays: {why}; stop it first, or --force", FAILED)
        else:
            terminal.say(f"removed {key}, {_size(entries[key].size)}")
    if not keys:
        terminal.say("nothing to remove")
    return failed


def _named(names: Sequence[str], keys: Sequence[str]) -> tuple[list[str], list[str]]:
    """The keys that begin as the names do, and what is wrong with the names."""
    found, problems = [], []
    for name in names:
        fitting = [key for key in keys if key == name] or [key for key in keys if key.startswith(name)]
        if len(fitting) == 1:
            found.append(fitting[0])
        elif fitting:
            problems.append(f"{name} may be {' or '.join(fitting)}")
        else:
            problems.append(f"there is no environment {name}: azmlinfsrv env list shows them")
    return found, problems
