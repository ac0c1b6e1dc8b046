"""Shares of the requests in per cent, by deployment, as people write them: `blue=90 green=10`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from inference_server.endpoint.errors import BadArgument

WHOLE = 100
_PERCENT = re.compile(r"[0-9]{1,3}", re.ASCII)


def parse_shares(option: str, text: str | Iterable[str]) -> dict[str, int]:
    """The shares in `text`: names in lower case, in their order. `option` begins each error's sentence.

    Words may come apart already, as a shell hands them over. Raises BadArgument.
    """
    words = text.split() if isinstance(text, str) else [word for part in text for word in part.split()]
    if not words:
        raise BadArgument(f'{option}: no share is given: write {option} "blue=90 green=10"')
    pairs = []
    for word in words:
        name, equals, percent = word.partition("=")
        if not equals or not name:
            raise BadArgument(
                f"{option}: {word!r} is no share: write NAME=PERCENT without spaces, as in blue=90"
            )
        if not _PERCENT.fullmatch(percent):
            raise BadArgument(f"{option}: {word}: {percent!r} is no whole number from 0 to {WHOLE}")
        pairs.append((name, int(percent)))
    return checked_shares(option, pairs)


def checked_shares(option: str, shares: Mapping[str, int] | Iterable[tuple[str, int]]) -> dict[str, int]:
    """Shares with their names in lower case. Raises BadArgument for what is no percentage, and a name given twice."""
    checked: dict[str, int] = {}
    for given, percent in shares.items() if isinstance(shares, Mapping) else shares:
        name = given.lower()
        if name in checked:
            raise BadArgument(f"{option}: {name} is given twice: case does not matter in names")
        if not isinstance(percent, int) or isinstance(percent, bool) or not 0 <= percent <= WHOLE:
            raise BadArgument(f"{option}: {name}={percent}: {percent!r} is no whole number from 0 to {WHOLE}")
        checked[name] = percent
    return checked
