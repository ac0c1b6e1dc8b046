"""The settings of requests that run together, and of how many are accepted at a time."""

from __future__ import annotations

from dataclasses import dataclass

from inference_server.settings import read
from inference_server.settings.declare import setting
from inference_server.settings.read import size, switch, text, whole

MIB = 1024**2


@dataclass(frozen=True)
class BatchSettings:
    """Requests that run together, where they run, and how many are accepted at a time."""

    max_batch_size: int = setting(
        1,
        whole(1),
        "Most rows in one run() call; a request that brings more runs alone. More than 1 turns batching on: run() may "
        "then be called with the rows of several requests.",
        unit="rows",
        flag=True,
    )
    max_batch_bytes: int = setting(
        64 * MIB,
        size,
        "Most bytes of bodies in one run() call; a larger one runs alone; 0: no limit.",
        unit="bytes",
        flag=True,
        default_text="64 MiB",
    )
    max_queue_delay_ms: float = setting(
        0.0,
        read.number,
        "How long a request waits for others before a batch that is not full leaves. 0: only where such a wait has "
        "made the requests just before it faster; else a free worker takes all that waits.",
        unit="milliseconds",
        flag=True,
    )
    batching: str = setting(
        "auto",
        read.one_of("auto", "run_batch", "rows", "off"),
        "How the script is batched: run_batch calls the script's run_batch(items), rows joins the rows of several "
        "requests for one run(), off calls run() for each; auto takes the first that the script allows.",
        flag=True,
    )
    batch_proof: bool = setting(
        True,
        switch,
        "Rows are joined only after the script has given the same answers both ways on real requests.",
        flag=True,
    )
    batch_reexecution: bool = setting(
        True,
        switch,
        "Requests whose common run() call raised, crashed or timed out are run once more, apart. Without it they all "
        "get the error.",
        flag=True,
    )
    devices: str = setting(
        "",
        read.devices,
        "Which CUDA devices the workers get, in turn: their numbers (`0,1`), `cuda` for all there are, one worker each "
        "unless the number of workers is given, or `cpu` for none. Empty: nothing is set.",
        flag=True,
    )
    max_concurrent_requests_per_instance: int = setting(
        0,
        whole(),
        "Requests that a worker can work on, as in Azure's deployments: with more than twice that many in flight for "
        "each worker, the next is refused with 429; 0: no limit.",
        flag=True,
    )
    max_queue_wait_ms: int = setting(
        0,
        whole(),
        "A request that would have to wait for longer is refused with 429; 0: no limit.",
        unit="milliseconds",
        flag=True,
    )
    server_timing: bool = setting(
        False,
        switch,
        "Every answer carries Server-Timing, where its time went; otherwise only the answer to a request that has "
        "such a header.",
        flag=True,
    )
    proof_dir: str = setting(
        "",
        text,
        "The folder for the requests that were answered differently alone and together.",
        flag=True,
        default_text="a folder among the system's temporary files",
        is_path=True,
    )

    @property
    def rows(self) -> int:
        """Most rows in one run() call; 1: requests are not batched."""
        return 1 if self.batching == "off" else self.max_batch_size
