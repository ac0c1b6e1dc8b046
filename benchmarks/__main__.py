"""`make bench`: measure, print the tables, keep the figures in benchmarks/results."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks import measure, report
from benchmarks.environments import python_of
from benchmarks.scenarios import SCENARIOS
from benchmarks.servers import SERVERS
from benchmarks.workloads import WORKLOADS

SECTIONS = ("servers", "health", *SCENARIOS)


def _names(known: Iterable[str]) -> Callable[[str], list[str]]:
    known = list(known)

    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(known)}")
        return names

    return parse


def updated(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The old record with what was measured anew in its place. Raises SystemExit when it is of another machine."""
    for what in ("cpu", "cores", "system", "python"):
        if old["machine"][what] != new["machine"][what]:
            raise SystemExit(f"the old figures are of another {what}: leave out --update to begin a new file")
    again = {(cell["server"], cell["workload"]) for cell in new["cells"]}
    kept = [cell for cell in old["cells"] if (cell["server"], cell["workload"]) not in again]
    plan = new["plan"] if new["cells"] else old["plan"]
    for what, known in (("servers", SERVERS), ("workloads", WORKLOADS)):
        either = {*old["plan"][what], *(new["plan"][what] if new["cells"] else ())}
        plan = {**plan, what: [name for name in known if name in either]}
    merged = {**new, "cells": [*kept, *new["cells"]], "plan": plan, "health": new["health"] or old["health"]}
    for what in ("versions", "commands", "limits", "scenarios", "took_s"):
        merged[what] = {**old.get(what, {}), **new[what]}
    return merged


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure azmlinfsrv, its peers and the limits of this machine.",
    )
    parser.add_argument("--sections", type=_names(SECTIONS), default=list(SECTIONS), metavar="A,B")
    parser.add_argument("--servers", type=_names(SERVERS), default=list(SERVERS), metavar="A,B")
    parser.add_argument("--workloads", type=_names(WORKLOADS), default=list(WORKLOADS), metavar="A,B")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each single measurement")
    parser.add_argument("--hold", type=float, default=60.0, metavar="SECONDS", help="of the health section")
    parser.add_argument("--out", type=Path, default=report.LATEST, help="the figures, as JSON (%(default)s)")
    parser.add_argument(
        "--update", action="store_true", help="keep what that file holds of what is not measured now"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one short round, no health, no constant rates, no scenarios"
    )
    arguments = parser.parse_args()
    measured = (arguments.servers, arguments.workloads)
    if arguments.quick:
        plan = measure.Plan(*measured, ["servers"], 1, 2.0, rates=(), idle_seconds=2.0)
    else:
        plan = measure.Plan(
            *measured, arguments.sections, arguments.rounds, arguments.seconds, hold_seconds=arguments.hold
        )
    for name in {SERVERS[server].environment for server in plan.servers}:
        python_of(name)

    result = measure.everything(plan)
    if arguments.update and arguments.out.exists():
        result = updated(json.loads(arguments.out.read_text()), result)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1))
    print(f"\n{report.everything(result)}")


if __name__ == "__main__":
    main()
