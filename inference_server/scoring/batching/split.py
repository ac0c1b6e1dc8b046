"""One result of run() for many requests, cut into one result each.

Whatever has as many items as the call had rows is cut by rows. In a dict the values that are no rows (a model's
name, its classes) are everyone's. A result that already is JSON text is cut as text, so that each part reads
exactly as run() would have written it. Everything else cannot be cut.
"""

from __future__ import annotations

import contextlib
import json
import sys
from itertools import accumulate
from typing import Any, Dict, Hashable, List, NoReturn, Sequence, Tuple

from inference_server.scoring.batching import json_text
from inference_server.scoring.batching.payload import NotSplittable
from inference_server.scoring.encode import to_json

Path = Tuple[str, ...]
Bounds = List[Tuple[int, int]]  # of each request's rows: the first, and the one after the last
_TextCut = Tuple[int, int, List[str]]  # from where to where in a text, and what each request has there

MAX_DEPTH = 8  # of dicts in dicts
SHARED_TEXTS = 1000  # are remembered
LEARN_TEXTS = 50  # JSON texts of single requests that are decoded to learn from them


class Splitter:
    """Cuts the results of one script.

    Which values of a dict hold one item per row is learned and kept: a list that has the length of the rows by
    chance would else be cut for some and given whole to others. What is given whole to everyone must stay the
    same from call to call, as far as the inputs beside the rows are the same: a word about one request's row
    must not reach the others.
    """

    def __init__(self) -> None:
        self._by_rows: Dict[Path, int] = {}  # -1: cut by rows; else the length it has whatever the rows are
        self._shared: Dict[Hashable, str] = {}  # by the requests' key: all that is not cut, as JSON
        self._texts = LEARN_TEXTS

    def split(self, result: Any, rows: Sequence[int], key: Hashable = "") -> List[Any]:
        """One result per request, of which each had rows[i] rows; `key` is what the requests have in common. A
        single request gets `result` itself.

        Raises NotSplittable.
        """
        total = sum(rows)
        if len(rows) == 1:
            self._learn_from(result, total)
            return [result]
        ends = list(accumulate(rows))
        bounds = list(zip([0, *ends[:-1]], ends))
        if not isinstance(result, (str, dict)):
            _check_length(row_count(result), total, result)
            return _cut(result, bounds)
        before = self._by_rows.copy()
        try:
            if isinstance(result, str):
                return self._split_text(result, total, bounds, key)
            whole: Dict[str, Any] = {}
            parts = self._split_dict(result, total, bounds, (), whole)
            if parts:
                self._check_shared(_as_json(whole), key)
            return parts or _nothing_by_rows(total)
        except NotSplittable:
            self._by_rows = before  # of a result that says something else than usual nothing is learned
            raise

    def _split_dict(
        self, result: Dict[Any, Any], total: int, bounds: Bounds, path: Path, whole: Dict[str, Any]
    ) -> List[Any]:
        """One dict per request, or none where nothing in it goes by rows. Adds to `whole` what is not cut."""
        parts: List[Dict[Any, Any]] = [{} for _ in bounds]
        found = False
        for key, value in result.items():
            here = (*path, str(key))
            cuts: List[Any] = []
            if isinstance(value, dict) and len(here) < MAX_DEPTH:
                cuts = self._split_dict(value, total, bounds, here, whole)
            elif self._is_by_rows(here, row_count(value), total):
                cuts = _cut(value, bounds)
            else:
                whole[".".join(here)] = value
            found = found or bool(cuts)
            for part, cut in zip(parts, cuts or [value] * len(parts)):
                part[key] = cut
        return parts if found else []

    def _check_shared(self, text: str, key: Hashable) -> None:
        if len(self._shared) >= SHARED_TEXTS:
            self._shared.clear()
        if self._shared.setdefault(key, text) != text:
            raise NotSplittable("what run() returned beside the rows is not what it was for other requests")

    def _is_by_rows(self, path: Path, length: int, total: int) -> bool:
        """Whether the list at `path` is cut; it must be so for every call or for none. Raises NotSplittable."""
        if length < 0:
            return False
        known = self._by_rows.setdefault(path, -1 if length == total else length)
        if known == length or (known < 0 and length == total):
            return known < 0
        name = ".".join(path)
        if known < 0:
            raise NotSplittable(f"wrong length: {name!r} has {length} items for {total} rows")
        raise NotSplittable(f"{name!r} had {known} items before and has {length} now, for {total} rows")

    def _learn_from(self, result: Any, total: int) -> None:
        if isinstance(result, str) and self._texts and result[:1] == "{":
            self._texts -= 1
            with contextlib.suppress(ValueError, RecursionError):
                result = json.loads(result)
        if isinstance(result, dict):
            self._learn_constants(result, total, ())

    def _learn_constants(self, result: Dict[Any, Any], total: int, path: Path) -> None:
        """What does not have the length of a single request's rows is no list of rows."""
        for key, value in result.items():
            here = (*path, str(key))
            length = row_count(value)
            if length > 0 and length != total:  # an empty list may also be all there is beside an error
                self._by_rows.setdefault(here, length)
            elif isinstance(value, dict) and len(here) < MAX_DEPTH:
                self._learn_constants(value, total, here)

    # ------------------------------------------------------------ JSON text

    def _split_text(self, text: str, total: int, bounds: Bounds, key: Hashable) -> List[Any]:
        start = json_text.after_space(text, 0)
        cuts: List[_TextCut] = []
        try:
            if text[start] == "[":
                spans, end = json_text.elements(text, start)
                _check_length(len(spans), total, spans)
                cuts.append(_cut_text(text, start, end, spans, bounds))
            else:
                end = self._cut_object(text, start, total, bounds, (), cuts)
            if json_text.after_space(text, end) != len(text):
                raise ValueError("more follows")
        except (ValueError, IndexError, RecursionError):
            raise NotSplittable(
                "run() returned a str that is neither a JSON list nor a JSON object"
            ) from None
        if not cuts:
            _nothing_by_rows(total)
        self._check_shared(_with(text, [(start, end, [""]) for start, end, _ in cuts], 0), key)
        return [_with(text, cuts, index) for index in range(len(bounds))]

    def _cut_object(
        self, text: str, at: int, total: int, bounds: Bounds, path: Path, cuts: List[_TextCut]
    ) -> int:
        """Add to `cuts` what goes by rows in the JSON object at `at`; returns where the object ends."""
        names = set()
        at, last = json_text.opened(text, at, "{}")
        while not last:
            name, start = json_text.name_at(text, at)
            if name in names:
                raise NotSplittable(f"run() returned a JSON object that has {name!r} twice")
            names.add(name)
            here = (*path, name)
            if text[start] == "[":
                spans, end = json_text.elements(text, start)
                if self._is_by_rows(here, len(spans), total):
                    cuts.append(_cut_text(text, start, end, spans, bounds))
            elif text[start] == "{" and len(here) < MAX_DEPTH:
                end = self._cut_object(text, start, total, bounds, here, cuts)
            else:
                _, end = json_text.value_at(text, start)
            at, last = json_text.next_item(text, end, "}")
        return at


def row_count(value: Any) -> int:
    """How many items `value` has on its leading axis; -1 for what has none or cannot be cut."""
    if isinstance(value, (list, tuple)):
        return len(value)
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return len(value) if value.ndim else -1
    if pandas is not None and isinstance(
        value, (pandas.DataFrame, pandas.Series, pandas.Index, pandas.api.extensions.ExtensionArray)
    ):
        return len(value)
    return -1


def _cut(value: Any, bounds: Bounds) -> List[Any]:
    rows = getattr(value, "iloc", value)  # pandas: by position, not by label
    return [rows[start:end] for start, end in bounds]


def _cut_text(text: str, start: int, end: int, spans: Bounds, bounds: Bounds) -> _TextCut:
    """The JSON list text[start:end], whose elements are at `spans`, as one list per request."""
    before, after = text[start : spans[0][0]], text[spans[-1][1] : end]
    pieces = [before + text[spans[first][0] : spans[last - 1][1]] + after for first, last in bounds]
    return start, end, pieces


def _with(text: str, cuts: List[_TextCut], index: int) -> str:
    """`text` with the piece of one request in the place of each cut."""
    at = 0
    pieces: List[str] = []
    for start, end, replaced in cuts:
        pieces += (text[at:start], replaced[index])
        at = end
    return "".join(pieces) + text[at:]


def _check_length(length: int, total: int, result: Any) -> None:
    if length < 0:
        raise NotSplittable(f"run() returned a {type(result).__name__} for the rows of several requests")
    if length != total:
        raise NotSplittable(f"wrong length: run() returned {length} results for {total} rows")


def _as_json(value: Any) -> str:
    try:
        return to_json(value)
    except Exception as error:  # of a type of the script's
        raise NotSplittable(f"what run() returned has no JSON form: {error}") from None


def _nothing_by_rows(total: int) -> NoReturn:
    raise NotSplittable(f"run() returned a dict in which nothing has one item for each of {total} rows")
