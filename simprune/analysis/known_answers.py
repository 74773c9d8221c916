"""Which measures to trust: tests whose right answer is known beforehand.

Every test scores *procedures*: a measure, in a view, with a correction. All measures stand as similarities
(`as_similarity`) and a distance is 1 minus that, so that only orders matter that no monotone map
changes. A score that is not ok has no value: what it takes part in is counted as missing, never as right or wrong.
Ties count as half right, or as nothing in a rank correlation, so that a measure that says the same of everything is
at chance. Networks are permuted where chance is found by permutation, never the pairs of them, which are not
independent.

Each test takes the results of one study and gives one row per seed, procedure and layer, with the columns

    seed, view, measure, correction, layer, layer_index, score, chance, counted, missing

(some have one more), or None where the tables that it needs were not computed. `counted` and `missing` count
comparisons. Tests with a permutation test have a column `p` as well: that of the procedure's mean over layers,
one-sided, the same in all its rows of a seed.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import bootstrap, combine_pvalues, rankdata
from scipy.stats import t as student

from simprune.analysis.scores import COPIES, DEBIASED, as_similarity, diagnostic, is_ok, procedures
from simprune.errors import InputError, check_choice

if TYPE_CHECKING:
    from simprune.results import Results

PERMUTATIONS = 499
RESAMPLES = 999
FEWEST_UNITS = 3  # for an interval over seeds and studies
# Bands of density for the test of band separation: the first holds every density from there up to 1.
BANDS = (0.5, 0.2)
# A corruption does damage if it costs a linear probe more than this much accuracy.
DAMAGE = 0.01
SIBLING_RANGE = 0.95
PROCEDURE = ["view", "measure", "correction"]
LAYER = ["layer", "layer_index"]
COLUMNS = ["seed", *PROCEDURE, *LAYER, "score", "chance", "counted", "missing"]
# What a network does that a distance between representations may go with: by the measure of outputs that says it.
FUNCTIONS = {
    "prediction_agreement": "prediction disagreement",
    "jensen_shannon": "Jensen–Shannon divergence",
    "accuracy_gap": "accuracy gap",
}


def distances(table: pd.DataFrame) -> pd.DataFrame:
    """Scores as distances, 1 minus the similarity, by procedure: NaN where the status is not ok.

    Copies of other measures are left out; the debiased estimator of linear CKA becomes its correction "debiased".
    """
    table = table[~table["measure"].isin(COPIES)]
    value = 1 - as_similarity(table["measure"], table["value"]).where(is_ok(table["status"]))
    correction = np.where(table["measure"].isin(DEBIASED), "debiased", "none")
    return table.assign(value=value, correction=correction, measure=table["measure"].replace(DEBIASED))


# Monotonicity ---------------------------------------------------------------------------------------------------


def monotonicity(results: "Results", permutations: int = PERMUTATIONS, seed: int = 0) -> pd.DataFrame | None:
    """Share of right comparisons among levels i < j < k: i is nearer to j than to k, and k nearer to j than to i.

    Chance ½, ties ½. Uses `level_pairs`; p permutes the networks of a run, jointly for all layers. None without those,
    or with fewer than three networks in a run.
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
        score = _ratio(right, known)
        generator = np.random.default_rng([seed, run])
        null = [_layer_mean(_ratio(*verdict(generator.permutation(count)))) for _ in range(permutations)]
        p = _p_values(_layer_mean(score), np.array(null))
        rows.append(_rows(run, names, layers, score, 0.5, known, len(near) - known, p))
    return pd.concat(rows, ignore_index=True)


def _level_matrices(table: pd.DataFrame) -> tuple[list[tuple], pd.Series, np.ndarray]:
    """Procedures, layers, and the distances of levels as procedures × layers × levels × levels, NaN on the diagonal."""
    names = list(table[PROCEDURE].drop_duplicates().itertuples(index=False, name=None))
    layers = _layers(table)
    count = int(table["level_y"].max()) + 1
    cube = np.full((len(names), len(layers), count, count), np.nan)
    place = {name: number for number, name in enumerate(names)}
    which = [place[name] for name in table[PROCEDURE].itertuples(index=False, name=None)]
    layer = layers.index.get_indexer(table["layer_index"])
    x, y, value = table["level_x"].to_numpy(), table["level_y"].to_numpy(), table["value"].to_numpy(float)
    cube[which, layer, x, y] = cube[which, layer, y, x] = value
    return names, layers, cube


def _layers(table: pd.DataFrame) -> pd.Series:
    return table.drop_duplicates("layer_index").set_index("layer_index")["layer"].sort_index()


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _layer_mean(score: np.ndarray) -> np.ndarray:
    """The mean over layers (the last axis) that have a score, NaN if none has."""
    known = np.isfinite(score)
    return _ratio(np.where(known, score, 0).sum(axis=-1), known.sum(axis=-1))


def _p_values(score: np.ndarray, null: np.ndarray) -> np.ndarray:
    """One-sided: how often permuted networks score at least as much; NaN without a score."""
    reached = (null >= score - 1e-12).sum(axis=0)
    return np.where(np.isfinite(score), (1 + reached) / (1 + len(null)), np.nan)


def _rows(run, names, layers, score, chance, counted, missing, p=None, **extra) -> pd.DataFrame:
    """Arrays of procedures × layers as a table with `COLUMNS`, in their order."""
    table = pd.DataFrame(np.repeat(np.array(names, object), len(layers), axis=0), columns=PROCEDURE)
    table["layer"], table["layer_index"] = np.tile(layers.to_numpy(), len(names)), np.tile(layers.index, len(names))
    for column, values in {"score": score, "chance": chance, "counted": counted, "missing": missing}.items():
        table[column] = np.broadcast_to(values, (len(names), len(layers))).ravel()
    table.insert(0, "seed", run)
    if p is not None:
        table["p"] = np.repeat(p, len(layers))
    return table.assign(**extra)


def trend(results: "Results", permutations: int = PERMUTATIONS, seed: int = 0) -> pd.DataFrame | None:
    """Kendall's τ between the distance to the dense network and the level: 1 if it grows level by level; chance 0.

    Ties count as nothing (τ-a, which is Somers' D here: levels are not tied). Uses the similarity table, and
    `nulls` for corrected scores, which are judged at the levels that have a null; p permutes levels. None without
    pruned networks.
    """
    rows = []
    for run, table in procedures(results).groupby("seed"):
        names, layers, levels, values = _profiles(table)
        order = np.arange(len(levels))
        score, counted, pairs = _tau(1 - values, order)
        generator = np.random.default_rng([seed, run])
        permuted = np.array([generator.permutation(order) for _ in range(permutations)])
        null = _permuted_tau(1 - values, permuted)
        rows.append(
            _rows(run, names, layers, score, 0.0, counted, pairs - counted, _p_values(_layer_mean(score), null))
        )
    return pd.concat(rows, ignore_index=True) if rows else None


def _profiles(table: pd.DataFrame) -> tuple[list[tuple], pd.Series, list, np.ndarray]:
    """Procedures, layers, levels, and similarities as procedures × layers × levels."""
    names = list(table[PROCEDURE].drop_duplicates().itertuples(index=False, name=None))
    layers, levels = _layers(table), sorted(table["level"].unique())
    index = pd.MultiIndex.from_tuples(
        [(*name, layer, level) for name in names for layer in layers.index for level in levels]
    )
    values = table.set_index([*PROCEDURE, "layer_index", "level"])["value"].reindex(index).to_numpy(float)
    return names, layers, levels, values.reshape(len(names), len(layers), len(levels))


def _signs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Sign of the difference of every two entries of the last axis, whether both are known, and which two they are."""
    i, j = np.triu_indices(values.shape[-1], 1)
    gap = values[..., j] - values[..., i]
    known = np.isfinite(gap)
    return np.where(known, np.sign(gap), 0), known, (i, j)


def _tau(values: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """τ-a of the last axis with an order, the pairs counted, and all pairs; NaN where no pair is known."""
    signs, known, (i, j) = _signs(values)
    return _ratio(signs @ np.sign(order[j] - order[i]), known.sum(axis=-1)), known.sum(axis=-1), len(i)


def _permuted_tau(values: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Means over layers of τ-a with each of some orders: orders × procedures."""
    signs, known, (i, j) = _signs(values)
    against = np.sign(orders[:, j] - orders[:, i])
    tau = _ratio(
        np.moveaxis(signs @ against.T, -1, 0), np.broadcast_to(known.sum(axis=-1), (len(orders), *signs.shape[:2]))
    )
    return _layer_mean(tau)


# Detection ------------------------------------------------------------------------------------------------------


def detection(results: "Results") -> pd.DataFrame | None:
    """The density at which a pruned network is first farther from its dense one than siblings are.

    A row per seed, procedure (uncorrected) and layer: `score`, the density of the first level whose distance to the
    dense network is above the upper end of the siblings' 95 % range; 0 if that never happens, which is a legal answer
    and not a failure; NaN if there are no scores. `bound` is that end and `siblings` says where it comes from:
    "seeds", a prediction interval from three or more pairs of dense networks (Student's t); "inputs", one around the
    seed's own pair, from random draws of the probe inputs; "one pair", a single distance, where there is nothing
    else. There is no chance level. None if siblings were not compared.
    """
    table = distances(results.similarity[results.similarity["layer_index"] >= 0])
    table = table[table["view"] != "outputs"]
    siblings = table[(table["reference"] == "sibling") & (table["level"] == 0)]
    if siblings.empty:
        return None
    bounds = _sibling_bounds(siblings, diagnostic(results, "samples"))
    dense = table[(table["reference"] == "dense") & (table["level"] > 0)].merge(
        bounds, on=["seed", *PROCEDURE, "layer_index"]
    )
    known = dense["value"].notna() & dense["bound"].notna()
    dense = dense.assign(
        changed=dense["density"].where(known & (dense["value"] > dense["bound"])), known=known, lost=~known
    )
    groups = dense.groupby(["seed", *PROCEDURE, *LAYER, "bound", "siblings"], sort=False, dropna=False)
    found = groups.agg(score=("changed", "max"), counted=("known", "sum"), missing=("lost", "sum")).reset_index()
    found["score"] = found["score"].fillna(0).where(found["counted"] > 0)
    return found.assign(chance=np.nan)[[*COLUMNS, "bound", "siblings"]]


def _sibling_bounds(siblings: pd.DataFrame, samples: pd.DataFrame | None) -> pd.DataFrame:
    """The upper end of the range of distances between siblings, by seed, procedure and layer."""
    keys = [*PROCEDURE, "layer_index"]
    plain = siblings[["seed", *keys, "value"]].rename(columns={"value": "bound"})
    if siblings["seed"].nunique() >= FEWEST_UNITS:
        ends = siblings.groupby(keys)["value"].agg(_upper_end).rename("end").reset_index()
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


def _upper_end(values: pd.Series) -> float:
    """Upper end of the two-sided prediction interval for one more value: mean + t s √(1 + 1/n)."""
    return float(values.mean() + _reach(values))


def _reach(values: pd.Series) -> float:
    """Half the width of that interval; NaN with fewer than three values."""
    values = values.dropna()
    if len(values) < FEWEST_UNITS:
        return np.nan
    quantile = student.ppf(0.5 + SIBLING_RANGE / 2, len(values) - 1)
    return float(quantile * np.sqrt(1 + 1 / len(values)) * values.std(ddof=1))


# Bands ----------------------------------------------------------------------------------------------------------


def band_separation(results: "Results") -> pd.DataFrame | None:
    """Whether levels of one band of density are nearer to each other than to those of other bands: AUPRC.

    Bands are cut at the densities of `BANDS`. The score is the average precision (area under the precision–recall
    curve) of similarity as a sign that two levels share a band; chance is the share of pairs that do.
    Uses `level_pairs`.
    """
    pairs = diagnostic(results, "level_pairs")
    if pairs is None:
        return None
    density = results.performance.groupby("level")["density"].mean()
    band = sum((density < edge).astype(int) for edge in BANDS)
    table = distances(pairs)
    table["same"] = table["level_x"].map(band).to_numpy() == table["level_y"].map(band).to_numpy()
    rows = []
    for keys, group in table.groupby(["seed", *PROCEDURE, *LAYER], sort=False):
        known = group[group["value"].notna()]
        chance = known["same"].mean() if len(known) else np.nan
        two_sided = 0 < chance < 1
        score = average_precision(known["same"], known["value"]) if two_sided else np.nan
        rows.append((*keys, score, chance, len(known), len(group) - len(known)))
    return pd.DataFrame(rows, columns=COLUMNS)


def average_precision(same: "pd.Series", distance: "pd.Series") -> float:
    """Area under the precision–recall curve of nearness as a sign of `same`, as scikit-learn has it; ties are one step.

    (scikit-learn's own checks its input for longer than it computes, two thousand times a page.)
    """
    distance, order = np.unique(distance.to_numpy(float), return_inverse=True)
    found = np.cumsum(np.bincount(order, same.to_numpy(float)))  # up to each distance
    precision = found / np.cumsum(np.bincount(order))
    return float(precision @ np.diff(found, prepend=0) / found[-1])


# Function -------------------------------------------------------------------------------------------------------


def function(results: "Results", permutations: int = PERMUTATIONS, seed: int = 0) -> pd.DataFrame | None:
    """Spearman's ρ of the distance to the dense network with what changed in the network's outputs; chance 0.

    A row per seed, procedure, layer and `target` (`FUNCTIONS`), over the pruned levels; p permutes networks. Both may
    grow with the level: being above chance says that they go together along a run, not why. A layer
    in which any level has no score is missing; a target that does not vary is left out. None if outputs were not
    compared.
    """
    table = results.similarity
    outputs = table[(table["view"] == "outputs") & (table["reference"] == "dense") & (table["level"] > 0)]
    outputs = outputs.assign(value=1 - as_similarity(outputs["measure"], outputs["value"]))
    if outputs.empty:
        return None
    rows = []
    for run, scores in procedures(results).groupby("seed"):
        names, layers, levels, values = _profiles(scores)
        for target, change in outputs[outputs["seed"] == run].groupby("measure"):
            change = change.set_index("level")["value"].reindex(levels).to_numpy(float)
            if not np.isfinite(change).all() or np.ptp(change) == 0:
                continue
            generator = np.random.default_rng([seed, run])
            orders = np.array([generator.permutation(len(levels)) for _ in range(permutations)])
            rows.append(_correlated(run, names, layers, 1 - values, change, change[orders], target=FUNCTIONS[target]))
    return pd.concat(rows, ignore_index=True) if rows else None


def function_pairs(results: "Results", permutations: int = PERMUTATIONS, seed: int = 0) -> pd.DataFrame | None:
    """Mantel test of the distances between levels with the differences of their test accuracies; chance 0.

    Spearman's ρ over all pairs of levels; p permutes networks, rows and columns together (Mantel 1967). Uses
    `level_pairs`.
    """
    pairs = diagnostic(results, "level_pairs")
    if pairs is None:
        return None
    rows = []
    for run, table in distances(pairs).groupby("seed"):
        names, layers, cube = _level_matrices(table)
        accuracy = results.performance[results.performance["seed"] == run].set_index("level")["test_accuracy"]
        accuracy = accuracy.reindex(range(cube.shape[-1])).to_numpy(float)
        if not np.isfinite(accuracy).all() or np.ptp(accuracy) == 0:
            continue
        i, j = np.triu_indices(cube.shape[-1], 1)
        generator = np.random.default_rng([seed, run])
        orders = np.array([generator.permutation(len(accuracy)) for _ in range(permutations)])
        gap = np.abs(accuracy[:, None] - accuracy)
        permuted = gap[orders[:, i], orders[:, j]]
        rows.append(
            _correlated(run, names, layers, cube[..., i, j], gap[i, j], permuted, target="accuracy gap of pairs")
        )
    return pd.concat(rows, ignore_index=True) if rows else None


def _correlated(run, names, layers, values, target_values, permuted, target: str) -> pd.DataFrame:
    """Spearman's ρ of the last axis with a target, and p from permuted targets; a constant scores 0."""
    known = np.isfinite(values).all(axis=-1)
    score = np.where(known, _rho(values, target_values[None])[..., 0], np.nan)
    null = np.moveaxis(np.where(known[..., None], _rho(values, permuted), np.nan), -1, 0)
    counted = np.isfinite(values).sum(axis=-1) * known
    p = _p_values(_layer_mean(score), _layer_mean(null))
    missing = values.shape[-1] - counted
    return _rows(run, names, layers, score, 0.0, counted, missing, p, target=target)


def _rho(values: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Spearman's ρ of rows of `values` with rows of `targets`: … × targets; 0 where a row is constant."""
    return _unit_ranks(np.nan_to_num(values)) @ _unit_ranks(targets).T


def _unit_ranks(values: np.ndarray) -> np.ndarray:
    ranks = rankdata(values, axis=-1)
    ranks = ranks - ranks.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(ranks, axis=-1, keepdims=True)
    return np.where(length > 0, ranks / np.where(length > 0, length, 1), 0)


# Layers ---------------------------------------------------------------------------------------------------------


def layer_identification(results: "Results") -> pd.DataFrame | None:
    """Whether a layer's most similar layer in a sibling network is the same layer (Kornblith et al. 2019).

    Score 1 or 0, shared out among ties; chance is 1 / the number of layers. A layer counts only if it has a score
    against every layer, and is missing otherwise: it would be compared with few, or with itself alone.
    Uses `layer_pairs`.
    """
    pairs = diagnostic(results, "layer_pairs")
    if pairs is None:
        return None
    rows = []
    table = distances(pairs)
    for keys, group in table.groupby(["seed", *PROCEDURE, "layer_x", "index_x"], sort=False):
        missing = int(group["value"].isna().sum())
        nearest = group["value"] == group["value"].min()
        own = (group["index_y"] == keys[-1]) & nearest
        hit = own.sum() / nearest.sum() if not missing else np.nan
        rows.append((*keys, hit, 1 / len(group), len(group) - missing, missing))
    return pd.DataFrame(rows, columns=COLUMNS)


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


# Leaderboards ---------------------------------------------------------------------------------------------------

TESTS: dict[str, Callable[["Results"], pd.DataFrame | None]] = {
    "monotonicity": monotonicity,
    "trend": trend,
    "detection": detection,
    "band_separation": band_separation,
    "function": function,
    "function_pairs": function_pairs,
    "layer_identification": layer_identification,
    "corruption_order": corruption_order,
    "sensitivity": sensitivity,
    "specificity": specificity,
}


def run_tests(studies: Mapping[str, "Results"], tests: Iterable[str] | None = None) -> dict[str, pd.DataFrame]:
    """The rows of each test over all studies, with a leading column `study`; tests that no study has tables for are
    left out.

    Raises `InputError` for an unknown test.
    """
    found = {}
    for test in TESTS if tests is None else tests:
        rows = {name: TESTS[check_choice("tests", test, TESTS)](results) for name, results in studies.items()}
        rows = {name: table for name, table in rows.items() if table is not None}
        if rows:
            found[test] = pd.concat(rows, names=["study"]).reset_index("study").reset_index(drop=True)
    return found


def leaderboard(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Procedures by their mean score in one test, best first.

    A unit is one seed of one study: its score is the mean over its layers (and kinds of corruption, or targets) that
    have one, the procedure's score the mean over units. Only units in which every procedure of the table occurs count
    (all of them, where there is no such unit): means over other units could not be ranked. `low` and `high` are a 95 %
    bootstrap interval over units (percentiles), NaN with fewer than three units or where all are equal. `chance` is the
    mean chance level; `counted` and `missing` add up; `units` is their number; `p_adjusted` holds for tests with p: p
    values of units are combined (Fisher) and adjusted over the procedures of the table (Benjamini & Hochberg 1995),
    else it is NaN.
    Columns: view, measure, correction, score, low, high, chance, p_adjusted, counted, missing, units.
    """
    if rows.empty:
        raise InputError("rows: the test has none")
    rows = rows[_has_all_procedures(rows)]
    by = [*PROCEDURE, "study", "seed"]
    units = rows.groupby(by, sort=False).agg(score=("score", "mean"), chance=("chance", "mean")).reset_index()
    groups = units.groupby(PROCEDURE, sort=False)
    table = groups.agg(score=("score", "mean"), chance=("chance", "mean"), units=("score", "count"))
    ends = [_interval(group["score"].dropna().to_numpy(), seed) for _, group in groups]
    table["low"], table["high"] = zip(*ends, strict=True)
    sums = rows.groupby(PROCEDURE, sort=False)[["counted", "missing"]].sum()
    table = table.join(sums).assign(p_adjusted=_adjusted(rows, table.index))
    columns = ["score", "low", "high", "chance", "p_adjusted", "counted", "missing", "units"]
    return table[columns].reset_index().sort_values("score", ascending=False, kind="stable", ignore_index=True)


def _has_all_procedures(rows: pd.DataFrame) -> pd.Series:
    """Whether a row is of a unit in which every procedure occurs; true of all rows where there is no such unit."""
    unit, procedure = (rows.groupby(by, sort=False).ngroup() for by in (["study", "seed"], PROCEDURE))
    occurring = procedure.groupby(unit).nunique()
    whole = occurring.index[occurring == procedure.nunique()]
    return unit.isin(whole if len(whole) else occurring.index)


def _interval(scores: np.ndarray, seed: int) -> tuple[float, float]:
    if len(scores) < FEWEST_UNITS or np.ptp(scores) == 0:
        return np.nan, np.nan
    generator = np.random.default_rng(seed)
    found = bootstrap((scores,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=generator, vectorized=True)
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _adjusted(rows: pd.DataFrame, order: pd.MultiIndex) -> np.ndarray:
    """p values of procedures, combined over units and adjusted over procedures; NaN where there are none."""
    from statsmodels.stats.multitest import multipletests

    if "p" not in rows:
        return np.full(len(order), np.nan)
    # One p per unit: targets share the permutations, so that the greatest of theirs stands for all.
    units = rows.groupby([*PROCEDURE, "study", "seed"], sort=False)["p"].max().dropna()
    combined = units.groupby(PROCEDURE, sort=False).agg(
        lambda p: combine_pvalues(p).pvalue if len(p) > 1 else p.iloc[0]
    )
    combined = combined.reindex(order).to_numpy(float, copy=True)
    known = np.isfinite(combined)
    if known.any():
        combined[known] = multipletests(combined[known], method="fdr_bh")[1]
    return combined
