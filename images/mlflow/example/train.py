"""Trains the example: the iris flowers' species, logged as MLflow lays a model out. Writes the folder `model`."""

import os
import shutil

import mlflow.sklearn
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "model")


def main():
    """Train and save."""
    iris = load_iris(as_frame=True)
    table = iris.data.rename(columns=lambda name: name.replace(" (cm)", "").replace(" ", "_"))
    species = iris.target_names[iris.target]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(table, species)
    shutil.rmtree(FOLDER, ignore_errors=True)
    signature = mlflow.models.infer_signature(table, species)
    mlflow.sklearn.save_model(model, FOLDER, signature=signature, serialization_format="cloudpickle")


if __name__ == "__main__":
    main()
