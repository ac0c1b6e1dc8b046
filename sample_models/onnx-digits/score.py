"""Reads handwritten digits with ONNX Runtime, on CUDA where the session really gets it."""

import json
import logging
import os

import numpy as np
import onnxruntime as ort


def init():
    """Called once, when the worker starts."""
    global session
    folder = os.getenv("AZUREML_MODEL_DIR") or os.path.dirname(os.path.abspath(__file__))
    offered = ort.get_available_providers()
    wanted = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in offered]
    session = ort.InferenceSession(os.path.join(folder, "model.onnx"), providers=wanted)

    # A CUDA library that does not load makes the runtime fall back to the CPU: only the session knows.
    got = session.get_providers()[0]
    logging.info("onnx-digits runs on %s", got)
    if got != wanted[0]:
        logging.warning("%s was asked for and could not be started", wanted[0])


def run(raw_data):
    """One answer per image of `data`; an image is 64 numbers, 8 rows of 8 pixels, 0 (paper) to 16 (ink)."""
    images = np.asarray(json.loads(raw_data)["data"], dtype=np.float32)
    digits, probabilities = session.run(None, {"images": images})
    return [
        {"digit": int(digit), "probability": round(float(row[digit]), 4)}
        for digit, row in zip(digits, probabilities)
    ]
