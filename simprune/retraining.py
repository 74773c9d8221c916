"""What follows pruning: for each way, the network that a level starts from, and how that is trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from simprune import pruning
from simprune.training import FINAL_LEARNING_RATE, derived_seed


@dataclass(frozen=True)
class Start:
    """A level above 0 of one seed's run, and the networks that it can start from; all on the CPU.

    Attributes:
        experiment: the run, an `Experiment`.
        seed: its seed.
        level: the level that is made.
        before: gives the network that pruning takes: of the level before or, in one shot, the dense one.
        untrained: gives the untrained network of a seed.
        early: gives the state of the dense network at the step `experiment.rewind_step` of its training.
        donated: gives the masks of the run with `lr_rewind` at this level; for modes with `donor`.
    """

    experiment: Any
    seed: int
    level: int
    before: Callable[[], nn.Module]
    untrained: Callable[[int], nn.Module]
    early: Callable[[], Mapping[str, torch.Tensor]]
    donated: Callable[[], Mapping[str, torch.Tensor]]


def _pruned(start: Start) -> nn.Module:
    """The network before, with the weights of this level gone."""
    network, experiment = start.before(), start.experiment
    pruning.prune_to(
        network,
        pruning.nominal_density(experiment.rate, start.level),
        criterion=experiment.criterion,
        scope=experiment.scope,
        seed=derived_seed(start.seed, "pruning", start.level),
        keep_output=experiment.keep_output,
    )
    return network


def _rewound(start: Start) -> nn.Module:
    network = _pruned(start)
    masks = pruning.masks(network)
    network.load_state_dict(start.early())
    pruning.load_masks(network, masks)
    return network


def _reinitialised(start: Start) -> nn.Module:
    network = start.untrained(derived_seed(start.seed, "initial weights", start.level))
    pruning.load_masks(network, start.donated())
    return network


def _zeroed(start: Start) -> nn.Module:
    network = start.before()
    pruning.zero(network, start.donated())
    return network


@dataclass(frozen=True)
class Mode:
    """One way of retraining.

    Attributes:
        title: its name in tables and figures.
        description: what it does, and its source.
        start: gives the network that training starts from.
        options: gives the options of `training.train`; None where nothing is trained.
        donor: whether the masks are those of the run with `lr_rewind`, which then is made first.
        dense_recipe: whether a level goes on in the dense network's own schedule, from `rewind_step` on.
    """

    title: str
    description: str
    start: Callable[[Start], nn.Module] = _pruned
    options: Callable[[Start], dict[str, Any] | None] = lambda start: {}
    donor: bool = False
    dense_recipe: bool = False


RETRAINING: dict[str, Mode] = {
    "lr_rewind": Mode("LR rewinding", "keep the weights, restart the learning-rate schedule (Renda et al. 2020)"),
    "weight_rewind": Mode(
        "weight rewinding",
        "set the weights back to an early step of the dense training and go on from there (Frankle et al. 2020)",
        start=_rewound,
        options=lambda start: {"first_step": start.experiment.rewind_step},
        dense_recipe=True,
    ),
    "finetune": Mode(
        "fine-tuning",
        "keep the weights, go on at a hundredth of the learning rate (Han et al. 2015)",
        options=lambda start: {"constant_learning_rate": start.experiment.learning_rate * FINAL_LEARNING_RATE},
    ),
    "reinitialise": Mode(
        "same masks, new weights",
        "keep the masks of the lr_rewind run, train new initial weights (Frankle & Carbin 2019)",
        start=_reinitialised,
        donor=True,
    ),
    "held": Mode(
        "held",
        "the weights that the lr_rewind run loses stay at the value they have, untrained; a control: no weight is lost",
        start=lambda start: start.before(),
        options=lambda start: {"trainable": {f"{layer}.weight_orig": mask for layer, mask in start.donated().items()}},
        donor=True,
    ),
    "regrown": Mode(
        "regrown",
        "the weights that the lr_rewind run has lost start each level at zero and train like the others "
        "(dense-sparse-dense, Han et al. 2017); a control: no weight is kept from training",
        start=_zeroed,
        donor=True,
    ),
    "none": Mode("no retraining", "leave the network as pruning left it", options=lambda start: None),
}
