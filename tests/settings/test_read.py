"""Text to values."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from inference_server.settings import read


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1048576", 1048576),
        ("512M", 512 << 20),
        ("512MB", 512 << 20),
        ("2GiB", 2 << 30),
        ("1.5k", 1536),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert read.size(text) == size


@pytest.mark.parametrize("text", ["", "M", "1X", "-1", "1 2", "1e3"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="expects a size"):
        read.size(text)


def test_switches() -> None:
    assert all(read.switch(word) for word in ["true", "True", "1", "yes", "on", "T", "y"])
    assert not any(read.switch(word) for word in ["false", "0", "NO", "off", "f", "n"])
    assert [read.exactly_true(word) for word in ["true", "True", "1"]] == [True, False, False]
    assert [read.only_true(word) for word in ["true", "True", "1"]] == [True, True, False]


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "x", ""])
def test_no_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="expects a number"):
        read.number(text)


def test_an_interpreter_by_path_by_folder_and_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = tmp_path / "bin" / "python"
    interpreter.parent.mkdir()
    interpreter.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(interpreter.parent))
    for given in [str(interpreter), str(tmp_path), "python"]:
        assert read.python(given) == str(interpreter)  # the link itself: a virtual environment is known by it


def test_what_is_no_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "notpython"
    script.write_text("#!/bin/sh\necho this is no python >&2\nexit 9\n")
    with pytest.raises(ValueError, match=r"does not run as one \(.*denied"):
        read.python(str(script))
    script.chmod(0o755)
    with pytest.raises(ValueError, match=r"does not run as one \(this is no python\)"):
        read.python(str(script))
    script.write_text(
        "#!/bin/sh\nprintf 'shim: not found\\n\\nNote: it exists in\\n      3.8\\n' >&2\nexit 127\n"
    )
    with pytest.raises(ValueError, match=r"does not run as one \(shim: not found\)"):
        read.python(str(script))
    script.write_text("#!/bin/sh\necho 3 7\n")
    with pytest.raises(ValueError, match=r"needs Python 3\.8 or newer; .* is 3\.7"):
        read.python(str(script))
    with pytest.raises(ValueError, match="finds no interpreter in the folder"):
        read.python(str(tmp_path))
    with pytest.raises(ValueError, match="does not exist"):
        read.python("no-such-python")
