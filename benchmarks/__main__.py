"""`make bench`: measure, print the tables, keep the figures in benchmarks/results."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks import measure, report
from benchmarks.environments import python_of
from benchmarks.servers import SERVERS
from benchmarks.workloads import WORKLOADS


def _names(known: dict[str, object]):  # type: ignore[no-untyped-def]
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(known)}")
        return names

    return parse


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure azmlinfsrv, its peers and the limits of this machine.",
    )
    parser.add_argument("--servers", type=_names(dict(SERVERS)), default=list(SERVERS), metavar="A,B")
    parser.add_argument("--workloads", type=_names(dict(WORKLOADS)), default=list(WORKLOADS), metavar="A,B")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each single measurement")
    parser.add_argument(
        "--hold", type=float, default=60.0, metavar="SECONDS", help="health measurement; 0: none"
    )
    parser.add_argument("--out", type=Path, default=report.LATEST, help="the figures, as JSON (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="one short round, no health, no constant rates")
    arguments = parser.parse_args()
    if arguments.quick:
        plan = measure.Plan(arguments.servers, arguments.workloads, 1, 2.0, rates=(), idle_seconds=2.0)
    else:
        plan = measure.Plan(
            arguments.servers,
            arguments.workloads,
            arguments.rounds,
            arguments.seconds,
            hold_seconds=arguments.hold,
        )
    for name in {SERVERS[server].environment for server in plan.servers}:
        python_of(name)

    result = measure.everything(plan)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1))
    print(f"\n{report.everything(result)}")


if __name__ == "__main__":
    main()
