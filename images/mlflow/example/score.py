"""Answers with whatever model MLflow logged, through its pyfunc flavour: a table in, predictions out."""

import json
import os

import mlflow.pyfunc
import pandas as pd


def init():
    """Called once, when the worker starts."""
    global model
    folder = os.getenv("AZUREML_MODEL_DIR") or os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "model"
    )
    model = mlflow.pyfunc.load_model(folder)


def run(raw_data):
    """The predictions for `input_data`: {"columns": [...], "data": [[...]]}, as Azure's MLflow endpoints take it."""
    table = json.loads(raw_data)["input_data"]
    predictions = model.predict(pd.DataFrame(table["data"], columns=table.get("columns")))
    return predictions.tolist() if hasattr(predictions, "tolist") else predictions
