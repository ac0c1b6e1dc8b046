"""JSON as the contract has it: json.dumps's own spelling, plus numpy and pandas values.

Two of json's defaults matter to clients and are kept: `, ` and `: ` as separators, and everything outside
ASCII escaped. NaN and Infinity are written as such.
"""

from __future__ import annotations

import json
import json.encoder
import sys
from typing import Any, Callable, Optional


def to_json(value: Any) -> str:
    """`value` as JSON text, all of it ASCII.

    Raises TypeError, ValueError or RecursionError, as json.dumps does, for a value that has no JSON form.
    """
    if _encode is not None:
        try:
            return "".join(_encode(value, 0))
        except Exception:
            pass  # json.dumps finds the same fault again, and words it better
    return json.dumps(value, default=plain)


def plain(value: Any) -> Any:
    """A value json does not know, in terms it knows. Raises TypeError when there is no such form.

    numpy and pandas are looked up, never imported: a script cannot return their values without having
    imported them.
    """
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
        return _plain_numpy(numpy, value)
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        if isinstance(value, pandas.DataFrame):
            return value.to_dict(orient="records")
        if isinstance(value, (pandas.Series, pandas.Index, pandas.api.extensions.ExtensionArray)):
            return value.tolist()
        if value is pandas.NaT or value is pandas.NA:
            return None
        if isinstance(value, (pandas.Timestamp, pandas.Timedelta)):
            return value.isoformat()
    raise TypeError(f"a value of type {_type_name(value)} has no JSON form")


def _plain_numpy(numpy: Any, value: Any) -> Any:
    kind = value.dtype.kind
    if kind == "M":  # item() would give bare nanoseconds for some units
        return _dates(numpy.datetime_as_string(value).tolist())
    if kind in "biufOUV" and (kind != "V" or value.dtype.names):
        return value.tolist()
    raise TypeError(f"a numpy value of dtype {value.dtype} has no JSON form")


def _dates(texts: Any) -> Any:
    if isinstance(texts, list):
        return [_dates(text) for text in texts]
    return None if texts == "NaT" else texts


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _make_encoder() -> Optional[Callable[[Any, int], Any]]:
    """The C encoder json.dumps builds anew for every call, built once: it halves the cost of a small answer.

    None where this Python has no such encoder, or another signature for it. It runs without the table that
    finds circular references: those end as a RecursionError and are named by json.dumps.
    """
    make = getattr(json.encoder, "c_make_encoder", None)
    escape = getattr(json.encoder, "encode_basestring_ascii", None)
    if make is None or escape is None:
        return None
    try:
        encoder: Callable[[Any, int], Any] = make(None, plain, escape, None, ": ", ", ", False, False, True)
        return encoder if "".join(encoder({"a": [1, None]}, 0)) == '{"a": [1, null]}' else None
    except TypeError:
        return None


_encode = _make_encoder()
