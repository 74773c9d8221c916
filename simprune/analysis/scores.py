"""Scores on one footing: every measure as a similarity, uncorrected and corrected."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from simprune.measures import MEASURES

if TYPE_CHECKING:
    from simprune.results import Results

# Functions of another measure: they order everything as it does, and are not counted beside it.
COPIES = {"procrustes_distance": "nbs", "angular_procrustes": "nbs"}
# The measures of the study that this one takes up.
PAPER_MEASURES = ("mean_cca", "svcca", "pwcca", "linear_cka", "nbs")
# An estimator that corrects another measure for the number of inputs.
DEBIASED = {"debiased_linear_cka": "linear_cka"}
# Where chance, or another seed, is this near to the best, what is left of the scale is noise: there is no value on it.
LEAST_SCALE = 0.01
# Where another seed is this near to the network itself, there is no scale between them.
LEAST_ROOM = 1e-6

CELL = ["seed", "level", "density", "layer", "layer_index"]


def stated(scores: pd.DataFrame) -> pd.Series:
    """Status and note of each score as one text: "ok; rank 3 in X", "degenerate: p >= n"."""
    between = np.where(is_ok(scores["status"]), "; ", ": ")
    return scores["status"].where(scores["note"] == "", scores["status"] + between + scores["note"])


def is_ok(status: pd.Series) -> pd.Series:
    """Whether each value can be taken at face value."""
    return status == "ok"


def as_similarity(measure: pd.Series, value: pd.Series) -> pd.Series:
    """Values of any measures as similarities that are 1 for equal representations.

    A similarity stays as it is. A distance d with a greatest value g becomes 1 − d/g, one without becomes
    1/(1 + d). Both maps fall as d grows, so that orders turn and do not change.
    """
    greatest = measure.map({name: entry.range[1] for name, entry in MEASURES.items()}).astype(float)
    bounded = 1 - value / greatest
    unbounded = 1 / (1 + value)
    turned = bounded.where(np.isfinite(greatest), unbounded)
    is_distance = measure.map({name: entry.is_distance for name, entry in MEASURES.items()}).astype(bool)
    return value.where(~is_distance, turned).astype(float)


def diagnostic(results: "Results", name: str) -> pd.DataFrame | None:
    """A table of diagnostics, or None if it was not computed or has no rows."""
    table = results.diagnostics.get(name)
    return None if table is None or table.empty else table


def dense_scores(similarity: pd.DataFrame, reference: str = "dense") -> pd.DataFrame:
    """Scores of representations against one reference as similarities, NaN where the status is not ok.

    Measures that are functions of another (`COPIES`), of outputs and of weights are left out. Against the dense
    network level 0 is left out too, which is the network itself. Columns: seed, level, density, layer, layer_index,
    view, measure, value.
    """
    subjects = {name for name, entry in MEASURES.items() if entry.subject == "representations"} - set(COPIES)
    chosen = similarity[(similarity["reference"] == reference) & similarity["measure"].isin(subjects)]
    if reference == "dense":
        chosen = chosen[chosen["level"] > 0]
    value = as_similarity(chosen["measure"], chosen["value"]).where(is_ok(chosen["status"]))
    return chosen.assign(value=value)[[*CELL, "view", "measure", "value"]].reset_index(drop=True)


def procedures(results: "Results") -> pd.DataFrame:
    """Scores by procedure: a measure, a view and a correction; columns of `dense_scores` and `correction`.

    "none" is the score as it is, "debiased" the debiased estimator of linear CKA (listed under linear CKA), and
    "chance" (m − null)/(best − null) with the null of shuffled inputs, 0 at chance and 1 for equal representations;
    it is NaN where the null leaves less than `LEAST_SCALE` of the scale. Without a table of nulls there is no "chance".
    """
    raw = dense_scores(results.similarity)
    debiased = raw["measure"].isin(DEBIASED)
    parts = [
        raw[~debiased].assign(correction="none"),
        raw[debiased].assign(correction="debiased", measure=lambda table: table["measure"].map(DEBIASED)),
    ]
    nulls = diagnostic(results, "nulls")
    if nulls is not None:
        parts.append(_chance_corrected(results.similarity, nulls))
    return pd.concat(parts, ignore_index=True)


def _chance_corrected(similarity: pd.DataFrame, nulls: pd.DataFrame) -> pd.DataFrame:
    keys = ["seed", "level", "layer_index", "view", "measure"]
    subjects = {name for name, entry in MEASURES.items() if entry.subject == "representations"}
    subjects -= set(COPIES) | set(DEBIASED)
    dense = (similarity["reference"] == "dense") & (similarity["level"] > 0)
    chosen = similarity[dense & similarity["measure"].isin(subjects)]
    null = nulls.loc[nulls["reference"] == "dense", [*keys, "null"]]
    table = chosen.merge(null, on=keys)
    best = table["measure"].map({name: entry.best for name, entry in MEASURES.items()}).astype(float)
    scale = best - table["null"]
    known = is_ok(table["status"]) & (scale.abs() >= LEAST_SCALE)
    value = ((table["value"] - table["null"]) / scale.where(known)).where(known)
    return table.assign(value=value, correction="chance")[[*CELL, "view", "measure", "value", "correction"]]


def has_siblings(measure: str) -> bool:
    """Whether the networks of two seeds can be compared by a measure: their units don't correspond."""
    return "permutation" in MEASURES[measure].invariances


def calibration(results: "Results", view: str = "flatten", twin: "Results | None" = None) -> pd.DataFrame:
    """Scores against the dense network, and the marks of the scale on which each can be read.

    Columns: seed, level, density, layer, layer_index, measure; `value`, as a similarity; `chance`, what shuffled inputs
    leave of it; `sibling`, how similar the dense networks of two seeds are by it in that layer; and `calibrated`,
    (value − sibling)/(1 − sibling): 1 is the dense network itself, 0 as far away as an independent training run. With
    the results of the run that lost no weight, `twin` and `twin_calibrated` are its scores at the same level. NaN where
    a score is not ok, was not computed, or siblings are no farther than `LEAST_ROOM` from 1. Left out are measures for
    which two seeds can't be compared, and corrections of other measures.
    """
    keys = ["seed", "layer_index", "measure"]

    def of(results: "Results", reference: str) -> pd.DataFrame:
        scores = dense_scores(results.similarity, reference)
        counted = scores["measure"].map(has_siblings) & ~scores["measure"].isin(DEBIASED)
        return scores[(scores["view"] == view) & counted].drop(columns="view")

    table, sibling = of(results, "dense"), of(results, "sibling")
    base = sibling[sibling["level"] == 0].rename(columns={"value": "sibling"})
    table = table.merge(base[[*keys, "sibling"]], on=keys, how="left")
    nulls = diagnostic(results, "nulls")
    if nulls is None:
        table["chance"] = np.nan
    else:
        nulls = nulls[(nulls["reference"] == "dense") & (nulls["view"] == view)]
        chance = nulls.assign(chance=as_similarity(nulls["measure"], nulls["null"]))
        table = table.merge(chance[[*keys, "level", "chance"]], on=[*keys, "level"], how="left")
    room = (1 - table["sibling"]).where(lambda gap: gap > LEAST_ROOM)
    table["calibrated"] = (table["value"] - table["sibling"]) / room
    if twin is not None:
        other = of(twin, "dense").rename(columns={"value": "twin"})
        table = table.merge(other[[*keys, "level", "twin"]], on=[*keys, "level"], how="left")
        table["twin_calibrated"] = (table["twin"] - table["sibling"]) / room.to_numpy()
    return table


def ranked(scores: pd.DataFrame, procedure: list[str]) -> pd.DataFrame:
    """Scores replaced by their ranks in 0 … 1 among all layers and levels of a seed, within each procedure."""
    return scores.assign(value=scores.groupby(["seed", *procedure])["value"].rank(pct=True))
