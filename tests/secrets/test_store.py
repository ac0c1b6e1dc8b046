"""The local store: what is kept, who can read it, and what a damaged one says."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from inference_server.secrets import store as stores
from inference_server.secrets.private_file import locked
from inference_server.secrets.reference import Unresolved
from inference_server.secrets.store import Store

VALUE = "hunter2-hunter2 ü\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store will be."""
    return tmp_path / "data" / "secrets.json"


def opened(path: Path, passphrase: str = "") -> Store:
    return Store(path, lambda: passphrase)


def why(work: Callable[[], object]) -> str:
    with pytest.raises(Unresolved) as refused:
        work()
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_what_is_set_is_got_and_can_be_removed(path: Path) -> None:
    assert opened(path).entries() == []
    assert not opened(path).remove("a/key")
    assert str(path) + ".key" in opened(path).set("a/key", VALUE)
    assert opened(path).set("other", "1") == ""
    assert opened(path).get("a/key") == VALUE
    opened(path).set("a/key", "new value")
    assert opened(path).get("a/key") == "new value"
    assert [entry.name for entry in opened(path).entries()] == ["a/key", "other"]
    assert all(entry.set_at.endswith("+00:00") for entry in opened(path).entries())
    assert opened(path).remove("a/key")
    assert "azmlinfsrv secret set a/key" in why(lambda: opened(path).get("a/key"))
    assert opened(path).get("other") == "1"


def test_only_its_owner_reads_it_and_no_value_stands_in_it(path: Path) -> None:
    old = os.umask(0)
    try:
        opened(path).set("name", VALUE)
    finally:
        os.umask(old)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        assert b"hunter2" not in file.read_bytes()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_passphrase(path: Path) -> None:
    assert opened(path, "four words").set("name", VALUE) == "It is encrypted with the passphrase."
    assert not path.with_name("secrets.json.key").exists()
    assert opened(path, "four words").get("name") == VALUE
    assert [entry.name for entry in opened(path).entries()] == ["name"]  # names need none
    assert "was not encrypted with this passphrase" in why(lambda: opened(path, "five").get("name"))
    assert "was not encrypted with this passphrase" in why(lambda: opened(path, "five").set("more", "x"))
    assert "set AZMLINFSRV_SECRETS_PASSPHRASE" in why(lambda: opened(path).get("name"))


def test_a_key_that_is_lost_or_open_to_all(path: Path) -> None:
    opened(path).set("name", VALUE)
    key = path.with_name("secrets.json.key")
    key.chmod(0o604)
    assert f"chmod 600 {key}" in why(lambda: opened(path).get("name"))
    key.chmod(0o600)
    kept = key.read_bytes()
    key.write_bytes(b"AAAA")
    assert "holds no key" in why(lambda: opened(path).get("name"))
    key.write_bytes(b"A" * 43 + b"=")
    assert "was not encrypted with the key in" in why(lambda: opened(path).get("name"))
    key.unlink()
    assert "is missing: put it back" in why(lambda: opened(path).get("name"))
    key.write_bytes(kept)
    key.chmod(0o600)
    copy = path.read_bytes()
    path.unlink()
    opened(path).set("second", "1")  # a new store takes the key that is there: the copy stays good
    path.write_bytes(copy)
    assert opened(path).get("name") == VALUE


def test_values_cannot_change_places_nor_be_changed(path: Path) -> None:
    opened(path).set("one", "first-first")
    opened(path).set("two", "second-second")
    content = json.loads(path.read_bytes())
    kept = content["secrets"]
    content["secrets"] = {
        "one": kept["two"],
        "two": {**kept["two"], "value": "AAAA" + kept["two"]["value"][4:]},
    }
    path.write_text(json.dumps(content))
    for name in ("one", "two"):
        assert f"is damaged: set it again with azmlinfsrv secret set {name}" in why(lambda name=name: opened(path).get(name))  # type: ignore[misc]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "\0",
        '{"format": "azmlinfsrv secrets 2"}',
        '{"format": "azmlinfsrv secrets 1", "key": {}, "check": "", "secrets": []}',
        '{"format": "azmlinfsrv secrets 1", "key": {}, "check": "", "secrets": {"name": {"set": "", "value": ""}}}',
        '{"format": "azmlinfsrv secrets 1", "key": {"kind": "passphrase"}, "check": "", '
        '"secrets": {"name": {"set": "", "value": ""}}}',
    ],
)
def test_a_file_of_something_else(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    assert "is damaged: put a copy back" in why(lambda: opened(path, "words").get("name"))
    assert "is damaged" in why(lambda: opened(path, "words").set("name", "x"))
    assert path.read_text() == text


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written: Not a directory" in why(
        lambda: opened(tmp_path / "file" / "x" / "s").set("a", "x")
    )
    (tmp_path / "folder").mkdir()
    assert "cannot be read: Is a directory" in why(lambda: opened(tmp_path / "folder").get("a"))


@pytest.mark.parametrize("name", ["", "a b", "/a", "a/", "a//b", "ä", "a\n", "x" * 201])
def test_a_name_that_is_none(path: Path, name: str) -> None:
    assert "is no name of a secret: letters, digits" in why(lambda: opened(path).set(name, "x"))
    assert not path.exists()


def test_a_lock_that_another_holds(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(path).set("name", VALUE)
    monkeypatch.setattr("inference_server.secrets.private_file.WAIT_SECONDS", 0.1)
    with locked(path.with_name("secrets.json.lock")):
        assert "another command has held" in why(lambda: opened(path).set("more", "x"))
        assert opened(path).get("name") == VALUE  # who reads does not wait
    opened(path).set("more", "x")


def test_nothing_is_left_when_writing_fails(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(path).set("name", VALUE)
    before = path.read_bytes()

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("inference_server.secrets.private_file.os.replace", full)
    assert "No space left on device" in why(lambda: opened(path).set("name", "other"))
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "secrets.json",
        "secrets.json.key",
        "secrets.json.lock",
    ]


def test_the_format_is_pinned(path: Path) -> None:
    """What an earlier version wrote is read by later ones."""
    path.parent.mkdir()
    path.with_name("secrets.json.key").write_text("QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=\n")
    path.with_name("secrets.json.key").chmod(0o600)
    path.write_text(WRITTEN)
    assert opened(path).get("db/password") == "correct horse battery staple"
    assert stores.FORMAT == "azmlinfsrv secrets 1"


WRITTEN = """{
 "format": "azmlinfsrv secrets 1",
 "key": {"kind": "file"},
 "check": "rgRvgMuRtgrXU3Xx+aGGJoAe4B1pZLp3IlRD/nCOYfcJ",
 "secrets": {
  "db/password": {
   "set": "2026-11-22T20:31:56+00:00",
   "value": "pVOkjykGm6+xtd5ClXK3ymqKjBUJNBBFzjK/h9rKnoAgFtLFmsOE6TZJeBF7eT40wzVbzZKwHos="
  }
 }
}"""
