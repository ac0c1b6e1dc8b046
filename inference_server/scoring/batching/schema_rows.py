"""Rows of scripts with @input_schema: lists joined before the decorator turns them into arrays and frames.

Each body is decoded once, with the refusals a request has without batching. Arguments that are numpy arrays or
pandas frames (as lists of rows) are joined; all others must be equal.
"""

from __future__ import annotations

import copy
import json
import sys
from itertools import chain
from typing import Any, Dict, Hashable, List, Mapping, Optional, Tuple

from inference_server.scoring.batching import shapes
from inference_server.scoring.batching.payload import Payload
from inference_server.scoring.batching.schema_types import (
    Declaration,
    is_numpy,
    is_pandas_rows,
    is_plain_numpy,
)
from inference_server.scoring.inputs import Arguments
from inference_server.scoring.request import Request

_NUMBERS = frozenset("bif")  # see shapes.Kind
_ANY_NUMBER = "number"


def row_arguments(declared: Mapping[str, Declaration]) -> List[str]:
    """The arguments that are joined."""
    return [name for name, one in declared.items() if is_numpy(one.type) or is_pandas_rows(one.type)]


class SchemaRows:
    """Merges decoded arguments. `pad` names those whose rows are filled up, and with what."""

    def __init__(
        self, arguments: Arguments, declared: Mapping[str, Declaration], pad: Mapping[str, Any]
    ) -> None:
        self._arguments = arguments  # raises BadInput
        self._rows = {name: _Column(declared[name], pad.get(name)) for name in row_arguments(declared)}

    def payload(self, request: Request) -> Optional[Payload]:
        """None for what has to be called alone: a GET, no rows, rows that differ among themselves or from the
        declared shape. Raises BadInput as without batching."""
        if request.method != "POST":
            return None
        given = self._arguments(request)
        rows = length = 0
        keys: List[Hashable] = []
        for name, column in self._rows.items():
            values = given.get(name)
            if type(values) is not list or not values or (rows and len(values) != rows):
                return None
            rows = len(values)
            try:
                key, own_length = column.key(values)
            except (shapes.Uneven, RecursionError):
                return None
            length = length or own_length
            keys.append(key)
        if len(given) > len(self._rows):
            others = {name: value for name, value in given.items() if name not in self._rows}
            try:
                keys.append((json.dumps(others), *map(type, others.values())))
            except (TypeError, ValueError, RecursionError):  # a default that is no JSON
                return None
        return Payload(rows, tuple(keys), given, length)

    def arguments(self, payloads: List[Payload]) -> Dict[str, Any]:
        """Raises what numpy raises for rows that are no numbers."""
        first = payloads[0].value
        merged = {}
        for name, value in first.items():
            column = self._rows.get(name)
            if column is None:  # the script may change what it is given, and be called again
                merged[name] = copy.deepcopy(value) if isinstance(value, (list, dict)) else value
            else:
                merged[name] = column.joined([payload.value[name] for payload in payloads])
        return merged


class _Column:
    """One argument that is joined."""

    def __init__(self, declared: Declaration, padding: Any) -> None:
        self._padding = padding
        self._copies = not declared.converts  # run() gets these very lists
        self._array_of: Any = None
        self._inner: Any = None
        if declared.converts and not declared.optional and is_plain_numpy(declared.type):
            # Given an array of the right type the decorator hands it on as it is. Made here it is the same
            # array, without a look at each row.
            self._array_of = declared.type.sample_input.dtype
            self._inner = declared.type.sample_input.shape[1:] if declared.type.enforce_shape else None

    def key(self, values: List[Any]) -> Tuple[Hashable, int]:
        """What rows must have in common to be joined, and how long they are where that may differ.

        Raises Uneven for values that have to be called alone.
        """
        lengths, leaf = shapes.of_values(values)
        if self._array_of is not None:
            if (
                not isinstance(leaf, str)
                or not set(leaf) <= _NUMBERS
                or (self._inner is not None and lengths != self._inner)
            ):
                raise shapes.Uneven  # the decorator has its say
            leaf = _ANY_NUMBER  # they all become one type anyway
        if self._padding is None:
            return (lengths, leaf), 0
        if len(lengths) != 1 or not lengths[0] or leaf not in ("i", "f", _ANY_NUMBER):
            raise shapes.Uneven
        return leaf, lengths[0]

    def joined(self, lists: List[List[Any]]) -> Any:
        """What the decorator is given for the rows of all `lists`."""
        rows = list(chain.from_iterable(lists))
        if self._padding is not None:
            longest = max(map(len, rows))
            rows = [row + [self._padding] * (longest - len(row)) for row in rows]
        if self._array_of is not None:
            return sys.modules["numpy"].array(rows, dtype=self._array_of)
        return copy.deepcopy(rows) if self._copies else rows
