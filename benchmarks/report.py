"""Tables from a result file: all of them, or the short one of the README.

python -m benchmarks.report [RESULT.json]              print all tables
python -m benchmarks.report --results                  write benchmarks/RESULTS.md
python -m benchmarks.report --readme README.md         put the short table between the markers in a file
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks.scenarios import SCENARIOS, overload
from benchmarks.servers import SERVERS
from benchmarks.tables import Goal, goals_table, number, percent, ratio, share, table
from benchmarks.workloads import RESULTS, WORKLOADS

LATEST = RESULTS / "latest.json"
TABLES = Path(__file__).with_name("RESULTS.md")
BEGIN, END = "<!-- performance: python -m benchmarks.report --readme -->", "<!-- /performance -->"
Result = dict[str, Any]
LIMITS = {
    "one": "in one process, one by one",
    "padded": "in the largest batches, as they come, padded",
    "batch": "in batches of {}",
    "orjson": "in batches of {}, with orjson",
}


def middle(result: Result, server: str, workload: str, figure: str) -> float | None:
    """The median of one figure over the rounds; None when it was not measured."""
    values = [
        cell[figure]
        for cell in result["cells"]
        if cell["server"] == server and cell["workload"] == workload and cell.get(figure) is not None
    ]
    return statistics.median(values) if values else None


def workload_table(result: Result, workload: str) -> str:
    """One workload: every server, its peak, how often azureml's that is, its latencies, its memory."""
    base = middle(result, "azureml", workload, "rate")
    rows = []
    for name in _servers(result, workload):
        rate = middle(result, name, workload, "rate")
        figures = [
            middle(result, name, workload, key) for key in ("lone_p50_ms", "lone_p99_ms", "p50_ms", "p99_ms")
        ]
        memory = middle(result, name, workload, "memory_mib")
        shown = [*map(number, figures), number(memory)]
        rows.append([SERVERS[name].title, number(rate), ratio(rate, base), *shown])
    limit = result["limits"].get(workload)
    for key, title in LIMITS.items():
        if limit and key in limit:
            title = title.format(limit["batch_size"])
            rows.append([f"*the work alone, {title}*", number(limit[key]), ratio(limit[key], base)])
    head = ["server", "req/s", "to azureml", "lone p50 ms", "lone p99 ms", "p50 ms", "p99 ms", "MiB"]
    return table(head, rows)


def tails_table(result: Result) -> str:
    """Tiny JSON at constant rates, latency from the moment a request was due."""
    rates = [f"{rate:g}" for rate in result["plan"]["rates"]]
    rows = []
    for name in _servers(result, "tiny"):
        row = [SERVERS[name].title]
        for rate in rates:
            found = [
                cell["tails"][rate]
                for cell in result["cells"]
                if cell["server"] == name
                and rate in cell.get("tails", {})
                and "p50_ms" in cell["tails"][rate]
            ]
            for key in ("p50_ms", "p99_ms", "p999_ms"):
                row.append(number(statistics.median(tail[key] for tail in found)) if found else "–")
        rows.append(row)
    head = ["server", *(f"{rate}/s {share}" for rate in rates for share in ("p50 ms", "p99 ms", "p99.9 ms"))]
    return table(head, rows)


def life_table(result: Result) -> str:
    """Start, idleness and memory with the tiny script."""
    rows = []
    for name in _servers(result, "tiny"):
        share = middle(result, name, "tiny", "idle_cpu")
        rows.append(
            [
                SERVERS[name].title,
                number(middle(result, name, "tiny", "start_s"), " s"),
                "–" if share is None else f"{share:.1%}",
                number(middle(result, name, "tiny", "memory_mib"), " MiB"),
            ]
        )
    return table(["server", "start to first 200", "idle processor", "memory after load"], rows)


def health_table(result: Result) -> str:
    """Liveness while a C call holds the interpreter lock of the scoring process."""
    rows = [
        [
            SERVERS[record["server"]].title,
            f"`{record['route']}`",
            f"{record['answered']:,} of {record['probes']:,}",
            *(number(record[key]) for key in ("p50_ms", "p999_ms", "max_ms")),
        ]
        for record in result["health"]
    ]
    return table(["server", "route", "answered", "p50 ms", "p99.9 ms", "worst ms"], rows)


def goals(result: Result) -> list[Goal]:
    """What this project promises itself, and what was measured."""

    def rate(server: str, workload: str = "tiny") -> float | None:
        return middle(result, server, workload, "rate")

    def over(other: str, workload: str = "tiny", ours: str = "ours") -> float | None:
        return share(rate(ours, workload), rate(other, workload))

    lone, bare = (middle(result, name, "tiny", "lone_p50_ms") for name in ("ours", "bare"))
    live = next((record["p999_ms"] for record in result["health"] if record["server"] == "ours"), None)
    found = [
        Goal("tiny JSON, over azureml-inference-server-http with 1 worker", over("azureml"), 25, unit=" ×"),
        Goal("tiny JSON, over mosec", over("mosec"), 1.3, unit=" ×"),
        Goal("tiny JSON, share of the bare protocol", over("bare"), 0.75),
        Goal(
            "lone request, ms added to the bare protocol",
            lone - bare if lone and bare else None,
            0.3,
            False,
            " ms",
        ),
        Goal("600 KB body, over mosec", over("mosec", "body"), 1, unit=" ×"),
        Goal("start to the first 200", middle(result, "ours", "tiny", "start_s"), 1, False, " s"),
        Goal("/livez p99.9 while the interpreter lock is held", live, 5, False, " ms"),
        *batching_goals(result),
    ]
    for name, record in result.get("scenarios", {}).items():
        found += SCENARIOS[name].goals(record)
    return found


def batching_goals(result: Result) -> list[Goal]:
    """What batching promises where it is only a matter of requests a second."""

    def rate(server: str, workload: str) -> float | None:
        return middle(result, server, workload, "rate")

    def best(names: tuple[str, ...], workload: str) -> float | None:
        return max((found for name in names if (found := rate(name, workload))), default=None)

    def limit(workload: str) -> float | None:
        found: float | None = (result["limits"].get(workload) or {}).get("batch")
        return found

    mlp = rate("ours-batching", "mlp")
    peer = best(("mosec", "mosec-orjson", "litserve", "bentoml"), "mlp")
    mixed = rate("ours-batching", "lengths")
    return [
        Goal("MLP, batching, over the best peer", share(mlp, peer), 2, unit=" ×"),
        Goal("MLP, batching, over azureml", share(mlp, rate("azureml", "mlp")), 12, unit=" ×"),
        Goal("MLP, batching, share of the work alone in its best batches", share(mlp, limit("mlp")), 0.7),
        Goal(
            "sentence encoder, share of the work alone in its best batches",
            share(rate("ours-batching", "encoder"), limit("encoder")),
            0.95,
        ),
        Goal(
            "sentence encoder, texts of many lengths, over padding to the longest",
            share(mixed, best(("ours-naive", "mosec"), "lengths")),
            1.5,
            unit=" ×",
        ),
    ]


def conditions(result: Result) -> str:
    """Where and how, in a few lines."""
    machine, plan = result["machine"], result["plan"]
    return (
        f"{machine['when']}, {machine['cores']} cores ({machine['cpu']}), {machine['system']}, Python "
        f"{machine['python']}. Medians of {plan['rounds']} round(s) of {plan['seconds']:g} s; servers in turn, each alone with the "
        "load on the same cores; 64 connections for the peak; every server's log goes to a file, access lines as each "
        "writes them by default; numpy has one thread."
    )


def everything(result: Result) -> str:
    """All tables, as one Markdown page."""
    parts = ["# Measured", conditions(result), "## Goals", goals_table(goals(result))]
    for name in result["plan"]["workloads"]:
        parts += [f"## {_heading(name)}", workload_table(result, name)]
    if "tiny" in result["plan"]["workloads"]:
        parts += ["## Life, tiny JSON", life_table(result)]
        if result["plan"]["rates"]:
            parts += ["## Constant rate, tiny JSON", tails_table(result)]
    if result["health"]:
        held = result["health"][0]["held_s"]
        parts += [
            f"## Liveness while `run()` holds the interpreter lock for {held:g} s",
            health_table(result),
        ]
    for name, record in result.get("scenarios", {}).items():
        parts += [f"## {SCENARIOS[name].TITLE}", first_words(name), SCENARIOS[name].report(record)]
    failed = [cell for cell in result["cells"] if "failed" in cell or cell.get("errors")]
    if failed:
        lines = [
            f"- {cell['server']}, {cell['workload']}, round {cell['round']}: "
            + cell.get("failed", f"{cell.get('errors')} requests were not answered with 200")
            for cell in failed
        ]
        parts += ["## What went wrong", "\n".join(lines)]
    versions = "\n".join(f"- {name}: {text}" for name, text in result["versions"].items())
    commands = "\n".join(f"{command}" for command in result["commands"].values())
    took = ", ".join(f"{name} {spent:.0f} s" for name, spent in result.get("took_s", {}).items())
    parts += ["## Versions and commands", versions, f"```\n{commands}\n```"]
    parts += [f"It took: {took}."] if took else []
    return "\n\n".join(parts) + "\n"


def performance_table(result: Result) -> str:
    """The README's table: tiny JSON, one row a server, ratios first."""
    base = middle(result, "azureml", "tiny", "rate")
    rows = []
    for name in _servers(result, "tiny"):
        rate = middle(result, name, "tiny", "rate")
        rows.append(
            [
                f"**{SERVERS[name].title}**" if name == "ours" else SERVERS[name].title,
                ratio(rate, base),
                number(rate),
                number(middle(result, name, "tiny", "lone_p50_ms"), " ms"),
                number(middle(result, name, "body", "rate")),
                number(middle(result, name, "tiny", "start_s"), " s"),
            ]
        )
    head = ["server", "to azureml", "tiny JSON, req/s", "lone request", "600 KB body, req/s", "start"]
    parts = [table(head, rows), batching_table(result), conditions(result)]
    return "\n\n".join(part for part in parts if part)


def batching_table(result: Result) -> str:
    """The README's second table: what batching brings, one row a server; empty where it was not measured."""
    if middle(result, "ours-batching", "mlp", "rate") is None:
        return ""

    def told(scenario: str, server: str) -> dict[str, Any]:
        rows = result.get("scenarios", {}).get(scenario, {}).get("rows", ())
        return next((row for row in rows if row["server"] == server), {})

    rows = []
    base = middle(result, "azureml", "mlp", "rate")
    for name in ("ours-batching", "ours", "mosec-orjson", "mosec", "litserve", "bentoml", "azureml"):
        rates = [middle(result, name, workload, "rate") for workload in ("mlp", "encoder", "lengths")]
        poisoned, left = told("poison", name), told("leavers", name)
        rows.append(
            [
                f"**{SERVERS[name].title}**" if name == "ours-batching" else SERVERS[name].title,
                ratio(rates[0], base),
                *map(number, rates),
                percent(share(poisoned.get("good_failed"), poisoned.get("good"))),
                percent(share(left.get("left"), left.get("capacity"))),
                percent(overload.in_time(told("overload", name))),
            ]
        )
    head = [
        *("server", "MLP, to azureml", "MLP, req/s", "encoder, req/s", "texts of many lengths, req/s"),
        *(
            "good requests failed by 1 % poison",
            "useful when half the clients leave",
            "in time at twice the load",
        ),
    ]
    return table(head, rows)


def first_words(name: str) -> str:
    """What a scenario does, from its module's own description."""
    text = SCENARIOS[name].__doc__ or ""
    return " ".join(text.split("\n\n", 1)[1].split()) if "\n\n" in text else text


def _heading(workload: str) -> str:
    title = WORKLOADS[workload].title
    return f"{title[0].upper()}{title[1:]}"


def _servers(result: Result, workload: str) -> list[str]:
    order = [name for name in SERVERS if name in result["plan"]["servers"]]
    return [name for name in order if workload in SERVERS[name].workloads]


def into_readme(text: str, generated: str) -> str:
    """A page with its performance table replaced. Raises SystemExit when the markers are not there."""
    before, found, rest = text.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise SystemExit(f"the markers are missing: put {BEGIN} and {END} where the table belongs")
    return f"{before}{BEGIN}\n\n{generated}\n\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report", description="Tables from a result file."
    )
    parser.add_argument("result", nargs="?", type=Path, default=LATEST, help=f"default: {LATEST.name}")
    parser.add_argument("--results", action="store_true", help=f"write {TABLES.name}")
    parser.add_argument(
        "--readme", type=Path, metavar="FILE", help="put the short table between the markers in FILE"
    )
    arguments = parser.parse_args()
    if not arguments.result.exists():
        raise SystemExit(f"{arguments.result} is not there: run `make bench` first")
    result = json.loads(arguments.result.read_text())
    if arguments.readme:
        page = into_readme(arguments.readme.read_text(), performance_table(result))
        arguments.readme.write_text(page)
    if arguments.results:
        TABLES.write_text(everything(result))
    if not (arguments.readme or arguments.results):
        print(everything(result))


if __name__ == "__main__":
    main()
