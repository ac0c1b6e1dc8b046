"""Looking at somebody else's file: nothing of it runs, and nothing of it becomes code."""

from __future__ import annotations

import ast
import contextlib
import json
import pickle
import pickletools
import random
from pathlib import Path

import pytest

from inference_server.scaffold import pickled
from inference_server.scaffold.files import files_for
from inference_server.scaffold.formats.pickles import suspects
from inference_server.scaffold.literal import literal, shown
from inference_server.scaffold.looking import look
from inference_server.scaffold.model import NotAModel
from tests.tools import ROOT, require_module

MODELS = Path(__file__).with_name("models")
ONNX = ROOT / "sample_models" / "onnx-digits" / "model.onnx"
EVIL = '"""\nopen("it-ran", "w")\n"""'


def bytes_of(name: str, number: int) -> bytes:
    """One length-delimited field of a protobuf message."""
    data = name.encode()
    return bytes([number << 3 | 2, len(data)]) + data


def field(number: int, data: bytes) -> bytes:
    size = b""
    left = len(data)
    while left > 0x7F:
        size += bytes([left & 0x7F | 0x80])
        left >>= 7
    return bytes([number << 3 | 2]) + size + bytes([left]) + data


def onnx_with_input(*names: str) -> bytes:
    tensor = field(1, b"\x08\x01" + field(2, field(1, b"\x08\x01")))  # float32, one dimension of 1
    return field(7, b"".join(field(11, bytes_of(name, 1) + field(2, tensor)) for name in names))


def test_names_in_a_file_never_become_code(tmp_path: Path) -> None:
    header = json.dumps({EVIL: {"dtype": "F32", "shape": [EVIL], "data_offsets": [0, 0]}}).encode()
    learner = {
        "learner_model_param": {"num_feature": "1"},
        "feature_names": [EVIL],
        "objective": {"name": EVIL},
    }
    mlflow = tmp_path / "mlflow"
    mlflow.mkdir()
    signature = json.dumps([{"type": "tensor", "tensor-spec": {"dtype": EVIL, "shape": [-1]}}]).replace(
        "'", "''"
    )
    (mlflow / "MLmodel").write_text(f"flavors:\n  python_function:\nsignature:\n  inputs: '{signature}'\n")
    (mlflow / "requirements.txt").write_text("pandas==2\n--index-url=evil\nevil @ file:///evil\n")
    files = {
        "evil.safetensors": len(header).to_bytes(8, "little") + header,
        "evil.json": json.dumps({"learner": learner, "version": [EVIL, EVIL]}).encode(),
        "evil.txt": f"tree\nfeature_names={EVIL!r} b\nobjective={EVIL!r}\n".encode(),
        "evil.onnx": onnx_with_input(EVIL, "{0}", "class", "é", "class"),
        "evil.pkl": b"\x80\x04\x8c\x07sklearn\x8c" + bytes([len(EVIL)]) + EVIL.encode() + b"\x93)\x81.",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    for name in [*files, "mlflow"]:
        written = files_for(look(tmp_path / name), tmp_path)
        calls = [node for node in ast.walk(ast.parse(written["score.py"])) if isinstance(node, ast.Call)]
        assert not [call for call in calls if "it-ran" in "".join(map(ast.unparse, call.args[:1]))[:10]], name
        assert "evil" not in written["requirements.txt"], name
        assert "open" not in written["requirements.txt"], name


def test_only_known_packages_are_required(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04\x8c\x0bevil_module\x8c\x05Model\x93)\x81.")
    model = look(tmp_path / "model.pkl")
    assert model.requirements == ("numpy",)
    assert model.code.notes == ("requirements.txt: add the package of the module evil_module",)


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "posix.system",
        "subprocess.Popen",
        "builtins.eval",
        "builtins.getattr",
        "joblib.os.system",
    ],
)
def test_names_that_no_model_needs(name: str) -> None:
    assert suspects(("sklearn.pipeline.Pipeline", name, "numpy.ndarray")) == [name]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_the_names_are_those_that_pickletools_shows(protocol: int, tmp_path: Path) -> None:
    require_module("sklearn", "scikit-learn==1.7.2")
    from sklearn.linear_model import LinearRegression

    data = pickle.dumps(LinearRegression().fit([[1.0, 2.0], [2.0, 4.5]], [1, 2]), protocol)
    (tmp_path / "model.pkl").write_bytes(data)
    made, names = pickled.read(tmp_path / "model.pkl")
    texts = {
        str(argument).replace(" ", ".") for _, argument, _ in pickletools.genops(data) if argument is not None
    }
    assert all(name in texts or set(name.rpartition(".")[::2]) <= texts for name in names)
    assert made.name == "sklearn.linear_model._base.LinearRegression"
    assert made.attributes["n_features_in_"] == 2
    assert made.attributes["coef_"].shape == (2,)
    assert made.attributes["coef_"].values == pytest.approx(pickle.loads(data).coef_.tolist())


@pytest.mark.parametrize("file", [ONNX, MODELS / "xgboost-iris.ubj", MODELS / "lightgbm-iris.txt"])
def test_a_broken_file_is_a_model_or_none(file: Path, tmp_path: Path) -> None:
    """Whatever is changed in it, looking ends with a script that compiles, or with NotAModel."""
    chance = random.Random(7)
    whole = file.read_bytes()
    path = tmp_path / file.name
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 3, 10])):
            at = chance.randrange(min(len(data), 2000))
            data[at] = chance.randrange(256)
        path.write_bytes(data[: chance.choice([len(data), len(data) // 2])])
        with contextlib.suppress(NotAModel):
            compile(files_for(look(path), tmp_path)["score.py"], "score.py", "exec")


def test_values_are_laid_out_as_a_formatter_would() -> None:
    assert (
        literal({"a": [1, "it's", 'say "x"'], "b": None}, 100)
        == """{"a": [1, "it's", 'say "x"'], "b": None}"""
    )
    assert literal([{"long name": 1.5, "other": "x"}], 20) == (
        '[\n    {\n        "long name": 1.5,\n        "other": "x",\n    },\n]'
    )
    assert literal([float("nan"), float("inf")], 80) == '[float("nan"), float("inf")]'
    assert shown('a"""\n\\b') == "a''' /b"
