"""Diagnostics: what a score would be by chance, on other inputs, levels and layers, and after known corruptions.

Each of `TABLES` makes one table of the networks of one seed. All of them use every measure of representations,
whatever an experiment asks for, so that they do not depend on it.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from simprune import pruning
from simprune.comparison import Parts, decomposed_views, view_scores
from simprune.data import Dataset, augment, normalise, stratified_draw
from simprune.measures import MEASURES, STUDY
from simprune.measures.chance import null_values
from simprune.measures.core import Measure, Pair, Score
from simprune.measures.released import linear_kernel, released_cka
from simprune.measures.spectral import spectral_values
from simprune.representations import VIEWS, Representation, extract
from simprune.training import dropout_seeded, evaluate

# Raise it when a change of the code changes the numbers or the layout of a table: older ones are then not used.
DIAGNOSTICS_SCHEMA = 2

# A score of shuffled inputs is a mean over all of them: few orders say the null. The view `channels` costs most.
SHUFFLES = {"flatten": 3, "channels": 2, "pooled": 3}
# Inputs drawn, and how often.
SAMPLE_SIZES = (50, 100, 250, 500)
SAMPLE_DRAWS = 5
# The plane on which CCA (0, 1), NBS (1, 1) and CKA (1, 2) are points, and a margin beyond.
ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
EXPONENTS = (1.0, 1.5, 2.0, 3.0, 4.0, math.inf)
# Noise in standard deviations of the representation; shares of its directions that stay; shares of weights that go.
NOISE = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
DIRECTIONS_KEPT = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
RANDOM_SPARSITIES = (0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95)
# Penalties that the linear probe chooses from, in mean variances of its training inputs.
PROBE_RIDGES = (1e-3, 1e-2, 0.1, 1.0, 10.0)
# Points of the straight line between the weights of two networks, ends included; training images for batch norm there.
LINE_POINTS = 11
NORM_IMAGES = 5000
# Activations of several networks that are held at once, in numbers: 1.6 GB of float32.
HELD = 400_000_000

Row = tuple
# Columns that several tables share.
PLACE = ["level", "layer", "layer_index", "reference", "view", "measure"]
SCORE = ["value", "status", "note"]


def representation_measures() -> list[Measure]:
    """The measures of all tables: those of two representations that the study computes."""
    return [MEASURES[name] for name in STUDY if MEASURES[name].subject == "representations"]


@dataclass(frozen=True)
class ProbedRun:
    """The networks of one seed, and what they are probed with.

    Attributes:
        levels: the last pruning level
        network: level -> its trained network, a new object at each call; level 0 is the dense one
        sibling: gives the dense network of another seed
        inputs: probe inputs, n x c x h x w
        labels: their classes, n
        seed: of every draw, and of the rows where a measure takes some of them
        dataset: all images: tests for errors, training images for the statistics of batch norm; None where only
            representations are asked for
        augmentation: how images were changed in training, and are for those statistics
    """

    levels: int
    network: Callable[[int], nn.Module]
    sibling: Callable[[], nn.Module]
    inputs: Tensor
    labels: Tensor
    seed: int = 0
    dataset: Dataset | None = None
    augmentation: str = "none"

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """The probed layers, in network order."""
        return tuple(self.network(0).probed)

    def activations(self, level: int, layers: tuple[str, ...] | None = None) -> dict[str, Tensor]:
        """Layer -> activations of the network of a level on the probe inputs."""
        return extract(self.network(level), self.inputs, layers)

    def sibling_activations(self) -> dict[str, Tensor]:
        """Layer -> activations of the sibling on the probe inputs."""
        return extract(self.sibling(), self.inputs)

    def parts(self, activations: Tensor, views: tuple[str, ...]) -> Parts:
        """A layer in each view, decomposed for all measures."""
        return decomposed_views(activations, views, representation_measures(), self.seed)

    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)


# -------------------------------------------------------------------------------------------- chance and inputs


def nulls(run: ProbedRun) -> pd.DataFrame:
    """Each score against the dense network with the inputs in random orders: mean, standard deviation, how often.

    Columns: level, layer, layer_index, reference, view, measure, null, null_sd, shuffles (those with a value).
    """
    measures = representation_measures()
    dense = {layer: run.parts(tensor, VIEWS) for layer, tensor in run.activations(0).items()}
    rows: list[Row] = []
    for level in range(run.levels + 1):
        for index, (layer, activations) in enumerate(run.activations(level).items()):
            done: dict[int, list[list[float]]] = {}
            for view, part in run.parts(activations, VIEWS).items():
                if id(part) not in done:
                    done[id(part)] = _shuffled_scores(dense[layer][view], part, measures, SHUFFLES[view], run.seed)
                for measure, values in zip(measures, done[id(part)], strict=True):
                    rows.append((level, layer, index, "dense", view, measure.id, *_mean_and_spread(values)))
    return pd.DataFrame(rows, columns=[*PLACE, "null", "null_sd", "shuffles"])


def _shuffled_scores(
    x: Representation | Score, y: Representation | Score, measures: list[Measure], shuffles: int, seed: int
) -> list[list[float]]:
    if isinstance(x, Score) or isinstance(y, Score):
        return [[] for _ in measures]
    return list(null_values(Pair(x, y), measures, shuffles, seed).values())


def _mean_and_spread(values: list[float]) -> tuple[float, float, int]:
    """Mean and standard deviation of the values that there are, and their number."""
    values = torch.tensor([value for value in values if value == value], dtype=torch.float64)
    if not len(values):
        return math.nan, math.nan, 0
    return float(values.mean()), float(values.std(correction=0)), len(values)


def samples(run: ProbedRun) -> pd.DataFrame:
    """Scores on some of the probe inputs, drawn at random without replacement; the same ones for every score.

    Some pruned levels with the dense network, and the dense network with its sibling (the X of the two, as everywhere
    a reference is). Sizes that are not below the number of probe inputs are left out.
    Columns: level, layer, layer_index, reference, view, measure, inputs, draw, value, status, note.
    """
    views = ("flatten", "pooled")
    networks = {level: run.activations(level) for level in (0, *spread_levels(run.levels))}
    sibling = run.sibling_activations()
    rows: list[Row] = []
    for size, draw, chosen in drawn_inputs(len(run.inputs), run.generator()):
        chosen = chosen.to(run.inputs.device)
        for index, layer in enumerate(run.layers):
            dense = run.parts(networks[0][layer][chosen], views)
            others = [(0, "sibling", run.parts(sibling[layer][chosen], views), dense)]
            for level in networks:
                if level > 0:
                    others.append((level, "dense", dense, run.parts(networks[level][layer][chosen], views)))
            for level, reference, x, y in others:
                for view, measure, score in _scores(x, y):
                    rows.append((level, layer, index, reference, view, measure, size, draw, *score))
    return pd.DataFrame(rows, columns=[*PLACE, "inputs", "draw", *SCORE])


def spread_levels(levels: int) -> tuple[int, ...]:
    """Some pruned levels, each once: the first, those at a quarter and at half, and the last.

    Those between would nearly repeat their neighbours.
    """
    return tuple(sorted({1, math.ceil(levels / 4), math.ceil(levels / 2), levels})) if levels else ()


def drawn_inputs(count: int, generator: torch.Generator) -> Iterator[tuple[int, int, Tensor]]:
    """Yield size, number of the draw and the sorted indices of inputs; the sizes below `count`."""
    for size in SAMPLE_SIZES:
        for draw in range(SAMPLE_DRAWS if size < count else 0):
            yield size, draw, torch.randperm(count, generator=generator)[:size].sort().values


# ----------------------------------------------------------------------------------------- other levels and layers


def level_pairs(run: ProbedRun) -> pd.DataFrame:
    """Scores of each two levels of the run, level_x < level_y: X is the denser one.

    Columns: level_x, level_y, layer, layer_index, view, measure, value, status, note.
    """
    views = ("flatten", "pooled")
    rows: list[Row] = []
    for index, layer, activations in _layer_at_all_levels(run):
        parts = [run.parts(tensor, views) for tensor in activations]
        for y in range(len(parts)):
            for x in range(y):
                for view, measure, score in _scores(parts[x], parts[y]):
                    rows.append((x, y, layer, index, view, measure, *score))
    return pd.DataFrame(rows, columns=["level_x", "level_y", "layer", "layer_index", "view", "measure", *SCORE])


def _layer_at_all_levels(run: ProbedRun) -> Iterator[tuple[int, str, list[Tensor]]]:
    """Yield each layer's index, name and activations at all levels; as few passes as HELD numbers allow."""
    sizes = {layer: tensor.numel() * (run.levels + 1) for layer, tensor in run.activations(0).items()}
    start = 0
    while start < len(run.layers):
        end = start + 1
        while end < len(run.layers) and sum(sizes[layer] for layer in run.layers[start : end + 1]) <= HELD:
            end += 1
        held = [run.activations(level, run.layers[start:end]) for level in range(run.levels + 1)]
        for index in range(start, end):
            layer = run.layers[index]
            yield index, layer, [activations.pop(layer) for activations in held]
        start = end


def layer_pairs(run: ProbedRun) -> pd.DataFrame:
    """Scores of every layer of the dense network (X) with every layer of its sibling (Y).

    Units of layers whose maps have other numbers of positions do not correspond: matching is undefined there.
    Columns: layer_x, layer_y, index_x, index_y, view, measure, value, status, note.
    """
    views = ("flatten", "pooled")
    dense, sibling = (
        [(layer, run.parts(tensor, views)) for layer, tensor in activations.items()]
        for activations in (run.activations(0), run.sibling_activations())
    )
    rows: list[Row] = []
    for index_x, (layer_x, x) in enumerate(dense):
        for index_y, (layer_y, y) in enumerate(sibling):
            for view, measure, score in _scores(x, y):
                rows.append((layer_x, layer_y, index_x, index_y, view, measure, *score))
    return pd.DataFrame(rows, columns=["layer_x", "layer_y", "index_x", "index_y", "view", "measure", *SCORE])


def _scores(x: Parts, y: Parts) -> Iterator[tuple[str, str, Score]]:
    """Yield view, measure and score of two layers."""
    return view_scores(x, y, representation_measures())


# ------------------------------------------------------------------------------------------------- corruptions


def corruptions(run: ProbedRun) -> pd.DataFrame:
    """Scores of the dense network's layers (X) with themselves (strength 0) and with corrupted ones, view flatten.

    corruption       noise: normal noise, the same at all strengths, its strength in standard deviations of X;
                     truncation: the leading principal directions alone, strength = share of directions dropped;
                     random_pruning: weights of the network, of all layers together, pruned at random without
                     retraining, strength = sparsity, each mask within the one before
    probe_accuracy   of `probe_accuracy` on the corrupted representation, for all three

    Columns: corruption, strength, layer, layer_index, view, measure, value, status, note, probe_accuracy.
    """
    dense = run.activations(0)
    train = probe_split(run.labels)
    own = {layer: run.parts(tensor, ("flatten",)) for layer, tensor in dense.items()}
    rows: list[Row] = []

    def add(corruption: str, strength: float, layer: str, y: Parts) -> None:
        accuracy = probe_accuracy(y["flatten"], run.labels, train)
        for view, measure, score in _scores(own[layer], y):
            rows.append((corruption, strength, layer, run.layers.index(layer), view, measure, *score, accuracy))

    for layer, activations in dense.items():
        add("noise", 0.0, layer, own[layer])
        for strength, tensor in noisy(activations, run.generator()):
            add("noise", strength, layer, run.parts(tensor, ("flatten",)))
        add("truncation", 0.0, layer, own[layer])
        if isinstance(own[layer]["flatten"], Representation):
            for strength, tensor in truncated(activations, own[layer]["flatten"]):
                add("truncation", strength, layer, run.parts(tensor, ("flatten",)))
        add("random_pruning", 0.0, layer, own[layer])
    for sparsity, network in randomly_pruned(run.network(0), run.seed):
        for layer, activations in extract(network, run.inputs).items():
            add("random_pruning", sparsity, layer, run.parts(activations, ("flatten",)))
    columns = ["corruption", "strength", "layer", "layer_index", "view", "measure", *SCORE, "probe_accuracy"]
    return pd.DataFrame(rows, columns=columns)


def noisy(activations: Tensor, generator: torch.Generator) -> Iterator[tuple[float, Tensor]]:
    """Yield each strength t of NOISE and X + t std(X) E, E standard normal and the same for all, std over all of X."""
    noise = torch.randn(activations.shape, generator=generator).to(activations)
    spread = float(activations.double().std())
    for strength in NOISE:
        yield strength, activations + strength * spread * noise


def truncated(activations: Tensor, representation: Representation) -> Iterator[tuple[float, Tensor]]:
    """Yield the share of principal directions dropped and X without them, for the shares DIRECTIONS_KEPT.

    At least one direction stays; shares that come to the same number of directions are given once.
    """
    rank = representation.rank
    flat = activations.flatten(1).double()
    means = flat.mean(0)
    kept_before = rank
    for share in DIRECTIONS_KEPT:
        kept = max(1, round(share * rank))
        if kept >= kept_before:
            continue
        left = representation.left[:, :kept]
        matrix = left @ (left.T @ (flat - means)) + means
        yield 1 - kept / rank, matrix.reshape(activations.shape)
        kept_before = kept


def randomly_pruned(network: nn.Module, seed: int) -> Iterator[tuple[float, nn.Module]]:
    """Yield each of RANDOM_SPARSITIES and the network, the same one, pruned to it at random in place, more and more."""
    device = next(network.parameters()).device
    for sparsity in RANDOM_SPARSITIES:
        pruning.prune_to(network.cpu(), 1 - sparsity, criterion="random", scope="global", seed=seed)
        yield sparsity, network.to(device)


def probe_split(labels: Tensor) -> Tensor:
    """Which inputs a linear probe is trained on: half of each class, seeded; bool, n. It is tested on the others."""
    train = torch.zeros(len(labels), dtype=torch.bool)
    train[stratified_draw(labels, len(labels) // 2, seed=0)] = True
    return train.to(labels.device)


def probe_accuracy(representation: Representation | Score, labels: Tensor, train: Tensor) -> float:
    """Held-out accuracy, 0 ... 1, of a linear probe on a representation: ridge regression on the classes.

    Each class is a target of 1 or 0, and the greatest output is the prediction. The penalty is one of PROBE_RIDGES
    times the mean variance over the training inputs: the one with the least squared error where each training input
    is left out in turn (Allen 1974's PRESS). The representation is centred on all n inputs; `train` (bool, n) says
    which the probe sees the labels of. nan where there is no representation.
    """
    if isinstance(representation, Score) or representation.rank == 0:
        return math.nan
    coordinates = representation.left * representation.singular_values
    targets = nn.functional.one_hot(labels.long()).to(coordinates)
    means = targets[train].mean(0)
    kernel = coordinates[train] @ coordinates[train].T
    variances, directions = torch.linalg.eigh(kernel)
    along = directions.T @ (targets[train] - means)

    def dual(ridge: float) -> tuple[Tensor, float]:
        """Weights of the training inputs, and the squared error of each from the others."""
        gain = 1 / (variances.clamp_min(0) + ridge * kernel.diagonal().mean())
        weights = directions @ (gain[:, None] * along)
        left_out = weights / ((directions**2) @ gain)[:, None]
        return weights, float((left_out**2).sum())

    weights, _ = min((dual(ridge) for ridge in PROBE_RIDGES), key=lambda found: found[1])
    outputs = coordinates[~train] @ (coordinates[train].T @ weights) + means
    return float((outputs.argmax(1) == labels[~train]).double().mean())


# -------------------------------------------------------------------------------------- the plane, and the defect


def spectral(run: ProbedRun) -> pd.DataFrame:
    """The spectral family over ALPHAS and EXPONENTS, of some levels with the dense network, view flatten.

    Columns: level, layer, layer_index, reference, alpha, p, value (nan for a constant representation).
    """
    dense = {layer: _bare(tensor, run) for layer, tensor in run.activations(0).items()}
    rows: list[Row] = []
    for level in spread_levels(run.levels):
        for index, (layer, activations) in enumerate(run.activations(level).items()):
            x, y = dense[layer], _bare(activations, run)
            for alpha in ALPHAS:
                for p, value in zip(EXPONENTS, _spectral_values(x, y, alpha), strict=True):
                    rows.append((level, layer, index, "dense", alpha, p, value))
    return pd.DataFrame(rows, columns=["level", "layer", "layer_index", "reference", "alpha", "p", "value"])


def _bare(activations: Tensor, run: ProbedRun) -> Representation | Score:
    """The view flatten, decomposed, with nothing prepared for measures."""
    return decomposed_views(activations, ("flatten",), (), run.seed)["flatten"]


def _spectral_values(x: Representation | Score, y: Representation | Score, alpha: float) -> list[float]:
    for side in (x, y):
        if isinstance(side, Score) or side.rank == 0:
            return [math.nan] * len(EXPONENTS)
    return spectral_values(Pair(x, y), alpha, EXPONENTS)


def released(run: ProbedRun) -> pd.DataFrame:
    """Linear CKA of the dense network with itself, as the code released with the paper computes it.

    centring   "raw": of the activations as they are; "columns first": of column-centred ones

    Columns: level, layer, layer_index, reference, view, measure, centring, value.
    """
    rows: list[Row] = []
    for index, (layer, activations) in enumerate(run.activations(0).items()):
        for centring in CENTRINGS:
            kernel = linear_kernel(activations, centring != "raw")
            value = released_cka(kernel, kernel).value
            rows.append((0, layer, index, "dense", "flatten", "linear_cka", centring, value))
    return pd.DataFrame(rows, columns=[*PLACE, "centring", "value"])


CENTRINGS = ("raw", "columns first")


# ------------------------------------------------------------------------------------------ dead units


def dead_units(run: ProbedRun) -> pd.DataFrame:
    """How many units of each layer no input moves, and how often a unit is silent.

    A unit is a channel of a convolutional layer, a column otherwise. `dead` counts those that are constant over all
    inputs and positions; `silent` is the share of zeros among activations, the dynamic dead rate of Liu et al. (2022).

    Columns: level, layer, layer_index, units, dead, silent.
    """
    rows: list[Row] = []
    for level in range(run.levels + 1):
        for index, (layer, activations) in enumerate(run.activations(level).items()):
            dead = int((~living_units(activations)).sum())
            silent = float((activations == 0).double().mean())
            rows.append((level, layer, index, activations.shape[1], dead, silent))
    return pd.DataFrame(rows, columns=["level", "layer", "layer_index", "units", "dead", "silent"])


def living_units(activations: Tensor) -> Tensor:
    """Which units of a layer (n × c × …) vary over inputs and positions: boolean, c."""
    units = activations.transpose(0, 1).flatten(1)
    return units.amax(1) > units.amin(1)


def living(run: ProbedRun) -> pd.DataFrame:
    """Scores of each level with the dense network over the units that live in both; layers where all do are left out.

    Columns: level, layer, layer_index, reference, view, measure, value, status, note, units (those compared).
    """
    dense = run.activations(0)
    rows: list[Row] = []
    for level in range(1, run.levels + 1):
        for index, (layer, activations) in enumerate(run.activations(level).items()):
            both = living_units(activations) & living_units(dense[layer])
            if both.all() or not both.any():
                continue
            views = VIEWS if activations.ndim > 2 else VIEWS[:1]
            x, y = (run.parts(tensor[:, both], views) for tensor in (dense[layer], activations))
            for view, measure, score in _scores(x, y):
                rows.append((level, layer, index, "dense", view, measure, *score, int(both.sum())))
    return pd.DataFrame(rows, columns=[*PLACE, *SCORE, "units"])


# -------------------------------------------------------------------------------- linear mode connectivity


def connectivity(run: ProbedRun) -> pd.DataFrame:
    """Error and loss along the straight line between the weights of two networks (Frankle et al. 2020).

    From the dense network to each level, to its sibling, and from each level to the next: LINE_POINTS points, at
    position 0 the first network and at 1 the second. Statistics of batch norm are estimated anew at each point, from
    NORM_IMAGES training images, augmented as they were in training: from others a network is 2 to 3 points worse than
    it was with its own (ResNet-20 on CIFAR-10). Errors (0 … 1) and losses (nats) are those of all test images.

    Columns: level, reference ("dense", "sibling", "previous": where the line begins), position, error, loss. The line
    to the sibling stands at level 0.
    """
    lines = [(0, "sibling", run.network(0), run.sibling())]
    rows: list[Row] = []
    for level in range(1, run.levels + 1):
        lines.append((level, "dense", run.network(0), run.network(level)))
        if level > 1:  # from the dense network to level 1 both are one line
            lines.append((level, "previous", run.network(level - 1), run.network(level)))
    for level, reference, first, second in lines:
        for position, loss, accuracy in line(first, second, run.dataset, run.generator(), run.augmentation):
            rows.append((level, reference, position, 1 - accuracy, loss))
    return pd.DataFrame(rows, columns=["level", "reference", "position", "error", "loss"])


def line(
    first: nn.Module,
    second: nn.Module,
    dataset: Dataset,
    generator: torch.Generator,
    augmentation: str = "none",
    points: int = LINE_POINTS,
) -> Iterator[tuple[float, float, float]]:
    """Yield position (0 … 1), test loss (nats) and test accuracy on the straight line between two networks' weights.

    Weights are those that the networks compute with, masks applied. The first network is moved along the line.
    """
    ends = [pruning.computed_state(network) for network in (first, second)]
    drawn = torch.randperm(len(dataset.train_images), generator=generator)[:NORM_IMAGES]
    images = augment(dataset.train_images[drawn.to(dataset.train_images.device)], augmentation, generator)
    first.to(memory_format=torch.channels_last)  # two thirds of the time
    for step in range(points):
        position = step / (points - 1)
        state = {
            name: torch.lerp(one, ends[1][name], position) if one.is_floating_point() else one
            for name, one in ends[0].items()
        }
        first.load_state_dict(state)
        renormalise(first, images, dataset)
        yield position, *evaluate(first, dataset.test_images, dataset.test_labels, dataset)


@torch.no_grad()
def renormalise(network: nn.Module, images: Tensor, dataset: Dataset, batch_size: int = 500) -> None:
    """Estimate the statistics of batch norm on images (n × c × h × w, uint8), in place; dropout is seeded."""
    with dropout_seeded(0, images.device):
        update_bn((normalise(batch, dataset.mean, dataset.std) for batch in images.split(batch_size)), network)


TABLES: dict[str, Callable[[ProbedRun], pd.DataFrame]] = {
    table.__name__: table
    for table in (
        *(nulls, samples, level_pairs, layer_pairs, corruptions, spectral, released),
        *(dead_units, living, connectivity),
    )
}
