"""The command line of the server: its flags are made from the settings' declarations.

Words and exit codes follow the server we replace: an error is a usage line and one error line on stderr, then the
help on stdout, exit code 1. `--help` differs on purpose: it exits 0.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from inference_server import __version__
from inference_server.settings import DECLARED, SECTIONS, Declared

PROGRAM = "azmlinfsrv"
DESCRIPTION = f"Azure ML Inferencing HTTP server v{__version__}"
_METAVARS = {"seconds": "SECONDS", "milliseconds": "MS", "bytes": "SIZE"}
USAGE = (
    f"{PROGRAM} --entry_script SCORE.PY [--model_dir FOLDER] [--port PORT] [--worker_count N] [more flags]"
)
_MORE = "Settings without a flag, and all variables: docs/settings.md"
_EXAMPLES = """\
examples:
  azmlinfsrv --entry_script score.py --model_dir model      serve a script on port 5001
  azmlinfsrv --entry_script score.py --worker_count 4       in four processes
  azmlinfsrv --entry_script score.py --python ~/envs/model  on the model's own environment

commands (azmlinfsrv COMMAND --help):
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"{self.prog}: error: {message}", file=sys.stderr)
        sys.stderr.flush()
        print()
        print(self.format_help().partition("\n\n")[2], end="", flush=True)
        self.exit(1)

    def format_help(self) -> str:
        from inference_server.cli.commands import summaries  # all of them are imported for it

        known = summaries()
        width = max(map(len, known))
        commands = "".join(f"  {name:{width}}  {about}\n" for name, about in known.items())
        self.epilog = f"{_EXAMPLES}{commands}\n{_MORE}"
        return super().format_help()


def parse(words: Sequence[str]) -> dict[str, Any]:
    """The values that were given, by the settings' keys. Ends the program for errors, --help and --version."""
    parser = _parser()
    given = parser.parse_args(_spelled_out(parser, words))
    return {key: value for key, value in vars(given).items() if value is not None}


def refuse(message: str) -> int:
    """Say what is wrong with the command line, as the parser does; returns the exit code."""
    try:
        _parser().error(message)
    except SystemExit as end:
        return int(end.code or 0)


def parser() -> argparse.ArgumentParser:
    """The parser of all the server's flags."""
    return _parser()


def _parser() -> _Parser:
    parser = _Parser(
        prog=PROGRAM,
        usage=USAGE,
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    main = parser.add_argument_group("options")
    main.add_argument("-h", "--help", action="help", help="Show this help and exit.")
    main.add_argument(
        "--version", action="version", version=f"{PROGRAM} {__version__}", help="Show the version."
    )
    with_flag = [declared for declared in DECLARED.values() if declared.flag]
    for declared in with_flag:
        if declared.incumbent:
            add_flag(main, declared)
    for section, group in SECTIONS.items():
        ours = [declared for declared in with_flag if declared.section == section and not declared.incumbent]
        if ours:
            box = parser.add_argument_group(section, (group.__doc__ or "").strip())
            for declared in ours:
                add_flag(box, declared)
    return parser


def add_flag(group: argparse._ArgumentGroup, declared: Declared) -> None:
    """Add the flag of a setting, as it is declared; what it reads lies under the setting's key."""
    about = argparse.SUPPRESS if declared.hidden else _help(declared)
    if declared.is_switch:
        group.add_argument(
            declared.option, dest=declared.key, action="store_const", const=not declared.default, help=about
        )
        return
    group.add_argument(
        declared.option,
        dest=declared.key,
        type=_reader(declared),
        metavar=_METAVARS.get(declared.unit, declared.flag.upper() if declared.incumbent else "VALUE"),
        help=about,
    )


def _help(declared: Declared) -> str:
    if declared.is_switch:
        about = f"Do without: {declared.help}" if declared.default else declared.help
    else:
        default = declared.shown_default
        about = f"{declared.help} Default: {default}." if default else declared.help
    return about.replace("`", "").replace("%", "%%")


def _reader(declared: Declared) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            value = declared.read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return os.path.realpath(value) if declared.is_path else value

    return read


def _spelled_out(parser: _Parser, words: Sequence[str]) -> list[str]:
    """The words with every flag in full: dashes for underscores are taken, and prefixes of the incumbent's flags.

    Only those may be abbreviated, as there, so that no flag of ours makes one of their short forms ambiguous.
    """
    exact = {declared.option for declared in DECLARED.values() if declared.flag} | {"--help", "--version"}
    short = sorted({declared.option for declared in DECLARED.values() if declared.incumbent} | {"--help"})
    result: list[str] = []
    for place, word in enumerate(words):
        if word == "--":
            return [*result, *words[place:]]
        name, equals, value = word.partition("=")
        name = "--" + name[2:].replace("-", "_")
        if not word.startswith("--") or " " in name:
            result.append(word)
            continue
        if name not in exact:
            meant = [option for option in short if option.startswith(name)]
            if len(meant) > 1:
                parser.error(f"ambiguous option: {word.partition('=')[0]} could match {', '.join(meant)}")
            if not meant:
                result.append(word)
                continue
            name = meant[0]
        result.append(name + equals + value)
    return result
