"""Which measures to trust: tests whose right answer is known beforehand.

Every test scores *procedures*: a measure, in a view, with a correction. All measures stand as similarities
(`as_similarity`) and a distance is 1 minus that, so that only orders matter that no monotone map
changes. A score that is not ok has no value: what it takes part in is counted as missing, never as right or wrong.
Ties count as half right, or as nothing in a rank correlation, so that a measure that says the same of everything is
at chance.

Each test takes the results of one study and gives one row per seed, procedure and layer, with the columns

    seed, view, measure, correction, layer, layer_index, score, chance, counted, missing

(some have one more), or None where the tables that it needs were not computed. `counted` and `missing` count
comparisons. `chance` is what shuffling gives: of a test about levels, its mean score with the networks of the run in
random orders, the same for all layers; networks are shuffled, never the pairs of them, which are not independent.

A network that is trained on drifts away level by level whether it is pruned or not. So a test about levels
(`OF_LEVELS`) counts for what it gives beyond the *twin*, the run that was trained as long and lost no weight: `merit`.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy

from simprune.analysis.effects import effects, first_density
from simprune.analysis.scores import COPIES, DEBIASED, as_similarity, diagnostic, is_ok, procedures
from simprune.analysis.sources import by_inputs
from simprune.analysis.summaries import densities, layers_in
from simprune.errors import InputError, check_choice

if TYPE_CHECKING:
    from simprune.results import Results

SHUFFLES = 99
RESAMPLES = 999
FEWEST_UNITS = 3  # for an interval over seeds and studies
# Bands of density for the test of band separation: the first holds every density from there up to 1.
BANDS = (0.5, 0.2)
# A corruption does damage if it costs a linear probe more than this much accuracy.
DAMAGE = 0.01
SIBLING_RANGE = 0.95
MARGIN = 0.05  # merits that are nearer to one another are not told apart
MOST_MISSING = 0.1  # of its comparisons, for a procedure that is recommended
HIGH_FLOOR = 0.3  # no procedure is recommended that says more than this of shuffled inputs
NEAR = 0.01  # a score is settled that is within this of that on all inputs
# Means of canonical correlations; the eigenspace overlap divides by the larger rank, and so knows a layer by its width.
CCA_TYPE = ("mean_cca", "mean_squared_cca", "svcca", "pwcca")
PROCEDURE = ["view", "measure", "correction"]
LAYER = ["layer", "layer_index"]
COLUMNS = ["seed", *PROCEDURE, *LAYER, "score", "chance", "counted", "missing"]


def distances(table: pd.DataFrame) -> pd.DataFrame:
    """Scores as distances, 1 minus the similarity, by procedure: NaN where the status is not ok.

    Copies of other measures are left out; the debiased estimator of linear CKA becomes its correction "debiased".
    """
    table = table[~table["measure"].isin(COPIES)]
    value = 1 - as_similarity(table["measure"], table["value"]).where(is_ok(table["status"]))
    correction = np.where(table["measure"].isin(DEBIASED), "debiased", "none")
    return table.assign(value=value, correction=correction, measure=table["measure"].replace(DEBIASED))


# Monotonicity ---------------------------------------------------------------------------------------------------


def monotonicity(results: "Results") -> pd.DataFrame | None:
    """Share of right comparisons among levels i < j < k: i is nearer to j than to k, and k nearer to j than to i.

    Ties ½. Uses `level_pairs`. None without those, or with fewer than three networks in a run.
    """
    pairs = diagnostic(results, "level_pairs")
    if pairs is None or results.performance["level"].max() < 2:
        return None
    rows = []
    for run, table in distances(pairs).groupby("seed"):
        names, layers, cube = _level_matrices(table)
        count = cube.shape[-1]
        i, j, k = np.array(
            [(a, b, c) for a in range(count) for b in range(a + 1, count) for c in range(b + 1, count)]
        ).T
        near, far = np.concatenate([i * count + j, j * count + k]), np.concatenate([i * count + k, i * count + k])

        def verdict(order: np.ndarray, near=near, far=far, count=count, cube=cube) -> tuple[np.ndarray, np.ndarray]:
            flat = cube[..., order[:, None], order[None, :]].reshape(*cube.shape[:2], count * count)
            gap = flat[..., far] - flat[..., near]
            known = np.isfinite(gap)
            right = ((gap > 0) + 0.5 * (gap == 0)).sum(axis=-1)
            return right, known.sum(axis=-1)

        right, known = verdict(np.arange(count))
        shuffled = [_ratio(*verdict(order)) for order in _orders(count, run)]
        rows.append(_rows(run, names, layers, _ratio(right, known), _mean(shuffled), known, len(near) - known))
    return pd.concat(rows, ignore_index=True)


def _orders(count: int, run: int) -> np.ndarray:
    """Random orders of the networks of a run: shuffles × networks."""
    generator = np.random.default_rng([0, run])
    return np.array([generator.permutation(count) for _ in range(SHUFFLES)])


def _mean(scores) -> np.ndarray:
    """The mean over the first axis of what is known there, NaN if nothing is."""
    scores = np.asarray(scores, float)
    known = np.isfinite(scores)
    return _ratio(np.where(known, scores, 0).sum(axis=0), known.sum(axis=0))


def _level_matrices(table: pd.DataFrame) -> tuple[list[tuple], pd.Series, np.ndarray]:
    """Procedures, layers, and the distances of levels as procedures × layers × levels × levels, NaN on the diagonal."""
    names = list(table[PROCEDURE].drop_duplicates().itertuples(index=False, name=None))
    layers = layers_in(table)
    count = int(table["level_y"].max()) + 1
    cube = np.full((len(names), len(layers), count, count), np.nan)
    place = {name: number for number, name in enumerate(names)}
    which = [place[name] for name in table[PROCEDURE].itertuples(index=False, name=None)]
    layer = layers.index.get_indexer(table["layer_index"])
    x, y, value = table["level_x"].to_numpy(), table["level_y"].to_numpy(), table["value"].to_numpy(float)
    cube[which, layer, x, y] = cube[which, layer, y, x] = value
    return names, layers, cube


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _rows(run, names, layers, score, chance, counted, missing) -> pd.DataFrame:
    """Arrays of procedures × layers as a table with `COLUMNS`, in their order."""
    table = pd.DataFrame(np.repeat(np.array(names, object), len(layers), axis=0), columns=PROCEDURE)
    table["layer"], table["layer_index"] = np.tile(layers.to_numpy(), len(names)), np.tile(layers.index, len(names))
    for column, values in {"score": score, "chance": chance, "counted": counted, "missing": missing}.items():
        table[column] = np.broadcast_to(values, (len(names), len(layers))).ravel()
    table.insert(0, "seed", run)
    return table


def trend(results: "Results") -> pd.DataFrame | None:
    """Kendall's τ between the distance to the dense network and the level: 1 if it grows level by level.

    Ties count as nothing (τ-a, which is Somers' D here: levels are not tied). Uses the similarity table, and
    `nulls` for corrected scores, which are judged at the levels that have a null. None without pruned networks.
    """
    rows = []
    for run, table in procedures(results).groupby("seed"):
        names, layers, levels, values = _profiles(table)
        score, counted, pairs = _tau(1 - values, np.arange(len(levels)))
        shuffled = [_tau(1 - values, order)[0] for order in _orders(len(levels), run)]
        rows.append(_rows(run, names, layers, score, _mean(shuffled), counted, pairs - counted))
    return pd.concat(rows, ignore_index=True) if rows else None


def _profiles(table: pd.DataFrame) -> tuple[list[tuple], pd.Series, list, np.ndarray]:
    """Procedures, layers, levels, and similarities as procedures × layers × levels."""
    names = list(table[PROCEDURE].drop_duplicates().itertuples(index=False, name=None))
    layers, levels = layers_in(table), sorted(table["level"].unique())
    index = pd.MultiIndex.from_tuples(
        [(*name, layer, level) for name in names for layer in layers.index for level in levels]
    )
    values = table.set_index([*PROCEDURE, "layer_index", "level"])["value"].reindex(index).to_numpy(float)
    return names, layers, levels, values.reshape(len(names), len(layers), len(levels))


def _tau(values: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """τ-a of the last axis with an order, the pairs counted, and all pairs; NaN where no pair is known."""
    i, j = np.triu_indices(values.shape[-1], 1)
    gap = values[..., j] - values[..., i]
    known = np.isfinite(gap)
    signs = np.where(known, np.sign(gap), 0)
    return _ratio(signs @ np.sign(order[j] - order[i]), known.sum(axis=-1)), known.sum(axis=-1), len(i)


# Detection ------------------------------------------------------------------------------------------------------


def detection(results: "Results", siblings_of: "Results | None" = None) -> pd.DataFrame | None:
    """Whether a pruned network is ever farther from its dense one than siblings are: 1 or 0.

    `siblings_of`: the run whose siblings make the bound (default: its own). A control is judged by those of its study.

    A row per seed, procedure (uncorrected) and layer. `density` is that of the first level whose distance to the
    dense network is above the upper end of the siblings' 95 % range, 0 if that never happens, which is a legal answer
    and not a failure. `bound` is that end and `siblings` says where it comes from: "seeds", a prediction interval from
    three or more pairs of dense networks (Student's t); "inputs", one around the seed's own pair, from random draws of
    the probe inputs; "one pair", a single distance, where there is nothing else. None if siblings were not compared.
    """
    table, siblings = _of_layers(results), _of_layers(siblings_of or results)
    siblings = siblings[(siblings["reference"] == "sibling") & (siblings["level"] == 0)]
    if siblings.empty:
        return None
    bounds = _sibling_bounds(siblings, diagnostic(siblings_of or results, "samples"))
    dense = table[(table["reference"] == "dense") & (table["level"] > 0)].merge(
        bounds, on=["seed", *PROCEDURE, "layer_index"]
    )
    known = dense["value"].notna() & dense["bound"].notna()
    dense = dense.assign(
        changed=dense["density"].where(known & (dense["value"] > dense["bound"])), known=known, lost=~known
    )
    groups = dense.groupby(["seed", *PROCEDURE, *LAYER, "bound", "siblings"], sort=False, dropna=False)
    found = groups.agg(density=("changed", "max"), counted=("known", "sum"), missing=("lost", "sum")).reset_index()
    found["density"] = found["density"].fillna(0).where(found["counted"] > 0)
    found["score"] = (found["density"] > 0).astype(float).where(found["counted"] > 0)
    return found.assign(chance=0.0)[[*COLUMNS, "density", "bound", "siblings"]]


def _of_layers(results: "Results") -> pd.DataFrame:
    table = results.similarity
    return distances(table[(table["layer_index"] >= 0) & (table["view"] != "outputs")])


def turns(results: "Results", twin: "Results", view: str = "flatten") -> pd.DataFrame:
    """From which density on each measure puts the pruned network farther from the dense one than its twin, with all
    seeds: measure × layer; 0 for never, NaN where a measure has no score in a layer."""
    table = effects({"pruned": results, "twin": twin}, ("pruning",))
    table = table[(table["view"] == view) & ~table["measure"].isin([*COPIES, *DEBIASED])]
    layers = table.drop_duplicates("layer_index").sort_values("layer_index")["layer"]
    scored = table.groupby(["measure", "layer"])["difference"].count().unstack() > 0
    found = first_density(table, densities(results)).xs(view, axis="columns", level="view")
    return found.fillna(0.0).where(scored.reindex_like(found).fillna(False))[list(layers)]


def _sibling_bounds(siblings: pd.DataFrame, samples: pd.DataFrame | None) -> pd.DataFrame:
    """The upper end of the range of distances between siblings, by seed, procedure and layer."""
    keys = [*PROCEDURE, "layer_index"]
    plain = siblings[["seed", *keys, "value"]].rename(columns={"value": "bound"})
    if siblings["seed"].nunique() >= FEWEST_UNITS:
        ends = siblings.groupby(keys)["value"].agg(lambda values: values.mean() + _reach(values))
        ends = ends.rename("end").reset_index()
        return plain.merge(ends, on=keys).assign(bound=lambda t: t["end"], siblings="seeds").drop(columns="end")
    if samples is None:
        return plain.assign(siblings="one pair")
    drawn = distances(samples[(samples["reference"] == "sibling") & (samples["level"] == 0)])
    drawn = drawn[drawn["inputs"] == drawn["inputs"].max()]
    # Around the score on all inputs: on fewer of them some measures are larger throughout.
    reach = drawn.groupby(["seed", *keys])["value"].agg(_reach).rename("reach").reset_index()
    merged = plain.merge(reach, on=["seed", *keys], how="left")
    known = merged["reach"].notna()
    merged["bound"] += merged["reach"].fillna(0)
    merged["siblings"] = np.where(known, "inputs", "one pair")
    return merged.drop(columns="reach")


def _reach(values: pd.Series) -> float:
    """Half of the prediction interval for one more value, t s √(1 + 1/n): NaN with fewer than three values."""
    values = values.dropna()
    if len(values) < FEWEST_UNITS:
        return np.nan
    quantile = scipy.stats.t.ppf(0.5 + SIBLING_RANGE / 2, len(values) - 1)
    return float(quantile * np.sqrt(1 + 1 / len(values)) * values.std(ddof=1))


def removal(results: "Results", held: "Results") -> pd.DataFrame:
    """Share of the levels at which the pruned network is farther from its dense one than the *held* network is.

    The two differ in nothing but the loss of the weights: in `held` they keep their values and are trained no more. So
    the pruned one should be the farther; ties ½, chance ½. A row per seed, procedure (uncorrected) and layer.
    """
    keys = ["seed", "level", *PROCEDURE, *LAYER]
    both = [
        distances(table[(table["reference"] == "dense") & (table["level"] > 0) & (table["view"] != "outputs")])
        for table in (results.similarity, held.similarity)
    ]
    table = both[0][[*keys, "value"]].merge(both[1][[*keys, "value"]], on=keys, suffixes=("", "_held"))
    gap = table["value"] - table["value_held"]
    table = table.assign(right=((gap > 0) + 0.5 * (gap == 0)).where(gap.notna()), lost=gap.isna())
    groups = table[table["layer_index"] >= 0].groupby(["seed", *PROCEDURE, *LAYER], sort=False)
    found = groups.agg(score=("right", "mean"), counted=("right", "count"), missing=("lost", "sum")).reset_index()
    return found.assign(chance=0.5)[COLUMNS]


def removals(runs: "Mapping[str, Mapping[str, Results]]") -> pd.DataFrame:
    """`removal` of every study, with a column `study`. `runs`: study → its results by "pruned" and "held"."""
    tables = {study: removal(run["pruned"], run["held"]) for study, run in runs.items()}
    return pd.concat(tables, names=["study"]).reset_index("study").reset_index(drop=True)


# Bands ----------------------------------------------------------------------------------------------------------


def band_separation(results: "Results") -> pd.DataFrame | None:
    """Whether levels of one band of density are nearer to each other than to those of other bands: AUPRC.

    Bands are cut at the densities of `BANDS`. The score is the average precision (area under the precision–recall
    curve) of similarity as a sign that two levels share a band; by chance it is near the share of pairs that do.
    Uses `level_pairs`.
    """
    pairs = diagnostic(results, "level_pairs")
    if pairs is None:
        return None
    density = results.performance.groupby("level")["density"].mean()
    band = sum((density < edge).astype(int) for edge in BANDS).to_numpy()
    rows = []
    for run, table in distances(pairs).groupby("seed"):
        names, layers, cube = _level_matrices(table)
        i, j = np.triu_indices(cube.shape[-1], 1)
        apart, counted = cube[..., i, j], np.isfinite(cube[..., i, j]).sum(axis=-1)
        orders = [np.arange(cube.shape[-1]), *_orders(cube.shape[-1], run)]
        score, *shuffled = _average_precision(apart, [band[order][i] == band[order][j] for order in orders])
        rows.append(_rows(run, names, layers, score, _mean(shuffled), counted, len(i) - counted))
    return pd.concat(rows, ignore_index=True)


def _average_precision(distance: np.ndarray, labels: list[np.ndarray]) -> list[np.ndarray]:
    """Average precision of nearness (the last axis) as a sign of each of some labels; NaN where these are all alike.

    Pairs at one distance are taken in together; those without a distance are left out.
    """
    order = np.argsort(distance, axis=-1, kind="stable")  # NaN last
    values = np.take_along_axis(distance, order, axis=-1)
    places = np.arange(distance.shape[-1])
    ends = np.append(values[..., 1:] != values[..., :-1], np.ones((*values.shape[:-1], 1), bool), axis=-1)
    last = np.minimum.accumulate(np.where(ends, places, len(places))[..., ::-1], axis=-1)[..., ::-1]
    known = np.isfinite(values)
    found = []
    for label in labels:
        hits = label[order] & known
        precision = np.take_along_axis(hits.cumsum(axis=-1) / (places + 1), last, axis=-1)
        whole = hits.sum(axis=-1)
        both = (whole > 0) & (whole < known.sum(axis=-1))
        found.append(np.where(both, _ratio((precision * hits).sum(axis=-1), whole), np.nan))
    return found


# Function -------------------------------------------------------------------------------------------------------


def function(results: "Results", target: str) -> pd.DataFrame | None:
    """Spearman's ρ, over the pruned levels, of the distance to the dense network with what changed in the outputs.

    `target`: a measure of outputs. Both may grow with the level: they go together along a run, it is not said why. A
    layer in which any level has no score is missing. None where outputs were not compared or did not change.
    """
    table = results.similarity
    outputs = table[(table["view"] == "outputs") & (table["reference"] == "dense") & (table["level"] > 0)]
    outputs = outputs[outputs["measure"] == target]
    outputs = outputs.assign(value=1 - as_similarity(outputs["measure"], outputs["value"]))
    if outputs.empty:
        return None
    rows = []
    for run, scores in procedures(results).groupby("seed"):
        names, layers, levels, values = _profiles(scores)
        change = outputs[outputs["seed"] == run].set_index("level")["value"].reindex(levels).to_numpy(float)
        if not np.isfinite(change).all() or np.ptp(change) == 0:
            continue
        known = np.isfinite(values).all(axis=-1, keepdims=True)
        rho = _rho(1 - values, np.array([change, *change[_orders(len(levels), run)]]))
        rho = np.moveaxis(np.where(known, rho, np.nan), -1, 0)
        counted = np.isfinite(values).sum(axis=-1) * known[..., 0]
        rows.append(_rows(run, names, layers, rho[0], _mean(rho[1:]), counted, len(levels) - counted))
    return pd.concat(rows, ignore_index=True) if rows else None


def _rho(values: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Spearman's ρ of rows of `values` with rows of `targets`: … × targets; 0 where a row is constant."""
    return _unit_ranks(np.nan_to_num(values)) @ _unit_ranks(targets).T


def _unit_ranks(values: np.ndarray) -> np.ndarray:
    ranks = scipy.stats.rankdata(values, axis=-1)
    ranks = ranks - ranks.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(ranks, axis=-1, keepdims=True)
    return np.where(length > 0, ranks / np.where(length > 0, length, 1), 0)


# Layers ---------------------------------------------------------------------------------------------------------


def layer_identification(results: "Results") -> pd.DataFrame | None:
    """Whether a layer's most similar layer in a sibling network is the same layer (Kornblith et al. 2019).

    Score 1 or 0, shared out among ties; chance is 1 / the number of layers. A layer counts only if it has a score
    against every layer, and is missing otherwise: it would be compared with few, or with itself alone. Of layers that
    are one representation, as an average pooling and the pooled view of what it averages, the first counts.
    Uses `layer_pairs`.
    """
    pairs = diagnostic(results, "layer_pairs")
    if pairs is None:
        return None
    keys = ["seed", *PROCEDURE, "layer_x", "index_x"]
    table = distances(pairs)
    table = table[~_is_of_a_copy(table)]
    nearest = table["value"] == table.groupby(keys)["value"].transform("min")
    table = table.assign(nearest=nearest, own=nearest & (table["index_x"] == table["index_y"]))
    groups = table.groupby(keys, sort=False)
    sums, layers, counted = groups[["own", "nearest"]].sum(), groups.size(), groups["value"].count()
    missing = layers - counted
    score = (sums["own"] / sums["nearest"]).where(missing == 0)
    found = pd.DataFrame({"score": score, "chance": 1 / layers, "counted": counted, "missing": missing})
    return found.reset_index().rename(columns={"layer_x": "layer", "index_x": "layer_index"})[COLUMNS]


def _is_of_a_copy(pairs: pd.DataFrame) -> pd.Series:
    """Whether a row is of a layer whose every distance in its view is that of the layer before, to 1e-6."""
    wide = pairs.pivot(index=["view", "seed", "measure", "correction", "index_x"], columns="index_y", values="value")
    gap = wide.diff(axis=1).abs().groupby("view").max()
    copies = {(view, index) for (view, index), least in gap.stack().items() if least < 1e-6}
    named = (list(zip(pairs["view"], pairs[side], strict=True)) for side in ("index_x", "index_y"))
    return pd.Series([x in copies or y in copies for x, y in zip(*named, strict=True)], pairs.index)


# Corruptions ----------------------------------------------------------------------------------------------------


def corruption_order(results: "Results") -> pd.DataFrame | None:
    """Kendall's τ between the distance to a layer and the strength of a corruption of it; right is 1, chance 0.

    A row per seed, procedure, layer and `corruption`; ties count as nothing (τ-a). Uses `corruptions`.
    """
    table = diagnostic(results, "corruptions")
    if table is None:
        return None
    rows = []
    for keys, group in distances(table).groupby(["seed", *PROCEDURE, *LAYER, "corruption"], sort=False):
        group = group.sort_values("strength")
        score, counted, pairs = _tau(group["value"].to_numpy(float)[None], group["strength"].to_numpy(float))
        rows.append((*keys[:-1], score[0], 0.0, counted[0], pairs - counted[0], keys[-1]))
    return pd.DataFrame(rows, columns=[*COLUMNS, "corruption"])


def sensitivity(results: "Results") -> pd.DataFrame | None:
    """Spearman's ρ between the distance to a layer and the probe accuracy that its corruptions cost; chance 0.

    Over all corruptions of a layer together: what costs a linear probe more accuracy should be farther away, however
    it was done (Ding et al. 2021). Uses `corruptions`.
    """
    table = diagnostic(results, "corruptions")
    if table is None or table["probe_accuracy"].isna().all():
        return None
    rows = []
    for keys, group in _damaged(table).groupby(["seed", *PROCEDURE, *LAYER], sort=False):
        known = group[group["value"].notna() & group["lost"].notna()]
        usable = len(known) > 2 and known["lost"].nunique() > 1
        values, lost = known["value"].to_numpy(float), known["lost"].to_numpy(float)
        score = _rho(values[None], lost[None])[0, 0] if usable else np.nan
        rows.append((*keys, score, 0.0, len(known), len(group) - len(known)))
    return pd.DataFrame(rows, columns=COLUMNS)


def specificity(results: "Results") -> pd.DataFrame | None:
    """Share of the damaging corruptions that a measure puts farther from a layer than a sibling's layer is.

    A corruption does damage if it costs a linear probe more than `DAMAGE` of accuracy; a sibling is another network of
    the same accuracy, whose only fault is its seed. Right is 1, ties count ½; a measure that heeds neither is at ½.
    Uses `corruptions`, and siblings in the similarity table.
    """
    table = diagnostic(results, "corruptions")
    similarity = results.similarity
    siblings = distances(similarity[(similarity["reference"] == "sibling") & (similarity["level"] == 0)])
    if table is None or siblings.empty or table["probe_accuracy"].isna().all():
        return None
    keys = ["seed", *PROCEDURE, "layer_index"]
    damaged = _damaged(table)
    damaged = damaged[damaged["lost"] > DAMAGE]
    both = damaged.merge(siblings[[*keys, "value"]], on=keys, suffixes=("", "_sibling"))
    gap = both["value"] - both["value_sibling"]
    both = both.assign(right=((gap > 0) + 0.5 * (gap == 0)).where(gap.notna()), lost_score=gap.isna())
    groups = both.groupby(["seed", *PROCEDURE, *LAYER], sort=False)
    found = groups.agg(score=("right", "mean"), counted=("right", "count"), missing=("lost_score", "sum")).reset_index()
    return found.assign(chance=0.5)[COLUMNS]


def _damaged(table: pd.DataFrame) -> pd.DataFrame:
    """Corrupted representations as distances, with the probe accuracy that each has lost."""
    whole = table[table["strength"] == 0].groupby(["seed", "layer_index"])["probe_accuracy"].first().rename("whole")
    corrupted = distances(table[table["strength"] > 0]).merge(whole.reset_index(), on=["seed", "layer_index"])
    return corrupted.assign(lost=corrupted["whole"] - corrupted["probe_accuracy"])


# Merit ----------------------------------------------------------------------------------------------------------

TESTS: dict[str, Callable[["Results"], pd.DataFrame | None]] = {
    "trend": trend,
    "monotonicity": monotonicity,
    "band_separation": band_separation,
    "detection": detection,
    "disagreement": partial(function, target="prediction_agreement"),
    "divergence": partial(function, target="jensen_shannon"),
    "accuracy_gap": partial(function, target="accuracy_gap"),
    "layer_identification": layer_identification,
    "corruption_order": corruption_order,
    "sensitivity": sensitivity,
    "specificity": specificity,
}
# What follows the levels of a run, and counts only for what it gives beyond the run that lost no weight.
OF_LEVELS = ("trend", "monotonicity", "band_separation", "detection", "disagreement", "divergence", "accuracy_gap")


def run_tests(
    studies: Mapping[str, "Results"], twins: Mapping[str, "Results"] | None = None, tests: Iterable[str] | None = None
) -> dict[str, pd.DataFrame]:
    """The rows of each test over all studies, with a leading column `study`; tests that no study has tables for are
    left out.

    `twins`: by study, the run that lost no weight. Tests of `OF_LEVELS` get a column `control`, the score of the same
    procedure, layer and seed there, NaN where there is none. Raises `InputError` for an unknown test.
    """
    found = {}
    for test in TESTS if tests is None else tests:
        score, parts = TESTS[check_choice("tests", test, TESTS)], {}
        for name, results in studies.items():
            rows = score(results)
            if rows is not None:
                judged = partial(score, siblings_of=results) if test == "detection" else score
                parts[name] = _with_control(rows, (twins or {}).get(name), judged) if test in OF_LEVELS else rows
        if parts:
            found[test] = pd.concat(parts, names=["study"]).reset_index("study").reset_index(drop=True)
    return found


def _with_control(rows: pd.DataFrame, twin: "Results | None", score: Callable) -> pd.DataFrame:
    control = None if twin is None else score(twin)
    if control is None:
        return rows.assign(control=np.nan)
    keys = ["seed", *PROCEDURE, *LAYER]
    return rows.merge(control[[*keys, "score"]].rename(columns={"score": "control"}), on=keys, how="left")


def unit_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over layers (and kinds of corruption): a row for each procedure and unit, which is one seed of one study.

    For a correction those units count in which each of its procedures occurs, or all where there is none such:
    means over other units could not be ranked. Columns: score, chance, of a test with a control that, and `merit`: what
    the score has above the greater of the two; NaN without the control that it needs.
    """
    if rows.empty:
        raise InputError("rows: the test has none")
    rows = rows[_has_all_procedures(rows)]
    columns = ["score", "chance", *(["control"] if "control" in rows else [])]
    if "control" in rows:  # layer by layer: both or neither
        known = rows["control"].notna() | rows["control"].isna().groupby([rows["study"], rows["seed"]]).transform("all")
        rows = rows[known]
    units = rows.groupby([*PROCEDURE, "study", "seed"], sort=False)[columns].mean()
    floor = units[columns[1:]].max(axis=1, skipna=False)
    return units.assign(merit=units["score"] - floor)


def leaderboard(rows: pd.DataFrame) -> pd.DataFrame:
    """Procedures by their merit in one test, best first; where no merit is known, by their score.

    Every number is the mean over studies of the means over their seeds: a study counts once. `low` and `high` are a
    95 % bootstrap interval of the merit (percentiles): studies are drawn with replacement, and seeds within each; NaN
    with fewer than three units. `counted` and `missing` add up comparisons; `units` counts the seeds with a merit.
    Columns: view, measure, correction, score, chance, control, merit, low, high, counted, missing, units.
    """
    units = unit_scores(rows)
    table = units.groupby([*PROCEDURE, "study"], sort=False).mean().groupby(PROCEDURE, sort=False).mean()
    table = table.reindex(columns=["score", "chance", "control", "merit"])
    table["units"] = units["merit"].groupby(PROCEDURE, sort=False).count()
    drawn = _resampled(units["merit"])
    table["low"], table["high"] = (drawn.quantile(end, axis=1) for end in (0.025, 0.975))
    table = table.join(rows[_has_all_procedures(rows)].groupby(PROCEDURE, sort=False)[["counted", "missing"]].sum())
    columns = ["score", "chance", "control", "merit", "low", "high", "counted", "missing", "units"]
    ordered = table[columns].sort_values(["merit", "score"], ascending=False, kind="stable")
    return ordered.reset_index()


def _resampled(merit: pd.Series) -> pd.DataFrame:
    """Means over studies of means over seeds, drawn anew: procedures × resamples; NaN with too few units."""
    wide = merit.unstack(["study", "seed"]).dropna(axis="columns", how="all")
    if wide.shape[1] < FEWEST_UNITS:
        return pd.DataFrame(np.nan, wide.index, [0])
    generator, values = np.random.default_rng(0), wide.to_numpy(float).T
    of, number = pd.factorize(wide.columns.get_level_values("study"))[0], wide.columns.unique("study").size
    means = []  # of each study: resamples × places that it may be drawn for × procedures
    for study in range(number):
        seeds = np.flatnonzero(of == study)
        means.append(_mean(values[generator.choice(seeds, (len(seeds), RESAMPLES, number))]))
    chosen = generator.integers(number, size=(number, RESAMPLES))
    drawn = np.array(means)[chosen, np.arange(RESAMPLES), np.arange(number)[:, None]]
    return pd.DataFrame(_mean(drawn).T, wide.index)


def _has_all_procedures(rows: pd.DataFrame) -> pd.Series:
    """Whether a row is of a unit in which every procedure of its correction occurs; true of all rows of a correction
    where there is no such unit."""
    unit, procedure = (rows.groupby(by, sort=False).ngroup() for by in (["study", "seed"], PROCEDURE))
    occurring = procedure.groupby([rows["correction"], unit]).transform("nunique")
    whole = occurring == procedure.groupby(rows["correction"]).transform("nunique")
    return whole | ~whole.groupby(rows["correction"]).transform("any")


def merits(boards: Mapping[str, pd.DataFrame], view: str = "flatten", column: str = "merit") -> pd.DataFrame:
    """Measures × tests: the merits (or another column) of uncorrected measures in one view; NaN where there is none."""
    chosen = {test: board[(board["view"] == view) & (board["correction"] == "none")] for test, board in boards.items()}
    return pd.DataFrame({test: board.set_index("measure")[column] for test, board in chosen.items()})


# Advice ---------------------------------------------------------------------------------------------------------


def floors(studies: Mapping[str, "Results"]) -> pd.Series:
    """What each procedure says of shuffled inputs where it says most: the greatest over studies and layers of the mean
    over seeds and levels, as a similarity. Scores that are not ok are left out. Indexed by `PROCEDURE`."""
    found = []
    for results in studies.values():
        nulls = diagnostic(results, "nulls")
        if nulls is not None:
            keys = ["seed", "level", "layer_index", "view", "measure", "reference"]
            table = nulls[[*keys, "null"]].merge(results.similarity[[*keys, "status"]], on=keys)
            table = table[(table["reference"] == "dense") & is_ok(table["status"]) & ~table["measure"].isin(COPIES)]
            table = table.assign(null=as_similarity(table["measure"], table["null"]))
            found.append(table.groupby(["view", "measure", "layer_index"])["null"].mean())
    if not found:
        return pd.Series(dtype=float)
    highest = pd.concat(found).groupby(["view", "measure"]).max().reset_index()
    highest["correction"] = np.where(highest["measure"].isin(DEBIASED), "debiased", "none")
    return highest.replace({"measure": DEBIASED}).set_index(PROCEDURE)["null"]


def advice(rows: pd.DataFrame, floor: pd.Series) -> pd.DataFrame:
    """The procedures that can't be told from the best in one test: the rows of its `leaderboard` that tie, best first.

    One ties if its merit is less by no more than `MARGIN`, or if the interval of the difference holds 0. Left out are
    those that miss more than `MOST_MISSING` of their comparisons, or whose `floors` are above `HIGH_FLOOR`. Empty where
    the merit of the best, at the lower end of its interval if there is one, is less than `MARGIN`.
    """
    board = leaderboard(rows)
    usable = board["missing"] <= MOST_MISSING * (board["counted"] + board["missing"])
    high = floor.reindex(pd.MultiIndex.from_frame(board[PROCEDURE])).to_numpy(float) > HIGH_FLOOR
    table = board[usable & board["merit"].notna() & ((board["correction"] == "chance") | ~high)]
    if table.empty or table["low"].fillna(table["merit"]).iloc[0] < MARGIN:
        return table.iloc[:0]
    drawn = _resampled(unit_scores(rows)["merit"]).loc[list(table[PROCEDURE].itertuples(index=False, name=None))]
    behind = (drawn.iloc[0] - drawn).quantile(0.025, axis=1).to_numpy()
    return table[(table["merit"] >= table["merit"].iloc[0] - MARGIN).to_numpy() | (behind <= 0)]


def inputs_needed(studies: Mapping[str, "Results"]) -> pd.DataFrame:
    """By study and measure: from how many probe inputs on its scores are within `NEAR` of those on all inputs.

    In every layer, flattened and pooled, of those in which the measure is ok with so many inputs and with all: means
    over layers would hide the wide ones. Columns: study, measure, needed (NaN if no number below all was enough), tried
    (the greatest below all), all.
    """
    rows = []
    for study, results in studies.items():
        table = by_inputs(results, ("flatten", "pooled"))
        if table is None:
            continue
        sound = table.assign(mean=table["mean"].where(table["ok"]))
        wide = sound.pivot(index=["view", "measure", "layer_index"], columns="inputs", values="mean")
        worst = wide.sub(wide.iloc[:, -1], axis=0).abs().groupby("measure").max().iloc[:, :-1]
        lasting = (worst <= NEAR).iloc[:, ::-1].cummin(axis=1).iloc[:, ::-1]
        for measure, enough in lasting.iterrows():
            needed = enough.idxmax() if enough.any() else np.nan
            rows.append((study, measure, needed, worst.columns[-1], wide.columns[-1]))
    return pd.DataFrame(rows, columns=["study", "measure", "needed", "tried", "all"])
