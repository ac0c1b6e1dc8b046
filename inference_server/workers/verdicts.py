"""What a deployment's workers have found out together: whether their script may be given the rows of several requests."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

from inference_server.messages import BatchingReport
from inference_server.workers.requests import ScriptFacts

SCRIPTS = 8  # whose verdicts are kept; a deployment has one, two while its script is being replaced
WORKER_DIED = "a worker died while answers were being compared"
# Workers that were killed over a comparison, by others' hands as it seems, since the last one that brought the proof
# forward: then the script is blamed all the same.
KILLS = 2

OFF, ON, PROVING, REFUSED = "off", "on", "proving", "refused"

PROVING_LINE = (
    "Batching: proving begins with the first requests: run() is also called with the rows of several of them, and "
    "the answers are compared"
)
ON_LINE = "Batching is on: %d answers were alike alone and together, up to %d rows in a call"
KILL_LINE = (
    "A worker was killed while answers were compared; should another be, batching is refused for this script"
)
REFUSED_LINE = "Batching is refused for this script, every request gets a run() call of its own: %s%s"

logger = logging.getLogger("azmlinfsrv")


@dataclass(frozen=True)
class Verdict:
    """On one script. `rows`: most in one call that were compared; 0: no limit but max_batch_size."""

    state: str
    why: str = ""
    rows: int = 0
    agreed: int = 0
    requests: int = 0
    repro: str = ""
    same: bool = False  # while it is being proven: equal requests may share a call
    kills: int = 0  # see KILLS

    @property
    def final(self) -> bool:
        """Whether requests of this script will never share a call."""
        return self.state in (OFF, REFUSED)

    @property
    def merges(self) -> bool:
        """Whether workers take several requests at a time."""
        return self.state == ON or self.same

    def record(self) -> dict[str, Any] | None:
        """The body of a VERDICT; None while there is none."""
        if self.state == PROVING:
            return None
        state = "proven" if self.state == ON else "refused"
        return {"state": state, "why": self.why, "rows": self.rows}


class Verdicts:
    """One for each script, told apart by its digest. The log says when proving begins and how it ends."""

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self._verdicts: OrderedDict[str, Verdict] = OrderedDict()
        self._facts: ScriptFacts | None = None  # of the worker that became ready last

    def ready(self, facts: ScriptFacts) -> Verdict:
        """A worker with this script is ready; the verdict it is to know."""
        self._facts = facts
        known = self._verdicts.get(facts.digest)
        if known is None:
            known = self._verdicts[facts.digest] = _first(facts)
            if len(self._verdicts) > SCRIPTS:
                self._verdicts.popitem(last=False)
            self._say(facts, known)
        return known

    def _say(self, facts: ScriptFacts, verdict: Verdict) -> None:
        way, why = facts.batching.get("way", "single"), facts.batching.get("why", "")
        if verdict.state == OFF:
            logger.info("Batching: one run() call for each request: %s", why)
            return
        logger.info("Batching: %s, up to %d rows in a call: %s", way, self._rows(facts), why)
        if verdict.state == PROVING:
            logger.info(PROVING_LINE)

    def told(self, facts: ScriptFacts, proof: dict[str, Any]) -> Verdict | None:
        """A worker sent a PROOF; returns the verdict when it is news for the others."""
        before = self._verdicts.get(facts.digest, Verdict(PROVING))
        if before.state == REFUSED:
            return None
        state, rows = proof["state"], int(proof.get("rows", 0))
        verdict = replace(
            before,
            why=str(proof.get("why", "")),
            agreed=int(proof.get("agreed", 0)),
            requests=int(proof.get("requests", 0)),
            repro=str(proof.get("repro", "")),
            same=bool(proof.get("same")),
        )
        if state == "refused":
            verdict = replace(verdict, state=REFUSED, rows=0, same=False)
            _log_refusal(verdict)
        elif state == "agreed":
            verdict = replace(verdict, state=ON, rows=max(rows, before.rows), kills=0)
            if before.state != ON:
                logger.info(ON_LINE, verdict.agreed, verdict.rows)
        elif before.state != PROVING:
            return None  # a worker that has not heard of the verdict yet
        self._verdicts[facts.digest] = verdict
        return verdict if verdict.state != PROVING or verdict.same != before.same else None

    def checking_died(self, facts: ScriptFacts, by_others: bool) -> Verdict | None:
        """A worker died in a comparison: it is not tried again. One death that may be others' doing proves nothing,
        and none does where all is proven: from then on a comparison calls run() for one request."""
        before = self._verdicts.get(facts.digest, Verdict(PROVING))
        if by_others and before.state == ON and before.rows >= self._rows(facts):
            return None
        if by_others and before.state != REFUSED:
            before = self._verdicts[facts.digest] = replace(before, kills=before.kills + 1)
            if before.kills < KILLS:
                logger.warning(KILL_LINE)
                return None
        return self.told(facts, {"state": "refused", "why": WORKER_DIED})

    def _rows(self, facts: ScriptFacts) -> int:
        return int(facts.batching.get("rows") or self._max_rows)

    def report(self) -> BatchingReport | None:
        """Of the newest script, for the health routes; None until a worker was ready."""
        if self._facts is None:
            return None
        batching = self._facts.batching
        verdict = self._verdicts.get(self._facts.digest) or _first(self._facts)
        return BatchingReport(
            way=str(batching.get("way", "single")),
            state=verdict.state,
            reason=verdict.why or str(batching.get("why", "")),
            rows=verdict.rows or self._rows(self._facts),
            agreed=verdict.agreed,
            requests=verdict.requests,
            repro=verdict.repro,
        )


def _log_refusal(verdict: Verdict) -> None:
    kept = f"; the requests and their answers: {verdict.repro}" if verdict.repro else ""
    logger.warning(REFUSED_LINE, verdict.why, kept)


def _first(facts: ScriptFacts) -> Verdict:
    """What is known of a script before it has had a request."""
    if facts.batching.get("way", "single") == "single":
        return Verdict(OFF)
    return Verdict(PROVING if facts.batching.get("proof") else ON)
