"""Environments that are really made: once, whole or not at all, whoever asks and however it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from inference_server.environments.build import ensure, plan
from inference_server.environments.cache import Made
from inference_server.environments.errors import EnvironmentFailed, Stopped
from tests.environments.conftest import Site
from tests.environments.wheels import wheel
from tests.tools import ROOT

SECONDS = 20.0


def versions(made: Made, code: str = "import shapes; print(shapes.__version__)") -> str:
    return subprocess.run(
        [made.interpreter, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def until(what: Callable[[], object], why: str) -> None:
    end = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < end, f"not within {SECONDS} s: {why}"
        time.sleep(0.01)


def test_made_once_and_found_again(site: Site) -> None:
    source = site.definition("shapes==1.0", "needs_old")
    made = ensure(site.asked(source))
    assert versions(made) == "1.0"
    assert made.installer == "uv"
    assert site.said[:2] == ["making a virtual environment (uv)", "installing packages (uv)"]
    assert "installed 2 packages" in site.said
    site.said.clear()
    began = time.monotonic()
    assert ensure(site.asked(site.definition("needs_old # again", "shapes == 1.0"))) == made
    assert time.monotonic() - began < 0.5
    assert not site.said
    entry = site.cache.entries()[0]
    assert (entry.packages, entry.users, entry.made.python) == (
        2,
        (),
        f"{sys.version_info[0]}.{sys.version_info[1]}",
    )
    other = ensure(site.asked(site.definition("shapes==2.0")))
    assert (versions(other), versions(made)) == ("2.0", "1.0")
    assert not site.left()
    for path in site.cache.folder.rglob("*"):
        assert "asked" not in path.name


@pytest.mark.parametrize(
    "project",
    [
        b'[tool.uv]\noverride-dependencies = ["shapes==2.0"]\n',
        b'[project]\nname = "x"\nversion = "1"\nrequires-python = "==3.9.*"\n',
        b"\xff no TOML",
    ],
)
def test_a_project_around_the_cache_has_no_say(site: Site, project: bytes) -> None:
    (site.folder / "pyproject.toml").write_bytes(project)
    made = ensure(site.asked(site.definition("shapes==1.0")))
    assert versions(made) == "1.0"
    assert not [line for line in site.said if "warning" in line or "pyproject" in line]
    assert {path.name for path in Path(made.prefix).parent.iterdir()}.isdisjoint(
        {"uv.toml", "pyproject.toml"}
    )


def test_without_uv_it_is_made_by_venv_and_pip_under_the_same_key(site: Site, without_uv: None) -> None:
    asked = site.asked(site.definition("shapes<2"))
    made = ensure(asked)
    assert made.installer == "pip"
    assert versions(made) == "1.0"
    assert site.said[:2] == ["making a virtual environment (pip)", "installing packages (pip)"]


def test_a_conflict_is_told_in_the_lines_that_decide(site: Site) -> None:
    with pytest.raises(EnvironmentFailed) as caught:
        ensure(site.asked(site.definition("shapes==2.0", "needs_old")))
    assert "there are no versions of the packages that fit together" in caught.value.summary
    assert "needs-old" in caught.value.detail
    assert "shapes<2" in caught.value.detail
    log = caught.value.summary.partition("; ")[2].removesuffix(" has all that uv said")
    assert "uv pip install" in Path(log).read_text()
    assert site.left() == [Path(log).name]
    with pytest.raises(EnvironmentFailed, match=r"nowhere is not on the package index|no versions"):
        ensure(site.asked(site.definition("nowhere==1")))


def test_an_index_that_cannot_be_reached_is_told_as_that(site: Site) -> None:
    source = site.folder / "requirements.txt"
    source.write_text("--index-url http://me:secret@127.0.0.1:9/simple\nshapes\n")
    with pytest.raises(EnvironmentFailed) as caught:
        ensure(site.asked(str(source), UV_HTTP_RETRIES="0"))
    assert "the package index cannot be reached" in caught.value.summary
    assert "secret" not in caught.value.detail + caught.value.summary
    for path in site.cache.folder.rglob("*"):
        assert not path.is_file() or b"secret" not in path.read_bytes(), path


def test_who_asks_at_the_same_time_waits_for_the_one_that_builds(site: Site) -> None:
    source = site.definition("shapes")
    with ThreadPoolExecutor(4) as threads:
        made = set(threads.map(lambda _: ensure(site.asked(source)), range(4)))
    assert len(made) == 1
    assert site.said.count("installing packages (uv)") == 1
    assert f"waiting for process {os.getpid()}, which builds it" in site.said


def slow_source(site: Site) -> tuple[str, Path]:
    """A definition whose installation does not end, and the file that says it has begun."""
    mark, project = site.folder / "mark", site.folder / "slow"
    project.mkdir()
    (project / "backend.py").write_text(
        f"import time, pathlib\npathlib.Path({str(mark)!r}).write_text('building')\ntime.sleep(600)\n"
    )
    (project / "pyproject.toml").write_text(
        '[project]\nname = "slow"\nversion = "1"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    return site.definition("shapes", f"{project}"), mark


def test_a_build_that_is_stopped_leaves_nothing(site: Site) -> None:
    source, mark = slow_source(site)
    stop = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        work = threads.submit(ensure, site.asked(source, stop.is_set))
        until(mark.exists, "the build begins")
        stop.set()
        with pytest.raises(Stopped):
            work.result(SECONDS)
    assert [name for name in site.left() if not name.endswith(".log")] == []


def test_a_builder_that_is_killed_is_taken_over_from(site: Site) -> None:
    source, mark = slow_source(site)
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import os\nfrom inference_server.environments.build import Asked, ensure\n"
        "from inference_server.environments.cache import Cache\n"
        f"ensure(Asked({source!r}, Cache({str(site.folder / 'cache')!r}), {dict(site.asked(source).environ)!r}))\n"
    )
    builder = subprocess.Popen([sys.executable, "-c", code])
    until(mark.exists, "the build begins")
    key = plan(site.asked(source)).key
    assert site.cache.remove(key) == f"process {builder.pid} builds it"
    assert site.cache.sweep() == 0
    stop = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        work = threads.submit(ensure, site.asked(source, stop.is_set))
        until(lambda: site.said == [f"waiting for process {builder.pid}, which builds it"], "another waits")
        mark.unlink()
        builder.kill()
        builder.wait()
        until(mark.exists, "the other builds it, once all that the first one started have ended")
        stop.set()
        with pytest.raises(Stopped):
            work.result(SECONDS)
    assert site.cache.find(key) is None


def test_what_a_killed_builder_left_is_swept(site: Site) -> None:
    half = site.cache.folder / "py39-000000000000"
    half.mkdir(parents=True)
    (half / "env").write_text("")
    made = ensure(site.asked(site.definition("shapes")))
    assert site.cache.sweep() == 1
    assert site.cache.sweep() == 0
    assert [entry.made for entry in site.cache.entries()] == [made]
    assert not site.left()


def test_one_whose_python_is_gone_is_made_anew(site: Site) -> None:
    asked = site.asked(site.definition("shapes"))
    made = ensure(asked)
    os.unlink(made.interpreter)
    assert site.cache.find(made.key) is None
    assert versions(ensure(asked)) == "2.0"


def test_a_local_wheel_that_changes_makes_another(site: Site) -> None:
    package = wheel(site.folder, "mine", "1.0", ["shapes"])
    source = site.definition("./mine-1.0-py3-none-any.whl")
    first = ensure(site.asked(source))
    wheel(site.folder, "mine", "1.0", ["shapes<2"])
    second = ensure(site.asked(source))
    assert (versions(first), versions(second)) == ("2.0", "1.0")
    assert package.exists()


def test_a_cache_that_cannot_be_written_is_named(site: Site) -> None:
    (site.folder / "cache").write_text("a file")
    with pytest.raises(EnvironmentFailed, match=r"environments cannot be kept in .*--environment_cache"):
        ensure(site.asked(site.definition("shapes")))


def test_a_python_that_is_nowhere_is_told_how_to_get(site: Site) -> None:
    source = site.folder / "conda.yml"
    source.write_text("dependencies: [python=3.99]\n")
    with pytest.raises(
        EnvironmentFailed, match=r"no Python 3\.99 is on this machine.*uv python install 3\.99"
    ):
        ensure(site.asked(str(source)))
    source.write_text("dependencies: [python=3.7]\n")
    with pytest.raises(EnvironmentFailed, match=r"Python 3\.7 is too old"):
        ensure(site.asked(str(source)))
    assert not site.left()


# ------------------------------------------------------------ conda: a stand-in, since no conda program is packaged

CONDA = """#!{python}
# Stands in for micromamba: notes how it was called, and makes a virtual environment at the prefix it was given.
import json, pathlib, subprocess, sys
words = sys.argv[1:]
file = words[words.index("-f") + 1]
pathlib.Path({record!r}).write_text(json.dumps([words, json.load(open(file))]))
if "broken" in open(file).read():
    sys.exit("error    libmamba Could not solve for environment specs\\n    nothing provides broken")
subprocess.run([{python!r}, "-m", "venv", "--without-pip", words[words.index("-p") + 1]], check=True)
"""


def test_a_conda_program_is_given_the_whole_file(site: Site) -> None:
    programs = site.folder / "bin"
    programs.mkdir()
    record = site.folder / "called.json"
    (programs / "micromamba").write_text(CONDA.format(python=sys.executable, record=str(record)))
    (programs / "micromamba").chmod(0o755)
    source = site.folder / "conda.yml"
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    source.write_text(
        f"channels: [mine]\ndependencies: [python={version}, openjdk=17, pip, pip: [shapes, azureml-defaults]]\n"
    )
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    made = ensure(site.asked(str(source), PATH=path))
    assert made.installer == "micromamba"
    words, content = json.loads(record.read_text())
    assert words[:4] == ["create", "-y", "-p", made.prefix]
    assert content == {
        "channels": ["mine"],
        "dependencies": [
            f"python={version}",
            "pip",
            "openjdk=17",
            {"pip": ["shapes", "flask", "inference-schema"]},
        ],
    }
    assert plan(site.asked(str(site.definition("shapes")), PATH=path)).conda == ""
    source.write_text("dependencies: [broken]\n")
    with pytest.raises(EnvironmentFailed) as caught:
        ensure(site.asked(str(source), PATH=path))
    assert "nothing provides broken" in caught.value.detail
