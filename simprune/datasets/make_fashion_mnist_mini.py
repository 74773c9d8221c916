"""Make fashion_mnist_mini.npz from the full Fashion-MNIST.

    python -m simprune.datasets.make_fashion_mnist_mini DATA_ROOT [OUTPUT]

DATA_ROOT holds FashionMNIST/raw. The draw is stratified with a fixed seed and keeps the original order, so
that the same images come out on every machine.
"""

import sys
from pathlib import Path

import numpy as np

from simprune import data

TRAIN_SIZE, TEST_SIZE, SEED = 10_000, 2_000, 0


def make(root: str | Path) -> dict[str, np.ndarray]:
    """Return the four uint8 arrays of the file: images (n × 28 × 28) and labels (n) of both splits."""
    full = data.load("fashion_mnist", root)
    arrays = {}
    for split, images, labels, size in (
        ("train", full.train_images, full.train_labels, TRAIN_SIZE),
        ("test", full.test_images, full.test_labels, TEST_SIZE),
    ):
        chosen = data.stratified_draw(labels, size, SEED)
        arrays[f"{split}_images"] = images[chosen, 0].numpy()
        arrays[f"{split}_labels"] = labels[chosen].numpy().astype(np.uint8)
    return arrays


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -m simprune.datasets.make_fashion_mnist_mini DATA_ROOT [OUTPUT]")
    output = Path(sys.argv[2]) if len(sys.argv) == 3 else data.EMBEDDED_FILE
    np.savez_compressed(output, **make(sys.argv[1]))
    print(f"{output}: {output.stat().st_size / 1e6:.2f} MB")
