"""`@batched`: a function of a script that takes many requests at once.

    from inference_server import batched

    @batched(max_batch_size=16)
    def run(items):
        return model.predict([json.loads(item)["data"] for item in items]).tolist()

The same name is importable wherever the server or one of its workers runs, so that a script with it can be
tested by itself: the decorated function stays the plain function it was.

Nothing has to be imported to be batched. A function called `run_batch` is taken for one that is decorated, and
what the decorator says of padding may stand in the module:

    BATCH_PAD = {"input_ids": 0, "attention_mask": 0}
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Callable, Mapping, NamedTuple, Optional, TypeVar, Union, overload

Function = TypeVar("Function", bound=Callable[..., Any])

RUN_BATCH = "run_batch"
BATCH_PAD = "BATCH_PAD"
_MARK = "__azmlinfsrv_batched__"


class Declared(NamedTuple):
    """What a script says about being batched."""

    max_batch_size: int = 0  # rows, or items, in one call; 0: as many as the server's setting allows
    pad: Mapping[str, Any] = {}  # input -> the number its rows are filled up with
    reexecute: bool = True  # False: no request may be run a second time


@overload
def batched(function: Function) -> Function: ...
@overload
def batched(
    *, max_batch_size: int = 0, pad: Optional[Mapping[str, Any]] = None, reexecute: bool = True
) -> Callable[[Function], Function]: ...
def batched(
    function: Optional[Function] = None,
    *,
    max_batch_size: int = 0,
    pad: Optional[Mapping[str, Any]] = None,
    reexecute: bool = True,
) -> Union[Function, Callable[[Function], Function]]:
    """Mark `run` or `run_batch` as a function that takes a list of items and returns a list of as many results.

    An item is what run() takes: the body as text, or with @input_schema on a run() beside it the converted
    argument (a dict of them where there are several). A result may be an exception: then that request fails
    with it, as if run() had raised it.

    `max_batch_size`: no call has more items, even if the server allows more.
    `pad`: inputs whose items are lists of differing length, such as token ids, and the number that fills them
    up. The server then puts requests of like length into one call; filling up is the function's own business.
    `reexecute=False`: when a call raises, nobody in it is run again; all of them fail. Say so where running a
    request twice does harm.

    Raises ValueError for a size below zero or a padding that is no number.
    """
    declared = _checked(Declared(max_batch_size, dict(pad or {}), reexecute))

    def mark(marked: Function) -> Function:
        setattr(marked, _MARK, declared)
        return marked

    return mark if function is None else mark(function)


def is_marked(function: Any) -> bool:
    """Whether `function` was decorated with @batched."""
    return isinstance(getattr(function, _MARK, None), Declared)


def declared(module: ModuleType) -> Declared:
    """What `module` says about its batch function, or with BATCH_PAD about a run() whose rows are merged.

    Rows of the inputs that BATCH_PAD names may differ in length: they are filled up at their end, to the
    longest of the call. run() then must give each row the result it has without the filling, as models do that
    are told by a mask.

    Raises ValueError for a BATCH_PAD that does not map names to numbers.
    """
    found = Declared()
    for name in (RUN_BATCH, "run"):
        marked = getattr(getattr(module, name, None), _MARK, None)
        if isinstance(marked, Declared):
            found = marked
            break
    pad = getattr(module, BATCH_PAD, None)
    if pad is None:
        return found
    if not isinstance(pad, Mapping):
        raise ValueError(f"{BATCH_PAD} must be a dict of input names and numbers, not {pad!r}.")
    return _checked(found._replace(pad=dict(pad)))


def _checked(declared: Declared) -> Declared:
    if isinstance(declared.max_batch_size, bool) or not isinstance(declared.max_batch_size, int):
        raise ValueError(f"max_batch_size must be a whole number, not {declared.max_batch_size!r}.")
    if declared.max_batch_size < 0:
        raise ValueError(f"max_batch_size must not be negative: {declared.max_batch_size}.")
    for name, value in declared.pad.items():
        if not isinstance(name, str) or isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"A padding is a number under the name of an input, not {name!r}: {value!r}.")
    return declared
