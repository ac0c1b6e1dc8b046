"""Keep secret values, encrypted, for variables that refer to them."""

from __future__ import annotations

import argparse
import getpass
import sys
from argparse import Namespace
from collections.abc import Sequence

from inference_server.cli.command import INTERRUPTED, WRONG_USE, Parser, fail
from inference_server.cli.terminal import Terminal
from inference_server.errors import InferenceServerError
from inference_server.secrets.reference import Unresolved
from inference_server.secrets.resolving import VALUE_BYTES
from inference_server.secrets.sources import file_text
from inference_server.secrets.store import Store, check_name, store
from inference_server.settings import load

REFUSED = 1
SET, LIST, REMOVE = "set", "list", "remove"

_ABOUT = """\
A variable of the server that holds ${{secret:NAME}} is given to the script with the value that is kept here. The value
is asked for without being shown, or read from standard input or a file; never from the command line, which everybody
on the machine can read and the shell writes into its history."""
_EXAMPLES = [
    ("azmlinfsrv secret set openai-key", "asks for the value"),
    ("pass show openai | azmlinfsrv secret set openai-key", "from another program"),
    ("azmlinfsrv secret set tls/key --file key.pem", "from a file"),
    ("azmlinfsrv secret set connections/search/credentials/key", "for ${{azureml://connections/search/…}}"),
    ("azmlinfsrv secret list", "names and dates"),
    ("azmlinfsrv secret remove openai-key", ""),
]
_ON_THE_LINE = (
    "a value on the command line shows in process lists and the shell's history: leave it out, and it is asked for; "
    "or give it on standard input, or with --file"
)


def parser() -> Parser:
    """The command line."""
    made = Parser("secret", _ABOUT, _EXAMPLES)
    made.add_argument("action", choices=(SET, LIST, REMOVE), help="What to do.")
    made.add_argument("name", nargs="?", metavar="NAME", help="Of the secret; may have / in it.")
    made.add_argument("rest", nargs="*", default=[], help=argparse.SUPPRESS)
    made.add_argument("--file", metavar="FILE", help="Read the value from a file.")
    made.add_argument("--value", nargs="?", const="", help=argparse.SUPPRESS)
    made.add_settings("secrets.secrets_file")
    return made


def main(words: Sequence[str]) -> int:
    """Set, list or remove; returns the exit code.

    0: done · 1: no such secret, or the file of secrets cannot be used · 2: wrong use.
    """
    made = parser()
    try:
        options = made.read(words)
    except SystemExit as end:
        return int(end.code or 0)
    if wrong := _wrong(options):
        return fail(made.prog, wrong)
    try:
        settings = load(made.settings(options))
        local = store(settings.secrets, settings.environment)
        return {SET: _set, LIST: _list, REMOVE: _remove}[options.action](local, options)
    except _Empty as error:
        return fail(made.prog, error, WRONG_USE)
    except InferenceServerError as error:
        return fail(made.prog, error, REFUSED)
    except KeyboardInterrupt:
        return INTERRUPTED


class _Empty(Exception):
    """There is no value to set."""


def _wrong(options: Namespace) -> str:
    """What is wrong with the words; never repeats what may be a value."""
    if options.action == LIST:
        return "list takes no name" if options.name else ""
    if options.value is not None or (options.action == SET and options.rest):
        return _ON_THE_LINE
    if not options.name or options.rest:
        return f"{options.action} takes one name"
    return "--file is for set" if options.file and options.action != SET else ""


def _set(local: Store, options: Namespace) -> int:
    check_name(options.name)  # before anybody types a value
    note = local.set(options.name, _value(options))
    terminal = Terminal()
    terminal.say(f"set {terminal.paint(options.name, 'cyan')} in {terminal.paint(str(local.path))}")
    if note:
        terminal.say(terminal.paint(note, "yellow"))
    return 0


def _list(local: Store, options: Namespace) -> int:
    terminal = Terminal()
    entries = local.entries()
    if not entries:
        terminal.say(f"no secrets in {terminal.paint(str(local.path))}")
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        name = terminal.paint(f"{entry.name:{width}}", "cyan")
        terminal.say(f"{name}  {terminal.paint(entry.set_at, 'dim')}")
    return 0


def _remove(local: Store, options: Namespace) -> int:
    if not local.remove(options.name):
        raise Unresolved(f"there is no secret {options.name!r} in {local.path}")
    Terminal().say(f"removed {options.name}")
    return 0


def _value(options: Namespace) -> str:
    """The value, without one line break at its end. Raises Unresolved."""
    if options.file:
        value = file_text(options.file)
    elif sys.stdin is not None and sys.stdin.isatty():
        value = getpass.getpass(f"Value of {options.name} (not shown): ")
    else:
        value = _standard_input()
    if not value:
        raise _Empty("the value is empty: give it on standard input, or with --file")
    if len(value.encode("utf-8", "surrogateescape")) > VALUE_BYTES or "\0" in value:
        raise Unresolved(
            f"a variable cannot hold the value: it has more than {VALUE_BYTES} bytes, or a NUL byte"
        )
    return value


def _standard_input() -> str:
    data = sys.stdin.buffer.read(VALUE_BYTES + 3) if sys.stdin is not None else b""
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Unresolved("the value is no text in UTF-8") from None
