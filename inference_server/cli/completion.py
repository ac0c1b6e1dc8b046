"""Print a shell's completion of commands and flags."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from inference_server.cli.command import Parser

SHELLS = ("bash", "zsh", "fish")

_ABOUT = """\
Prints a script that makes the shell complete commands, flags and their values when Tab is pressed. It is made from
the same declarations as the help."""
_EXAMPLES = [
    ('eval "$(azmlinfsrv completion bash)"', "in ~/.bashrc"),
    ('eval "$(azmlinfsrv completion zsh)"', "in ~/.zshrc, after compinit"),
    ("azmlinfsrv completion fish > ~/.config/fish/completions/azmlinfsrv.fish", ""),
]


def parser() -> Parser:
    """The command line."""
    made = Parser("completion", _ABOUT, _EXAMPLES)
    made.add_argument("shell", choices=SHELLS, help="Which shell.")
    return made


def main(words: Sequence[str]) -> int:
    """Print the script; returns the exit code."""
    try:
        options = parser().read(words)
    except SystemExit as end:
        return int(end.code or 0)
    from inference_server.cli.completions import script

    sys.stdout.write(script(options.shell))
    return 0
