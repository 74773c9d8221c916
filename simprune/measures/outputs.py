"""Function: do two networks say the same about the same inputs. Ground truth for what representations are for."""

import torch
from torch import Tensor

from simprune.errors import InputError
from simprune.measures.core import Measure, Score


def prediction_agreement(x: Tensor, y: Tensor, labels: Tensor | None = None) -> Score:
    """Share of inputs for which both logits, n x classes, have their maximum at the same class."""
    _check(x, y)
    return Score(float((x.argmax(1) == y.argmax(1)).double().mean()))


def jensen_shannon(x: Tensor, y: Tensor, labels: Tensor | None = None) -> Score:
    """Mean over inputs of the Jensen-Shannon divergence (not its root) of the softmax of logits, in bits: 0 ... 1."""
    _check(x, y)
    x, y = x.double().log_softmax(1), y.double().log_softmax(1)
    # exp(m) = (exp(x) + exp(y)) / 2 without leaving logarithms, where nothing underflows.
    middle = torch.logaddexp(x, y) - torch.tensor(2.0, dtype=torch.float64).log()
    nats = ((x.exp() * (x - middle)).sum(1) + (y.exp() * (y - middle)).sum(1)) / 2
    bits = float(nats.mean()) / float(torch.tensor(2.0, dtype=torch.float64).log())
    return Score(max(0.0, bits))


def accuracy_gap(x: Tensor, y: Tensor, labels: Tensor | None) -> Score:
    """Absolute difference of the accuracies of two logits, n x classes, on the labels, n."""
    _check(x, y)
    if labels is None or len(labels) != len(x):
        raise InputError(f"labels: accuracy_gap needs one label for each of the {len(x)} inputs")
    accuracies = [float((logits.argmax(1) == labels.to(logits.device)).double().mean()) for logits in (x, y)]
    return Score(abs(accuracies[0] - accuracies[1]))


def _check(x: Tensor, y: Tensor) -> None:
    if x.ndim != 2 or x.shape != y.shape:
        raise InputError(f"logits: {tuple(x.shape)} and {tuple(y.shape)} are not both n x classes")


MEASURES = (
    Measure(
        id="prediction_agreement",
        title="Prediction agreement",
        family="outputs",
        invariances=frozenset({"isotropic_scaling"}),
        reference="Fort et al. 2019",
        score=prediction_agreement,
        subject="outputs",
    ),
    Measure(
        id="jensen_shannon",
        title="Jensen-Shannon divergence",
        family="outputs",
        kind="distance",
        invariances=frozenset(),
        reference="Lin 1991",
        score=jensen_shannon,
        subject="outputs",
    ),
    Measure(
        id="accuracy_gap",
        title="Accuracy gap",
        family="outputs",
        kind="distance",
        invariances=frozenset({"isotropic_scaling"}),
        reference="Ding et al. 2021",
        score=accuracy_gap,
        subject="outputs",
    ),
)
