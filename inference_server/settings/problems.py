"""What is said when settings cannot be read."""

from __future__ import annotations

from collections.abc import Sequence

from inference_server.errors import SettingsError

_BLOCK = """
===============Configuration Error=================
{name}: {message} ({source})
==================================================="""


class BadSettings(SettingsError):
    """Settings that cannot be read: `report` is what to log, a text for each, and `exit_code` what to exit with."""

    def __init__(self, report: Sequence[str], exit_code: int) -> None:
        super().__init__("\n".join(report).strip())
        self.report = tuple(report)
        self.exit_code = exit_code


def block(name: str, message: str, source: str) -> str:
    """The text for one value: which name it was given by, what is wrong with it, and where it came from."""
    return _BLOCK.format(name=name, message=message, source=source)
