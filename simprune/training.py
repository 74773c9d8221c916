"""Train and evaluate one network.

Randomness is stateless: the order of the images in epoch e, their augmentation and what dropout drops come from
generators seeded with (seed, purpose, e). So training can begin at any epoch, and no global random state is changed.

The number format and the order in memory of a network with batch norm are those that are fastest on the processor at
hand, by a measurement (`fastest_arithmetic`): weights, loss and evaluation are in float32 in any case. On a CUDA device
the passes of a batch are recorded once and replayed, and the host waits for the device twice an epoch and not at each
step. On a CPU the optimizer is the plain one: the fused and the multi-tensor one were measured there and are no faster.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from simprune.data import AUGMENTATIONS, Dataset, augment, normalise
from simprune.errors import InputError, check_choice, check_number, check_whole, shown

SCHEDULES = ("step", "cosine", "linear")
STEP_MILESTONES = (0.5, 0.75)  # shares of the training run at which the learning rate falls to a tenth
FINAL_LEARNING_RATE = 0.01  # share of the first learning rate that the schedules "step" and "cosine" end at
WARM_UP = 0.2  # share of the training run over which the schedule "linear" rises
SAVE_EVERY = 240  # seconds after which the end of an epoch is kept


@dataclass(frozen=True)
class Recipe:
    """How one network is trained: stochastic gradient descent with momentum, cross-entropy loss.

    `epochs` passes over the training images in batches of `batch_size` (the last, smaller batch included);
    `learning_rate` the greatest one; `schedule` "step" (a tenth at 50 % and at 75 % of the run; He et al. 2016),
    "cosine" (down to 1 % of it; Loshchilov & Hutter 2017) or "linear" (up to it over the first fifth of the run, then
    down to 0; Goyal et al. 2017 and Li et al. 2020); `nesterov` whether momentum looks ahead (Sutskever et al. 2013);
    `augmentation` one of `data.AUGMENTATIONS`. Raises `InputError` for a value outside its range.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    schedule: str
    augmentation: str
    nesterov: bool = False

    def __post_init__(self):
        for field in ("epochs", "batch_size"):
            object.__setattr__(self, field, check_whole(field, getattr(self, field), 1))
        for field in ("learning_rate", "momentum", "weight_decay"):
            object.__setattr__(self, field, check_number(field, getattr(self, field), "[0, 1)"))
        if self.learning_rate == 0:
            raise InputError("learning_rate: 0 would leave the network as it is; give a number above 0 and below 1")
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("augmentation", self.augmentation, AUGMENTATIONS)
        if not isinstance(self.nesterov, bool):
            raise InputError(f"nesterov: {shown(self.nesterov)} is neither True nor False")
        if self.nesterov and self.momentum == 0:
            raise InputError("nesterov: True needs a momentum above 0")


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
    if recipe.schedule == "linear":
        top = steps * WARM_UP
        return torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / top, (steps - step) / (steps - top), 1.0)
        )
    milestones = [round(steps * share) for share in STEP_MILESTONES]
    return torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=milestones, gamma=0.1)


class Arithmetic(NamedTuple):
    """How training computes: forward passes in bfloat16 or not, and whether maps lie in memory channels last."""

    bfloat16: bool
    channels_last: bool

    def __str__(self) -> str:
        return ("bfloat16" if self.bfloat16 else "float32") + (", channels last" if self.channels_last else "")


PLAIN = Arithmetic(False, False)
TRIAL_IMAGES, TRIAL_ROUNDS = 32, 3
_measured: dict[tuple, Arithmetic] = {}


def fastest_arithmetic(network: nn.Module, shape: tuple[int, ...], device: torch.device) -> Arithmetic:
    """The arithmetic in which this device trains a network of these shapes fastest, measured once in each process.

    `shape`: of one image. A network without batch norm is trained in float32, plainly, on every CPU: what could be won
    is little, and its numbers depend less on the machine. What takes twice as long as another in its first step is
    measured no further: bfloat16 on a processor that does not know it takes ten times as long as float32. A CUDA device
    that computes in bfloat16 is not measured, since other programs share it: on an H100, VGG and ResNet-20 are trained
    in bfloat16, channels last, 1.9 and 2.0 times as fast as plainly in float32.
    """
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return Arithmetic(bfloat16=True, channels_last=True)
    normalised = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())
    if device.type == "cpu" and not normalised:
        return PLAIN
    key = (device, torch.get_num_threads(), shape, *(tuple(p.shape) for p in network.parameters()))
    if key not in _measured:
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        pixels = torch.zeros(TRIAL_IMAGES, *shape, device=device)
        seconds: dict[Arithmetic, float] = {}
        with dropout_seeded(0, device):
            for arithmetic in (PLAIN, Arithmetic(False, True), Arithmetic(True, True), Arithmetic(True, False)):
                best, took = min(seconds.values(), default=float("inf")), []
                while len(took) < TRIAL_ROUNDS and (not took or took[-1] <= 2 * best):
                    took.append(_seconds_of_a_step(network.train(), pixels, arithmetic))
                seconds[arithmetic] = min(took)
        network.to(memory_format=torch.contiguous_format).load_state_dict(before)
        _measured[key] = min(seconds, key=seconds.__getitem__)
    return _measured[key]


def _seconds_of_a_step(network: nn.Module, pixels: torch.Tensor, arithmetic: Arithmetic) -> float:
    device = pixels.device
    network.to(memory_format=_order(arithmetic))
    clock = time.perf_counter()
    _loss(network, pixels, torch.zeros(len(pixels), dtype=torch.long, device=device), arithmetic).backward()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    network.zero_grad(set_to_none=True)
    return time.perf_counter() - clock


def _order(arithmetic: Arithmetic) -> torch.memory_format:
    return torch.channels_last if arithmetic.channels_last else torch.contiguous_format


def _loss(network: nn.Module, pixels: torch.Tensor, labels: torch.Tensor, arithmetic: Arithmetic) -> torch.Tensor:
    pixels = pixels.contiguous(memory_format=_order(arithmetic))
    with torch.autocast(pixels.device.type, dtype=torch.bfloat16, enabled=arithmetic.bfloat16):
        return functional.cross_entropy(network(pixels), labels)


class _Recorded:
    """The forward and backward pass of batches of one size on a CUDA device, recorded once, then replayed as one.

    The kernels of a small network are done sooner than the host can launch them one by one. `batch` calls fill in the
    gradients and give the loss, as `_loss(…).backward()` does; the network's state is as it was before the recording.
    """

    def __init__(self, network: nn.Module, pixels: torch.Tensor, labels: torch.Tensor, arithmetic: Arithmetic):
        self._pixels, self._labels = pixels.clone(), labels.clone()
        before = {name: tensor.clone() for name, tensor in network.named_buffers()}
        try:
            self._record(network, arithmetic)
        finally:
            for name, tensor in network.named_buffers():
                tensor.copy_(before[name])

    def _record(self, network: nn.Module, arithmetic: Arithmetic) -> None:
        device = self._pixels.device
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with dropout_seeded(0, device), torch.cuda.stream(stream):
            with torch.no_grad():  # lets go of masked weights whose gradients would be computed in another stream
                _loss(network, self._pixels, self._labels, arithmetic)
            for _ in range(3):  # libraries choose their kernels and take their memory before a recording
                _loss(network, self._pixels, self._labels, arithmetic).backward()
        torch.cuda.current_stream(device).wait_stream(stream)
        network.zero_grad(set_to_none=True)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, stream=stream):
            self._loss = _loss(network, self._pixels, self._labels, arithmetic)
            self._loss.backward()

    def batch(self, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self._pixels.copy_(pixels)
        self._labels.copy_(labels)
        self._graph.replay()
        return self._loss


def _recorded(network: nn.Module, dataset: Dataset, size: int, arithmetic: Arithmetic) -> _Recorded | None:
    """The passes of a batch of this size, recorded; None where that is not possible, as on a CPU."""
    if dataset.train_images.device.type != "cuda" or size > len(dataset.train_labels):
        return None
    pixels = normalise(dataset.train_images[:size], dataset.mean, dataset.std)
    try:
        return _Recorded(network, pixels, dataset.train_labels[:size], arithmetic)
    except RuntimeError:  # somebody's own network may do what can't be recorded, such as branch on a value
        network.zero_grad(set_to_none=True)
        return None


class Position(NamedTuple):
    """Where training stands at the end of an epoch: what it needs to go on as if it had never stopped.

    `step` steps are done; `state` holds the network's state dict and, under "momentum.<number>", the optimizer's
    buffers; all that is computed in `arithmetic`.
    """

    step: int
    state: dict[str, torch.Tensor]
    arithmetic: Arithmetic


MOMENTUM = "momentum."


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
    arithmetic: Arithmetic | None = None,
    position: Position | None = None,
    keep: Callable[[Position], None] | None = None,
    on_epoch: Callable[[int], None] | None = None,
) -> list[float]:
    """Train `network` in place and return the learning rate of every step taken.

    The network and the data are on one device. A fresh optimizer is made on each call. The schedule spans
    `recipe.epochs` whole epochs; `first_step` and `last_step` (default: the end) cut a piece out of it, as weight
    rewinding needs. `constant_learning_rate` replaces the schedule, as fine-tuning needs. `trainable` (name of a
    parameter → boolean, its shape) says which of its weights train; the others stay as they are, to the bit.
    `order_seed` decides the order of the images, `augmentation_seed` their crops and flips and what dropout drops.
    `arithmetic`: default `fastest_arithmetic`. `keep` is given the position at the end of an epoch, at most once in
    `SAVE_EVERY` seconds; training from a `position` on ends, on one processor, with the very weights of a run that was
    not interrupted. `on_epoch(e)` is called after epoch e.
    Raises `FloatingPointError` if the loss is no longer finite.
    """
    images, labels = dataset.train_images, dataset.train_labels
    if arithmetic is None:
        arithmetic = fastest_arithmetic(network, tuple(images.shape[1:]), images.device)
    per_epoch = steps_per_epoch(len(images), recipe.batch_size)
    total = recipe.epochs * per_epoch
    last_step = total if last_step is None else last_step
    network.to(memory_format=_order(arithmetic))
    optimizer = torch.optim.SGD(
        [p for p in network.parameters() if p.requires_grad],
        lr=recipe.learning_rate if constant_learning_rate is None else constant_learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
        fused=images.device.type == "cuda",
    )
    parameters = dict(network.named_parameters())
    held = [
        (parameters[name], free.to(images.device), parameters[name].detach().clone())
        for name, free in (trainable or {}).items()
    ]
    if position is not None:
        first_step = position.step
        _restore(network, optimizer, position.state)
    schedule = scheduler(optimizer, recipe, total) if constant_learning_rate is None else None
    optimizer.zero_grad(set_to_none=True)
    if schedule is not None and first_step:
        optimizer.step()  # without gradients this changes nothing; torch wants it before the schedule moves
        for _ in range(first_step):
            schedule.step()
    network.train()
    recorded = _recorded(network, dataset, recipe.batch_size, arithmetic)
    rates, kept = [], time.monotonic()
    for epoch in range(first_step // per_epoch, -(-last_step // per_epoch)):
        order_generator = torch.Generator().manual_seed(derived_seed(order_seed, "order", epoch))
        order = torch.randperm(len(images), generator=order_generator).to(images.device)
        augmentation_generator = torch.Generator().manual_seed(derived_seed(augmentation_seed, "augmentation", epoch))
        first = max(0, first_step - epoch * per_epoch)
        last = min(per_epoch, last_step - epoch * per_epoch)
        loss = None
        with dropout_seeded(derived_seed(augmentation_seed, "dropout", epoch), images.device):
            for batch in order[first * recipe.batch_size : last * recipe.batch_size].split(recipe.batch_size):
                pixels = augment(images[batch], recipe.augmentation, augmentation_generator)
                pixels = normalise(pixels, dataset.mean, dataset.std)
                if recorded and len(batch) == recipe.batch_size:
                    loss = recorded.batch(pixels, labels[batch])
                else:
                    # The gradients of a recording have their place in memory.
                    optimizer.zero_grad(set_to_none=recorded is None)
                    loss = _loss(network, pixels, labels[batch], arithmetic)
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
        done = (epoch + 1) * per_epoch
        if keep is not None and done < last_step and time.monotonic() - kept >= SAVE_EVERY:
            keep(Position(done, _state(network, optimizer), arithmetic))
            kept = time.monotonic()
        if on_epoch is not None:
            on_epoch(epoch)
    return rates


@contextmanager
def dropout_seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from the global generators as if they had been seeded, and leave them as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _state(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """What `Position.state` holds, copied to the CPU; a parameter that was never updated has no momentum."""
    momentum = {
        f"{MOMENTUM}{number}": optimizer.state[parameter]["momentum_buffer"]
        for number, parameter in enumerate(optimizer.param_groups[0]["params"])
        if optimizer.state[parameter].get("momentum_buffer") is not None
    }
    return {name: tensor.detach().cpu().clone() for name, tensor in (network.state_dict() | momentum).items()}


def _restore(network: nn.Module, optimizer: torch.optim.Optimizer, state: Mapping[str, torch.Tensor]) -> None:
    network.load_state_dict({name: tensor for name, tensor in state.items() if not name.startswith(MOMENTUM)})
    for number, parameter in enumerate(optimizer.param_groups[0]["params"]):
        if f"{MOMENTUM}{number}" in state:
            # In the parameter's own order in memory, as the optimizer makes it.
            buffer = torch.empty_like(parameter).copy_(state[f"{MOMENTUM}{number}"])
            optimizer.state[parameter]["momentum_buffer"] = buffer.detach()


@torch.no_grad()
def evaluate(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor, dataset: Dataset, batch_size: int | None = None
) -> tuple[float, float]:
    """Mean cross-entropy loss (nats) and accuracy (0 … 1) over uint8 `images` (N × c × h × w), in eval mode."""
    if batch_size is None:  # what a processor's cache holds is evaluated in half the time
        batch_size = 100 if images.device.type == "cpu" else 1000
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
