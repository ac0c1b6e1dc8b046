"""The registry through its Python interface: versions, labels, snapshots, references."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference_server.environments.definition import read as read_conda
from inference_server.platform.asset_files import EnvironmentFile, ModelFile
from inference_server.platform.curated import FAMILIES, curated
from inference_server.platform.errors import AlreadyThere, NotFound, Refused, StateUnusable
from inference_server.platform.registering import Where, register_environment, register_model
from inference_server.platform.registry import ENVIRONMENT, MODEL, Asset, Key, Registry
from inference_server.platform.resolving import resolve
from inference_server.platform.snapshots import Taking, incoming
from inference_server.platform.store import Store
from inference_server.settings import load


@pytest.fixture
def taking(tmp_path: Path) -> Taking:
    return Taking(load({}, {"AZMLINFSRV_STORAGE_CACHE_DIR": str(tmp_path / "cache")}))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "my-model"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights" / "a.bin").write_bytes(b"one")
    (folder / "b.txt").write_text("two")
    return folder


def create(store: Store, taking: Taking, path: Path | str, version: str = "", **where: str) -> Asset:
    return register_model(store, ModelFile(name="iris", path=path, version=version), Where(**where), taking)


def test_a_version_keeps_what_it_was(store: Store, taking: Taking, model: Path) -> None:
    made = create(store, taking, model)
    assert (made.version, made.labels) == ("1", ("latest",))
    (model / "weights" / "a.bin").write_bytes(b"three")
    found = resolve(store, "azureml:iris:1", "model")
    assert found.folder == store.home.folder / "azureml-models" / "iris" / "1"
    assert found.path == found.folder / "my-model"
    assert (found.path / "weights" / "a.bin").read_bytes() == b"one"
    again = create(store, taking, model)
    assert again.version == "2"
    with pytest.raises(AlreadyThere, match="model 'iris' version 1 is registered with another content"):
        create(store, taking, model, "1")
    assert create(store, taking, model, "2").created == again.created
    assert list(store.home.incoming.iterdir()) == []


def test_a_file_lies_directly_in_its_folder_and_an_archive_stays_one(
    store: Store, taking: Taking, tmp_path: Path
) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(b"not even one")
    create(store, taking, archive)
    found = resolve(store, "azureml:iris@latest", "model")
    assert found.path == found.folder / "model.tar.gz"
    assert found.path.read_bytes() == b"not even one"


def test_equal_files_take_their_space_once(store: Store, taking: Taking, model: Path) -> None:
    first, second = create(store, taking, model), create(store, taking, model)
    places = [one.folder / "my-model" / "b.txt" for one in (first, second)]
    assert len({(place.stat().st_ino, place.stat().st_dev) for place in places}) == 1


def test_labels_and_what_is_archived(store: Store, taking: Taking, model: Path) -> None:
    registry, key = Registry(store), Key(MODEL, "iris")
    create(store, taking, model, label="production")
    create(store, taking, model, "beta")
    create(store, taking, model, label="production")
    versions = {one.version: (one.labels, one.archived) for one in registry.versions(key)}
    assert versions == {
        "2": (("production", "latest"), False),
        "beta": ((), False),
        "1": ((), False),
    }
    registry.archive(key, True, "2")
    assert resolve(store, "azureml:iris@latest", "model").version == "beta"
    assert "archived" in resolve(store, "azureml:iris:2", "model").note
    registry.archive(key, True)
    with pytest.raises(NotFound, match="every version of model 'iris' is archived: 2, beta, 1"):
        resolve(store, "azureml:iris@latest", "model")
    registry.archive(key, False, label="production")
    assert resolve(store, "azureml:iris@latest", "model").version == "2"
    with pytest.raises(Refused, match="latest is always"):
        create(store, taking, model, label="latest")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("iris:1", "write azureml:iris:1"),
        ("azureml:iris", "without a version"),
        ("azureml:iris:9", r"model 'iris' has no version 9; its versions: 1"),
        ("azureml:iris:latest", r"for the newest, name the label: @latest"),
        (
            "azureml:rose:1",
            r"there is no model 'rose'; register it here: azmlinfsrv model create -n rose -v 1 -p PATH",
        ),
        (
            "azureml://registries/ours/models/iris/versions/1",
            r"no model 'iris' in registry 'ours'; .* -n iris -v 1 --registry-name ours",
        ),
    ],
)
def test_references_that_name_nothing(
    store: Store, taking: Taking, model: Path, reference: str, message: str
) -> None:
    create(store, taking, model)
    with pytest.raises((NotFound, Refused), match=message):
        resolve(store, reference, "model")


def test_long_references(store: Store, taking: Taking, model: Path) -> None:
    create(store, taking, model)
    create(store, taking, model, "7", registry="ours")
    workspace = "azureml:/subscriptions/1/resourceGroups/g/providers/x/workspaces/w/models/iris/versions/1"
    assert resolve(store, workspace, "model").version == "1"
    found = resolve(store, "azureml://registries/ours/models/iris/labels/latest", "model")
    assert found.version == "7"
    assert found.folder == store.home.folder / "registries" / "ours" / "azureml-models" / "iris" / "7"


def test_a_snapshot_that_was_changed_is_not_served(store: Store, taking: Taking, model: Path) -> None:
    made = create(store, taking, model)
    file = made.folder / "my-model" / "b.txt"
    file.chmod(0o644)
    file.write_text("other")
    with pytest.raises(StateUnusable, match="is not what was registered"):
        resolve(store, "azureml:iris:1", "model")


def test_what_a_killed_process_left_is_cleared_up(store: Store, taking: Taking, model: Path) -> None:
    (store.home.incoming / "left" / "files").mkdir(parents=True)
    orphan = Registry(store).folder(Key(MODEL, "iris"), "1")
    orphan.mkdir(parents=True)
    (orphan / "half").touch()
    made = create(store, taking, model)
    assert [path.name for path in made.folder.iterdir()] == ["my-model"]
    with incoming(store.home):
        assert not (store.home.incoming / "left").exists()


def test_environments(store: Store, taking: Taking, tmp_path: Path) -> None:
    conda = tmp_path / "conda.yml"
    conda.write_text("name: e\ndependencies:\n- python=3.10\n- pip:\n  - scikit-learn==1.5.1\n")
    asked = EnvironmentFile(name="env", image="base:1", conda_file=conda)
    made = register_environment(store, asked, Where(), taking)
    conda.write_text("# a remark changes nothing\n" + conda.read_text())
    same = EnvironmentFile(name="env", version="1", image="base:1", conda_file=conda)
    assert register_environment(store, same, Where(), taking).created == made.created
    found = resolve(store, "azureml:env:1", "environment")
    assert (found.image, found.build) == ("base:1", None)
    assert found.conda_file is not None
    assert read_conda(str(found.conda_file), {}).requirements == ("scikit-learn==1.5.1",)
    inline = EnvironmentFile(name="env", conda_file={"dependencies": ["python=3.9"]})
    register_environment(store, inline, Where(), taking)
    second = resolve(store, "azureml:env@latest", "environment")
    assert second.conda_file is not None
    assert read_conda(str(second.conda_file), {}).python
    with pytest.raises(Refused, match="is made of nothing"):
        register_environment(store, EnvironmentFile(name="env"), Where(), taking)


@pytest.mark.parametrize(
    ("name", "python", "packages"),
    [
        ("AzureML-sklearn-1.0-ubuntu20.04-py38-cpu", "python=3.8", "scikit-learn==1.0.*"),
        ("minimal-py312-inference", "python=3.12", ""),
        ("sklearn-1.5", "python=3.10", "scikit-learn==1.5.*"),
        ("acpt-pytorch-2.2-cuda12.1", "python=3.10", "torch==2.2.*"),
        ("mlflow-ubuntu20.04-py38-cpu-inference", "python=3.8", "mlflow-skinny"),
    ],
)
def test_curated_environments_have_a_local_definition(
    store: Store, name: str, python: str, packages: str
) -> None:
    found = resolve(store, f"azureml://registries/azureml/environments/{name}/labels/latest", "environment")
    assert found.conda_file is not None
    conda = json.loads(found.conda_file.read_text())
    assert conda["dependencies"][0] == python
    assert packages in json.dumps(conda)
    read = read_conda(str(found.conda_file), {})
    assert python.partition("=")[2] in read.python
    assert found.note.startswith(f"Azure's image {name} is not used: {python.replace('=', ' ')} with")


def test_curated_environments_that_cannot_be_had_and_own_ones_of_that_name(
    store: Store, taking: Taking
) -> None:
    with pytest.raises(
        Refused, match=r"cannot be made here: .* azmlinfsrv environment create -n AzureML-Triton -c"
    ):
        resolve(store, "azureml:AzureML-Triton@latest", "environment")
    own = EnvironmentFile(name="AzureML-Triton", image="ours")
    register_environment(store, own, Where(), taking)
    assert resolve(store, "azureml:AzureML-Triton@latest", "environment").image == "ours"
    assert curated("my-own-env") is None
    assert all(bool(family.why_not) == (family.packages is None) for family in FAMILIES)
    assert Registry(store).names(ENVIRONMENT) == [Key(ENVIRONMENT, "AzureML-Triton")]
