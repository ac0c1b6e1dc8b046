"""How a setting is declared: once, as a dataclass field that knows its names, its unit and its reader.

    worker_count: int = setting(1, whole(least=1), "Number of workers.", flag=True, env=("WORKER_COUNT",))

The flags, the reading of the environment and of the configuration file, and docs/settings.md are all made
from these declarations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

BAD_VALUE_EXIT = 3  # what the command exits with when a setting cannot be read, unless declared otherwise
_OWN_NAME = "="  # stands for the field's name, which is not known when the field is declared


@dataclass(frozen=True)
class Declared:
    """One setting: everything but its value."""

    section: str  # the group it lives in; filled in by `declarations`
    name: str  # its field in that group
    default: Any
    read: Callable[[str], Any]  # text to value; raises ValueError with a message that says what is expected
    help: str
    unit: str
    flag: str  # the flag's name; empty: none
    env: tuple[str, ...]  # first the main name, then accepted alternates; also the configuration file's keys
    default_text: str  # how the documents show the default; empty: the value itself
    is_path: bool  # a path given by flag is made absolute, links resolved
    hidden: bool  # not shown by --help
    exit_code: int
    incumbent: bool  # a flag of the server we replace: may be abbreviated, comes first in --help

    @property
    def key(self) -> str:
        """Its name in the whole of the settings: `section.name`."""
        return f"{self.section}.{self.name}"

    @property
    def is_switch(self) -> bool:
        """A flag without a value: `--x` turns on what is off by default, `--no_x` turns off what is on by default."""
        return isinstance(self.default, bool)

    @property
    def shown_default(self) -> str:
        """The default as people read it; empty when there is none."""
        if self.default_text or self.default in (None, ""):
            return self.default_text
        if self.is_switch:
            return str(self.default).lower()
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)

    @property
    def option(self) -> str:
        """The flag, as the user types it."""
        return f"--no_{self.flag}" if self.default is True else f"--{self.flag}"


def setting(
    default: Any,
    read: Callable[[str], Any],
    help: str,
    *,
    unit: str = "",
    flag: bool | str = False,
    env: tuple[str, ...] = (),
    default_text: str = "",
    is_path: bool = False,
    hidden: bool = False,
    secret: bool = False,
    exit_code: int = BAD_VALUE_EXIT,
    incumbent: bool = False,
) -> Any:
    """Declare a setting as a field of one of the settings' groups.

    `flag`: True for a flag of the field's own name, or another name. `secret`: never shown by repr().
    """
    declared = Declared(
        section="",
        name="",
        default=default,
        read=read,
        help=help,
        unit=unit,
        flag=flag if isinstance(flag, str) else (_OWN_NAME if flag else ""),
        env=env,
        default_text=default_text,
        is_path=is_path,
        hidden=hidden,
        exit_code=exit_code,
        incumbent=incumbent,
    )
    return field(default=default, repr=not secret, metadata={"declared": declared})


def declarations(section: str, group: type[Any]) -> Iterator[Declared]:
    """The settings of one group, in the order they are written down."""
    for item in fields(group):
        declared = item.metadata.get("declared")
        if declared is None or item.default is MISSING:
            continue
        yield _placed(declared, section, item.name)


def _placed(declared: Declared, section: str, name: str) -> Declared:
    values = {item.name: getattr(declared, item.name) for item in fields(declared)}
    values.update(section=section, name=name, env=declared.env or (f"AZMLINFSRV_{name.upper()}",))
    if declared.flag == _OWN_NAME:
        values.update(flag=name)
    return Declared(**values)
