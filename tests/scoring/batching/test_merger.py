"""Which way a script is merged, and scripts with a function for many requests."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inference_server
from inference_server import batched
from inference_server.scoring.answer import Answer
from inference_server.scoring.batching.batched import Declared, declared, is_marked
from inference_server.scoring.batching.items import batch_function, one_by_one
from inference_server.scoring.batching.merger import NotSplittable
from inference_server.scoring.errors import UserScriptError
from inference_server.scoring.request import Request
from tests.scoring.batching.merging import JSON_META, module_of, post, requests, script_of, together
from tests.scoring.batching.test_schema_rows import FOUR, decorated
from tests.tools import require_module


def plain(raw_data: Any) -> Any:
    return json.loads(raw_data)["data"]


def with_headers(raw_data: Any, request_headers: Any) -> Any:
    return plain(raw_data)


def generator(raw_data: Any) -> Any:
    yield raw_data


async def async_generator(raw_data: Any) -> Any:
    yield raw_data


def sizes(items: Any) -> Any:
    return [len(items)] * len(items)


@pytest.mark.parametrize(
    ("names", "asked", "way", "why"),
    [
        ({"run": plain}, "auto", "rows", "JSON text"),
        ({"run": plain}, "rows", "rows", "JSON text"),
        ({"run": plain}, "off", "single", "batching is off"),
        ({"run": plain}, "run_batch", "single", "no run_batch()"),
        ({"run": with_headers}, "auto", "single", "request_headers"),
        ({"run": generator}, "auto", "single", "generator"),
        ({"run": async_generator}, "auto", "single", "generator"),
        ({"run": plain, "run_batch": sizes}, "auto", "run_batch", "run_batch() takes a list"),
        ({"run": plain, "run_batch": sizes}, "rows", "rows", "JSON text"),
        ({"run": with_headers, "run_batch": sizes}, "auto", "single", "request_headers"),
        ({"run_batch": sizes}, "run_batch", "run_batch", "list"),
        ({"run_batch": sizes}, "rows", "single", "batch function only"),
        ({"run": batched(lambda items: items)}, "rows", "single", "batch function only"),
    ],
)
def test_the_way_is_chosen_and_said(names: Any, asked: str, way: str, why: str) -> None:
    _, merger = script_of(module_of(**names), batching=asked)
    assert merger.way == way
    assert why in merger.why
    assert "\n" not in merger.why
    if way == "single":
        assert merger.payload(post('{"data": [1]}')) is None
        with pytest.raises(NotSplittable):
            merger.split([1], [])
        with pytest.raises(NotSplittable):
            merger.arguments([])


def test_schemas() -> None:
    def takes(data: Any) -> Any:
        return data

    _, merger = script_of(module_of(run=decorated(takes, data=FOUR)))
    assert merger.way == "rows"
    assert "the rows of data" in merger.why
    from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType

    _, merger = script_of(module_of(run=decorated(takes, data=StandardPythonParameterType({"data": FOUR}))))
    assert merger.way == "single"
    assert "none of its arguments" in merger.why


def test_a_script_that_uses_flask_is_not_merged(tmp_path: Path) -> None:
    require_module("flask")
    (tmp_path / "helper_of_merger.py").write_text("import flask\n")
    sys.path.insert(0, str(tmp_path))
    try:
        __import__("helper_of_merger")
        _, merger = script_of(module_of(run=plain), app_root=str(tmp_path))
    finally:
        sys.path.remove(str(tmp_path))
    assert merger.way == "single"
    assert "flask" in merger.why


def test_items_are_what_run_takes() -> None:
    seen: list[Any] = []

    def run_batch(items: Any) -> Any:
        seen.extend(items)
        return items

    def run(data: Any) -> Any:
        return data

    def run_two(data: Any, k: Any = 1) -> Any:
        return data

    body = '{"data": [[1, 2]]}'
    for names, expected in (
        ({}, body),
        ({"run": run}, body),
        ({"run": decorated(run, data=FOUR)}, [[1.0, 2.0]]),
        ({"run": decorated(run_two, data=FOUR)}, {"data": [[1.0, 2.0]], "k": 1}),
    ):
        seen.clear()
        _, merger = script_of(module_of(run_batch=run_batch, **names))
        payload = merger.payload(post(body, JSON_META))
        assert payload is not None
        assert payload.rows == 1
        for _ in range(2):
            merger.split(merger.run(**merger.arguments([payload, payload])), [payload, payload])
        for item in seen:
            assert json.dumps(item, default=np.ndarray.tolist) == json.dumps(expected)
        assert len(seen) == 4
        assert merger.payload(Request("GET", b"", b"")) is None


def test_an_item_may_fail_alone() -> None:
    error = KeyError("k")
    script, merger = script_of(
        module_of(run_batch=lambda items: [error if "bad" in one else one for one in items])
    )
    payloads = [merger.payload(post(body)) for body in ("a", "bad", "c")]
    found = merger.split(merger.run(**merger.arguments(payloads)), payloads)  # type: ignore[arg-type]
    assert found == ["a", error, "c"]
    assert script.run(**script.arguments(post("a"))) == "a"
    with pytest.raises(KeyError):
        script.run(**script.arguments(post("bad")))


@pytest.mark.parametrize("result", [None, "ab", {"a": 1}, iter([1, 2]), [1], [1, 2, 3], (1,), np.zeros(3), 5])
def test_a_batch_function_returns_one_result_per_item(result: Any) -> None:
    _, merger = script_of(module_of(run_batch=lambda items: result))
    payloads = [payload for payload in (merger.payload(post("a")), merger.payload(post("b"))) if payload]
    with pytest.raises(NotSplittable, match="batch function returned"):
        merger.split(merger.run(**merger.arguments(payloads)), payloads)


def test_tables_are_no_list_of_results() -> None:
    require_module("pandas")
    import pandas

    with pytest.raises(NotSplittable, match="DataFrame"):
        one_by_one(lambda items: pandas.DataFrame({"a": [1]}))("x")


def test_coroutines_are_awaited() -> None:
    async def run_batch(items: Any) -> Any:
        await asyncio.sleep(0)
        return [item + "!" for item in items]

    script, merger = script_of(module_of(run_batch=run_batch))
    answers, shared = together(script, merger, requests(script, [b"a", b"b"]))
    assert [answer.body for answer in answers] == [b'"a!"', b'"b!"']
    assert shared == 2
    assert script.run(**script.arguments(post("c"))) == "c!"


def test_what_a_script_says_of_itself() -> None:
    @batched(max_batch_size=3, pad={"ids": 0}, reexecute=False)
    def run_batch(items: Any) -> Any:
        """Many."""
        return items

    assert run_batch(["a"]) == ["a"]
    assert run_batch.__doc__ == "Many."
    assert is_marked(run_batch)
    assert not is_marked(plain)
    module = module_of(run=plain, run_batch=run_batch)
    assert declared(module) == Declared(3, {"ids": 0}, False)
    _, merger = script_of(module)
    assert (merger.max_batch_size, merger.reexecute) == (3, False)
    _, merger = script_of(module, max_batch_size=2)
    assert merger.max_batch_size == 2
    for body, length in (
        ('{"ids": [1, 2, 3]}', 3),
        ('{"ids": [[1, 2], [1]]}', 2),
        ('{"ids": 5}', 0),
        ('{"other": []}', 0),
        ("[]", 0),
        ("no JSON", 0),
    ):
        payload = merger.payload(post(body))
        assert payload is not None
        assert payload.length == length
    _, merger = script_of(module_of(run=plain, BATCH_PAD={"data": 0}))
    assert (merger.max_batch_size, merger.reexecute) == (8, True)
    payload = merger.payload(post('{"data": [[1, 2]]}'))
    assert payload is not None
    assert payload.length == 2


def test_mistakes_are_named() -> None:
    for wrong in ({"max_batch_size": -1}, {"max_batch_size": 2.5}, {"pad": {"a": "x"}}, {"pad": {1: 2}}):
        with pytest.raises(ValueError, match=r"max_batch_size|padding"):
            batched(**wrong)  # type: ignore[call-overload]
    for wrong_pad in ({"BATCH_PAD": 5}, {"BATCH_PAD": {"a": None}}):
        with pytest.raises(UserScriptError, match="cannot be batched as it asks"):
            script_of(module_of(run=plain, **wrong_pad))
    with pytest.raises(UserScriptError, match="both @batched and @input_schema"):
        batch_function(module_of(run=batched(decorated(lambda data: data, data=FOUR))))
    for function in (lambda: None, lambda a, b: None, lambda *items: None):
        with pytest.raises(UserScriptError, match="one argument"):
            one_by_one(function)


def test_responses_of_single_requests_pass() -> None:
    _, merger = script_of(module_of(run=plain))
    payload = merger.payload(post('{"data": [1]}'))
    assert payload is not None
    response = Answer(200, "text/plain", b"x")
    assert merger.split(response, [payload]) == [response]


def test_the_name_in_front_is_importable_in_any_python() -> None:
    """As a worker loads it: from its place, in an interpreter without our folder on sys.path."""
    bootstrap = Path(inference_server.__file__).parent / "scoring" / "bootstrap.py"
    code = (
        "import runpy, sys\n"
        f"runpy.run_path({str(bootstrap)!r})['load_package']()\n"
        "from inference_server import batched\n"
        "@batched\n"
        "def run(items): return items\n"
        "assert run([1]) == [1]\n"
        "print(sorted(set(sys.modules) & {'numpy', 'pandas', 'orjson', 'starlette'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=30, cwd="/", check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
