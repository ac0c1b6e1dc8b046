"""Whether two answers say the same to their caller: that of a request alone, and that from a merged call.

Everything must be equal but floats. A merged call adds its products in another order, so floats may differ by
what the arithmetic of their type leaves open, and no more. The type is seen from the values: a number that came
from a narrower type needs fewer bits than it has digits. Numbers short enough to be written by hand (2.5, 100.0)
tell nothing of their type and must agree as 64 bits do, unless they have so many decimals that the script must
have rounded them.
"""

from __future__ import annotations

import json
import math
import struct
from decimal import Decimal
from typing import Any, List, NamedTuple

from inference_server.scoring.answer import Answer

SHORT_DIGITS = 7  # significant; a number with no more is taken as it is written
ROUNDED_DECIMALS = 3  # a short number with as many decimals was rounded by the script
SHOWN = 80  # characters of a value in a message


class Tolerance(NamedTuple):
    relative: float
    absolute: float
    most: float = (
        math.inf
    )  # of the relative part, for numbers so large that it would hide what is no rounding


FLOAT64 = Tolerance(1e-9, 1e-10, 1e-5)
ULPS64 = 2e-14  # relative; about a hundred units in the last place
FLOAT32 = Tolerance(1e-5, 1e-5)
FLOAT16 = Tolerance(1e-2, 1e-3)
BFLOAT16 = Tolerance(3e-2, 3e-3)


def difference(single: Answer, merged: Answer) -> str:
    """What the caller would see differ, in one line, with the value of `single` first; "" when nothing."""
    for name in ("status", "content_type", "failed", "headers"):
        ours, theirs = getattr(single, name), getattr(merged, name)
        if ours != theirs:
            return f"{name}: {_shown(ours)} alone, {_shown(theirs)} in a batch"
    ours, theirs = single.body, merged.body
    if not isinstance(ours, bytes) or not isinstance(theirs, bytes):
        return "a streamed answer cannot be compared"
    if ours == theirs:
        return ""
    try:
        values = json.loads(ours), json.loads(theirs)
    except (ValueError, RecursionError):
        return f"body: {_shown(ours)} alone, {_shown(theirs)} in a batch"
    try:
        return _differs(values[0], values[1], [])
    except RecursionError:
        return "body: nested too deeply to be compared"


def _differs(single: Any, merged: Any, path: List[str]) -> str:
    kind = type(single)
    if kind is not type(merged):
        return _says(single, merged, path)
    if kind is float:
        return "" if _close(single, merged) else _says(single, merged, path)
    if kind is dict:
        return _dicts_differ(single, merged, path)
    if kind is list:
        return _lists_differ(single, merged, path)
    if single == merged:
        return ""
    if kind is str:
        return _texts_differ(single, merged, path)
    return _says(single, merged, path)


def _dicts_differ(single: Any, merged: Any, path: List[str]) -> str:
    if single.keys() != merged.keys():
        return _says(list(single), list(merged), [*path, "keys"])
    for key, value in single.items():
        found = _differs(value, merged[key], [*path, key])
        if found:
            return found
    return ""


def _lists_differ(single: Any, merged: Any, path: List[str]) -> str:
    if len(single) != len(merged):
        return _says(len(single), len(merged), [*path, "length"])
    for index, value in enumerate(single):
        found = _differs(value, merged[index], [*path, str(index)])
        if found:
            return found
    return ""


def _texts_differ(single: str, merged: str, path: List[str]) -> str:
    """Texts that hold JSON lists or objects, as json.dumps in a script makes them, differ as their values do."""
    if single[:1] in ("{", "[") and single[:1] == merged[:1]:
        try:
            return _differs(json.loads(single), json.loads(merged), path)
        except ValueError:
            pass
    return _says(single, merged, path)


def _close(a: float, b: float) -> bool:
    """Whether two floats are one result, computed twice in the type they seem to have."""
    if a == b or (a != a and b != b):
        return True
    if not (math.isfinite(a) and math.isfinite(b)):
        return False
    tolerance, size = _tolerance(a, b), max(abs(a), abs(b))
    relative = min(tolerance.relative * size, tolerance.most + ULPS64 * size)
    return abs(a - b) <= relative + tolerance.absolute


def _tolerance(a: float, b: float) -> Tolerance:
    if a.is_integer() and b.is_integer():  # counts
        return FLOAT64
    written = [Decimal(repr(value)).normalize().as_tuple() for value in (a, b)]
    if max(len(number.digits) for number in written) <= SHORT_DIGITS:
        decimals = max(-int(number.exponent) for number in written)
        # What one computation rounds up another may round down: one in the last place, and a bit for the doubles
        return FLOAT64 if decimals < ROUNDED_DECIMALS else Tolerance(0.0, 1.001 * 10.0**-decimals)
    if not (_fits("<f", a) and _fits("<f", b)):
        return FLOAT64
    low, _, other_low, _ = struct.unpack("<HHHH", struct.pack("<ff", a, b))
    if not (low or other_low):
        return BFLOAT16
    return FLOAT16 if _fits("<e", a) and _fits("<e", b) else FLOAT32


def _fits(form: str, value: float) -> bool:
    try:
        return bool(struct.unpack(form, struct.pack(form, value))[0] == value)
    except OverflowError:
        return False


def _says(single: Any, merged: Any, path: List[str]) -> str:
    where = "".join(f"[{name}]" if name.isdigit() else f".{name}" for name in path).lstrip(".") or "body"
    return f"{where[:SHOWN]}: {_shown(single)} alone, {_shown(merged)} in a batch"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
