"""What a run takes of memory and disk, estimated before it starts, beside what the machine has."""

import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from simprune import models
from simprune.errors import InputError
from simprune.experiment import Experiment
from simprune.pruning import prunable
from simprune.representations import extract
from simprune.retraining import RETRAINING

# Read off the code, with room to spare; checked against the runs measured by `benchmarks/resources.py`.
# Python, PyTorch with its libraries and the other packages, once they have trained a little: 1.06 to 1.2 GB were seen.
PROCESS = 1400e6
TRAINING_COPIES = 3  # of a batch's activations: forward, backward, and what convolutions lay out anew
DECOMPOSED = 2  # float64 copies of the layer that is being decomposed
ROWS_MATRICES = 6  # n × n matrices of a layer that one reference keeps
CHECKPOINT_OVERHEAD = 30_000  # bytes of a network's files that are not weights
SCORE = 8  # bytes of one score in a compressed table
# Where Linux says what limits there are, and which of them hold for this process.
GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Estimate:
    """Bytes that a run needs: `memory` at its peak, `least_memory` without which it can't work, `disk` at its end."""

    memory: float
    least_memory: float
    disk: float


def estimate(
    experiment: Experiment, *, channels: int, image_size: tuple[int, int], classes: int, images: int
) -> Estimate:
    """What an experiment needs on a dataset of `images` images, training and test, of this shape.

    Made from the sizes of the layers, which a pass of one image tells: an upper estimate, not a promise.
    """
    shape = {"channels": channels, "image_size": image_size, "classes": classes}
    network = models.build(experiment.architecture, **shape, width=experiment.width)
    activations = extract(network, torch.zeros(1, channels, *image_size))
    layers = [math.prod(layer.shape[1:]) for layer in activations.values()]
    weights = sum(parameter.numel() for parameter in network.parameters())
    masks = sum(module.weight.numel() for _, module in prunable(network))

    data = images * channels * math.prod(image_size)
    held = 1 + len(experiment.references)  # the network at hand and those it is compared with
    rows = experiment.probe_size
    snapshots = held * 4 * (rows * sum(layers) + weights + masks)
    decomposed = DECOMPOSED * 8 * rows * max(layers) * len(experiment.views)
    matrices = held * len(layers) * len(experiment.views) * ROWS_MATRICES * 8 * rows**2
    # Half of a network's activations are between the layers that are probed.
    training = TRAINING_COPIES * 2 * 4 * experiment.batch_size * sum(layers) + 4 * 4 * weights
    donors = experiment.levels if RETRAINING[experiment.retraining].donor else 0
    networks = experiment.levels + 1 + ("sibling" in experiment.references)
    scores = networks * len(layers) * len(experiment.references) * len(experiment.views) * len(experiment.measures)
    return Estimate(
        memory=PROCESS + 2 * data + max(training, snapshots + decomposed + matrices),
        least_memory=data + 4 * rows * sum(layers) + 8 * weights,
        disk=len(experiment.seeds)
        * ((networks + donors) * (4 * (weights + masks) + CHECKPOINT_OVERHEAD) + SCORE * scores),
    )


def check(needed: Estimate, store: Path, say: Callable[[str], None], stored: float = 0) -> None:
    """Say so where a run may be too large for this machine; raise `InputError` where it can't work.

    `stored` are the bytes of the run that are on the disk already.
    """
    total, available, free = total_memory(), available_memory(), free_disk(store)
    if needed.least_memory > total:
        raise InputError(
            f"probe_size: a run of this size needs at least {amount(needed.least_memory)} of memory, and this machine "
            f"has {amount(total)}; give fewer probe inputs, a smaller width or fewer images"
        )
    if free is not None and needed.disk - stored > free:
        raise InputError(
            f"store: the networks and tables of this run take about {amount(needed.disk)}, and {str(store)!r} has "
            f"{amount(free)} left; make room, choose another with --store, or run fewer seeds or levels"
        )
    if needed.memory > available:
        say(
            f"this run may take about {amount(needed.memory)} of memory, and {amount(available)} are free; if it is "
            f"killed, run it with fewer probe inputs (--probe-size), one view (--views pooled) or one reference"
        )


def amount(size: float) -> str:
    """Bytes as people say them."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, size / 1e6):.0f} MB"


def total_memory() -> float:
    """Bytes of memory that this process may have: the machine's, or less where a limit is set on its group."""
    return min([float(psutil.virtual_memory().total), *(size for size in _group_limits() if size is not None)])


def _group_limits() -> Iterator[float | None]:
    """The limits of the control groups that this process is in, as batch systems and containers set them."""
    yield _number(GROUPS / "memory.max")
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for _, kinds, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if kinds == "" or "memory" in kinds.split(","):  # the second version of groups, or the first
            root, name = (GROUPS / "memory", "memory.limit_in_bytes") if kinds else (GROUPS, "memory.max")
            own = root / path.lstrip("/")
            for group in (own, *own.parents):
                if group == root or root in group.parents:
                    yield _number(group / name)


def available_memory() -> float:
    """Bytes of memory that can be had now without taking it from others."""
    return min(float(psutil.virtual_memory().available), total_memory())


def free_disk(place: Path) -> float | None:
    """Bytes left where a folder is, or is going to be."""
    place = place.absolute()
    existing = next((folder for folder in (place, *place.parents) if folder.exists()), None)
    try:
        return float(shutil.disk_usage(existing).free) if existing else None
    except OSError:
        return None


def _number(file: Path) -> float | None:
    try:
        return float(file.read_text())
    except (OSError, ValueError):  # no such limit
        return None
