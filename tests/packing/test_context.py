"""What of a code folder gets into an image."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from inference_server.environments.definition import Definition, read
from inference_server.packing.context import Context, context_of
from inference_server.packing.engines import decisive
from inference_server.packing.ignore import IgnoreFile
from inference_server.packing.recipe import Model, PackingError, Recipe, tag_from

PRIVATE = "-----BEGIN RSA PRIVATE KEY-----\nAA==\n"
PUBLIC = "-----BEGIN CERTIFICATE-----\nAA==\n"


def packed(code: Path, model: Path | None = None, definition: Definition | None = None) -> Context:
    kept = Model(model, "m", "1") if model else None
    return context_of(
        Recipe("score.py", "t", "b", code, "score.py", kept, kept.folder if kept else "", definition)
    )


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in ("score.py", *names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    return folder


def code_files(context: Context) -> set[str]:
    return {name.partition("/")[2] for name in context.files if name.startswith("code/")}


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".env.local",
        "deep/.env",
        "tls.key",
        "id_rsa",
        "cert.p12",
        ".netrc",
        "secrets.yaml",
        ".aws/credentials",
    ],
)
def test_secrets_never_get_in(tmp_path: Path, name: str) -> None:
    """Not even when the ignore file asks for them."""
    folder = fill(tmp_path / "code", name)
    (folder / ".dockerignore").write_text(f"!{name}\n")
    context = packed(folder)
    assert code_files(context) == {"score.py"}
    assert "secrets do not belong" in context.notes()[0]


def test_a_private_key_is_told_by_what_is_in_it(tmp_path: Path) -> None:
    folder = fill(tmp_path / "code", ".env.example")
    (folder / "private.pem").write_text(PRIVATE)
    (folder / "ca.pem").write_text(PUBLIC)
    context = packed(folder)
    assert code_files(context) == {"score.py", "ca.pem", ".env.example"}
    assert context.secrets == ["private.pem"]


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ("data", {"a.csv", "src/a.csv", "src/data/x", "src/b.txt"}),
        ("**/data", {"a.csv", "src/a.csv", "src/b.txt"}),
        ("*.csv", {"src/a.csv", "src/data/x", "src/b.txt", "data/x"}),
        ("**/*.csv", {"src/data/x", "src/b.txt", "data/x"}),
        ("src\n!src/b.txt", {"a.csv", "src/b.txt", "data/x"}),
        ("# src\n\n/src/", {"a.csv", "data/x"}),
        ("src/[ab].*", {"a.csv", "src/data/x", "data/x"}),
        ("?.csv", {"src/a.csv", "src/data/x", "src/b.txt", "data/x"}),
    ],
)
def test_dockerignore(tmp_path: Path, rules: str, left: set[str]) -> None:
    folder = fill(tmp_path / "code", "a.csv", "src/a.csv", "src/b.txt", "src/data/x", "data/x")
    (folder / ".dockerignore").write_text(rules + "\n")
    assert code_files(packed(folder)) == left | {"score.py"}


def test_amlignore_reads_names_as_git_does(tmp_path: Path) -> None:
    folder = fill(tmp_path / "code", "a.csv", "src/a.csv", "src/data/x", "data/x")
    (folder / ".amlignore").write_text("*.csv\n/data\n")
    assert code_files(packed(folder)) == {"score.py", "src/data/x"}
    assert IgnoreFile().ignores("a") is False


def test_a_script_that_is_ignored_is_an_error(tmp_path: Path) -> None:
    folder = fill(tmp_path / "code")
    (folder / ".dockerignore").write_text("*.py\n")
    with pytest.raises(PackingError, match=r"score\.py is left out by the folder's ignore file"):
        packed(folder)


def test_links_and_what_is_no_file(tmp_path: Path) -> None:
    """Links are followed, also out of the folder; one to a parent ends; a pipe is named and left out."""
    folder = fill(tmp_path / "code")
    shared = fill(tmp_path / "shared", "helper.py")
    (folder / "shared").symlink_to(shared)
    (folder / "again").symlink_to(folder)
    (folder / "gone").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    context = packed(folder)
    assert code_files(context) == {"score.py", "shared/score.py", "shared/helper.py"}
    assert context.skipped == ["gone", "pipe"]


def test_a_model_among_the_code_is_there_once(tmp_path: Path) -> None:
    folder = fill(tmp_path / "code", "models/net/weights.bin", "models/net/config.json")
    context = packed(folder, folder / "models" / "net")
    assert {name for name in context.files if name.startswith("azureml-models")} == {
        "azureml-models/m/1/net/weights.bin",
        "azureml-models/m/1/net/config.json",
    }
    assert context.links == {"code/models/net": "../../azureml-models/m/1/net"}
    context.write(tmp_path / "out")
    assert (tmp_path / "out" / "code" / "models" / "net" / "weights.bin").read_text() == "x"


def test_wheels_come_along(tmp_path: Path) -> None:
    folder = fill(tmp_path / "code")
    with zipfile.ZipFile(folder / "mine-1.0-py3-none-any.whl", "w"):
        pass
    (folder / "requirements.txt").write_text("./mine-1.0-py3-none-any.whl\nnumpy\n-c limits.txt\n--pre\n")
    (folder / "limits.txt").write_text("numpy<3\n")
    context = packed(folder, definition=read(str(folder / "requirements.txt"), {}))
    assert context.texts["requirements.txt"].splitlines() == [
        "--pre",
        "./wheels/mine-1.0-py3-none-any.whl",
        "numpy",
    ]
    assert context.texts["constraints.txt"] == "numpy<3\n"
    assert "wheels/mine-1.0-py3-none-any.whl" in context.files
    assert "COPY wheels/ /tmp/packages/wheels/" in context.texts["Dockerfile"]


def test_a_package_of_this_machine_is_refused(tmp_path: Path) -> None:
    folder = fill(tmp_path / "code", "package/pyproject.toml")
    (folder / "requirements.txt").write_text("-e ./package\n")
    with pytest.raises(PackingError, match="make a wheel of it"):
        packed(folder, definition=read(str(folder / "requirements.txt"), {}))


def test_a_disk_that_is_too_full(tmp_path: Path) -> None:
    folder = fill(tmp_path / "code")
    with (folder / "large.bin").open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(PackingError, match="make room"):
        packed(folder).write(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_of_images() -> None:
    assert tag_from("My_Endpoint", "blue") == "my-endpoint-blue:latest"
    assert tag_from("", "") == "model:latest"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            [
                "STEP 5/9: RUN pip",
                "ERROR: No matching distribution found for scikit-lean",
                "Error: exit status 1",
            ],
            ["ERROR: No matching distribution found for scikit-lean"],
        ),
        (
            [
                "#8 [4/7] RUN pip",
                "#8 1.203 ERROR: No matching distribution found for x",
                "------",
                " > [4/7] RUN:",
            ],
            ["ERROR: No matching distribution found for x"],
        ),
        (["one", "two"], ["one", "two"]),
    ],
)
def test_the_lines_that_decide(said: list[str], kept: list[str]) -> None:
    assert decisive(said) == kept
