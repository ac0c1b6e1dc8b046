"""All references of an environment at once: what fails, and what is said about it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

import pytest

from inference_server.errors import SecretsError
from inference_server.secrets.reference import Unresolved
from inference_server.secrets.resolving import VALUE_BYTES, Found, Resolved, resolve


class Table:
    """A source with a function in it, and the places it was asked for."""

    def __init__(self, answer: Callable[[str], str]) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def read(self, place: str) -> Found:
        self.asked.append(place)
        text = self.answer(place)
        return Found(text, (text,))


def problems(environment: dict[str, str], table: Table, timeout: float = 5.0) -> tuple[str, ...]:
    with pytest.raises(SecretsError) as refused:
        resolve(environment, {"secret": table}, timeout)
    assert str(refused.value) == "; ".join(refused.value.problems)
    return refused.value.problems


def test_values_stand_where_the_references_stood() -> None:
    table = Table(lambda place: f"<{place}>")
    environment = {"A": "${{secret:x}}", "B": "u:${{secret:x}}@${{secret:y}}", "C": "plain", "D": "$${{z}}"}
    resolved = resolve(environment, {"secret": table}, 5.0)
    assert resolved.values == {"A": "<x>", "B": "u:<x>@<y>", "D": "${{z}}"}
    assert set(resolved.hidden) == {"<x>", "<y>"}
    assert sorted(table.asked) == ["x", "y"]
    assert "<x>" not in repr(resolved)


def test_an_environment_without_references_asks_nobody() -> None:
    assert resolve({"A": "plain"}, {}, 5.0) == Resolved()


def test_every_problem_is_named_and_no_value() -> None:
    def answer(place: str) -> str:
        if place == "missing":
            raise Unresolved("no such secret")
        if place == "broken":
            raise ValueError("hunter2")
        return {"nul": "a\0b", "long": "x" * (VALUE_BYTES + 1)}.get(place, "hunter2")

    environment = {
        "GOOD": "${{secret:good}}",
        "MISSING": "${{secret:good}} ${{secret:missing}}",
        "BROKEN": "${{secret:broken}}",
        "NUL": "${{secret:nul}}",
        "LONG": "${{secret:long}}",
        "OPEN": "hunter2 ${{",
    }
    said = problems(environment, Table(answer))
    assert sorted(text.partition(":")[0] for text in said) == ["BROKEN", "LONG", "MISSING", "NUL", "OPEN"]
    assert "MISSING: ${{secret:missing}}: no such secret" in said
    assert "BROKEN: ${{secret:broken}}: reading it failed with ValueError" in said
    assert "hunter2" not in "".join(said)


def test_the_time_limit_holds_and_names_who_did_not_answer() -> None:
    never = threading.Event()

    def answer(place: str) -> str:
        if place.startswith("slow"):
            never.wait()
        return "value"

    environment = {f"V{number}": f"${{{{secret:slow{number}}}}}" for number in range(3)}
    began = monotonic()
    said = problems({**environment, "QUICK": "${{secret:quick}}"}, Table(answer), 0.2)
    assert monotonic() - began < 5
    assert sorted(said) == [f"V{n}: ${{{{secret:slow{n}}}}}: no answer within 0.2 s" for n in range(3)]
    never.set()


def test_many_are_read_at_the_same_time() -> None:
    together = threading.Barrier(8, timeout=10)

    def answer(place: str) -> str:
        together.wait()
        return place

    environment = {f"V{number}": f"${{{{secret:{number}}}}}" for number in range(16)}
    values = resolve(environment, {"secret": Table(answer)}, 10.0).values
    assert values == {f"V{number}": str(number) for number in range(16)}
