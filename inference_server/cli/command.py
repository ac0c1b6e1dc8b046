"""What the commands beside the server have in common: their parser, their errors, their examples.

A command is a module with `main(words) -> exit code` and `parser()`, from which the help and the shell's completion
are made. The first line of its docstring is what the list of commands says of it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from inference_server.cli.flags import PROGRAM, add_flag
from inference_server.cli.terminal import Terminal
from inference_server.errors import InferenceServerError
from inference_server.settings import DECLARED, BadSettings

WRONG_USE = 2
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """The parser of one command. Dashes may stand for underscores in its flags; an error is one sentence, exit code 2.

    `examples`: pairs of a command line and what it does, shown under the help.
    """

    def __init__(self, name: str, about: str, examples: Sequence[tuple[str, str]]) -> None:
        width = max(len(line) for line, _ in examples) + 2
        shown = "\n".join(f"  {line:{width}} {what}".rstrip() for line, what in examples)
        super().__init__(
            prog=f"{PROGRAM} {name}",
            description=about,
            epilog=f"examples:\n{shown}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def add_settings(self, *keys: str) -> None:
        """Flags for settings of the server, as they are declared: read, explained and named as there."""
        group = self.add_argument_group("settings of the server")
        for key in keys:
            add_flag(group, DECLARED[key])

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """The parsed words. Ends the program for errors and --help."""
        return self.parse_args([_underscored(word) for word in words])

    def read_known(self, words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """The same, and the words it does not know, for a command that takes those of another."""
        return self.parse_known_args([_underscored(word) for word in words])

    def settings(self, options: argparse.Namespace) -> dict[str, Any]:
        """The settings that were given, by their keys: what `settings.load` takes."""
        return {key: value for key, value in vars(options).items() if key in DECLARED and value is not None}

    def error(self, message: str) -> NoReturn:
        self.exit(fail(self.prog, f"{message}; see {self.prog} --help"))


def fail(prog: str, message: object, code: int = WRONG_USE) -> int:
    """Say what is wrong, on standard error; returns the exit code."""
    terminal = Terminal(sys.stderr)
    text = one_sentence(message) if isinstance(message, InferenceServerError) else str(message)
    terminal.say(f"{terminal.paint(prog + ': error:', 'red', 'bold')} {terminal.paint(text)}")
    return code


def one_sentence(error: InferenceServerError) -> str:
    """An error's text, without the frame that a log has around it."""
    if not isinstance(error, BadSettings):
        return str(error)
    lines = [line for text in error.report for line in text.splitlines()]
    return "; ".join(line for line in lines if line and not line.startswith("=="))


def _underscored(word: str) -> str:
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value
