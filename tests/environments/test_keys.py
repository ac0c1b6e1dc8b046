"""Equal definitions have one key; what would be installed otherwise has another."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_server.environments.definition import read
from inference_server.environments.interpreters import choose, minor_of, running
from inference_server.environments.key import key_of
from inference_server.environments.python_versions import Wanted


def key(
    folder: Path, text: str, environ: dict[str, str] | None = None, minor: tuple[int, int] = (3, 11)
) -> str:
    path = folder / "requirements.txt"
    path.write_text(text)
    return key_of(read(str(path), {}), minor, {"PIP_CONFIG_FILE": "/dev/null", **(environ or {})})


def test_comments_order_and_spelling_do_not_count(tmp_path: Path) -> None:
    one = key(tmp_path, "numpy<2\nscikit-learn==1.2.2\n")
    assert one.startswith("py311-")
    assert key(tmp_path, "# ours\nScikit_Learn == 1.2.2  # old\n\nnumpy <2\n") == one
    (tmp_path / "base.txt").write_text("numpy<2\n")
    assert key(tmp_path, "-r base.txt\nscikit-learn==1.2.2\n") == one


@pytest.mark.parametrize(
    "other",
    [
        "numpy<2\nscikit-learn==1.2.1\n",
        "numpy<2\n",
        "--pre\nnumpy<2\nscikit-learn==1.2.2\n",
        "-c c.txt\nnumpy<2\n",
    ],
)
def test_what_is_installed_counts(tmp_path: Path, other: str) -> None:
    (tmp_path / "c.txt").write_text("scikit-learn==1.2.2\n")
    assert key(tmp_path, other) != key(tmp_path, "numpy<2\nscikit-learn==1.2.2\n")


def test_the_python_and_the_index_count_but_no_password(tmp_path: Path) -> None:
    plain = key(tmp_path, "numpy\n")
    assert key(tmp_path, "numpy\n", minor=(3, 12)) != plain
    ours = key(tmp_path, "numpy\n", {"PIP_INDEX_URL": "https://me:secret@index.invalid/simple"})
    assert ours != plain
    assert key(tmp_path, "numpy\n", {"PIP_INDEX_URL": "https://me:rotated@index.invalid/simple"}) == ours
    assert key(tmp_path, "numpy\n", {"UV_TORCH_BACKEND": "cpu"}) != plain


def test_the_contents_of_local_packages_count(tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.mkdir()
    (local / "pyproject.toml").write_text("[project]\nname = 'local'\nversion = '1'\n")
    (local / "local.py").write_text("x = 1\n")
    copied, linked = key(tmp_path, "./local\n"), key(tmp_path, "-e ./local\n")
    (local / "local.py").write_text("x = 2\n")
    assert key(tmp_path, "./local\n") != copied
    assert (
        key(tmp_path, "-e ./local\n") == linked
    )  # imported from where it is: an edit needs no other environment
    (local / "pyproject.toml").write_text(
        "[project]\nname = 'local'\nversion = '1'\ndependencies = ['six']\n"
    )
    assert key(tmp_path, "-e ./local\n") != linked


@pytest.mark.parametrize(
    ("text", "allowed", "not_allowed"),
    [
        ("", (3, 8), (3, 7)),
        ("3.9", (3, 9), (3, 10)),
        ("==3.9.*", (3, 9), (3, 8)),
        ("3.9.18", (3, 9), (3, 10)),
        (">=3.9,<3.12", (3, 11), (3, 12)),
        (">=3.9", (3, 14), (3, 8)),
        ("~=3.9", (3, 12), (3, 8)),
        ("~=3.9.2", (3, 9), (3, 10)),
        (">3.9", (3, 10), (3, 9)),
        ("<=3.11", (3, 11), (3, 12)),
        ("!=3.10.*", (3, 11), (3, 10)),
        ("<4", (3, 13), (2, 7)),
    ],
)
def test_ranges_of_pythons(text: str, allowed: tuple[int, int], not_allowed: tuple[int, int]) -> None:
    assert Wanted(text).allows(allowed)
    assert not Wanted(text).allows(not_allowed)


def test_the_python_is_the_running_one_where_that_is_allowed() -> None:
    assert choose(Wanted(""), {}) == running().minor
    assert minor_of(running().path) == running().minor
    assert minor_of("/bin/sh") is None
    with pytest.raises(ValueError, match="no range of Python versions"):
        Wanted("three")
