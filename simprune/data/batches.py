"""Decoded images as tensors: what a dataset is, and the batches that networks are given."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from simprune.errors import check_choice, check_whole

AUGMENTATIONS = ("none", "crop", "crop_flip")
CROP_PADDING = 4


@dataclass(frozen=True, eq=False)
class Dataset:
    """Decoded images and labels of both splits, all on one device.

    Images are uint8, n × channels × height × width; labels are int64 indices into `classes`. `mean` and `std`
    are by channel on the scale 0 to 1. `fingerprint` identifies the full decoded data, also after `subset`.
    `source` says in short words where it came from: "embedded", "torchvision files", "parquet",
    "parquet (JPEG)" for images that were compressed with loss, or "folder".
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: str
    fingerprint: str
    source: str

    @property
    def channels(self) -> int:
        return self.train_images.shape[1]

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return tuple(self.train_images.shape[2:])

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    def to(self, device: torch.device | str) -> "Dataset":
        """Return the same dataset with its tensors on `device`."""
        names = ("train_images", "train_labels", "test_images", "test_labels")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def subset(self, train_size: int | None) -> "Dataset":
        """Return the dataset with `train_size` of its training images, every class in its share.

        The draw is always the same, and in the original order. `None` or the full size returns the dataset
        itself. Raises `InputError` for a size below the number of classes or above the training set.
        """
        total = len(self.train_labels)
        if train_size is None or train_size == total:
            return self
        check_whole("train_size", train_size, self.n_classes, total, "training images")
        chosen = stratified_draw(self.train_labels, train_size, seed=0).to(self.train_labels.device)
        return replace(self, train_images=self.train_images[chosen], train_labels=self.train_labels[chosen])


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Turn uint8 images (n × c × h × w) into float32 on the same device.

    `mean` and `std` are by channel, for pixels on the scale 0 to 1.
    """
    scale, shift = _scale_and_shift(tuple(mean), tuple(std), images.device)
    return images.to(torch.float32).mul_(scale).sub_(shift)


@lru_cache(maxsize=16)
def _scale_and_shift(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device):
    # Kept on the device: copying them there for every batch would make an accelerator wait.
    mean64, std64 = torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
    scale, shift = 1 / (255 * std64), mean64 / std64
    return tuple(t.to(torch.float32).view(-1, 1, 1).to(device) for t in (scale, shift))


def augment(images: Tensor, augmentation: str, generator: torch.Generator) -> Tensor:
    """Change each uint8 image of a batch (n × c × h × w) at random, independently of the others.

    "crop" shifts by up to 4 pixels each way, with black entering at the borders; "crop_flip" also mirrors
    left and right in half of the cases; "none" returns the images themselves. Draws come from `generator`.
    """
    check_choice("augmentation", augmentation, AUGMENTATIONS)
    if augmentation == "none":
        return images
    n, channels, height, width = images.shape
    device = images.device
    draws = torch.randint(2 * CROP_PADDING + 1, (2, n, 1), generator=generator, device=generator.device)
    top, left = draws.to(device, non_blocking=True)
    rows = top + torch.arange(height, device=device)
    columns = left + torch.arange(width, device=device)
    if augmentation == "crop_flip":
        mirrored = torch.rand((n, 1), generator=generator, device=generator.device) < 0.5
        columns = torch.where(mirrored.to(device, non_blocking=True), columns.flip(1), columns)
    # One gather from the padded images, each flattened to one row of pixels a channel.
    pixels = rows[:, :, None] * (width + 2 * CROP_PADDING) + columns[:, None, :]
    pixels = pixels.view(n, 1, -1).expand(n, channels, -1)
    return F.pad(images, (CROP_PADDING,) * 4).flatten(2).gather(2, pixels).view(images.shape)


def probe_inputs(dataset: Dataset, size: int) -> tuple[Tensor, Tensor]:
    """Return the test images on which representations are taken, and their labels.

    The images are normalised (size × c × h × w, float32); the labels are int64. Every class has its share; the draw
    depends on nothing but the test labels and `size`, and keeps the original order, so that all networks of a study
    see the same images in the same order. Raises `InputError` for a size below 4 or above the test set.
    """
    check_whole("probe_size", size, 4, len(dataset.test_labels), "test images")
    chosen = stratified_draw(dataset.test_labels, size, seed=0).to(dataset.test_images.device)
    return normalise(dataset.test_images[chosen], dataset.mean, dataset.std), dataset.test_labels[chosen]


def stratified_draw(labels: Tensor, size: int, seed: int) -> Tensor:
    """Return the sorted indices (int64, CPU) of `size` items, each class in its share to within one item."""
    labels = labels.cpu().numpy()
    classes, counts = np.unique(labels, return_counts=True)
    exact = size * counts / len(labels)
    shares = np.floor(exact).astype(int)
    # What rounding down left over goes to the classes that lost most by it.
    shares[np.argsort(shares - exact, kind="stable")[: size - shares.sum()]] += 1
    # Sorting random keys, unlike a shuffle, rests on nothing but the generator's stream of floats.
    keys = np.random.default_rng(seed).random(len(labels))
    chosen = []
    for cls, share in zip(classes, shares, strict=True):
        members = np.flatnonzero(labels == cls)
        chosen.append(members[np.argsort(keys[members], kind="stable")[:share]])
    return torch.from_numpy(np.sort(np.concatenate(chosen)))
