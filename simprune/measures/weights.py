"""Weights: how much of the network itself is the same. For networks of one architecture."""

from collections.abc import Mapping

import torch
from torch import Tensor

from simprune.errors import InputError
from simprune.measures.core import Measure, Score, undefined

Tensors = Mapping[str, Tensor]


def mask_overlap(x: Tensors, y: Tensors) -> Score:
    """Jaccard index of the kept weights of two networks, from their masks: layer -> tensor, not 0 where kept."""
    _check("masks", x, y)
    both = either = 0
    for layer, mask in x.items():
        first, second = mask.bool(), y[layer].to(mask.device).bool()
        both += int((first & second).sum())
        either += int((first | second).sum())
    return Score(both / either) if either else undefined("no weight is kept")


def weight_cosine(x: Tensors, y: Tensors) -> Score:
    """Cosine between all weights of two networks, as they compute with them (0 where pruned): layer -> tensor."""
    _check("weights", x, y)
    first, second = (torch.cat([tensors[layer].detach().cpu().double().flatten() for layer in x]) for tensors in (x, y))
    # Unit maxima keep the squares of tiny and huge weights finite.
    greatest = float(first.abs().max()), float(second.abs().max())
    if 0 in greatest:
        return undefined("all weights are 0")
    first, second = first / greatest[0], second / greatest[1]
    return Score(float(first @ second / (first.norm() * second.norm())))


def _check(what: str, x: Tensors, y: Tensors) -> None:
    shapes = [{layer: tuple(tensor.shape) for layer, tensor in tensors.items()} for tensors in (x, y)]
    if not x or shapes[0] != shapes[1]:
        raise InputError(f"{what}: the two networks do not have the same layers of the same shapes")


MEASURES = (
    Measure(
        id="mask_overlap",
        title="Mask overlap",
        family="weights",
        invariances=frozenset({"isotropic_scaling"}),
        reference="Jaccard 1912",
        score=lambda weights, masks: mask_overlap(*masks),
        subject="weights",
    ),
    Measure(
        id="weight_cosine",
        title="Weight cosine",
        family="weights",
        range=(-1.0, 1.0),
        invariances=frozenset({"isotropic_scaling"}),
        reference="Cosine of the angle between weight vectors",
        score=lambda weights, masks: weight_cosine(*weights),
        subject="weights",
    ),
)
