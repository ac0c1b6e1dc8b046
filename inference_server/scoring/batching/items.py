"""Scripts with a batch function: run_batch(items), or a run(items) decorated with @batched."""

from __future__ import annotations

import contextlib
import inspect
import json
from types import ModuleType
from typing import Any, Callable, Dict, List, Optional

from inference_server.scoring import coroutines, swagger
from inference_server.scoring.batching.batched import RUN_BATCH, Declared, is_marked
from inference_server.scoring.batching.payload import NotSplittable, Payload
from inference_server.scoring.batching.split import row_count
from inference_server.scoring.errors import UserScriptError
from inference_server.scoring.inputs import Arguments
from inference_server.scoring.request import Request
from inference_server.scoring.results import started

BatchFunction = Callable[[List[Any]], Any]
ToItem = Callable[[Dict[str, Any]], Any]


def batch_function(module: ModuleType) -> Optional[BatchFunction]:
    """The function of `module` that takes a list of items: run_batch, or a run marked with @batched; else None.

    Raises UserScriptError for a run() that is marked and takes a schema as well.
    """
    function = getattr(module, RUN_BATCH, None)
    if callable(function):
        return function  # type: ignore[no-any-return]
    function = getattr(module, "run", None)
    if not callable(function) or not is_marked(function):
        return None
    if swagger.is_decorated(function):
        raise UserScriptError(
            "run() cannot be decorated with both @batched and @input_schema. "
            "Keep run() for one request, and name the one that takes a list of items run_batch()."
        )
    return function  # type: ignore[no-any-return]


def one_by_one(function: BatchFunction) -> Callable[[Any], Any]:
    """run() for a script that has nothing but a batch function."""
    call, parameter = _completed(function), _first_parameter(function)

    def run(data: Any) -> Any:
        result = _checked(call(**{parameter: [data]}), 1)[0]
        if isinstance(result, BaseException):
            raise result
        return result

    return run


class Items:
    """Hands requests as a list to the batch function, whatever they hold. An item counts as one row."""

    way = RUN_BATCH
    max_batch_size = 1
    reexecute = True

    def __init__(
        self, why: str, function: BatchFunction, arguments: Arguments, to_item: ToItem, declared: Declared
    ) -> None:
        self.why = why
        self.run = _completed(function)
        self._parameter = _first_parameter(function)
        self._arguments = arguments
        self._to_item = to_item
        self._pad = declared.pad

    def payload(self, request: Request) -> Optional[Payload]:
        """None for anything but a POST. Raises BadInput as the script's own arguments do."""
        if request.method != "POST":
            return None
        given = self._arguments(request)
        return Payload(1, "", given, self._length(given) if self._pad else 0)

    def arguments(self, payloads: List[Payload]) -> Dict[str, Any]:
        """The list of items. Raises what the conversion of a schema's argument raises."""
        return {self._parameter: [self._to_item(dict(payload.value)) for payload in payloads]}

    def split(self, result: Any, payloads: List[Payload]) -> List[Any]:
        """One result per item. Raises NotSplittable for anything but a list of as many."""
        return _checked(result, len(payloads))

    def _length(self, given: Dict[str, Any]) -> int:
        """How long the rows are of the first input that is padded; 0 where that cannot be told."""
        found: Any = given
        first = next(iter(given.values()))
        if isinstance(first, (str, bytes)):  # a plain script: its one argument is the whole text
            with contextlib.suppress(ValueError, TypeError, RecursionError):
                found = json.loads(first)
        if not isinstance(found, dict):
            return 0
        rows = next((found[name] for name in self._pad if name in found), None)
        if not isinstance(rows, list):
            return 0
        return max([len(row) for row in rows if isinstance(row, list)], default=len(rows))


def _checked(result: Any, items: int) -> List[Any]:
    length = row_count(result)
    if length < 0 or hasattr(result, "columns"):  # the rows of a table are no results by themselves
        raise NotSplittable(
            f"the batch function returned a {type(result).__name__}; it must return a list of one result per item"
        )
    if length != items:
        raise NotSplittable(f"wrong length: the batch function returned {length} results for {items} items")
    return list(result)


def _first_parameter(function: BatchFunction) -> str:
    """Its name. Raises UserScriptError where a list cannot be given to it by name."""
    parameters = list(inspect.signature(function).parameters.values())
    needed = [one for one in parameters if one.default is one.empty]
    if not parameters or parameters[0].kind is not parameters[0].POSITIONAL_OR_KEYWORD or len(needed) > 1:
        raise UserScriptError("The batch function must take one argument: the list of items.")
    return parameters[0].name


def _completed(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with all it has to do counted as its own: a coroutine is awaited."""
    if not coroutines.returns_unfinished(function):
        return function

    def completed(**arguments: Any) -> Any:
        return started(function(**arguments))

    return completed
