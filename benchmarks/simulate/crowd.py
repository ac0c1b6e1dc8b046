"""Clients that leave, and more clients than can be served."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.simulate.arrivals import poisson
from benchmarks.simulate.engine import Plan, Simulation
from benchmarks.simulate.tables import load
from inference_server.batching.admission import Limits

MAX_ROWS = 64
COUNT = 30_000  # requests
OVER = 2.0  # times the capacity
NOISE = 0.05  # by how much batches differ from their mean time
DEADLINES = (3, 5, 10, 30)  # in full batches


@dataclass(frozen=True)
class Leaving:
    """Useful answers a second while requests come."""

    table: str
    ours: float
    keeps_working: float  # the same server, were it to run what nobody waits for
    ran_for_nobody: int  # by ours
    waiting: int  # in our queue at the end


def leaving(table_name: str) -> Leaving:
    """At OVER times the capacity half of the clients leave, after about two batches."""
    table = load(table_name)
    arrivals = poisson(OVER * table.capacity(MAX_ROWS), COUNT, 1)
    patience = 2 * table.seconds(MAX_ROWS)
    ours, other = (
        Simulation(Plan(table, MAX_ROWS, leavers=0.5, patience=patience, cancels=cancels)).run(arrivals)
        for cancels in (True, False)
    )
    return Leaving(
        table_name,
        ours.rate,
        other.rate,
        ours.ran_for_nobody,
        ours.waiting,
    )


@dataclass(frozen=True)
class Overload:
    """What comes out when OVER times the capacity comes in and every request has a deadline."""

    table: str
    workers: int
    batches: float  # the deadline, in full batches
    goodput: float  # answers in time, of the capacity
    p99: float  # of those answered, of the deadline
    late: float  # share of those let in whose answer did not come in time
    wait_error: float  # of the predicted waits, relative, at the 90th percentile


def overload(table_name: str, workers: int, batches: float) -> Overload:
    """One deadline for all."""
    table = load(table_name)
    timeout = batches * table.seconds(MAX_ROWS)
    capacity = workers * table.capacity(MAX_ROWS)
    count = workers * (
        COUNT + int(OVER * table.capacity(MAX_ROWS) * timeout)
    )  # many more than fill the queue at first
    arrivals = poisson(OVER * capacity, count, 1)
    plan = Plan(table, MAX_ROWS, workers, timeout=timeout, limits=Limits(), noise=NOISE)
    outcome = Simulation(plan).run(arrivals)
    times = sorted(outcome.latencies)
    return Overload(
        table_name,
        workers,
        batches,
        len(times) / outcome.ends / capacity,
        times[int(0.99 * len(times))] / timeout,
        outcome.late / (outcome.late + len(times)),
        outcome.wait_error,
    )
