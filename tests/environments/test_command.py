"""`azmlinfsrv env`, as people and scripts use it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from inference_server.cli import main
from tests.environments.conftest import Site


@pytest.fixture
def here(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The command's environment: the site's cache, and nothing of pip's configuration."""
    monkeypatch.setenv("AZMLINFSRV_ENVIRONMENT_CACHE", str(site.folder / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.chdir(site.folder)
    return site


def test_build_list_remove(here: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "list"]) == 0
    assert "no environments in" in capsys.readouterr().out
    here.definition("shapes==1.0")
    assert main(["env", "build"]) == 0  # the definition of this folder
    out, err = capsys.readouterr()
    python = Path(out.rstrip("\n"))
    assert python.exists()
    assert "installing packages (uv)" in err
    assert main(["env", "build", "requirements.txt", "--compile"]) == 0
    again = capsys.readouterr()
    assert (again.out, again.err) == (out, f"{python.parent.parent.parent.name} was made before\n")

    assert main(["env", "list"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["KEY", "PYTHON", "PACKAGES", "SIZE", "AGE", "LAST", "USED", "MADE", "FROM"]
    assert row.endswith("requirements.txt")
    assert main(["env", "list", "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert (facts["packages"], facts["interpreter"], facts["users"]) == (1, str(python), [])

    assert main(["env", "remove", "--unused", "1"]) == 0
    assert capsys.readouterr().out == "nothing to remove\n"
    long_ago = time.time() - 3 * 86400
    os.utime(here.cache.folder / facts["key"] / "in-use", (long_ago, long_ago))
    assert main(["env", "remove", "--unused", "1"]) == 0
    assert capsys.readouterr().out.startswith(f"removed {facts['key']}, ")
    assert not python.exists()
    assert not here.left()


def test_one_in_use_goes_only_by_force(here: Site, capsys: pytest.CaptureFixture[str]) -> None:
    here.definition("shapes==2.0")
    assert main(["env", "build"]) == 0
    made = here.cache.entries()[0].made
    use = here.cache.use(made)
    assert main(["env", "remove", made.key[:8]]) == 1
    assert f"process {os.getpid()} uses it; stop it first, or --force" in capsys.readouterr().err
    assert main(["env", "remove", "--all"]) == 0
    assert here.cache.find(made.key) == made
    assert main(["env", "remove", made.key, "--force"]) == 0
    assert here.cache.find(made.key) is None
    use.close()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "the following arguments are required: action"),
        (("bild",), 2, "invalid choice: 'bild'"),
        (("build",), 2, "there is no conda.yml"),
        (("build", "a.txt", "b.txt"), 2, "build takes one definition"),
        (("build", "gone.txt"), 2, "gone.txt: there is no such file"),
        (("build", "score.py"), 2, "score.py is neither a conda file"),
        (("list", "x"), 2, "list takes no name"),
        (("remove",), 2, "remove takes keys, or --unused DAYS, or --all"),
        (("remove", "py39", "--all"), 2, "remove takes keys, or --unused DAYS, or --all"),
        (("remove", "py39"), 2, "there is no environment py39: azmlinfsrv env list shows them"),
    ],
)
def test_wrong_use_is_one_sentence(
    here: Site, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, says: str
) -> None:
    assert main(["env", *words]) == code
    err = capsys.readouterr().err
    assert says in err
    assert len(err.splitlines()) == 1
