"""The document that is kept of a request, and reading it again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference_server import fields
from inference_server.recording.document import FORMAT, NotRecorded, Recorded, decode, read_folder
from inference_server.recording.making import Maker, Taken
from inference_server.recording.redaction import MARK, Redaction
from tests.recording.making import taken

PLACE = {"file": "/s/score.py", "line": 3, "function": "run", "source": "x = look(s)"}


def made(one: Taken, words: str = "", limit: int = 1000, script: str = "/s/score.py") -> Recorded:
    name, data = Maker(Redaction(fields.parse(words)), limit, script, "/m").made(one)
    return decode(data, name)


def test_all_that_is_needed_to_send_it_again_is_kept() -> None:
    found = made(taken(failure={"error": "KeyError: 'x'", "place": PLACE}, answer_headers=b"X-A: b\r\n"))
    assert found.file == "failed-20270115T080000.250000Z-500-7a6a1f6e-2f6f-4b8c-9a53-0f5f8a4f7c11.json"
    assert (found.kind, found.recorded) == ("failed", "2027-01-15T08:00:00.250000Z")
    assert (found.method, found.target, found.headers) == (
        "POST",
        "/score",
        (("content-type", "application/json"),),
    )
    assert (found.body.data, found.body.size, found.body.why) == (b'{"a": 1}', 8, "")
    assert (found.status, found.content_type, found.answer.data) == (
        500,
        "application/json",
        b'{"message": "no"}',
    )
    assert found.answer_headers == (("X-A", "b"),)
    assert (found.error, found.place) == ("KeyError: 'x'", PLACE)
    assert (found.milliseconds, found.phases_ms) == (12.3, {"run": 10.0})
    assert (found.script, found.model_dir) == ("/s/score.py", "/m")


def test_bodies_that_are_no_text_and_bodies_that_are_large() -> None:
    assert made(taken(b"\xff\x00\x01\x02")).body.data == b"\xff\x00\x01\x02"
    large = made(taken(b"x" * 2000)).body
    assert (large.data, large.size, large.why) == (b"x" * 1000, 2000, "these are its first 1,000 bytes")
    left = made(taken(b'{"a": "' + b"x" * 2000), words="a").body
    assert (left.data, left.size) == (b"", 2007)
    assert left.why == "it is larger than 1,000 bytes, and fields of it are to be redacted"


def test_what_is_redacted_appears_nowhere() -> None:
    one = taken(
        b'{"ssn": "123-45-6789", "a": 1}',
        answer=b'{"ssn": "123-45-6789"}',
        target=b"/score?api_key=hellohello",
        headers=((b"authorization", b"Bearer sesame"), (b"x-a", b"b")),
        answer_headers=b"Set-Cookie: sesame\r\nContent-Type: application/json\r\n",
        failure={"error": "KeyError: '123-45-6789'", "place": PLACE},
    )
    _, data = Maker(Redaction(fields.parse("ssn")), 1000, "", "").made(one)
    for secret in (b"123-45", b"sesame", b"hellohello"):
        assert secret not in data
    found = decode(data, "x")
    assert found.redacted == ("authorization", "body", "answer", "?api_key", "set-cookie")
    assert found.redact == ("ssn",)
    assert found.error == f"KeyError: '{MARK}'"
    assert json.loads(found.body.data) == {"ssn": MARK, "a": 1}


def test_the_digest_follows_the_script(tmp_path: Path) -> None:
    script = tmp_path / "score.py"
    maker = Maker(Redaction(fields.parse("")), 1000, str(script), "")
    script.write_text("one")
    first = decode(maker.made(taken())[1], "").digest
    script.write_text("two!")
    second = decode(maker.made(taken())[1], "").digest
    assert len(first) == len(second) == 64
    assert first != second
    script.unlink()
    assert decode(maker.made(taken())[1], "").digest == second


def test_an_id_that_a_caller_chose_makes_no_path() -> None:
    assert "/" not in made(taken(id="../../etc/passwd")).file
    assert made(taken(id="../../etc/passwd")).id == "../../etc/passwd"


def test_a_folder_is_read_with_what_failed_first(tmp_path: Path) -> None:
    maker = Maker(Redaction(fields.parse("")), 1000, "", "")
    for one in (taken(status=200, when=1.0), taken(when=3.0), taken(when=2.0)):
        name, data = maker.made(one)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / ".unfinished-1").write_text("{")
    damaged = tmp_path / "failed-20260131T091502.417000Z-500-9dde1c47.json"
    damaged.write_bytes(b"\xff{")
    found, unreadable = read_folder(str(tmp_path))
    assert len(unreadable) == 1  # other.json is not ours
    assert unreadable[0].startswith(f"{damaged}: ")
    assert [one.recorded[17:19] for one in found] == ["02", "03", "01"]
    assert [one.kind for one in found] == ["failed", "failed", "good"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", json.dumps({"format": FORMAT}), '{"format": "azmlinfsrv request 2"}']
)
def test_what_is_no_recorded_request_is_said(text: str) -> None:
    with pytest.raises(NotRecorded):
        decode(text.encode(), "file")
