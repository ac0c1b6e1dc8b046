"""The shape of rows: how many there are, and what one of them is made of.

Requests may share a call only where a row of one could stand among the rows of the other without changing
what the script makes of either: the same nested lengths, the same keys in the same order, and the same types
column by column. (An array of whole numbers and one of fractions make one array of fractions, in which the
whole numbers are no longer what they were alone.)

A *kind* is `(lengths of the nested lists, leaf)`. A leaf is a string of sorted letters, one per type found
(i int, f float, b bool, s str, n null), or a tuple of (key, kind) for objects.
"""

from __future__ import annotations

from itertools import chain
from typing import Any, Dict, Hashable, List, Optional, Set, Tuple

Kind = Tuple[Tuple[int, ...], Hashable]

MAX_DEPTH = 32  # as deep as an array may be; whatever is deeper is called alone
LONGEST_INT = 2**63 - 1

_LETTERS: Dict[type, str] = {int: "i", float: "f", bool: "b", str: "s", type(None): "n"}

# What is left of a text of numbers are its brackets and commas.
NUMBERS = b"0123456789.eE+- \t\r\n"
_DIGITS = bytes(48 if 48 <= byte <= 57 else 32 for byte in range(256))
_LONG_RUN = b"0" * 19  # digits: only from here on can a whole number pass 64 bits


_ALONE: Dict[type, Kind] = {one: ((), letter) for one, letter in _LETTERS.items()}


class Uneven(Exception):
    """These rows are not alike, or hold a number that has no common type with others."""


def has_long_digits(text: bytes) -> bool:
    """Whether a number in `text` may be too large for 64 bits."""
    return _LONG_RUN in text.translate(_DIGITS)


def of_skeleton(skeleton: bytes) -> Optional[Tuple[int, Tuple[int, ...]]]:
    """(rows, lengths of the nested lists) of an array's brackets and commas, without the outermost pair.

    None where they do not form an array. What stood between them is not known here: an empty list counts as
    one of length 1, and a missing number as a number. Brackets are always balanced in what is accepted, so a
    text that was no JSON is none when it is joined with others.
    """
    lengths: List[int] = []
    element = b""  # what is left of one element of this level; of a number, nothing
    while b"]" in skeleton:
        close = skeleton.index(b"]")
        start = skeleton.rfind(b"[", 0, close)
        inside = skeleton[start + 1 : close]
        if start < 0 or len(lengths) == MAX_DEPTH or not _is_repeated(element, inside):
            return None
        lengths.insert(0, inside.count(b",") + 1)
        element = bytes([97 + len(lengths)])
        skeleton = skeleton.replace(skeleton[start : close + 1], element)
    if not _is_repeated(element, skeleton):
        return None
    return skeleton.count(b",") + 1, tuple(lengths)


def _is_repeated(element: bytes, text: bytes) -> bool:
    return text == b",".join([element] * (text.count(b",") + 1))


def of_values(column: List[Any]) -> Kind:
    """The kind that all of `column` have, which holds values as JSON decodes to. Raises Uneven.

    The column must not be empty.
    """
    return _kind(column, 0)


def _kind(column: List[Any], depth: int) -> Kind:
    types = set(map(type, column))
    first = column[0]
    one = type(first)
    if len(types) > 1 or one is int:
        return (), _letters(types, column)
    if one is list:
        if depth > MAX_DEPTH or (len(column) > 1 and len(set(map(len, column))) > 1):
            raise Uneven
        if not first:
            return (0,), ""
        inner, leaf = _kind(first if len(column) == 1 else list(chain.from_iterable(column)), depth + 1)
        return (len(first), *inner), leaf
    if one is dict:
        keys = list(first)
        if depth > MAX_DEPTH or (len(column) > 1 and any(list(row) != keys for row in column)):
            raise Uneven
        return (), tuple([(key, _kind([row[key] for row in column], depth + 1)) for key in keys])
    return _ALONE[one]


def _letters(types: Set[type], column: List[Any]) -> str:
    if not types <= _LETTERS.keys():  # a list or an object beside something else
        raise Uneven
    if int in types:
        whole = column if len(types) == 1 else [value for value in column if type(value) is int]
        if max(whole) > LONGEST_INT or min(whole) < -LONGEST_INT:
            raise Uneven
        if float in types:  # they become one type, and are that alone as well
            types = types - {int}
    return "".join(sorted(_LETTERS[one] for one in types))
