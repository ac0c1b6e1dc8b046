"""How a script's requests share run() calls: settled once, when the script is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from inference_server.scoring.batching.payload import NotSplittable, Payload

if TYPE_CHECKING:
    from typing_extensions import Protocol

    from inference_server.scoring.config import ScoringConfig
    from inference_server.scoring.request import Request
    from inference_server.scoring.script import Script
else:
    Protocol = object

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
    """The way `script` is merged. Needs `script.module`, `.user_run`, `.parameters`, `.arguments`, `.run`."""
    raise NotImplementedError
