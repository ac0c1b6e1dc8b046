"""Runs all simulations and writes benchmarks/SIMULATION.md: some minutes.

python -m benchmarks.simulate [--processes N] [--tables NAME,...]
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.simulate import crowd, poison, report, sweep, tables

TARGET = Path(__file__).parent.with_name("SIMULATION.md")
WORKERS = (1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--tables", default=",".join(tables.names()))
    arguments = parser.parse_args()
    names = arguments.tables.split(",")
    points, peaks = sweep.sweep(names, arguments.processes)
    with ProcessPoolExecutor(arguments.processes) as pool:
        costs = pool.map(
            poison.cost, *zip(*((name, kind) for name in names for kind in poison.RAISES), strict=True)
        )
        leavings = pool.map(crowd.leaving, names)
        cases = [(name, workers, each) for name in names for workers in WORKERS for each in crowd.DEADLINES]
        overloads = pool.map(crowd.overload, *zip(*cases, strict=True))
        text = report.page(names, points, peaks, list(costs), list(leavings), list(overloads))
    TARGET.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
