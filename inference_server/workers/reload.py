"""Reloading: new workers that have loaded the script afresh take the place of the old ones, and no request is lost.

A new worker loads beside the old one and takes over between two calls; the old one finishes what it has and leaves.
One that cannot start changes nothing. Where memory does not allow two, the old one leaves first and requests wait.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING

from inference_server.errors import StartError
from inference_server.messages import ReloadReport
from inference_server.workers.memory import free_bytes, resident_bytes
from inference_server.workers.slot import Slot

if TYPE_CHECKING:
    from inference_server.workers.pool import Pool

RUNNING, DONE, FAILED = "running", "done", "failed"
MARGIN = 1.05  # of what a worker holds: a new one needs at least that
MIB = 1024 * 1024
DRAIN = "--reload_mode drain lets the old worker leave first"
MEMORY_WORDS = ("memoryerror", "out of memory", "sigkill")

logger = logging.getLogger("azmlinfsrv")


class Reload:
    """One at a time. What is asked for while one goes on makes another after it: the files may have changed again."""

    def __init__(self, pool: Pool, drain_first: bool) -> None:
        self._pool = pool
        self._drain_first = drain_first
        self._wanted = ""  # why another is to be made; empty: none
        self.running = False  # whether one goes on
        self._report: ReloadReport | None = None
        self._number = 0
        self._began = 0.0  # monotonic seconds

    def ask(self, why: str) -> bool:
        """Have all workers replaced. True: the caller is to have `run` run."""
        self._wanted = why
        if self.running:
            return False
        self.running = True
        return True

    async def run(self) -> None:
        """Until nothing is asked for any more."""
        try:
            while self._wanted:
                why, self._wanted = self._wanted, ""
                self._number += 1
                self._began = monotonic()
                self._note(RUNNING, why)
                logger.info("Reloading: %s", why)
                self._end(why, await self._replace_all())
        finally:
            self.running = False

    async def _replace_all(self) -> str:
        """Why it failed; empty: all workers are new."""
        pool = self._pool
        try:
            await _renew(pool)
        except StartError as error:
            return error.summary
        if pool.template is not None:
            pool.template.renew()
        done = 0
        for slot in pool.slots:
            if slot not in pool.slots:  # the server stops, or there are to be fewer
                continue
            if self._drain_first:
                await pool.empty(slot)
            elif refused := _no_room(slot):
                return refused
            asked = slot.ask()
            await asyncio.wait({asked})  # not awaited itself: if this is cancelled, that must not be
            if failed := asked.result():
                return f"{failed}; {done} of {pool.size} workers had been replaced before" if done else failed
            slot.renewed()
            done += 1
        return ""

    def _end(self, why: str, failed: str) -> None:
        seconds = monotonic() - self._began
        if not failed:
            self._note(DONE, why)
            logger.info("Reloaded: new workers serve after %.2f s", seconds)
            return
        lowered = failed.lower()
        if not self._drain_first and DRAIN not in failed and any(word in lowered for word in MEMORY_WORDS):
            failed += f". If there is no memory for two copies: {DRAIN}"
        self._note(FAILED, failed)
        stays = (
            "a worker with the new code is tried again" if self._drain_first else "the old code keeps serving"
        )
        logger.error("Not reloaded, %s: %s", stays, failed)

    def _note(self, state: str, reason: str) -> None:
        self._report = ReloadReport(self._number, state, reason, monotonic() - self._began)

    def report(self) -> ReloadReport | None:
        """The last one, for the health routes; None: there was none."""
        if self._report is not None and self._report.state == RUNNING:
            self._note(RUNNING, self._report.reason)
        return self._report


async def _renew(pool: Pool) -> None:
    """Have what workers need besides the script as it is now. Raises StartError."""
    secrets, environment = pool.spec.secrets, pool.spec.model_environment
    if secrets is not None:
        await secrets.renew()
    if environment is not None:
        try:
            await environment.renew()
        finally:
            pool.files.add(environment.files)


def _no_room(slot: Slot) -> str:
    """Why a second worker cannot be loaded beside the one in `slot`; empty: nothing is known against it."""
    worker = slot.worker
    return no_room(resident_bytes(worker.pid), free_bytes()) if worker is not None else ""


def no_room(needed: int, free: int | None) -> str:
    """The sentence for a worker of `needed` bytes where `free` are left; empty when they are enough or not known."""
    if free is None or needed * MARGIN <= free:
        return ""
    return f"a second copy of the model needs about {needed // MIB} MiB of memory and {free // MIB} MiB are free; {DRAIN}"
