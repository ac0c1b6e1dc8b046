"""Trains the iris model; the same every time. Needs scikit-learn 1.7.2, the version that serves it."""

from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main() -> None:
    iris = load_iris()
    species = iris.target_names[iris.target].astype(object)
    x_train, x_test, y_train, y_test = train_test_split(
        iris.data, species, test_size=0.3, random_state=0, stratify=species
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(x_train, y_train)
    print(f"{model.score(x_test, y_test):.1%} of {len(y_test)} flowers it had not seen are named right")
    joblib.dump(model, Path(__file__).with_name("model.joblib"), compress=3)


if __name__ == "__main__":
    main()
