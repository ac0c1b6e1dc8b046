"""`azmlinfsrv init`: what it writes runs at once, and nothing of a pickle runs before somebody says so."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.running import Server, clean_environment, command, free_port
from tests.scaffold.conftest import Command
from tests.tools import ROOT, require_module

MODELS = Path(__file__).with_name("models")
FILES = ["score.py", "sample-request.json", "requirements.txt", "endpoint.yml", "deployment.yml"]


def iris() -> Any:
    from sklearn.datasets import load_iris

    return load_iris(as_frame=True)


def named(path: Path) -> None:
    import joblib
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = iris()
    model = make_pipeline(StandardScaler(), LogisticRegression())
    joblib.dump(model.fit(data.data, data.target_names[data.target]), path)


def numbers(path: Path) -> None:
    from sklearn.ensemble import RandomForestRegressor

    path.write_bytes(pickle.dumps(RandomForestRegressor(3).fit(iris().data.values, iris().target)))


def mixed(path: Path) -> None:
    import joblib
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rows = pd.DataFrame(
        {"age": [20, 30, 40, 50], "city": ["Rome", "Oslo", "Rome", "Oslo"], "income": [1.5, 2.5, 3.5, 9]}
    )
    columns = make_column_transformer((OneHotEncoder(), ["city"]), (StandardScaler(), ["age", "income"]))
    search = GridSearchCV(make_pipeline(columns, Ridge()), {"ridge__alpha": [0.1, 1]}, cv=2)
    joblib.dump(search.fit(rows, [1, 2, 3, 4]), path, compress=3)


def texts(path: Path) -> None:
    import joblib
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    joblib.dump(
        make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good day", "bad day"], ["+", "-"]), path
    )


def transforms(path: Path) -> None:
    import joblib
    from sklearn.decomposition import PCA

    joblib.dump(PCA(2).fit(iris().data.values), path)


@pytest.mark.parametrize(
    ("make", "name", "request_", "script"),
    [
        (named, "iris.joblib", {"sepal length (cm)": 5.84}, 'StandardPythonParameterType(["setosa"])'),
        (numbers, "forest.pkl", [0.0, 0.0, 0.0, 0.0], "NumpyParameterType(SAMPLE)"),
        (mixed, "mixed.joblib", {"age": 35.0, "city": "Oslo", "income": 4.12}, "PandasParameterType(SAMPLE)"),
        (texts, "texts.joblib", "a text", 'SAMPLE = ["a text"]'),
        (transforms, "pca.joblib", None, "model.transform(data)"),
    ],
)
def test_scikit_learn(
    azmlinfsrv: Command, tmp_path: Path, make: Callable[[Path], None], name: str, request_: Any, script: str
) -> None:
    require_module("sklearn", "scikit-learn==1.7.2")
    make(tmp_path / name)
    ran = azmlinfsrv("init", name, "--trust")
    assert ran.code == 0, ran.out + ran.err
    assert "ok  sample-request.json  200" in ran.out
    (row,) = json.loads(Path("sample-request.json").read_text())["data"]
    if isinstance(request_, dict):
        assert row.items() >= request_.items()
    elif request_ is not None:
        assert row == request_
    assert script in Path("score.py").read_text()
    assert "scikit-learn==1." in Path("requirements.txt").read_text()


def test_it_is_served_at_once(azmlinfsrv: Command, tmp_path: Path) -> None:
    require_module("sklearn", "scikit-learn==1.7.2")
    (tmp_path / "models").mkdir()
    named(tmp_path / "models" / "iris.joblib")
    assert azmlinfsrv("init", "--trust").code == 0  # found in the folder models
    port = free_port()
    server = Server(
        command("--entry_script", "score.py", "--port", str(port)), port, tmp_path, clean_environment()
    )
    try:
        server.wait_ready()
        reply = server.score(json.loads(Path("sample-request.json").read_text()))
        assert (reply.status, reply.json()) == (200, ["versicolor"])
        swagger = server.get("/swagger.json").json()
        assert "sepal length (cm)" in json.dumps(swagger["definitions"]["ServiceInput"])
        assert swagger["definitions"]["ServiceOutput"]["example"] == ["setosa"]
        assert azmlinfsrv("test", "-r", "sample-request.json").code == 0
    finally:
        server.stop()


def test_onnx(azmlinfsrv: Command) -> None:
    require_module("onnxruntime")
    ran = azmlinfsrv("init", str(ROOT / "sample_models" / "onnx-digits" / "model.onnx"), "-o", "out")
    assert ran.code == 0, ran.out + ran.err
    assert "ONNX, images to label, probabilities" in ran.out
    assert '"label": [' in ran.out
    assert (
        '@input_schema("images", NumpyParameterType(np.zeros((1, 64), dtype=np.float32)))'
        in Path("out/score.py").read_text()
    )


@pytest.mark.torch
def test_torchscript(azmlinfsrv: Command, tmp_path: Path) -> None:
    import torch

    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    torch.jit.save(torch.jit.script(network), tmp_path / "net.pt")
    ran = azmlinfsrv("init", "net.pt")
    assert ran.code == 0, ran.out + ran.err
    assert "TorchScript, forward(input)" in ran.out
    assert json.loads(Path("sample-request.json").read_text()) == {"input": [[0.0] * 4]}


def test_weights_alone_start_and_say_what_is_missing(azmlinfsrv: Command, tmp_path: Path) -> None:
    header = json.dumps({"0.weight": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}}).encode()
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    ran = azmlinfsrv("init", "w.safetensors", "--no_try")
    assert ran.code == 0
    assert "to do score.py: write build(), the network" in ran.out
    assert "        0.weight [1, 2]" in Path("score.py").read_text()
    assert Path("requirements.txt").read_text() == "safetensors\ntorch\n"


@pytest.mark.parametrize(
    "name", ["xgboost-iris.json", "xgboost-iris.ubj", "xgboost-unnamed.ubj", "lightgbm-iris.txt"]
)
def test_boosters(azmlinfsrv: Command, name: str) -> None:
    package = name.partition("-")[0]
    ran = azmlinfsrv("init", str(MODELS / name), "--no_try")
    assert ran.code == 0, ran.err
    text = Path("score.py").read_text()
    compile(text, "score.py", "exec")
    assert f"import {package}" in text
    (row,) = json.loads(Path("sample-request.json").read_text())["data"]
    assert row == [0.0] * 3 if "unnamed" in name else sorted(row)[0].startswith("petal")
    require_module(package, {"xgboost": "xgboost-cpu"}.get(package, ""))
    assert azmlinfsrv("test", "-r", "sample-request.json").code == 0


def test_mlflow(azmlinfsrv: Command) -> None:
    ran = azmlinfsrv("init", str(MODELS / "mlflow-iris"))
    assert ran.code == 0, ran.err
    assert "MLflow model (sklearn)\nIt is an MLflow model: loading it runs its flavour's code" in ran.out
    assert "Not tried: loading the model runs code that came with it" in ran.out
    text = Path("score.py").read_text()
    compile(text, "score.py", "exec")
    assert ']).astype({"count": "int32"})' in text
    assert Path("requirements.txt").read_text().startswith("mlflow==3.17.2\n")
    (row,) = json.loads(Path("sample-request.json").read_text())["data"]
    assert row == {
        "sepal length (cm)": 5.1,
        "sepal width (cm)": 3.5,
        "petal length (cm)": 1.4,
        "petal width (cm)": 0.2,
        "count": 0,
    }


class Harmful:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.file}",)


def test_a_pickle_is_not_run_before_somebody_says_so(azmlinfsrv: Command, tmp_path: Path) -> None:
    proof = tmp_path / "it-ran"
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Harmful(proof)))
    ran = azmlinfsrv("init", "model.pkl")
    assert ran.code == 1
    assert (
        "It is a pickle: loading it imports and calls what it names:\n    posix: system"
        in ran.out.replace("nt:", "posix:")
    )
    assert "No model needs posix.system" in ran.out.replace("nt.", "posix.")
    assert "nothing was written for model.pkl" in ran.err
    assert not proof.exists()
    assert os.listdir(tmp_path) == ["model.pkl"]
    assert azmlinfsrv("init", "model.pkl", "--trust", "--no_try").code == 0
    assert not proof.exists()


def test_an_honest_pickle_is_named_and_not_run(azmlinfsrv: Command, tmp_path: Path) -> None:
    require_module("sklearn", "scikit-learn==1.7.2")
    named(tmp_path / "iris.joblib")
    ran = azmlinfsrv("init", "iris.joblib")
    assert ran.code == 0
    assert "    sklearn: LogisticRegression, Pipeline, StandardScaler\n" in ran.out
    assert "Not tried: loading the model runs code that came with it; --trust says" in ran.out
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*FILES, "iris.joblib"])


def test_on_a_terminal_it_asks(tmp_path: Path) -> None:
    """Over a real pseudo-terminal: no, then yes."""
    require_module("sklearn", "scikit-learn==1.7.2")
    pty = pytest.importorskip("pty")
    named(tmp_path / "iris.joblib")
    for answer, tried in (("n", False), ("y", True)):
        main_end, other_end = pty.openpty()
        line = [sys.executable, "-m", "inference_server", "init", "iris.joblib", "--force"]
        environment = {**clean_environment(), "TERM": "xterm"}
        process = subprocess.Popen(
            line, cwd=tmp_path, env=environment, stdin=other_end, stdout=other_end, stderr=other_end
        )
        os.close(other_end)
        os.write(main_end, f"{answer}\n".encode())
        said = b""
        try:
            while part := os.read(main_end, 4096):
                said += part
        except OSError:  # the other end is closed
            pass
        os.close(main_end)
        assert process.wait(30) == 0
        assert b"Load it now, to try the script? Only if you trust who made it. [y/N]" in said
        assert (b"200" in said) is tried
        assert b"\x1b[36mscore.py\x1b[0m" in said


def test_nothing_is_overwritten_unasked(azmlinfsrv: Command, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("mine")
    ran = azmlinfsrv("init", "--plain")
    assert ran.code == 1
    assert ran.err.startswith("azmlinfsrv init: error: score.py is there already in .: ")
    assert (tmp_path / "score.py").read_text() == "mine"
    assert os.listdir(tmp_path) == ["score.py"]
    assert azmlinfsrv("init", "--plain", "--force").code == 0
    assert (tmp_path / "score.py").read_text() != "mine"


def test_a_script_without_a_model(azmlinfsrv: Command) -> None:
    ran = azmlinfsrv("init", "--plain", "-o", "deep/below", "--name", "my-name")
    assert ran.code == 0
    assert "ok  deep/below/sample-request.json  200" in ran.out
    assert Path("deep/below/endpoint.yml").read_text().endswith("name: my-name\nauth_mode: key\n")


@pytest.mark.parametrize(
    ("files", "words", "said"),
    [
        ({}, [], "no model was found in .: name its file, as in azmlinfsrv init model.joblib"),
        ({}, ["none.onnx"], "there is no model at none.onnx"),
        ({"a.pkl": b"", "b.onnx": b""}, [], "2 models were found in . (a.pkl, b.onnx): name one of them"),
        ({"a.pkl": b"no pickle"}, ["a.pkl"], "a.pkl cannot be looked into: "),
        ({"a.onnx": b"\xff\xff\xff"}, ["a.onnx"], "a.onnx is not a whole ONNX file: "),
        ({"a.safetensors": b"\x00" * 20}, ["a.safetensors"], "a.safetensors is not a safetensors file: "),
        ({"a.pt": b"\x00" * 20}, ["a.pt"], "a.pt is not in the format that torch.save"),
        ({"a.ubj": b"{L\x00"}, ["a.ubj"], "a.ubj is not a whole XGBoost model: "),
        (
            {"a.csv": b"1,2"},
            ["a.csv"],
            "a.csv is no model that can be read: expected a pickle or joblib file",
        ),
        ({"a.json": b"{}"}, ["a.json"], "a.json is no model that can be read"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(
    azmlinfsrv: Command, tmp_path: Path, files: dict[str, bytes], words: list[str], said: str
) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    ran = azmlinfsrv("init", *words)
    assert ran.code == 1
    (line,) = ran.err.splitlines()
    assert line.startswith("azmlinfsrv init: error: ")
    assert said in line
    assert sorted(os.listdir(tmp_path)) == sorted(files)
