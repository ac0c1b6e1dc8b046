"""Trains the digits network; the same every time on one machine. Needs torch and scikit-learn (for the images)."""

import json
from pathlib import Path

import torch
from score import build
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent


def main() -> None:
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    digits = load_digits()
    x_train, x_test, y_train, y_test = (
        torch.tensor(part)
        for part in train_test_split(
            digits.data.astype("float32"),
            digits.target,
            test_size=0.3,
            random_state=0,
            stratify=digits.target,
        )
    )
    network = build()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    for _ in range(40):
        for rows in torch.randperm(len(x_train)).split(64):
            optimizer.zero_grad()
            scores = network(x_train[rows].view(-1, 1, 8, 8) / 16)
            torch.nn.functional.cross_entropy(scores, y_train[rows]).backward()
            optimizer.step()

    with torch.inference_mode():
        read = network(x_test.view(-1, 1, 8, 8) / 16).argmax(dim=1)
    right = (read == y_test).float().mean().item()
    print(f"{right:.1%} of {len(y_test)} digits it had not seen are read right")
    torch.save(network.state_dict(), HERE / "model.pt")

    print("the request holds", y_test[:2].tolist())
    images = x_test[:2].to(torch.int64).tolist()
    (HERE / "request.json").write_text(json.dumps({"data": images}) + "\n")


if __name__ == "__main__":
    main()
