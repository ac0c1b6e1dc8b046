"""Serves a model out of a folder laid out as Triton's model repository: <repository>/<model>/<version>/model.onnx.

Requests and answers have the shape of the Open Inference Protocol (v2): `inputs` with name, shape, datatype and data.
The newest version is served. config.pbtxt is not read: names, types and shapes come from the ONNX file itself.
"""

import json
import os

import numpy as np
import onnxruntime as ort

DATATYPES = {"FP32": np.float32, "FP64": np.float64, "INT32": np.int32, "INT64": np.int64, "BOOL": np.bool_}
NAMES = {np.dtype(kind): name for name, kind in DATATYPES.items()}


def newest(folder):
    """The folder of the highest version number."""
    return os.path.join(folder, str(max(int(name) for name in os.listdir(folder) if name.isdigit())))


def init():
    """Called once, when the worker starts."""
    global session, model, version
    here = os.path.dirname(os.path.abspath(__file__))
    repository = os.getenv("AZUREML_MODEL_DIR") or os.path.join(here, "model_repository")
    model = os.getenv("MODEL_NAME") or sorted(os.listdir(repository))[0]
    folder = newest(os.path.join(repository, model))
    version = os.path.basename(folder)
    session = ort.InferenceSession(
        os.path.join(folder, "model.onnx"), providers=ort.get_available_providers()
    )


def run(raw_data):
    """The outputs for the named inputs."""
    given = {
        tensor["name"]: np.array(tensor["data"], DATATYPES[tensor["datatype"]]).reshape(tensor["shape"])
        for tensor in json.loads(raw_data)["inputs"]
    }
    names = [output.name for output in session.get_outputs()]
    return {
        "model_name": model,
        "model_version": version,
        "outputs": [
            {
                "name": name,
                "shape": list(array.shape),
                "datatype": NAMES[array.dtype],
                "data": array.ravel().tolist(),
            }
            for name, array in zip(names, session.run(names, given))
        ],
    }
