"""How a script's requests share run() calls: settled once, when the script is loaded."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Protocol, Union

from inference_server.scoring.batching.batched import Declared, declared
from inference_server.scoring.batching.items import Items, batch_function
from inference_server.scoring.batching.loading import loads
from inference_server.scoring.batching.payload import NotSplittable, Payload
from inference_server.scoring.batching.schema_rows import SchemaRows, row_arguments
from inference_server.scoring.batching.schema_types import convert, declarations
from inference_server.scoring.batching.split import Splitter
from inference_server.scoring.batching.text_rows import TextRows
from inference_server.scoring.errors import UserScriptError
from inference_server.scoring.inputs import schema_arguments, text_arguments

if TYPE_CHECKING:
    from inference_server.scoring.config import ScoringConfig
    from inference_server.scoring.request import Request
    from inference_server.scoring.script import Script

RUN_BATCH, ROWS, SINGLE = "run_batch", "rows", "single"

__all__ = ["ROWS", "RUN_BATCH", "SINGLE", "Merger", "NotSplittable", "Payload", "choose"]


class Merger(Protocol):
    """One way of merging. All methods are called from one thread at a time."""

    way: str  # RUN_BATCH, ROWS or SINGLE
    why: str  # one sentence for the log
    max_batch_size: int  # rows in one call: the setting, or less where the script asks for less
    reexecute: bool  # False: the script asks that no request is run a second time, so no bisection either
    run: Callable[..., Any]  # called with what `arguments` gives; coroutines are awaited already

    def payload(self, request: Request) -> Optional[Payload]:
        """What merging needs of `request`; None: it is called alone, as without batching.

        Raises errors.BadInput as the script's own `arguments` does.
        """

    def arguments(self, payloads: List[Payload]) -> Dict[str, Any]:
        """The keyword arguments of one call for `payloads`, which have one key. Also right for a single one.

        May raise whatever the script's conversion of an input raises: that counts as a raise of run().
        """

    def split(self, result: Any, payloads: List[Payload]) -> List[Any]:
        """One result per payload, each what run() would have returned for it alone.

        Raises NotSplittable. Where way is RUN_BATCH an item may be an exception: that request has failed
        with it.
        """


def choose(script: Script, config: ScoringConfig) -> Merger:
    """The way the requests of `script` are merged. To be called after init(), which may import flask.

    Raises UserScriptError for a batch function that cannot be called with a list, and for what the script says
    of its batching where that makes no sense.
    """
    try:
        said = declared(script.module)
    except ValueError as error:
        raise UserScriptError(f"The script cannot be batched as it asks: {error}") from error
    if said.max_batch_size == 1:
        return Single("the script asks for max_batch_size=1", script.run)
    merger = _chosen(script, config, said)
    merger.max_batch_size = min(config.max_batch_size, said.max_batch_size or config.max_batch_size)
    merger.reexecute = said.reexecute
    return merger


def _chosen(script: Script, config: ScoringConfig, said: Declared) -> Merger:
    asked = config.batching
    if asked == "off":
        return Single("batching is off", script.run)
    refused = _never_merged(script)
    if refused:
        return Single(refused, script.run)
    function = batch_function(script.module)
    if function is not None and asked != ROWS:
        return _items(function, script, config, said)
    if asked == RUN_BATCH:
        return Single("batching is set to run_batch, but the script has no run_batch()", script.run)
    if function is not None and (function is getattr(script.module, "run", function)):
        return Single("batching is set to rows, but the script has a batch function only", script.run)
    if script.mode == "schema":
        return _schema_rows(script, config, said)
    text = TextRows(script.parameters.names[0], config.max_body_bytes, said.pad)
    return Rows("run() takes JSON text, in which a list of rows can be made longer", text, script.run)


def _never_merged(script: Script) -> str:
    """Why each request of `script` must have a call of its own; "" where that is not so."""
    run = inspect.unwrap(script.user_run)
    if script.mode == "raw":
        return "run() takes the whole HTTP request"
    if script.parameters.wants_headers:
        return "run() takes request_headers, and each request has its own"
    if script.needs_headers:
        return "the script uses flask, whose context belongs to one request"
    if any(
        test(run) or test(type(run).__call__)
        for test in (inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    ):
        return "run() is a generator: it streams its answers"
    return ""


def _items(function: Callable[..., Any], script: Script, config: ScoringConfig, said: Declared) -> Items:
    parameters, limit = script.parameters, config.max_body_bytes
    name = "run" if function is getattr(script.module, "run", None) else RUN_BATCH
    if script.mode != "schema":
        only = parameters.names[0]
        why = f"{name}() takes a list of requests, each as JSON text"
        return Items(why, function, text_arguments(parameters, limit), lambda given: given[only], said)
    types = declarations(script.user_run)

    def converted(given: Dict[str, Any]) -> Any:
        for argument, one in types.items():
            if argument in given:
                given[argument] = convert(argument, copy.deepcopy(given[argument]), one)
        return given if len(parameters.names) > 1 else given[parameters.names[0]]

    arguments = schema_arguments(parameters, limit, loads())
    why = f"{name}() takes a list of requests, each as {'its arguments' if len(parameters.names) > 1 else 'its argument'}"
    return Items(why, function, arguments, converted, said)


def _schema_rows(script: Script, config: ScoringConfig, said: Declared) -> Merger:
    types = declarations(script.user_run)
    names = row_arguments(types)
    if not names:
        return Single("none of its arguments is declared as a numpy array or as pandas rows", script.run)
    arguments = schema_arguments(script.parameters, config.max_body_bytes, loads())
    rows = SchemaRows(arguments, types, said.pad)
    return Rows(
        f"the rows of {', '.join(names)} can be joined, as @input_schema declares them", rows, script.run
    )


class Single:
    """No merging at all."""

    way = SINGLE
    max_batch_size = 1
    reexecute = True

    def __init__(self, why: str, run: Callable[..., Any]) -> None:
        self.why = why
        self.run = run

    def payload(self, request: Request) -> Optional[Payload]:
        return None

    def arguments(self, payloads: List[Payload]) -> Dict[str, Any]:
        raise NotSplittable("requests of this script are never merged")

    def split(self, result: Any, payloads: List[Payload]) -> List[Any]:
        raise NotSplittable("requests of this script are never merged")


class Rows:
    """Rows are joined by `joiner`, and the result is cut by rows."""

    way = ROWS
    max_batch_size = 1
    reexecute = True

    def __init__(self, why: str, joiner: Union[TextRows, SchemaRows], run: Callable[..., Any]) -> None:
        self.why = why
        self.run = run
        self.payload = joiner.payload
        self.arguments = joiner.arguments
        self._splitter = Splitter()

    def split(self, result: Any, payloads: List[Payload]) -> List[Any]:
        return self._splitter.split(result, [payload.rows for payload in payloads], payloads[0].key)
