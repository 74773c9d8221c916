"""Train and evaluate one network.

Randomness is stateless: the order of the images in epoch e and their augmentation come from generators seeded with
(seed, purpose, e), so that training can begin at any step and no global random state is read or changed.

On a CUDA device, and for networks with batch norm on a CPU with matrix units for bfloat16, the forward pass runs in
mixed precision: bfloat16, with weights, loss and evaluation in float32. On a CUDA device the host waits for the device
twice an epoch and not at each step. On a CPU the optimizer is the plain one: the fused and the multi-tensor one were
measured there and are no faster.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real

import torch
from torch import nn
from torch.nn import functional

from simprune.data import AUGMENTATIONS, Dataset, augment, normalise
from simprune.errors import InputError, check_choice, shown

SCHEDULES = ("step", "cosine")
STEP_MILESTONES = (0.5, 0.75)  # shares of the training run at which the learning rate falls to a tenth
FINAL_LEARNING_RATE = 0.01  # share of the first learning rate that both schedules end at


@dataclass(frozen=True)
class Recipe:
    """How one network is trained: stochastic gradient descent with momentum, cross-entropy loss.

    `epochs` passes over the training images in batches of `batch_size` (the last, smaller batch included);
    `learning_rate` the first one; `schedule` "step" (a tenth at 50 % and at 75 % of the run; He et al. 2016) or
    "cosine" (down to 1 % of it; Loshchilov & Hutter 2017); `augmentation` one of `data.AUGMENTATIONS`.
    Raises `InputError` for a value outside its range.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    schedule: str
    augmentation: str

    def __post_init__(self):
        for field in ("epochs", "batch_size"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
                raise InputError(f"{field}: {shown(value)} is not a whole number of at least 1")
            object.__setattr__(self, field, int(value))
        for field in ("learning_rate", "momentum", "weight_decay"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value < 1:
                raise InputError(f"{field}: {shown(value)} is not a number in [0, 1)")
            object.__setattr__(self, field, float(value))
        if self.learning_rate == 0:
            raise InputError("learning_rate: 0 would leave the network as it is; give a number above 0 and below 1")
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("augmentation", self.augmentation, AUGMENTATIONS)


def derived_seed(*parts: object) -> int:
    """A seed in 0 … 2⁶³ − 1 for one purpose, e.g. `derived_seed(seed, "order", epoch)`; equal parts, equal seed."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Number of batches that cover `images` images, the last one possibly smaller."""
    return -(-images // batch_size)


def scheduler(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """The recipe's learning-rate schedule over a run of `steps` steps, to be stepped once per batch."""
    if recipe.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, T_max=steps, eta_min=recipe.learning_rate * FINAL_LEARNING_RATE
        )
    milestones = [round(steps * share) for share in STEP_MILESTONES]
    return torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=milestones, gamma=0.1)


def mixed_precision(network: nn.Module, device: torch.device) -> bool:
    """Whether the forward pass of training runs in bfloat16: where it was measured to be faster.

    On a CPU that asks for matrix units (Intel's AMX). Measured there on one thread, in images per second while
    training: VGG of half width 1.9 times as many as in float32, ResNet-20 of half width 1.6 times. LeNet-5, and any
    network without batch norm, is trained in float32 on every CPU: its numbers depend less on the machine.
    """
    if device.type == "cuda":
        return True
    normalised = any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    return device.type == "cpu" and normalised and _has_matrix_units()


@cache
def _has_matrix_units() -> bool:
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # older releases of PyTorch don't tell
    return bool(capabilities.get("amx_bf16"))


def _batches(order: torch.Tensor, batch_size: int, first: int, last: int) -> Iterator[torch.Tensor]:
    for batch in range(first, last):
        yield order[batch * batch_size : (batch + 1) * batch_size]


def train(
    network: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    *,
    order_seed: int,
    augmentation_seed: int,
    first_step: int = 0,
    last_step: int | None = None,
    constant_learning_rate: float | None = None,
    trainable: Mapping[str, torch.Tensor] | None = None,
    on_epoch: Callable[[int], None] | None = None,
) -> list[float]:
    """Train `network` in place and return the learning rate of every step taken.

    The network and the data are on one device. A fresh optimizer is made on each call. The schedule spans
    `recipe.epochs` whole epochs; `first_step` and `last_step` (default: the end) cut a piece out of it, as weight
    rewinding needs. `constant_learning_rate` replaces the schedule, as fine-tuning needs. `trainable` (name of a
    parameter → boolean, its shape) says which of its weights train; the others stay as they are, to the bit.
    `order_seed` decides the order of the images, `augmentation_seed` their crops and flips. `on_epoch(e)` is called
    after epoch e.
    Raises `FloatingPointError` if the loss is no longer finite.
    """
    images, labels = dataset.train_images, dataset.train_labels
    mixed = mixed_precision(network, images.device)
    per_epoch = steps_per_epoch(len(images), recipe.batch_size)
    total = recipe.epochs * per_epoch
    last_step = total if last_step is None else last_step
    optimizer = torch.optim.SGD(
        [p for p in network.parameters() if p.requires_grad],
        lr=recipe.learning_rate if constant_learning_rate is None else constant_learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        fused=images.device.type == "cuda",
    )
    schedule = scheduler(optimizer, recipe, total) if constant_learning_rate is None else None
    optimizer.zero_grad(set_to_none=True)
    if schedule is not None and first_step:
        optimizer.step()  # without gradients this changes nothing; torch wants it before the schedule moves
        for _ in range(first_step):
            schedule.step()
    parameters = dict(network.named_parameters())
    held = [(parameters[name], free, parameters[name].detach().clone()) for name, free in (trainable or {}).items()]
    network.train()
    rates = []
    for epoch in range(first_step // per_epoch, -(-last_step // per_epoch)):
        order_generator = torch.Generator().manual_seed(derived_seed(order_seed, "order", epoch))
        order = torch.randperm(len(images), generator=order_generator).to(images.device)
        augmentation_generator = torch.Generator().manual_seed(derived_seed(augmentation_seed, "augmentation", epoch))
        first = max(0, first_step - epoch * per_epoch)
        last = min(per_epoch, last_step - epoch * per_epoch)
        loss = None
        for batch in _batches(order, recipe.batch_size, first, last):
            pixels = normalise(
                augment(images[batch], recipe.augmentation, augmentation_generator), dataset.mean, dataset.std
            )
            with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=mixed):
                loss = functional.cross_entropy(network(pixels), labels[batch])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for parameter, free, value in held:
                    torch.where(free, parameter, value, out=parameter)
            rates.append(optimizer.param_groups[0]["lr"])
            if schedule is not None:
                schedule.step()
        if loss is not None and not torch.isfinite(loss):  # once an epoch: reading it makes the host wait
            raise FloatingPointError(
                f"training diverged in epoch {epoch + 1}: the loss is {loss.item()}; try a smaller learning_rate "
                f"than {recipe.learning_rate:g}"
            )
        if on_epoch is not None:
            on_epoch(epoch)
    return rates


@torch.no_grad()
def evaluate(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor, dataset: Dataset, batch_size: int = 1000
) -> tuple[float, float]:
    """Mean cross-entropy loss (nats) and accuracy (0 … 1) over uint8 `images` (N × c × h × w), in eval mode."""
    was_training = network.training
    network.eval()
    loss = torch.zeros((), dtype=torch.float64, device=images.device)
    correct = torch.zeros((), dtype=torch.int64, device=images.device)
    for start in range(0, len(images), batch_size):
        logits = network(normalise(images[start : start + batch_size], dataset.mean, dataset.std))
        target = labels[start : start + batch_size]
        loss += functional.cross_entropy(logits, target, reduction="sum")
        correct += (logits.argmax(dim=1) == target).sum()
    network.train(was_training)
    return loss.item() / len(images), correct.item() / len(images)
