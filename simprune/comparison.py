"""Comparisons: two representations, or each network of a pruning run with its references."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
from torch import Tensor

from simprune.errors import InputError, check_choice, check_list, check_whole, shown
from simprune.measures import MEASURES, STUDY, Measure, Pair, Score
from simprune.measures.chance import null_values, significance
from simprune.measures.core import pair_of, score_of, undefined
from simprune.representations import Representation, as_activations, decompose, nonfinite

REFERENCES = ("dense", "previous", "sibling", "untrained")
COLUMNS = ("layer", "layer_index", "reference", "view", "measure", "value", "status", "note")

# Where scores of outputs and weights stand in a table: they have no view of their own.
OUTPUTS, WEIGHTS, NETWORK = "outputs", "weights", "network"

# What people call a measure that has a longer name here.
ALIASES = {"cka": "linear_cka", "cca": "mean_cca"}

Parts = dict[str, Representation | Score]  # one layer: view -> its representation, or why there is none


# ----------------------------------------------------------------------------- two representations


def compare(
    X: object,
    Y: object,
    measures: Sequence[str] | None = None,
    view: str = "flatten",
    seed: int = 0,
    *,
    options: Mapping[str, Mapping[str, object]] | None = None,
    permutations: int = 0,
) -> pd.DataFrame:
    """Score two representations of the same inputs: a table by `measure` with columns `value`, `status`, `note`.

    Args:
        X: array, tensor or frame of any float dtype, n first: n x p, tokens n x t x d or maps n x c x h x w, on any
            device. The reference (the dense network) for asymmetric measures. The work is done in float64 where it is.
        Y: the other representation of the same inputs; of two frames the rows are matched by their index
        measures: ids of `MEASURES` (default: all of representations)
        view: how activations with positions become a matrix: "flatten", "channels", "pooled", or a "token"
        seed: of the rows that are drawn where work on all pairs of rows would be too much, and of the permutations
        options: constants other than the conventional ones, as {"svcca": {"share": 0.95}}
        permutations: how often the inputs of Y are put in a random order, to see what chance gives

    A status is "ok", "degenerate" (a value that numbers of inputs and units alone dictate) or "undefined" (nan); the
    note says why, and what else to know. Permutations give four more columns: `p_value`, the share of orders, the given
    one among them, with a score at least as good; `null` and `null_sd`, mean and standard deviation of their scores;
    `calibrated`, (value - null) / (best - null), best being 1 for a similarity and 0 for a distance. `attrs` holds
    rows, columns, dead columns and rank of X and of Y (None where no measure needed it), and the constants by measure.
    Raises InputError for what can't be compared: other n, n <= 3, NaN or infinite values, unknown names.
    """
    chosen = chosen_measures(measures, options)
    permutations = check_whole("permutations", permutations, 0)
    seed = check_whole("seed", seed, 0, 2**63 - 1, "allowed")
    pair = pair_of(X, Y, view, seed)
    scores = {measure.id: score_of(measure, pair) for measure in chosen}
    table = pd.DataFrame.from_dict(scores, orient="index", columns=["value", "status", "note"])
    table.index.name = "measure"
    if permutations:
        defined = [measure for measure in chosen if scores[measure.id].status != "undefined"]
        nulls = null_values(pair, defined, permutations, seed)
        chance = [significance(scores[measure.id].value, nulls.get(measure.id, []), measure) for measure in chosen]
        for place, name in enumerate(chance[0], start=1):
            table.insert(place, name, [row[name] for row in chance])
    table.attrs = {
        name: {
            "rows": side.rows,
            "columns": side.columns,
            "dead": side.dead,
            "rank": side.rank if side.decomposed or side.constant else None,
        }
        for name, side in (("X", pair.x), ("Y", pair.y))
    }
    table.attrs["options"] = {measure.id: measure.constants for measure in chosen if measure.options}
    return table


def split_status(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a status of one word and a `note`; older ones held both in one text, as "ok; rank 3 in X"."""
    if "status" not in table or "note" in table:
        return table
    codes, texts = pd.factorize(table["status"])  # few texts, many rows
    parts = pd.Series(texts).str.extract(r"^(?P<status>\w+)(?:[:;] (?P<note>.*))?$").fillna("")
    table = table.assign(status=parts["status"].to_numpy()[codes])
    table.insert(table.columns.get_loc("status") + 1, "note", parts["note"].to_numpy()[codes])
    return table


def chosen_measures(
    measures: Sequence[str] | None, options: Mapping[str, Mapping[str, object]] | None = None
) -> list[Measure]:
    """The measures of two representations with these ids, by default all, and with these constants."""
    given = dict(options) if isinstance(options, Mapping) else options
    if given is not None and not isinstance(given, dict):
        raise InputError(f"options: {shown(options)} is not a dictionary of measures and their options")
    known = [measure.id for measure in MEASURES.values() if measure.subject == "representations"]
    names = known if measures is None else check_list("measures", measures)
    chosen = [MEASURES[_measure(name, known)] for name in names]
    for name in given or ():
        check_choice("options", name, [measure.id for measure in chosen])
    return [measure.with_options(given[measure.id]) if given and measure.id in given else measure for measure in chosen]


def _measure(name: object, known: Sequence[str]) -> str:
    """The id of a measure that is `known` to compare representations."""
    if isinstance(name, str) and name not in known:
        if name in MEASURES:
            needed = {"outputs": "logits", "weights": "weights"}[MEASURES[name].subject]
            raise InputError(f"measures: {name!r} needs the {needed} of two networks, not representations")
        if near := ALIASES.get(name.lower()):
            raise InputError(f"measures: {name!r} is not one of {', '.join(known)}; did you mean {near!r}?")
    return check_choice("measures", name, known)


# ------------------------------------------------------------------------ decomposed, ready for many pairs


def decomposed_views(activations: Tensor, views: Iterable[str], measures: Sequence[Measure], seed: int) -> Parts:
    """One layer in each view, decomposed, with what `measures` derive from it alone; or why there is none.

    A 2-D layer has one decomposition, the same object, for all views.
    """
    views = tuple(views)
    if wrong := nonfinite(activations):
        return dict.fromkeys(views, undefined(f"{wrong} NaN or infinite activations"))
    if activations.ndim == 2:
        return dict.fromkeys(views, _decomposed(activations, "flatten", measures, seed)) if views else {}
    return {view: _decomposed(activations, view, measures, seed) for view in views}


def _decomposed(activations: Tensor, view: str, measures: Sequence[Measure], seed: int) -> Representation:
    representation = decompose(activations, view, seed)
    if not representation.constant:
        if any(measure.decomposes for measure in measures):
            _ = representation.spectrum
        for measure in measures:
            measure.features(representation)
    representation.forget_gram()
    return representation


def view_scores(x: Parts, y: Parts, measures: Sequence[Measure]) -> Iterator[tuple[str, str, Score]]:
    """Yield view, measure and score of two layers; what the views share is computed once."""
    done: dict[tuple[int, int], list[Score]] = {}
    for view in x:
        key = id(x[view]), id(y[view])
        if key not in done:
            done[key] = pair_scores(x[view], y[view], measures)
        for measure, score in zip(measures, done[key], strict=True):
            yield view, measure.id, score


def pair_scores(x: Representation | Score, y: Representation | Score, measures: Sequence[Measure]) -> list[Score]:
    """The score of each measure; where there is no representation, its undefined score instead."""
    for part in (x, y):
        if isinstance(part, Score):
            return [part] * len(measures)
    pair = Pair(x, y)
    return [score_of(measure, pair) for measure in measures]


# ---------------------------------------------------------------------------------- a pruning run


@dataclass(frozen=True)
class Snapshot:
    """One network as it is compared.

    Attributes:
        activations: layer -> tensor n x ..., in network order; the last are the logits
        weights: layer -> weights, as the network computes with them
        masks: layer -> not 0 where a weight is kept
    """

    activations: Mapping[str, Tensor]
    weights: Mapping[str, Tensor]
    masks: Mapping[str, Tensor]


@dataclass
class _Network:
    """A snapshot, decomposed: layer -> its views."""

    snapshot: Snapshot
    parts: dict[str, Parts]

    @property
    def logits(self) -> Tensor:
        return list(self.snapshot.activations.values())[-1]


class RunComparison:
    """Compares the levels of a pruning run, one after the other, with references that are decomposed once.

    Args:
        references: name -> the network
        views: how conv activations become matrices
        measures: ids of `MEASURES`
        previous: whether each level is also compared with the one before
        labels: of the inputs, n; `accuracy_gap` needs them
        seed: of the rows drawn where work on all pairs of rows would be too much

    Networks have the same layers, inputs and positions. Alive are the decompositions of the references, of the
    previous level where it is compared, and of the current layer. Activations of references are let go where no
    measure needs them: the `channels` view, the matching of units and PWCCA with p >= n do.
    """

    def __init__(
        self,
        references: Mapping[str, Snapshot],
        *,
        views: Sequence[str] = ("flatten",),
        measures: Sequence[str] = STUDY,
        previous: bool = False,
        labels: Tensor | None = None,
        seed: int = 0,
    ):
        self.views, self.previous, self.labels, self.seed = views, previous, labels, seed
        self._of = {
            subject: [MEASURES[name] for name in measures if MEASURES[name].subject == subject]
            for subject in ("representations", "outputs", "weights")
        }
        self._references: dict[str, _Network] = {}
        for name, network in references.items():
            parts = {layer: self._parts(layer, tensor) for layer, tensor in network.activations.items()}
            self._references[name] = self._kept(_Network(network, parts))
        self._before: _Network | None = None

    @staticmethod
    def scores(references: Iterable[str], views: Iterable[str], measures: Iterable[str]) -> set[tuple[str, str, str]]:
        """The triples (reference, view, measure) of a comparison; outputs and weights have one view each."""
        views = tuple(views)
        of = {"representations": views, "outputs": (OUTPUTS,), "weights": (WEIGHTS,)}
        return {
            (reference, view, measure)
            for reference in references
            for measure in measures
            for view in of[MEASURES[measure].subject]
        }

    def level(self, network: Snapshot) -> pd.DataFrame:
        """Score one level against all references: one row per score, with the columns COLUMNS.

        Scores of outputs stand at the last layer with the view "outputs", those of weights at the layer "network"
        with the index -1 and the view "weights". NaN or infinite activations, as of a network whose training
        diverged, give undefined scores.
        """
        references = dict(self._references)
        if self._before is not None:
            references["previous"] = self._before
        current = _Network(network, {})
        rows: list[tuple] = []
        for index, (layer, activations) in enumerate(network.activations.items()):
            parts = self._parts(layer, activations)
            for name, reference in references.items():
                for view, measure, score in view_scores(reference.parts[layer], parts, self._of["representations"]):
                    rows.append((layer, index, name, view, measure, *score))
            if self.previous:
                current.parts[layer] = parts
        last = len(network.activations) - 1
        for name, reference in references.items():
            for measure in self._of["outputs"]:
                score = self._output_score(measure, reference, current)
                rows.append((layer, last, name, OUTPUTS, measure.id, *score))
        for name, reference in references.items():
            weights, masks = (reference.snapshot.weights, network.weights), (reference.snapshot.masks, network.masks)
            for measure in self._of["weights"]:
                rows.append((NETWORK, -1, name, WEIGHTS, measure.id, *measure.score(weights, masks)))
        if self.previous:
            self._before = self._kept(current)
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def _parts(self, layer: str, activations: Tensor) -> Parts:
        measures = self._of["representations"]
        return decomposed_views(as_activations(activations, layer), self.views, measures, self.seed) if measures else {}

    def _kept(self, network: _Network) -> _Network:
        """The network without the activations that no measure will ask for; the logits stay."""
        for part in (part for parts in network.parts.values() for part in parts.values()):
            if isinstance(part, Representation) and not part.streamed:
                if not any(measure.needs_activations(part) for measure in self._of["representations"]):
                    part.forget_activations()
        last = list(network.snapshot.activations)[-1]
        snapshot = replace(network.snapshot, activations={last: network.logits})
        return _Network(snapshot, network.parts)

    def _output_score(self, measure: Measure, reference: _Network, current: _Network) -> Score:
        wrong = nonfinite(reference.logits) + nonfinite(current.logits)
        if wrong:
            return undefined(f"{wrong} NaN or infinite logits")
        return measure.score(reference.logits, current.logits.to(reference.logits.device), self.labels)
