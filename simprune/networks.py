"""Two networks, layer by layer, on the same inputs: each layer is prepared once, every pair costs one product.

Activations are kept where they fit into KEPT bytes, and scores are then those of `compare`. Otherwise nothing of the
size inputs x columns stays: products of columns are added up batch by batch, which is exact for what they tell, and
debiased CKA of layers too wide for that is estimated from the batches.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from itertools import chain, islice
from pathlib import Path

import pandas as pd
import scipy
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from simprune.activations import Layer, Probe, Selection, batches, count_of, in_order, joined_batches
from simprune.comparison import chosen_measures, decomposed_views, pair_scores
from simprune.errors import InputError, check_choice, check_list, check_whole, shown
from simprune.measures import Measure, MinibatchCKA, Score
from simprune.measures.core import FEWEST_INPUTS, noted, score_of, undefined
from simprune.measures.moments import Moments, moments_pair
from simprune.representations import Representation, as_activations, check_view, nonfinite, product, view_matrix

COLUMNS = ("layer", "layer_index", "other_layer", "other_index", "view", "measure", "value", "status", "note")
DEBIASED = "debiased_linear_cka"
# Bytes of activations that are kept, of what measures keep of pairs of inputs, and of sums of products.
KEPT, TABLES, SUMS = 2**29, 2**30, 2**30
# Bytes that pass through at a time; inputs at most; batches at least, where their spread tells an error.
PASSING, MOST_PASSING, FEWEST_BATCHES = 2**28, 500, 20
# Columns of the widest layers whose products are added up.
WIDEST = 4096
# Tokens before those of a square grid of patches, at most: class tokens, registers.
PREFIX = 8

Pairs = dict[tuple[int, int], object]


@dataclass(frozen=True)
class LayerComparison:
    """All layers of one network against all of another.

    Attributes:
        table: one row per pair of layers and measure, with the columns COLUMNS; X is the layer of the first network
        names: of the two networks
        inputs: how many there were
    """

    table: pd.DataFrame = field(repr=False)
    names: tuple[str, str]
    inputs: int

    def matrix(self, measure: str | None = None) -> pd.DataFrame:
        """The values of a measure, by default the first: layers of the first network x layers of the second."""
        return self._wide(self._chosen(measure), "value")

    def plot(self, measure: str | None = None):
        """The matrix as a heatmap, a matplotlib figure; grey and hatched where a score is degenerate or undefined."""
        chosen = self._chosen(measure)
        plots = import_module("simprune.plots")  # only here: drawing is slow to import
        return plots.layer_heatmap(self._wide(chosen, "value"), self._wide(chosen, "status") == "ok", chosen)

    def to_csv(self, path: str | Path) -> None:
        """Write the table."""
        self.table.to_csv(path, index=False)

    def _chosen(self, measure: str | None) -> str:
        there = list(dict.fromkeys(self.table["measure"]))
        return there[0] if measure is None else check_choice("measure", measure, there)

    def _wide(self, measure: str, column: str) -> pd.DataFrame:
        rows = self.table[self.table["measure"] == measure]
        wide = rows.pivot(index="layer_index", columns="other_index", values=column)
        wide.index = pd.Index(rows.drop_duplicates("layer_index")["layer"], name=self.names[0])
        wide.columns = pd.Index(rows.drop_duplicates("other_index")["other_layer"], name=self.names[1])
        return wide


def compare_networks(
    a: nn.Module,
    b: nn.Module,
    inputs: object,
    layers: Selection | None = None,
    other_layers: Selection | None = None,
    measures: str | Sequence[str] = (DEBIASED,),
    view: str = "flatten",
    *,
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> LayerComparison:
    """Score every layer of network `a` against every layer of network `b`, fed with the same inputs in one pass.

    The networks run in evaluation mode on the devices where they are; `a` may be `b`. In the view `channels` maps of
    different size are pooled to the smaller grid. A note says where a score is estimated; all others are exact.
    Raises InputError for what can't be compared, NaN inputs and activations among it.

    Args:
        a: the first network, the reference of asymmetric measures
        b: the second
        inputs: as `extract` takes them: a tensor or array, n first, a dictionary, a dataset, or a loader of tensors, of
            (x, y) or of dictionaries, which may shuffle
        layers: of `a`: names, patterns ("layer?.0") or types of submodules; by default the outputs of its blocks
        other_layers: of `b`; by default the same `layers`, or the outputs of its blocks
        measures: ids of `MEASURES`
        view: how activations with positions become a matrix: flatten, channels, pooled, token, token[k]
        names: of the two networks, for axes; by default those of their classes
        seed: of the order of inputs where they are too many to keep, and of draws of rows
    """
    chosen = chosen_measures(measures)
    check_view(view)
    _check_networks(a=a, b=b)
    names = _names(names or [type(network).__name__ for network in (a, b)], a is b)
    same = a is b and other_layers in (None, layers)
    with ExitStack() as stack:
        probes = [stack.enter_context(Probe(a, layers, names[0]))]
        if not same:
            probes.append(stack.enter_context(Probe(b, layers if other_layers is None else other_layers, names[1])))
        source = batches(inputs, FEWEST_INPUTS)
        beginning = next(source)
        home = torch.device("cuda" if all(p.device and p.device.type == "cuda" for p in probes) else "cpu")
        for probe in probes:
            probe.attempt(beginning)
            probe.reduce = lambda layer, tensor: _reduced(layer.maps(tensor), view).to(home, copy=True)
        pairs = _LayerPairs(probes[0].layers, probes[-1].layers, chosen, view, names, seed, count_of(inputs))
        if in_order(inputs):
            source = batches(inputs, pairs.passing, pairs.order())
        for batch in source if in_order(inputs) else chain([beginning], source):
            pairs.add([probe(batch) for probe in probes], batch)
    return pairs.result()


def compare_layers(
    a: Mapping[str, object],
    b: Mapping[str, object],
    measures: str | Sequence[str] = (DEBIASED,),
    view: str = "flatten",
    *,
    names: Sequence[str] = ("a", "b"),
    seed: int = 0,
) -> LayerComparison:
    """As `compare_networks`, of activations at hand: layer -> array or tensor, n first, 2-D to 4-D."""
    chosen, sides, counts = chosen_measures(measures), [], {}
    check_view(view)
    for name, arrays in zip(names, (a, b), strict=True):
        sides.append({layer: as_activations(array, f"{name}: {layer}") for layer, array in arrays.items()})
        for layer, tensor in sides[-1].items():
            counts.setdefault(len(tensor), f"{len(tensor)} in {name}: {layer}")
    if len(counts) != 1:
        there = ", ".join(islice(counts.values(), 4)) or "no layers"
        more = " …" if len(counts) > 4 else ""
        raise InputError(f"inputs: all layers need the same number of inputs; there are {there}{more}")
    layers = [[Layer(name, shape=tuple(tensor.shape[1:])) for name, tensor in side.items()] for side in sides]
    pairs = _LayerPairs(*layers, chosen, view, _names(names), seed, next(iter(counts)), everything=True)
    pairs.add([{layer: _reduced(tensor, view) for layer, tensor in side.items()} for side in sides])
    return pairs.result()


def _check_networks(**networks: object) -> None:
    for name, network in networks.items():
        if not isinstance(network, nn.Module):
            what = getattr(network, "__name__", f"this {type(network).__name__}")
            weights = "load it into one with load_state_dict" if isinstance(network, Mapping) else ""
            way_out = weights or ("call it first" if callable(network) else "give a torch.nn.Module")
            raise InputError(f"{name}: {what} is not a network; {way_out}")


def _check_finite(inputs: object) -> None:
    for tensor in inputs.values() if isinstance(inputs, Mapping) else [inputs]:
        if isinstance(tensor, Tensor) and (wrong := nonfinite(tensor)):
            raise InputError(f"inputs: {wrong:,} of {tensor.numel():,} values are NaN or infinite")


def _names(names: Sequence[str], same: bool = False) -> tuple[str, str]:
    pair = check_list("names", names)
    if len(pair) != 2 or not all(isinstance(name, str) for name in pair):
        raise InputError(f"names: {shown(names)} are not two names")
    return pair if pair[0] != pair[1] or same else (f"{pair[0]} (a)", f"{pair[1]} (b)")


def _reduced(maps: Tensor, view: str) -> Tensor:
    """What is kept of the maps of a layer: in a view with one row for an input, that."""
    if view in ("flatten", "channels"):
        return maps
    try:
        return view_matrix(maps, view)
    except InputError:  # its pairs are undefined
        return maps.new_zeros(len(maps), 1)


# ----------------------------------------------------------------------------------------- positions


def _meeting(x: Layer, y: Layer, view: str) -> tuple[tuple[int, int] | None, str]:
    """The grid on which positions of two layers are paired, None for that of both, and what is done to meet there.

    Raises InputError where there is none, and where a layer is not to be had in the view.
    """
    for layer in (x, y):  # raises where the view has nothing of it
        view_matrix(torch.empty((1, *layer.shape), device="meta"), view)
    here, there = x.positions, y.positions
    if view != "channels" or here == there:
        return None, ""
    if (1, 1) in (here, there):
        grid = (1, 1)
    elif x.tokens and y.tokens:
        raise InputError(f"{here[0]} tokens against {there[0]}")
    else:
        here, there = _grid(x), _grid(y)
        grid = min(here[0], there[0]), min(here[1], there[1])
    notes = []
    for name, layer, own in (("X", x, here), ("Y", y, there)):
        count = f"{layer.positions[0]} tokens" if layer.tokens else "{} x {} positions".format(*layer.positions)
        if own != grid:
            notes.append(f"{name} pooled from {count} to {grid[0]} x {grid[1]}")
        elif layer.tokens:
            before = layer.positions[0] - math.prod(own)
            notes.append(f"{name} without its first {before} of {layer.positions[0]} tokens" if before else "")
    return grid, noted(*notes)


def _grid(layer: Layer) -> tuple[int, int]:
    """Height and width of its maps; of tokens those of the square that they are, but for some before it."""
    side = math.isqrt(layer.positions[0])
    if layer.tokens and (side < 2 or layer.positions[0] - side**2 > PREFIX):
        raise InputError(f"{layer.positions[0]} tokens are no square grid of positions")
    return (side, side) if layer.tokens else layer.positions


def _on_grid(layer: Layer, maps: Tensor, grid: tuple[int, int] | None) -> Tensor:
    """Maps, n x c or n x c x h x w, averaged over the cells of a coarser grid."""
    if grid is None:
        return maps
    if maps.ndim == 2:
        return maps[:, :, None, None]
    if layer.tokens and grid != (1, 1):
        maps = maps[:, :, -math.prod(_grid(layer)) :].unflatten(2, _grid(layer)).squeeze(-1)
    return maps if maps.shape[2:] == grid else adaptive_avg_pool2d(maps.double(), grid)


# --------------------------------------------------------------------------------------------- pairs


class _LayerPairs:
    """The pairs of layers of two networks, whose activations come in batches.

    Args:
        count: of inputs, where it is known beforehand
        everything: whether all activations are at hand, and kept, however much they take
    """

    def __init__(
        self,
        first: list[Layer],
        second: list[Layer],
        measures: Sequence[Measure],
        view: str,
        names: tuple[str, str],
        seed: int,
        count: int | None,
        everything: bool = False,
    ):
        self.sides, self.same = (first, second), first is second
        self.measures, self.view, self.names, self.count = measures, view, names, count
        self.seed = check_whole("seed", seed, 0, 2**63 - 1, "allowed")
        self._check_count(count)
        self.meetings: Pairs = {}
        self.problems: dict[tuple[int, int], str] = {}
        for pair in ((i, j) for i in range(len(first)) for j in range(len(second))):
            try:
                self.meetings[pair] = _meeting(first[pair[0]], second[pair[1]], view)
            except InputError as error:
                self.problems[pair] = str(error).removeprefix("view: ")
        layers = first if self.same else [*first, *second]
        maps = [math.prod(layer.shape) for layer in layers]
        sizes = [4 * size for size in maps] if view in ("flatten", "channels") else [8 * x.shape[0] for x in layers]
        self.passing = min(MOST_PASSING, max(2 * FEWEST_INPUTS, PASSING // (3 * sum(sizes) + 16 * max(maps))))
        tables = 4 * sum(bool(measure.prepare) for measure in measures) * (len(second) + 1)
        self.most = max(FEWEST_INPUTS, KEPT // sum(sizes), count * everything if count else 0)
        if tables and not everything:
            self.most = min(self.most, math.isqrt(TABLES // tables))
        streamed = count is None or count > self.most
        self.kept: list[list[dict[str, Tensor]]] | None = None if streamed and count is not None else []
        self.sums = _Sums(self) if streamed else None
        self.minibatch = MinibatchCKA() if streamed and any(way == "batches" for way in self._ways().values()) else None
        if streamed and count is not None:
            if self.minibatch is not None:
                self.passing = max(2 * FEWEST_INPUTS, min(self.passing, count // FEWEST_BATCHES))
            for measure in measures:
                if not any(self._ways()[pair, measure.id] for pair in self.meetings):
                    raise InputError(f"measures: {measure.id} {self._needs()}, and there are {count}")
        self.seen = self.batches = 0

    def _check_count(self, count: int | None) -> None:
        if count is not None and count < FEWEST_INPUTS:
            raise InputError(f"inputs: {count or 'none'} are too few; at least {FEWEST_INPUTS} are needed")

    def _needs(self) -> str:
        return f"needs all inputs at once, which may be {self.most} with these layers"

    def order(self) -> Tensor | None:
        """In which order to feed the inputs: at random, where batches must stand for all."""
        if self.count <= self.most:
            return None
        return torch.randperm(self.count, generator=torch.Generator().manual_seed(self.seed))

    def _ways(self) -> dict[tuple[tuple[int, int], str], str]:
        """How each score is made where not all is kept: from "sums", from "batches", or not at all."""
        ways = {}
        for pair in self.meetings:
            for measure in self.measures:
                # Units of maps are their channels, which are no columns of the flattened ones.
                columns = (
                    self.view != "flatten" or measure.family != "matching" or len(self.sides[0][pair[0]].shape) == 1
                )
                by_sums = measure.from_sums and columns and pair in self.sums.pairs
                by_batches = measure.id == DEBIASED and self.view != "channels"
                ways[pair, measure.id] = "sums" if by_sums else "batches" if by_batches else ""
        return ways

    def add(self, batch: list[dict[str, Tensor]], inputs: object = None) -> None:
        """Add the activations of some inputs by both networks, or by the one that is both.

        Raises InputError for NaN activations, and blames them on the `inputs` where those have some.
        """
        for name, side in zip(self.names, batch, strict=False):
            for layer, tensor in side.items():
                if wrong := nonfinite(tensor):
                    _check_finite(inputs)
                    raise InputError(f"{name}: {layer}: {wrong} of {tensor.numel()} activations are NaN or infinite")
        count = len(next(iter(batch[0].values())))
        self.seen, self.batches = self.seen + count, self.batches + 1
        if self.kept is not None:
            self.kept = [*self.kept, batch] if self.seen <= self.most else None
        if self.sums is not None:
            for start in range(0, count, self.passing):
                parts = [{layer: x[start : start + self.passing] for layer, x in side.items()} for side in batch]
                self.sums.add(parts)
        if self.minibatch is not None:
            self.minibatch.add(list(batch[0].values()), list(batch[-1].values()))

    def result(self) -> LayerComparison:
        self._check_count(self.seen)
        found = {pair: [undefined(problem)] * len(self.measures) for pair, problem in self.problems.items()}
        found |= self._streamed() if self.kept is None else self._whole()
        rows = []
        for i, layer in enumerate(self.sides[0]):
            for j, other in enumerate(self.sides[1]):
                place = layer.name, i, other.name, j, self.view
                note = self.meetings[i, j][1] if (i, j) in self.meetings else ""
                for measure, score in zip(self.measures, found[i, j], strict=True):
                    rows.append((*place, measure.id, score.value, score.status, noted(score.note, note)))
        return LayerComparison(pd.DataFrame(rows, columns=list(COLUMNS)), self.names, self.seen)

    def _whole(self) -> dict[tuple[int, int], list[Score]]:
        """Scores from all activations, which are let go on the way where no measure will ask for them."""
        tensors = [{} for _ in self.kept[0]]
        for side, joined in enumerate(tensors):
            for layer in list(self.kept[0][side]):
                joined[layer] = joined_batches(layer, [batch[side].pop(layer) for batch in self.kept])
        made: dict[tuple, Representation | Score] = {}

        def prepared(side: int, place: int, grid: tuple[int, int] | None) -> Representation | Score:
            key = (side if not self.same else 0, place, grid)
            if key not in made:
                layer = self.sides[side][place]
                maps = _on_grid(layer, tensors[key[0]][layer.name], grid)
                view = "channels" if self.view == "channels" else "flatten"
                made[key] = decomposed_views(maps, (view,), self.measures, self.seed)[view]
                if isinstance(made[key], Representation) and not made[key].streamed:
                    if not any(measure.needs_activations(made[key]) for measure in self.measures):
                        made[key].forget_activations()
            return made[key]

        scores = {}
        for (i, j), (grid, _) in self.meetings.items():
            scores[i, j] = pair_scores(prepared(0, i, grid), prepared(1, j, grid), self.measures)
            if not self.same and j == len(self.sides[1]) - 1:
                made = {key: part for key, part in made.items() if key[0] == 1}
        return scores

    def _streamed(self) -> dict[tuple[int, int], list[Score]]:
        """Scores from sums of products and from batches."""
        ways, scores = self._ways(), {}
        estimates = self._estimates() if "batches" in ways.values() else {}
        for pair in self.meetings:
            exact = self.sums.scores(pair, [m for m in self.measures if ways[pair, m.id] == "sums"])
            rest = {"batches": estimates.get(pair), "": undefined(self._needs())}
            scores[pair] = [exact.get(m.id) or rest[ways[pair, m.id]] for m in self.measures]
        return scores

    def _estimates(self) -> dict[tuple[int, int], Score]:
        """Debiased CKA from batches, and how far it may be off."""
        values, errors = self.minibatch.finish()
        reach = float(scipy.stats.t.ppf(0.975, max(1, self.batches - 1))) * errors
        left_out = f"{self.minibatch.left_out} inputs left out" if self.minibatch.left_out else ""
        estimates = {}
        for pair in self.meetings:
            note = f"estimated from {self.batches} batches, ± {float(reach[pair]):.1g} (95 %)"
            score = Score(float(values[pair]), note=noted(note, left_out))
            estimates[pair] = undefined("a debiased norm is not positive") if math.isnan(score.value) else score
        return estimates


class _Sums:
    """Sums of products of columns: of each layer on each grid that it needs, and of pairs as far as memory reaches."""

    def __init__(self, pairs: _LayerPairs):
        self.of, self.layers, self.pairs, used = pairs, {}, {}, 0
        self.representations: dict[tuple, Representation] = {}
        wide = [[math.prod(x.shape) if pairs.view == "flatten" else x.shape[0] for x in side] for side in pairs.sides]
        own = set()
        for i, j in sorted(pairs.meetings, key=lambda pair: wide[0][pair[0]] * wide[1][pair[1]]):
            used += 8 * wide[0][i] * wide[1][j]
            # A layer's own products are there twice, as they are added up and centred.
            used += sum(16 * wide[key[0]][key[1]] ** 2 for key in {*self._keys((i, j))} - own)
            own |= {*self._keys((i, j))}
            if any(m.from_sums for m in pairs.measures) and used <= SUMS and max(wide[0][i], wide[1][j]) <= WIDEST:
                self.pairs[i, j] = 0.0

    def _keys(self, pair: tuple[int, int]) -> list[tuple[int, int, object]]:
        grid = self.of.meetings[pair][0]
        return [(0, pair[0], grid), (0 if self.of.same else 1, pair[1], grid)]

    def add(self, sides: list[dict[str, Tensor]]) -> None:
        extended: dict[tuple, Tensor] = {}
        for pair in self.pairs:
            for key in self._keys(pair):
                if key not in extended:
                    layer = self.of.sides[key[0]][key[1]]
                    maps = _on_grid(layer, sides[key[0]][layer.name], key[2])
                    rows = view_matrix(maps, "channels" if self.of.view == "channels" else "flatten")
                    extended[key] = self.layers.setdefault(key, Moments()).add(rows)
            first, second = self._keys(pair)
            self.pairs[pair] += product(extended[first].T, extended[second])

    def scores(self, pair: tuple[int, int], measures: Sequence[Measure]) -> dict[str, Score]:
        """Exact, but for directions far below the largest, which a note counts."""
        if not measures:
            return {}
        keys, scores = self._keys(pair), {}
        for key in keys:
            if key not in self.representations:
                self.representations[key] = self.layers[key].representation(self.of.view)
        sides = [self.representations[key] for key in keys]
        made = moments_pair(*(self.layers[key] for key in keys), self.pairs[pair], sides)
        for measure in measures:
            score = score_of(measure, made)
            if measure.decomposes and score.status != "undefined":
                counts = ((name, side.unresolved) for name, side in zip("XY", sides, strict=True))
                weak = (f"{count} weak directions of {name} less exact" for name, count in counts if count)
                score = score._replace(note=noted(score.note, *weak))
            scores[measure.id] = score
        return scores
