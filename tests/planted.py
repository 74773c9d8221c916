"""Results whose truth was planted, for tests of the analysis: made-up tables, and scores of made-up networks."""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from simprune import Experiment, compare

MEASURES = ("mean_cca", "svcca", "pwcca", "linear_cka", "debiased_linear_cka", "nbs", "procrustes_distance", "gulp")
FAIR = ("mean_cca", "svcca", "pwcca", "linear_cka", "nbs")
VIEWS = ("flatten", "channels", "pooled")
LAYERS = ("conv1_relu", "conv2_relu", "logits")
LEVELS, RATE = 8, 0.3
PAPER = vars(Experiment("lenet5", "fashion_mnist", profile="paper"))


def results(similarity, diagnostics=None, accuracy=None, seeds=(0,), levels=LEVELS):
    """Results around a table of scores; accuracy falls a little with the level unless it is given."""
    accuracy = [0.9 - 0.002 * level**2 for level in range(levels + 1)] if accuracy is None else accuracy
    performance = pd.DataFrame(
        [
            {"seed": seed, "level": level, "density": density(level), "test_accuracy": accuracy[level]}
            | dict.fromkeys(("train_loss", "train_accuracy", "test_loss"), 0.5)
            for seed in seeds
            for level in range(levels + 1)
        ]
    )
    told = {"seeds": tuple(seeds), "levels": levels, "rate": RATE, "probe_size": 1000, "views": VIEWS}
    experiment = SimpleNamespace(**PAPER | told | {"measures": MEASURES})
    return SimpleNamespace(
        experiment=experiment, performance=performance, similarity=similarity, diagnostics=diagnostics or {}
    )


def density(level):
    return (1 - RATE) ** level


def similarity(value, *, seeds=(0,), views=VIEWS, measures=FAIR, levels=range(LEVELS + 1), reference="dense", **fixed):
    """A table of scores: `value(seed, level, layer index, view, measure)` is each one's."""
    rows = [
        {
            "seed": seed,
            "level": level,
            "density": density(level),
            "layer": layer,
            "layer_index": index,
            "reference": reference,
            "view": view,
            "measure": measure,
            "value": value(seed, level, index, view, measure),
            "status": "ok",
            "note": "",
            **fixed,
        }
        for seed, level, (index, layer), view, measure in itertools.product(
            seeds, levels, enumerate(LAYERS), views, measures
        )
    ]
    return pd.DataFrame(rows)


def with_siblings(value, base=0.5, *, seeds=(0,), jitter=0.0, **more):
    """Results with scores against the dense network, and against a sibling `base`, and `jitter` more for each seed."""
    dense = similarity(value, seeds=seeds, **more)
    table = similarity(lambda seed, *rest: base + jitter * seed, seeds=seeds, levels=(0,), reference="sibling", **more)
    return results(pd.concat([dense, table], ignore_index=True), seeds=seeds)


def nulls(scores, null):
    """A table of nulls for a table of scores: the same one for each, or `null(row)`."""
    value = [null(row) for row in scores.itertuples()] if callable(null) else null
    return scores.drop(columns=["value", "status", "note"]).assign(null=value, null_sd=0.01, shuffles=3)


def level_pairs(distance, *, seeds=(0,), views=("flatten",), measures=FAIR, levels=LEVELS):
    """Scores of each two levels: 1 − `distance(seed, x, y, layer index, measure)`."""
    rows = [
        {
            "seed": seed,
            "level_x": x,
            "level_y": y,
            "layer": layer,
            "layer_index": index,
            "view": view,
            "measure": measure,
            "value": 1 - distance(seed, x, y, index, measure),
            "status": "ok",
            "note": "",
        }
        for seed, (x, y), (index, layer), view, measure in itertools.product(
            seeds, itertools.combinations(range(levels + 1), 2), enumerate(LAYERS), views, measures
        )
    ]
    return pd.DataFrame(rows)


def layer_pairs(value, *, seeds=(0,), measures=FAIR):
    """Scores of each layer with each of a sibling: `value(seed, x, y, measure)`."""
    rows = [
        {"seed": seed, "layer_x": LAYERS[x], "layer_y": LAYERS[y], "index_x": x, "index_y": y, "view": "flatten"}
        | {"measure": measure, "value": value(seed, x, y, measure), "status": "ok", "note": ""}
        for seed, x, y, measure in itertools.product(seeds, *2 * [range(len(LAYERS))], measures)
    ]
    return pd.DataFrame(rows)


# Made-up networks -----------------------------------------------------------------------------------------------


def study(pairs, shuffles=10):
    """Results with every diagnostic that the sources need, from pairs of activations: a level for each pair.

    Only `FAIR` measures are computed.
    """
    rows, null_rows = [], []
    for level, (x, y) in enumerate(pairs, start=1):
        place = {"seed": 0, "level": level, "density": density(level), "layer": "conv1_relu", "layer_index": 0}
        for view in VIEWS:
            table = compare(x, y, list(FAIR), view=view, permutations=shuffles)
            for measure, row in table.iterrows():
                where = {**place, "reference": "dense", "view": view, "measure": measure}
                rows.append({**where, "value": row["value"], "status": "ok", "note": ""})
                null_rows.append({**where, "null": row["null"], "null_sd": row["null_sd"], "shuffles": shuffles})
    return results(pd.DataFrame(rows), {"nulls": pd.DataFrame(null_rows)}, levels=len(pairs))


def noise(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def everything(seeds=(0,), measures=MEASURES):
    """Results with every table of diagnostics, made up: measures fall at their own speeds, the middle layer most.

    mean_cca is degenerate in the first layer of the view flatten.
    """
    speed = {measure: 0.02 + 0.008 * place for place, measure in enumerate(measures)}

    def value(seed, level, layer, view, measure):
        noise = np.random.default_rng([seed, level, layer, len(view)]).random()
        similar = 1 - level * speed[measure] * (1.5 if layer == 1 else 1 - 0.2 * layer) - 0.02 * noise
        return 1 - similar if measure in ("procrustes_distance", "gulp") else similar

    def scores(reference, levels=range(LEVELS + 1), **more):
        table = similarity(value, seeds=seeds, measures=measures, levels=levels, reference=reference, **more)
        forced = (table["measure"] == "mean_cca") & (table["layer_index"] == 0) & (table["view"] == "flatten")
        return table.assign(status=np.where(forced, "degenerate", "ok"))

    dense = scores("dense")
    dense.loc[dense["level"] == 0, "value"] = np.where(
        dense.loc[dense["level"] == 0, "measure"].isin(("procrustes_distance", "gulp")), 0.0, 1.0
    )
    sibling = scores("sibling", levels=[0]).assign(value=lambda t: np.where(t["measure"] == "gulp", 0.4, 0.6))
    outputs = [
        {"seed": seed, "level": level, "density": density(level), "layer": LAYERS[-1], "layer_index": len(LAYERS) - 1}
        | {"reference": "dense", "view": "outputs", "measure": measure, "status": "ok", "note": ""}
        | {"value": 1 - 0.01 * level if measure == "prediction_agreement" else 0.01 * level}
        for seed in seeds
        for level in range(LEVELS + 1)
        for measure in ("prediction_agreement", "jensen_shannon", "accuracy_gap")
    ]
    pruned = dense[dense["level"] > 0]
    draws = pd.concat([dense[dense["level"].isin((1, LEVELS))], sibling], ignore_index=True)
    return results(
        pd.concat([dense, sibling, pd.DataFrame(outputs)], ignore_index=True),
        {
            "nulls": nulls(pruned, lambda row: 2.0 if row.measure == "gulp" else 0.1),
            "samples": pd.concat(
                [
                    draws.assign(inputs=inputs, draw=draw, value=draws["value"] + 2 / inputs + 0.004 * draw)
                    for inputs in (50, 500)
                    for draw in range(5)
                ]
            ),
            "level_pairs": level_pairs(
                lambda seed, x, y, layer, measure: (y - x) * speed[measure], seeds=seeds, measures=measures
            ),
            "layer_pairs": layer_pairs(
                lambda seed, x, y, measure: 1 - 0.1 * abs(x - (0 if measure == "mean_cca" else y)),
                seeds=seeds,
                measures=measures,
            ),
            "corruptions": pd.DataFrame(
                [
                    {"seed": seed, "corruption": corruption, "strength": strength, "layer": layer}
                    | {"layer_index": index, "view": "flatten", "measure": measure, "status": "ok", "note": ""}
                    | {"value": 1 - speed[measure] * strength * 10, "probe_accuracy": 0.9 - 0.2 * strength}
                    for seed in seeds
                    for corruption in ("noise", "truncation")
                    for strength in (0, 0.2, 0.5, 1.0)
                    for index, layer in enumerate(LAYERS)
                    for measure in measures
                ]
            ),
            "spectral": pd.DataFrame(
                [
                    {"seed": seed, "level": level, "density": density(level), "layer": layer, "layer_index": index}
                    | {"reference": "dense", "alpha": alpha, "p": p, "value": 1 - 0.03 * level / (1 + alpha) / p}
                    for seed in seeds
                    for level in range(1, LEVELS + 1)
                    for index, layer in enumerate(LAYERS)
                    for alpha in (0.0, 0.5, 1.0)
                    for p in (1.0, 2.0)
                ]
            ),
        },
        seeds=seeds,
    )
