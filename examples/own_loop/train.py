"""A plain PyTorch training script, and the few lines that make it compress: those marked with `# Lamella`.

python examples/own_loop/train.py --out runs/own_loop
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lamella.trainer import compress  # Lamella
from lamella.trainer.data import fashion_mnist


def network() -> nn.Module:
    """A small convolutional network."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 10),
    )  # fmt: skip


def train(model: nn.Module, loader: DataLoader, epochs: int) -> None:
    """The loop as it was: any loss, any optimiser, any device."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y, label_smoothing=0.05).backward()
            optimizer.step()
            getattr(model, "keep_valid_", int)()  # Lamella: scales stay positive


def main() -> None:
    """Train, compress, export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/own_loop"))
    parser.add_argument("--samples", type=int, default=60000)
    parser.add_argument("--epochs", type=int, default=2)
    args = parser.parse_args()
    splits = fashion_mnist.load(None)
    x, y = torch.from_numpy(splits.train_x[: args.samples]), torch.from_numpy(splits.train_y[: args.samples])
    held_out = len(x) // 10
    training = DataLoader(TensorDataset(x[held_out:], y[held_out:]), batch_size=64, shuffle=True)
    validation = DataLoader(TensorDataset(x[:held_out], y[:held_out]), batch_size=500)

    torch.manual_seed(0)
    model = network()
    train(model, training, args.epochs)

    result = compress(  # Lamella
        model,
        training,
        validation,
        own_loop=lambda quantised, epochs: train(quantised, training, epochs),
        max_drop=2.0,
        sparsity=0.8,
        on_violation="skip",
    )
    args.out.mkdir(parents=True, exist_ok=True)
    result.export(args.out / "model.onnx")  # Lamella
    for decision in result.decisions:
        print(f"{decision.name}: {decision.reason(2.0)}")
    print(f"{100 * result.validation_accuracy:.2f} % in integers, {result.validation_drop:+.2f} points lost")


if __name__ == "__main__":
    main()
