"""What the verbs that follow `az ml` have in common: their flags' spelling, the flags that all have, their errors.

A command is a set of verbs; each verb is a function of its parsed flags, which returns what it answers:

    made = Command("model", _ABOUT, _EXAMPLES)
    create = made.verb("create", "Register a model.", _create)
    create.add_argument("-n", "--name")
    …
    return made.run(words)
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from argparse import SUPPRESS, Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from inference_server.cli.azure_output import add_output_flags, show
from inference_server.cli.command import INTERRUPTED, WRONG_USE, fail
from inference_server.cli.flags import PROGRAM
from inference_server.errors import InferenceServerError

Run = Callable[[Namespace], Any]


class WrongUse(Exception):
    """Flags that do not go together; one sentence."""


class VerbParser(argparse.ArgumentParser):
    """The parser of one verb. Its flags have dashes, may be cut to what is unambiguous, as az's may, and are read with
    underscores as well."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=True, **options)
        self.is_complete = False

    def complete(self) -> None:
        """Add the flags that all verbs have; in the help they come last."""
        self.is_complete = True
        group = self.add_argument_group("flags of every verb")
        add_output_flags(group)
        group.add_argument(
            "-g", "--resource-group", metavar="NAME", help="Recorded, and shown again; no more."
        )
        group.add_argument(
            "-w", "--workspace-name", metavar="NAME", help="Recorded, and shown again; no more."
        )
        group.add_argument("--subscription", metavar="ID", help=SUPPRESS)
        for ignored in ("--only-show-errors", "--verbose", "--debug"):
            group.add_argument(ignored, action="store_true", help=SUPPRESS)

    def error(self, message: str) -> NoReturn:
        self.exit(fail(self.prog, f"{message}; see {self.prog} --help"))


class Command:
    """One word after `azmlinfsrv` and its verbs."""

    def __init__(self, name: str, about: str, examples: Sequence[tuple[str, str]]) -> None:
        width = max(len(line) for line, _ in examples) + 2
        shown = "\n".join(f"  {line:{width}} {what}".rstrip() for line, what in examples)
        self._parser = VerbParser(prog=f"{PROGRAM} {name}", description=about, epilog=f"examples:\n{shown}")
        self._choices = self._parser.add_subparsers(
            dest="verb", metavar="VERB", required=True, title="verbs", parser_class=VerbParser
        )
        self._verbs: dict[str, tuple[VerbParser, Run]] = {}

    def verb(self, name: str, about: str, run: Run) -> VerbParser:
        """Add a verb; the caller adds its own flags to the parser that is returned."""
        made: VerbParser = self._choices.add_parser(name, help=about, description=about)
        self._verbs[name] = made, run
        return made

    @property
    def parser(self) -> VerbParser:
        """The parser of all verbs, with the flags that they share behind their own."""
        for verb, _ in self._verbs.values():
            if not verb.is_complete:
                verb.complete()
        return self._parser

    def run(self, words: Sequence[str]) -> int:
        """Run the verb that the words name, print what it answers; returns the exit code.

        0: done · 1: it cannot be done · 2: wrong use · 3: the disk or the state cannot be used · 130: interrupted.
        """
        try:
            options = self.parser.parse_args([_dashed(word) for word in words])
        except SystemExit as end:
            return int(end.code or 0)
        verb, run = self._verbs[options.verb]
        before = signal.signal(signal.SIGTERM, _interrupt)
        try:
            show(run(options), options)
            return 0
        except WrongUse as error:
            return fail(verb.prog, f"{error}; see {verb.prog} --help", WRONG_USE)
        except InferenceServerError as error:
            return fail(verb.prog, error, error.exit_code)
        except BrokenPipeError:  # who reads us has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except KeyboardInterrupt:
            return _interrupted()
        finally:
            signal.signal(signal.SIGTERM, before)


def pairs(texts: Iterable[str] | None, flag: str) -> Mapping[str, str]:
    """The values of a flag such as `--tags team=search tier=2`. Raises WrongUse."""
    found = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise WrongUse(f"{flag} expects NAME=VALUE, got {text!r}")
        found[name] = value
    return found


def _dashed(word: str) -> str:
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _interrupted() -> int:
    if threading.active_count() > 1:  # in the middle of a request that nobody waits for
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(INTERRUPTED)
    return INTERRUPTED
