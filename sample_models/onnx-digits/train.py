"""Trains the digits network and writes it as ONNX; the same every time. Needs scikit-learn 1.7.2 and skl2onnx."""

import json
from pathlib import Path

from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

HERE = Path(__file__).parent


def main() -> None:
    digits = load_digits()
    x_train, x_test, y_train, y_test = train_test_split(
        digits.data, digits.target, test_size=0.3, random_state=0, stratify=digits.target
    )
    network = MLPClassifier(hidden_layer_sizes=(64, 32), max_iter=400, random_state=0)
    model = make_pipeline(MinMaxScaler(), network)
    model.fit(x_train, y_train)
    print(f"{model.score(x_test, y_test):.1%} of {len(y_test)} digits it had not seen are read right")

    onnx_model = to_onnx(
        model,
        initial_types=[("images", FloatTensorType([None, 64]))],
        options={"zipmap": False},
        target_opset=17,
        name="digits",
    )
    (HERE / "model.onnx").write_bytes(onnx_model.SerializeToString())

    images = x_test[:2].astype(int).tolist()
    print("the request holds", y_test[:2].tolist())
    (HERE / "request.json").write_text(json.dumps({"data": images}) + "\n")


if __name__ == "__main__":
    main()
