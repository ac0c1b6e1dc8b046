"""Which format a model is in, and where a folder has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from inference_server.scaffold.formats import (
    lightgbm,
    mlflow,
    onnx,
    pickles,
    safetensors,
    torch,
    xgboost,
)
from inference_server.scaffold.model import Model, NotAModel

# The surest sign first.
FORMATS: tuple[Callable[[Path], Model | None], ...] = (
    mlflow.look,
    safetensors.look,
    torch.look,
    xgboost.look,
    lightgbm.look,
    onnx.look,
    pickles.look,
)
SUFFIXES = (
    ".joblib",
    ".pkl",
    ".pickle",
    ".onnx",
    ".pt",
    ".pth",
    ".safetensors",
    ".ubj",
    ".xgb",
    ".bst",
    ".lgb",
    ".model",
)
_FOLDERS = ("model", "models", "mlflow-model")


def look(path: Path) -> Model:
    """What the file or folder is. Raises NotAModel, saying what can be read."""
    if not path.exists():
        raise NotAModel(f"there is no model at {path}: give the path of a file or folder")
    if path.is_dir() and not (path / "MLmodel").is_file():
        return look(find(path))
    for look_at in FORMATS:
        try:
            model = look_at(path)
        except NotAModel:
            raise
        except Exception as error:  # the file is somebody else's, and broken in a way of its own
            raise NotAModel(f"{path} is broken: {type(error).__name__}: {error}") from error
        if model is not None:
            return model
    raise NotAModel(
        f"{path} is no model that can be read: expected a pickle or joblib file, ONNX, TorchScript, safetensors, "
        "XGBoost, LightGBM, or a folder that MLflow wrote"
    )


def find(folder: Path) -> Path:
    """The one model in a folder, or in one of its usual folders. Raises NotAModel for none and for several."""
    found = [path for place in (folder, *(folder / name for name in _FOLDERS)) for path in _models_in(place)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotAModel(f"no model was found in {folder}: name its file, as in azmlinfsrv init model.joblib")
    names = ", ".join(str(path) for path in found[:5])
    raise NotAModel(f"{len(found)} models were found in {folder} ({names}): name one of them")


def _models_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    if (folder / "MLmodel").is_file():
        return [folder]
    inside = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    return [path for path in inside if path.suffix in SUFFIXES and path.is_file()] + [
        path for path in inside if (path / "MLmodel").is_file()
    ]
