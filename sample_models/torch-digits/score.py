"""Reads handwritten digits with a small convolutional network in torch, on CUDA where there is one."""

import json
import logging
import os

import torch


def build():
    """The network, untrained: images of shape [n, 1, 8, 8] in, ten scores per image out."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, kernel_size=3, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, kernel_size=3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(32 * 4 * 4, 10),
    )


def init():
    """Called once, when the worker starts."""
    global device, network
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folder = os.getenv("AZUREML_MODEL_DIR") or os.path.dirname(os.path.abspath(__file__))
    network = build()
    # weights_only: a file of numbers, from which no code is run.
    weights = torch.load(os.path.join(folder, "model.pt"), map_location=device, weights_only=True)
    network.load_state_dict(weights)
    network.to(device).eval()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU"
    logging.info("torch-digits runs on %s", name)


def run(raw_data):
    """One answer per image of `data`; an image is 64 numbers, 8 rows of 8 pixels, 0 (paper) to 16 (ink)."""
    images = torch.tensor(json.loads(raw_data)["data"], dtype=torch.float32, device=device)
    with torch.inference_mode():
        scores = network(images.view(-1, 1, 8, 8) / 16)
        probabilities, digits = scores.softmax(dim=1).max(dim=1)
    return [
        {"digit": digit, "probability": round(probability, 4)}
        for digit, probability in zip(digits.tolist(), probabilities.tolist())
    ]
