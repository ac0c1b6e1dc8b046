"""JSON texts joined as texts: always what the single texts decode to, and broken where one of them was."""

from __future__ import annotations

import gzip
import json
import random
import sys
from typing import Any

import pytest

from inference_server.scoring.batching.payload import Payload
from inference_server.scoring.batching.text_rows import TextRows
from inference_server.scoring.errors import BadInput
from tests.scoring.batching.merging import post


def payload(
    body: str | bytes, pad: dict[str, Any] | None = None, rows: TextRows | None = None
) -> Payload | None:
    return (rows or TextRows("data", 0, pad or {})).payload(post(body))


def merged(*bodies: str, pad: dict[str, Any] | None = None) -> Any:
    """What the one text of all bodies decodes to; they must be of one key."""
    joiner = TextRows("data", 0, pad or {})
    found = [joiner.payload(post(body)) for body in bodies]
    payloads = [one for one in found if one is not None]
    assert len(payloads) == len(bodies)
    assert len({one.key for one in payloads}) == 1
    return json.loads(joiner.arguments(payloads)["data"])


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ('{"data": [[1, 2]]}', 1),
        ('{"data":[[1,2],[3,4]]}', 2),
        (" [ [1.5, 2] , [3e5,-4] ]\n", 2),
        ('{"instances": [1, 2, 3]}', 3),
        ('{"inputs": ["a]", "[b"]}', 2),
        ('{"data": [{"a": [1], "b": null}]}', 1),
        ('{"data": [NaN, 1e400, -Infinity]}', 3),
        ('{"data": [[true, false], [true, true]]}', 2),
        ('{"data": [["\\u00e9\\ud800"]]}', 1),
        ('{"columns": ["a", "b"], "data": [[1, 2]]}', 1),
        ('{"data": [[1]], "shape": [1, 1]}', 1),
        ('{"data": [[1]], "inputs": "x"}', 1),
        ('{"input_data": {"columns": ["a"], "index": [0, 1], "data": [[1], [2]]}}', 2),
        ('{"input_data": {"columns": ["a"], "data": [[1], [2]]}}', 2),
    ],
)
def test_rows_are_counted_and_one_request_stays_as_it_was(body: str, rows: int) -> None:
    joiner = TextRows("raw_data", 0, {})
    found = joiner.payload(post(body))
    assert found is not None
    assert found.rows == rows
    assert joiner.arguments([found]) == {"raw_data": body}
    assert joiner.payload(post(body)) == found  # from what was remembered


@pytest.mark.parametrize(
    "body",
    [
        "",
        "5",
        "null",
        '"[1]"',
        "{}",
        "[]",
        "[ ]",
        '{"data": []}',
        '{"data": [ ]}',
        '{"data": 5}',
        '{"rows": [1]}',
        '{"data": [1], "inputs": [2]}',
        '{"data": [1], "data": [2]}',
        '{"data": [1], "x": [0], "x": [0]}',
        '{"data": [[1, 2], [3]]}',
        '{"data": [[1, 2], 3]}',
        '{"data": [[[1]], [2]]}',
        '{"data": [{"a": 1}, {"b": 1}]}',
        '{"data": [{"a": 1, "b": 2}, {"b": 1, "a": 2}]}',
        '{"data": [18446744073709551616]}',
        '{"data": [[1, 9999999999999999999]]}',
        '{"data": [[1]]',
        '{"data": [[1]]} x',
        '{"data": [1],}',
        '{"data": ["a",]}',
        '{"data": ["a" "b"]}',
        '\ufeff{"data": [[1]]}',
        '{"input_data": {"columns": ["a"], "index": [0], "data": [[1], [2]]}}',
        '{"input_data": {"index": {"0": 1}, "data": [[1]]}}',
        '{"input_data": {"dtypes": [1], "data": [[1]]}}',
        '{"data": ' + "[" * 40 + "1" + "]" * 40 + "}",
        "[" * 100000 + "]" * 100000,
        '{"data": [' * 3000,
    ],
)
def test_what_is_called_alone(body: str) -> None:
    assert payload(body) is None


@pytest.mark.parametrize(
    "body",
    [b'{"data": [["\xff"]]}', '{"data": [[1]]}'.encode("utf-16"), '{"data": [[1]]}'.encode("utf-32-le")],
)
def test_bytes_that_are_not_utf_8_are_called_alone(body: bytes) -> None:
    assert payload(body) is None


def test_a_get_is_never_merged() -> None:
    request = post('{"data": [[1]]}')
    request.method = "GET"
    assert TextRows("data", 0, {}).payload(request) is None


@pytest.mark.parametrize("body", [bytearray(b'{"data": [[1, 2]]}'), memoryview(b'{"data": [[1, 2]]}')])
def test_any_kind_of_bytes(body: Any) -> None:
    joiner = TextRows("data", 0, {})
    for _ in range(2):
        found = joiner.payload(post(body))
        assert found is not None
        assert joiner.arguments([found]) == {"data": '{"data": [[1, 2]]}'}


def test_a_compressed_body_is_merged_with_others() -> None:
    meta = b"\n".join([b"/score", b"HTTP/1.1", b"http", b"h:1", b"c:2", b"id", b"content-encoding: gzip"])
    joiner = TextRows("data", 100, {})
    packed = joiner.payload(post(gzip.compress(b'{"data": [[3]]}'), meta))
    plain = joiner.payload(post('{"data": [[1]]}'))
    assert packed is not None
    assert plain is not None
    assert json.loads(joiner.arguments([plain, packed])["data"]) == {"data": [[1], [3]]}
    with pytest.raises(BadInput):
        joiner.payload(post(b"no gzip", meta))
    with pytest.raises(BadInput):
        joiner.payload(post(gzip.compress(b" " * 200), meta))


def test_texts_are_joined_as_they_are_written() -> None:
    assert merged('{"data": [[1.0, 2e3]]}', '{"data":[ [3,4.50] ]}') == {"data": [[1.0, 2e3], [3, 4.5]]}
    assert merged('{"inputs": ["a\\u00e9"], "k": 1}', '{ "inputs": ["é,]"], "k": 1}') == {
        "inputs": ["aé", "é,]"],
        "k": 1,
    }
    assert merged("[1.5]", "[2.5, 3.5]") == [1.5, 2.5, 3.5]
    first, second = (
        f'{{"input_data": {{"columns": ["a", "b"], "index": [{at}], "data": [[{at}, 2]]}}}}' for at in (0, 7)
    )
    assert merged(first, second) == {
        "input_data": {"columns": ["a", "b"], "index": [0, 7], "data": [[0, 2], [7, 2]]}
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"data": [[1, 2]]}', '{"data": [[1, 2, 3]]}'),
        ('{"data": [[1, 2]]}', '{"data": [[[1, 2]]]}'),
        ('{"data": [[1, 2]]}', '{"data": [[1, 2.5]]}'),
        ('{"data": [[1, 2]]}', '{"inputs": [[1, 2]]}'),
        ('{"data": [[1, 2]]}', "[[1, 2]]"),
        ('{"data": [[1]], "k": 1}', '{"data": [[1]], "k": 2}'),
        ('{"data": [[1]], "k": 1}', '{"data": [[1]], "k": 1.0}'),
        ('{"data": [[1]], "k": 1}', '{"data": [[1]], "k": true}'),
        ('{"data": [[1]], "k": 1}', '{"data": [[1]]}'),
        ('{"data": [{"a": 1}]}', '{"data": [{"a": 1.5}]}'),
        ('{"data": [{"a": 1}]}', '{"data": [{"a": "1"}]}'),
        ('{"data": [{"a": 1}]}', '{"data": [{"a": null}]}'),
        ('{"data": [{"a": 1, "b": 2}]}', '{"data": [{"b": 1, "a": 2}]}'),
        ('{"data": [true]}', '{"data": [1]}'),
        ('{"data": [[]]}', '{"data": [[1]]}'),
    ],
)
def test_what_is_not_merged_with_each_other(one: str, other: str) -> None:
    joiner = TextRows("data", 0, {})
    first, second = joiner.payload(post(one)), joiner.payload(post(other))
    assert first is not None
    assert second is not None
    assert first.key != second.key


@pytest.mark.parametrize(
    "broken", ["[1,,2]", "[,1]", "[1,]", "[1 2]", "[01,2]", "[-,2]", "[1.,2]", "[1,2e]", "[+1,2]"]
)
def test_a_broken_text_breaks_every_text_it_is_joined_with(broken: str) -> None:
    joiner = TextRows("data", 0, {})
    good = joiner.payload(post('{"data": [[1, 2]]}'))
    found = joiner.payload(post(f'{{"data": [{broken}]}}'))
    assert good is not None
    if found is None:
        return
    for group in ([good, found], [found, good], [found, found], [good, found, good]):
        with pytest.raises(ValueError, match=r"Expecting|delimiter|value"):
            json.loads(joiner.arguments(group)["data"])


def test_padding() -> None:
    bodies = ['{"ids": [[1, 2, 3 ]], "mask": [[1,1,1]]}', '{"ids": [[4], [5]], "mask": [[1], [1]]}']
    pad = {"ids": 9, "mask": 0}
    assert merged(*bodies, pad=pad) == {
        "ids": [[1, 2, 3], [4, 9, 9], [5, 9, 9]],
        "mask": [[1, 1, 1], [1, 0, 0], [1, 0, 0]],
    }
    found = [payload(body, pad) for body in bodies]
    assert [one.length for one in found if one] == [3, 1]
    assert merged('{"data": [[1.5]]}', '{"data": [[1.5, 2]]}', pad={"data": -1.5}) == {
        "data": [[1.5, -1.5], [1.5, 2]]
    }
    for odd in ('{"ids": [[]]}', '{"ids": [1, 2]}', '{"ids": [["a"]]}', '{"ids": [[1]], "mask": [[1], [1]]}'):
        assert payload(odd, pad) is None


def test_without_orjson(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orjson", None)
    assert merged('{"inputs": ["a"]}', '{"inputs": ["b"]}') == {"inputs": ["a", "b"]}


def test_it_remembers_a_bounded_number_of_frames_and_shapes() -> None:
    joiner = TextRows("data", 0, {})
    for number in range(1000):
        numbers = ",".join(["1"] * (number + 1))
        found = joiner.payload(post(f'{{"data": [[{numbers}]], "id": {number}}}'))
        assert found is not None
        assert found.key[1] == (number + 1,)  # type: ignore[index]
    assert len(joiner._shapes) <= 256
    assert len(joiner._seen) <= 256


BASES = [
    '{"data": [[1,2],[3,4]]}',
    '{"data": [1,2,3]}',
    '{"data": [[1,2]], "k": {"a": [1]}}',
    "[[1,2]]",
    '{"inputs":["a[b]","c\\"]"]}',
    '{"data":[{"a":1,"b":[2]}]}',
    '{"input_data":{"columns":["a"],"index":[0],"data":[[1]]}}',
    '{"data":[[1]],"data":[[3]]}',
    '{"data":["x"],"columns":["y"]}',
]


def mutated(rng: random.Random, text: str) -> str:
    letters = list(text)
    for _ in range(rng.choice([0, 1, 1, 2])):
        at = rng.randrange(len(letters) + 1)
        if rng.random() < 0.5:
            letters.insert(at, rng.choice('[]{},":0123.eE-+ \\a'))
        elif letters:
            letters.pop(min(at, len(letters) - 1))
    return "".join(letters)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_sent_a_joined_text_says_what_the_single_texts_say(seed: int) -> None:
    """Texts with random faults: those of one key decode together to what they decode to one by one, and not at
    all when one of them does not."""
    rng = random.Random(seed)
    joiner = TextRows("data", 0, {})
    for _ in range(1500):
        base = rng.choice(BASES)
        groups: dict[Any, list[tuple[str, Payload]]] = {}
        for text in (mutated(rng, base) for _ in range(4)):
            found = joiner.payload(post(text))
            if found is not None:
                groups.setdefault(found.key, []).append((text, found))
        for group in groups.values():
            joined = joiner.arguments([found for _, found in group])["data"]
            singles = [decoded(text) for text, _ in group]
            if None in singles:
                assert decoded(joined) is None
            else:
                assert flat(decoded(joined)) == [row for single in singles for row in flat(single)]


def decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def flat(value: Any) -> list[str]:
    """The rows of a decoded body, each with all that is no row."""
    if isinstance(value, list):
        return [json.dumps(row) for row in value]
    inner = value if not isinstance(value.get("input_data"), dict) else value["input_data"]
    name = next(
        name for name in ("data", "inputs", "instances", "input_data") if isinstance(inner.get(name), list)
    )
    others = json.dumps({key: other for key, other in inner.items() if key not in (name, "index")})
    index = inner.get("index", [None] * len(inner[name]))
    return [json.dumps([row, label, others]) for row, label in zip(inner[name], index, strict=True)]
