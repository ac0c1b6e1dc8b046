"""Files, variables and connections."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_server.secrets.connections import Connections
from inference_server.secrets.reference import Unresolved
from inference_server.secrets.resolving import Found
from inference_server.secrets.sources import Files, Variables
from inference_server.secrets.store import Store


def why(read: Callable[[], object]) -> str:
    with pytest.raises(Unresolved) as refused:
        read()
    assert "hunter2" not in str(refused.value)
    return str(refused.value)


def test_a_file_is_read_without_its_last_line_break(tmp_path: Path) -> None:
    path = tmp_path / "pw"
    for written, read in (
        (b"pw", "pw"),
        (b"pw\n", "pw"),
        (b" two\nlines \r\n", " two\nlines "),
        (b"\n\n", "\n"),
    ):
        path.write_bytes(written)
        assert Files().read(str(path)) == (read, (read,))


def test_what_is_no_text_file_is_refused(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe hunter2")
    assert "No such file" in why(lambda: Files().read(str(tmp_path / "nothing")))
    assert "is no file" in why(lambda: Files().read(str(tmp_path)))
    assert "is no file" in why(lambda: Files().read(str(fifo)))
    assert "no text in UTF-8" in why(lambda: Files().read(str(binary)))


def test_another_variable_of_the_server() -> None:
    variables = Variables({"PW": "hunter2-hunter2", "REFERS": "${{secret:pw}}"})
    assert variables.read("PW").text == "hunter2-hunter2"
    assert why(lambda: variables.read("NOTHING")) == "the variable NOTHING is not set"
    assert "holds a reference itself" in why(lambda: variables.read("REFERS"))


FILE: dict[str, Any] = {
    "search": {
        "target": "https://search",
        "credentials": {"key": "hunter2-hunter2", "id": "7"},
        "metadata": {"api": "v1", "limit": 7},
    },
    "rest": {"properties": {"target": "https://rest", "credentials": {"key": "hunter2-of-rest"}}},
}


def test_connections_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "connections.json"
    path.write_text(json.dumps(FILE))
    read = Connections(Store(tmp_path / "none", lambda: ""), str(path)).read
    assert read("//connections/search/credentials/key") == Found("hunter2-hunter2", ("hunter2-hunter2",))
    assert read("//connections/search/target") == Found("https://search", ())
    assert read("//connections/search/metadata/api") == Found("v1", ())
    assert read("//connections/search/metadata/limit").text == "7"
    assert read("//connections/rest/credentials/key").text == "hunter2-of-rest"
    whole = read("//connections/search")
    assert json.loads(whole.text) == {"name": "search", "properties": FILE["search"]}
    assert whole.hidden == ("hunter2-hunter2", "7")
    missing = why(lambda: read("//connections/search/credentials/password"))
    assert missing.endswith("has no credentials/password; it has id, key")
    assert "has no metadata/x" in why(lambda: read("//connections/rest/metadata/x"))
    for form in ("//datastores/x", "//connections/", "//connections/x/y", "//connections/x/credentials/"):
        assert "write azureml://connections/NAME" in why(lambda form=form: read(form))  # type: ignore[misc]


def test_connections_of_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "secrets.json", lambda: "")
    store.set("connections/search/credentials/key", "hunter2-hunter2")
    store.set("connections/search/target", "https://search")
    read = Connections(store, "").read
    assert read("//connections/search/credentials/key") == Found("hunter2-hunter2", ("hunter2-hunter2",))
    assert read("//connections/search/target") == Found("https://search", ())
    assert json.loads(read("//connections/search").text)["properties"] == {
        "credentials": {"key": "hunter2-hunter2"},
        "target": "https://search",
    }
    assert "azmlinfsrv secret set connections/search/metadata/x" in why(
        lambda: read("//connections/search/metadata/x")
    )
    assert "no connection 'other'" in why(lambda: read("//connections/other"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("{'hunter2'", "is not JSON (line 1)"), ("[]", 'expects {"NAME":'), ('{"a": []}', "has no target")],
)
def test_a_file_of_connections_that_is_none(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "connections.json"
    path.write_text(text)
    read = Connections(Store(tmp_path / "none", lambda: ""), str(path)).read
    assert sentence in why(lambda: read("//connections/a/target"))


def test_a_file_of_connections_that_is_not_there(tmp_path: Path) -> None:
    read = Connections(Store(tmp_path / "none", lambda: ""), str(tmp_path / "nothing")).read
    assert "cannot be read: No such file" in why(lambda: read("//connections/a/target"))
