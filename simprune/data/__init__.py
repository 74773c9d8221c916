"""Datasets and probe inputs as tensors.

Every dataset is decoded once into uint8 tensors that stay on one device; normalisation and augmentation work
on whole batches there.
"""

from simprune.data.batches import (
    AUGMENTATIONS,
    Dataset,
    augment,
    normalise,
    probe_inputs,
    stratified_draw,
)
from simprune.data.readers import EMBEDDED_FILE, identify, load, state_of_files
from simprune.data.registry import DATASETS, check_dataset, content, own_images, short_name

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "EMBEDDED_FILE",
    "Dataset",
    "augment",
    "check_dataset",
    "content",
    "identify",
    "load",
    "normalise",
    "own_images",
    "probe_inputs",
    "short_name",
    "state_of_files",
    "stratified_draw",
]
