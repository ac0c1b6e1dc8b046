"""Definition files: what they ask for, and what is said of those that cannot be used."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from inference_server.environments.definition import Definition, read
from inference_server.environments.errors import EnvironmentFailed


def definition(folder: Path, name: str, text: str, with_conda: bool = False) -> Definition:
    (folder / name).write_text(textwrap.dedent(text))
    return read(str(folder / name), {}, with_conda)


def refusal(folder: Path, name: str, text: str, with_conda: bool = False) -> str:
    with pytest.raises(EnvironmentFailed) as caught:
        definition(folder, name, text, with_conda)
    return caught.value.summary.replace(f"{folder}/", "")


# ------------------------------------------------------------ requirements.txt


def test_a_requirements_file_and_those_it_names(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "base.txt").write_text("Scikit_Learn == 1.2.2  # old\n-r requirements.txt\n")
    (tmp_path / "limits.txt").write_text("numpy<2\n")
    text = """
        # what the script needs
        -r base.txt
        -c limits.txt
        --extra-index-url https://example.invalid/simple
        -e ./lib[fast]
        pandas [parquet] >=2, <3 ; python_version < "3.13"
        flask==2.3.3 \\
            --hash=sha256:00 \\
            --hash=sha256:11
        tool @ https://example.invalid/tool.whl
        """
    found = definition(tmp_path, "requirements.txt", text)
    assert found.requirements == (
        "scikit-learn==1.2.2",
        f"-e {tmp_path}/lib[fast]",
        'pandas[parquet]>=2,<3; python_version < "3.13"',
        "flask==2.3.3 --hash=sha256:00 --hash=sha256:11",
        "tool @ https://example.invalid/tool.whl",
    )
    assert found.constraints == ("numpy<2",)
    assert found.options == (("--extra-index-url", "https://example.invalid/simple"),)
    assert [Path(file).name for file in found.files] == ["requirements.txt", "base.txt", "limits.txt"]
    assert found.local == (str(tmp_path / "lib"),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "numpy\nscipy=1.2\n",
            "requirements.txt:2: 'scipy=1.2' is no requirement; versions are pinned with ==",
        ),
        ("a b c\n", "requirements.txt:1: 'a b c' is no requirement"),
        ("\n-r gone.txt\n", "requirements.txt:2: gone.txt cannot be read: No such file or directory"),
        ("-r\n", "requirements.txt:1: -r names nothing"),
        ("./gone.whl\n", "requirements.txt:1: gone.whl does not exist"),
        (
            "--target /etc\n",
            "requirements.txt:1: '--target /etc' is no option that can be used in a definition",
        ),
        ("-r https://example.invalid/r.txt\n", "download it and name the file"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, text: str, says: str) -> None:
    assert says in refusal(tmp_path, "requirements.txt", text)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes(b"numpy\n\xff\xfe")
    with pytest.raises(EnvironmentFailed, match=r"requirements.txt: is not UTF-8 text \(byte 6\)"):
        read(str(tmp_path / "requirements.txt"), {})
    with pytest.raises(EnvironmentFailed, match=r"score\.py: is neither a conda file"):
        definition(tmp_path, "score.py", "")


def test_what_only_brings_the_replaced_server_is_left_out_with_a_note(tmp_path: Path) -> None:
    found = definition(tmp_path, "requirements.txt", "azureml-defaults>=1.0.45\nnumpy\n")
    assert found.requirements == ("flask", "inference-schema", "numpy")
    assert "azureml-defaults is left out" in found.notes[0]
    assert "flask and inference-schema" in found.notes[0]


# ------------------------------------------------------------ conda files

CONDA = """
    name: model
    channels: [conda-forge]
    dependencies:
      - python=3.9
      - pip=23
      - numpy=1.24
      - conda-forge::scipy >=1.9,<2
      - pytorch==2.1.0=py3.9_cpu_0
      - libgcc-ng=13
      - pip:
        - -r more.txt
        - azureml-defaults
    """


def test_a_conda_file_without_conda_is_installed_from_the_index(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("joblib\n")
    found = definition(tmp_path, "conda.yml", CONDA)
    assert found.python == "==3.9.*"
    assert found.requirements == (
        "joblib",
        "flask",
        "inference-schema",
        "numpy==1.24.*",
        "scipy>=1.9,<2",
        "torch==2.1.0",
    )
    assert set(found.translated) == {"numpy", "scipy", "torch"}
    assert not found.conda_packages
    notes = "\n".join(found.notes)
    assert "conda's pytorch==2.1.0=py3.9_cpu_0 is installed from the Python index as torch==2.1.0" in notes
    assert "conda's libgcc-ng is left out" in notes
    assert str(tmp_path / "more.txt") in found.files


def test_with_conda_its_packages_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("joblib\n")
    found = definition(tmp_path, "conda.yml", CONDA, with_conda=True)
    assert found.channels == ("conda-forge",)
    assert "conda-forge::scipy >=1.9,<2" in found.conda_packages
    assert "libgcc-ng=13" in found.conda_packages
    assert found.requirements == ("joblib", "flask", "inference-schema")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (
            ["- cudatoolkit=11.8"],
            "conda.yml:2: cudatoolkit is a conda package without an equal on the Python index",
        ),
        (["- numpy", "- openjdk", "- git"], "conda.yml:3: openjdk is a conda package"),
        (["- numpy: 1.2"], "conda.yml:2: `numpy:` among the dependencies: expects a package, or `pip:`"),
        (["- numpy=1.2|1.3"], "conda.yml:2: 'numpy=1.2|1.3': pip knows no «or»"),
        (["- numpy=abc!!"], "conda.yml:2: 'numpy=abc!!': '=abc!!' is no version"),
        (["- pip:", "  - numpy=1.2"], "conda.yml:3: 'numpy=1.2' is no requirement"),
        (["- pip:", "  - numpy: x"], "conda.yml:3: `pip` expects texts"),
        (["- 'numpy"], "conda.yml:3: is no YAML: found unexpected end of stream"),
        (["  - x: [", "y"], "conda.yml:4: is no YAML"),
    ],
)
def test_what_is_wrong_in_a_conda_file_is_named_with_its_line(
    tmp_path: Path, lines: list[str], says: str
) -> None:
    assert says in refusal(tmp_path, "conda.yml", "\n".join(["dependencies:", *lines]) + "\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "conda.yml:1: is no conda file: it has no `dependencies:`"),
        ("name: x\n", "conda.yml:1: is no conda file: it has no `dependencies:`"),
        (
            "name: x\ndependancies: []\n",
            "conda.yml:2: `dependancies` means nothing in a conda file; do you mean",
        ),
        ("dependencies: numpy\n", "conda.yml:1: `dependencies` expects a list"),
        ("dependencies: [python=three]\n", "is no version"),
        ("a: &a [*a]\n", "means nothing"),
    ],
)
def test_a_file_that_is_no_conda_file(tmp_path: Path, text: str, says: str) -> None:
    assert says in refusal(tmp_path, "conda.yml", text)


@pytest.mark.parametrize(
    ("conda", "pip"),
    [
        ("numpy", "numpy"),
        ("numpy=1.26", "numpy==1.26.*"),
        ("numpy=1.26.*", "numpy==1.26.*"),
        ("numpy==1.26.4", "numpy==1.26.4"),
        ("numpy 1.26.4 py39_0", "numpy==1.26.4"),
        ("numpy=1.26.4=py39_0", "numpy==1.26.4"),
        ("numpy>=1.2, <2", "numpy>=1.2,<2"),
        ("numpy[version='>=1.2,<2']", "numpy>=1.2,<2"),
        ("defaults::numpy~=1.2", "numpy~=1.2"),
        ("python-graphviz", "graphviz"),
        ("msgpack-python=1", "msgpack==1.*"),
    ],
)
def test_conda_versions_and_names_in_pips_words(tmp_path: Path, conda: str, pip: str) -> None:
    assert definition(tmp_path, "conda.yml", f'dependencies: ["{conda}"]\n').requirements == (pip,)


# ------------------------------------------------------------ pyproject.toml


def test_a_pyproject(tmp_path: Path) -> None:
    text = """
        [project]
        name = "model"
        requires-python = ">=3.9,<3.13"
        dependencies = ["numpy>=1.26", "azureml-inference-server-http==1.4"]
        """
    found = definition(tmp_path, "pyproject.toml", text)
    assert found.python == ">=3.9,<3.13"
    assert found.requirements == ("numpy>=1.26", "flask", "inference-schema")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[project\n", "pyproject.toml:1: is no TOML"),
        ("[tool.x]\n", "pyproject.toml: has no [project] table"),
        ('[project]\ndynamic = ["dependencies"]\n', "pyproject.toml:2: its dependencies are dynamic"),
        ('[project]\ndependencies = ["a",\n"b=1"]\n', "pyproject.toml:3: 'b=1' is no requirement"),
    ],
)
def test_a_pyproject_that_cannot_be_used(tmp_path: Path, text: str, says: str) -> None:
    assert says in refusal(tmp_path, "pyproject.toml", text)
