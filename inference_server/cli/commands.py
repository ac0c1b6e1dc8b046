"""The commands that there are: what they say of themselves, without running any."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from inference_server.cli import COMMANDS, flags
from inference_server.settings import DECLARED, read

Parsers = Callable[[], argparse.ArgumentParser]


@dataclass(frozen=True)
class Option:
    """A flag, as completion needs it; or what stands without one."""

    names: tuple[str, ...]  # (): it stands without a flag
    about: str  # one sentence
    value: str  # "": takes none; "file", "folder", "words", or "text"
    words: tuple[str, ...] = ()  # what the value may be


def summaries() -> dict[str, str]:
    """What each command does, in one sentence; those that are not installed are left out."""
    return {name: _summary(module) for name, module in _modules()}


def options() -> Mapping[str, list[Option]]:
    """The options of each command; those of the server itself under ""."""
    found = {"": list(_options(flags.parser()))}
    for name, module in _modules():
        parser: Parsers | None = getattr(module, "parser", None)
        found[name] = list(_options(parser())) if parser is not None else []
    return found


def _modules() -> Iterator[tuple[str, ModuleType]]:
    for name in sorted(COMMANDS):
        try:
            yield name, import_module(COMMANDS[name])
        except ModuleNotFoundError:  # of an extra that is not installed
            continue


def _summary(module: ModuleType) -> str:
    line = (module.__doc__ or "").partition("\n")[0]
    prefix, _, rest = line.partition(": ")
    line = rest if prefix.startswith("`") else line
    return line[:1].upper() + line[1:].rstrip(".")


def _options(parser: argparse.ArgumentParser) -> Iterator[Option]:
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or not (action.option_strings or action.choices):
            continue
        value, words = _value(action)
        about = (action.help or "").replace("%%", "%").partition(". ")[0].rstrip(".")
        yield Option(tuple(action.option_strings), about, value, words)
        if isinstance(action, argparse._SubParsersAction):
            yield from _of_verbs(action.choices.values())


def _of_verbs(parsers: Iterable[argparse.ArgumentParser]) -> Iterator[Option]:
    """The flags that any of a command's verbs has, each once."""
    seen: set[tuple[str, ...]] = set()
    for parser in parsers:
        for option in _options(parser):
            if option.names not in seen:
                seen.add(option.names)
                yield option


def _value(action: argparse.Action) -> tuple[str, tuple[str, ...]]:
    if action.nargs == 0:
        return "", ()
    if action.choices:
        return "words", tuple(map(str, action.choices))
    declared = DECLARED.get(action.dest)
    if declared is None:
        metavar = str(action.metavar or "")
        return ("file" if "FILE" in metavar else "folder" if "FOLDER" in metavar else "text"), ()
    if isinstance(declared.read, read.OneOf):
        return "words", declared.read.words
    if declared.name.endswith("_dir"):
        return "folder", ()
    return ("file" if declared.is_path or declared.read in (read.python, read.environment) else "text"), ()
