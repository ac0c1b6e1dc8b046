"""MLflow's addresses, with the real library and a real tracking server, which hands out artifacts itself or leaves them
to a folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.storage import emulators
from tests.storage.emulators import emulator, free_ports
from tests.storage.sources.elsewhere import Elsewhere

# A run with a folder of artifacts, a logged model, and two versions of a registered model.
_LOG = """
import json, mlflow, pathlib
from mlflow import MlflowClient
client = MlflowClient()
with mlflow.start_run() as run:
    mlflow.log_text("name: x", "model/MLmodel")
    mlflow.log_text("weights", "model/data/a b.bin")
    model = mlflow.initialize_logged_model(name="logged")
    folder = pathlib.Path("files"); folder.mkdir(exist_ok=True); (folder / "MLmodel").write_text("name: logged")
    client.log_model_artifacts(model.model_id, str(folder))
    mlflow.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run.info.run_id, [mlflow.entities.LoggedModelOutput(model.model_id, 0)])
client.create_registered_model("iris model")
client.create_model_version("iris model", f"runs:/{run.info.run_id}/model", run.info.run_id)
client.create_model_version("iris model", f"models:/{model.model_id}", model_id=model.model_id)
client.set_registered_model_alias("iris model", "champion", "1")
place = pathlib.Path("beside").absolute().as_uri()
with mlflow.start_run(experiment_id=client.create_experiment("beside", artifact_location=place)) as beside:
    mlflow.log_text("name: beside", "model/MLmodel")
print("=" + json.dumps([run.info.run_id, model.model_id, beside.info.run_id]))
"""
MODEL = {"MLmodel": "name: x", "data/a b.bin": "weights"}
LOGGED = {"MLmodel": "name: logged"}


@pytest.mark.system
@pytest.mark.timeout(300)
def test_a_tracking_server(tmp_path: Path) -> None:
    [port] = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    there = Elsewhere(tmp_path, {"MLFLOW_TRACKING_URI": address, "MLFLOW_DISABLE_TELEMETRY": "true"})
    command = [
        *(emulator("mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *(
            "--backend-store-uri",
            f"sqlite:///{tmp_path}/mlflow.db",
            "--artifacts-destination",
            str(tmp_path / "kept"),
        ),
    ]

    def ready() -> bool:
        try:
            return emulators.ask(f"{address}/health") == b"OK"
        except OSError:
            return False

    quick = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with emulators.running(command, tmp_path / "mlflow.log", ready, {**os.environ, **quick}):
        printed = there.python(_LOG)
        run, model, beside = json.loads(
            next(line[1:] for line in printed.splitlines() if line.startswith("="))
        )
        expected = {
            f"runs:/{run}/model": MODEL,
            f"runs:/{run}/model/MLmodel": {"MLmodel": "name: x"},
            f"runs:/{run}/logged": LOGGED,
            f"runs:/{beside}/model": {"MLmodel": "name: beside"},
            f"models:/{model}": LOGGED,
            f"models:/{model}/MLmodel": LOGGED,
            "models:/iris model/1": MODEL,
            "models:/iris model@champion": MODEL,
            "models:/iris model/1/data": {"a b.bin": "weights"},
            "models:/iris model/latest": LOGGED,
        }
        unknown = f"{address} knows no such run, model, version or alias"
        refused = {
            f"runs:/{'0' * 32}/model": unknown,
            "models:/none/1": unknown,
            "models:/iris model@none": address,
            "models:/iris model": "names no model: models:/NAME/VERSION",
            f"runs:/{run}/none": "is not there",
            "mlflow-artifacts:/none/at/all": "is not there",
        }
        answers = there.fetched(*expected, *refused)
    for (asked, files), answer in zip(expected.items(), answers, strict=False):
        assert (answer.get("spoken"), answer.get("files")) == (asked, files), answer
    assert [answer["name"] for answer in answers[6:9]] == ["iris model", "iris model", "data"]
    for (asked, says), answer in zip(refused.items(), answers[len(expected) :], strict=True):
        assert says in str(answer.get("error")), (asked, answer)
        assert answer["kind"] == "SourceError", (asked, answer)
