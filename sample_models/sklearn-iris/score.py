"""Names the species of iris flowers from four measurements in centimetres."""

import json
import os

import joblib


def init():
    """Called once, when the worker starts."""
    global model
    folder = os.getenv("AZUREML_MODEL_DIR") or os.path.dirname(os.path.abspath(__file__))
    model = joblib.load(os.path.join(folder, "model.joblib"))


def run(raw_data):
    """One species per row of `data`: sepal length and width, petal length and width."""
    rows = json.loads(raw_data)["data"]
    return model.predict(rows).tolist()
