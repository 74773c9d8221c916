"""The answers that a study would give with one measure, and how many different ones there are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from simprune.analysis.agreement import FEWEST_SEEDS
from simprune.analysis.scores import DEBIASED, LEAST_ROOM, dense_scores, has_siblings
from simprune.errors import check_choice
from simprune.measures import MEASURES

if TYPE_CHECKING:
    from simprune.results import Results

QUESTIONS = {
    "least_layer": "Which layer is least similar?",
    "falls_at": "At which density does similarity fall?",
    "dips": "Do the layers in the middle dip?",
    "last_stays": "Does the last layer stay?",
}
# What counts as fallen: below this share of the scale.
SCALES = {"value": 0.9, "sibling": 0.5}
NEVER = "never"
YES, NO = "yes", "no"
RESAMPLES = 500


def conclusions(
    results: "Results", view: str = "flatten", density: float = 0.1, scale: str = "sibling"
) -> pd.DataFrame:
    """Each measure's answers to `QUESTIONS`, and how often resampling gives them again.

    `scale` says on what similarity is judged: "value" takes scores as they are and calls 0.9 the threshold;
    "sibling" takes (s − b)/(1 − b), b the similarity of two dense networks that were trained from other seeds, layer
    by layer: 1 is the dense network itself, 0 as far away as an independent training run, and the threshold is half
    of the way. Measures that need units to correspond have no answer there, since those of two seeds don't. Distances
    are turned into similarities (`as_similarity`); scores that are not ok count as missing.

    Columns, by question (index: measure): least_layer, at the level nearest to `density`; falls_at, the density of
    the first level whose mean over layers is below the threshold, or "never"; dips, "yes" if the mean of the layers
    between is below both the first and the last layer; last_stays, "yes" if the last layer is above the threshold at
    the last level. For each, `<question>_seeds` is the share of bootstrap resamples of seeds that give this answer
    (NaN with fewer than three seeds). `layers` counts the layers with a score.
    Raises `InputError` for an unknown scale, or "sibling" where siblings were not compared.
    """
    check_choice("scale", scale, SCALES)
    held = results.similarity["reference"].unique()
    if scale == "sibling":
        check_choice("reference", "sibling", held)
    dense = _without_copies(dense_scores(results.similarity))
    dense = dense[dense["view"] == view]
    sibling = _without_copies(dense_scores(results.similarity, "sibling"))
    sibling = sibling[(sibling["view"] == view) & (sibling["level"] == 0)]
    measures = [name for name in MEASURES if name in set(dense["measure"])]
    measures = [name for name in measures if scale == "value" or has_siblings(name)]
    full = _Scores(dense, sibling, measures, scale)
    rows = full.answers(density)
    table = pd.DataFrame(rows, index=pd.Index(measures, name="measure"))
    for question, shares in _support(full, rows, density, np.random.default_rng(0)).items():
        table[f"{question}_seeds"] = shares
    return table


def _without_copies(scores: pd.DataFrame) -> pd.DataFrame:
    return scores[~scores["measure"].isin(DEBIASED)]


class _Scores:
    """Scores as arrays seeds × measures × levels × layers, and the siblings' as seeds × measures × layers."""

    def __init__(self, dense: pd.DataFrame, sibling: pd.DataFrame, measures: list[str], scale: str):
        self.scale, self.measures = scale, measures
        self.seeds, self.levels = sorted(dense["seed"].unique()), sorted(dense["level"].unique())
        self.layers = dense.drop_duplicates("layer_index").set_index("layer_index")["layer"].sort_index()
        self.density = dense.groupby("level")["density"].mean().reindex(self.levels).to_numpy(float)
        shape = (len(self.seeds), len(measures), len(self.levels), len(self.layers))
        axes = [self.seeds, measures, self.levels, list(self.layers.index)]
        self.values = _array(dense, ["seed", "measure", "level", "layer_index"], axes).reshape(shape)
        if scale == "sibling":
            base = _array(sibling, ["seed", "measure", "layer_index"], [axes[0], axes[1], axes[3]])
            base = base.reshape(shape[0], shape[1], 1, shape[3])
            room = np.where(1 - base > LEAST_ROOM, 1 - base, np.nan)
            self.values = (self.values - base) / room

    def answers(self, density: float, picked: np.ndarray | None = None) -> list[dict[str, object]]:
        """The answers of all measures from the mean over (the picked) seeds."""
        values = self.values if picked is None else self.values[picked]
        known = np.isfinite(values)
        counts = known.sum(axis=0)
        mean = np.where(counts > 0, np.where(known, values, 0).sum(axis=0) / np.maximum(counts, 1), np.nan)
        near = int(np.abs(np.log(self.density) - np.log(density)).argmin())  # in ratio
        return [self._answer(profile, near) for profile in mean]

    def _answer(self, levels: np.ndarray, near: int) -> dict[str, object]:
        threshold = SCALES[self.scale]
        sound = np.isfinite(levels).all(axis=0)
        if not sound.any():
            return {**dict.fromkeys(QUESTIONS), "layers": 0}
        profile = levels[near]
        below = levels[:, sound].mean(axis=1) < threshold
        first, last, middle = profile[0], profile[-1], profile[1:-1]
        ends = sound[0] and sound[-1] and sound[1:-1].any()
        dip = ends and np.nanmean(np.where(sound[1:-1], middle, np.nan)) < min(first, last)
        return {
            "least_layer": self.layers.iloc[int(np.where(sound, profile, np.inf).argmin())],
            "falls_at": float(self.density[below.argmax()]) if below.any() else NEVER,
            "dips": (YES if dip else NO) if ends else None,
            "last_stays": (YES if levels[-1, -1] >= threshold else NO) if sound[-1] else None,
            "layers": int(sound.sum()),
        }


def _array(scores: pd.DataFrame, keys: list[str], axes: list[list]) -> np.ndarray:
    index = pd.MultiIndex.from_product(axes, names=keys)
    return scores.set_index(keys)["value"].reindex(index).to_numpy(float)


def _support(
    scores: _Scores, rows: list[dict], density: float, generator: np.random.Generator
) -> dict[str, list[float]]:
    """By question, the share of resamples of seeds with each measure's answer."""
    count = len(scores.seeds)
    if count < FEWEST_SEEDS:
        return {question: [np.nan] * len(rows) for question in QUESTIONS}
    # The order of a resample does not matter, and few seeds have few resamples that differ.
    picks = np.sort(generator.integers(count, size=(RESAMPLES, count)), axis=1)
    different, times = np.unique(picks, axis=0, return_counts=True)
    drawn = [scores.answers(density, picked) for picked in different]
    return {question: _same(rows, drawn, question, times) for question in QUESTIONS}


def _same(rows: list[dict], drawn: list[list[dict]], question: str, times: np.ndarray) -> list[float]:
    """For each measure, in which share of the draws, made so many `times`, its answer comes again; NaN: it has none."""
    return [
        np.nan
        if row[question] is None
        else float(np.average([answers[place][question] == row[question] for answers in drawn], weights=times))
        for place, row in enumerate(rows)
    ]


def distinct_answers(answers: pd.DataFrame) -> pd.DataFrame:
    """How many different answers a table of `conclusions` holds: question → distinct, commonest, share, answering.

    `share` is that of the measures whose answer is the commonest one, among the `answering` measures with an answer.
    """
    rows = {}
    for question in QUESTIONS:
        counts = answers[question].dropna().map(_word).value_counts()
        rows[question] = {
            "distinct": len(counts),
            "commonest": counts.index[0] if len(counts) else None,
            "share": counts.iloc[0] / counts.sum() if len(counts) else np.nan,
            "answering": int(counts.sum()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("question")


def least_layers(table: pd.DataFrame, scale: str = "value", shared: bool = False) -> pd.Series:
    """The layer that each measure finds least similar: measure → layer, over the mean of the seeds.

    `table`: rows of `calibration` at one level. A measure answers from the layers in which it has a score with every
    seed; with `shared` all answer from those in which all have one. Measures without any are left out.
    """
    check_choice("scale", scale, SCALES)
    column = {"value": "value", "sibling": "calibrated"}[scale]
    wide = table.pivot(index="measure", columns=["seed", "layer_index"], values=column)
    means = wide.T.groupby("layer_index").agg(lambda scores: scores.mean(skipna=False)).T
    if shared:
        means = means.dropna(axis="columns")
    layers = table.drop_duplicates("layer_index").set_index("layer_index")["layer"]
    return means.dropna(how="all").idxmin(axis=1).map(layers) if means.size else pd.Series(dtype=object)


def least_layer_answers(table: pd.DataFrame, measures: Sequence[str] | None = None) -> pd.Series:
    """How many layers are called least similar by some measures (None: all), at one level of `calibration`.

    `layers` and `shared` count the layers and those in which all these measures have a score; `answers` come from the
    layers in which each has one, `answers_shared` from the shared ones, `answers_calibrated` from these on the scale of
    siblings.
    """
    if measures is not None:
        table = table[table["measure"].isin(measures)]
    sound = table["value"].notna().groupby(table["layer_index"]).all()
    return pd.Series(
        {
            "layers": len(sound),
            "shared": int(sound.sum()),
            "answers": least_layers(table).nunique(),
            "answers_shared": least_layers(table, shared=True).nunique(),
            "answers_calibrated": least_layers(table, "sibling", shared=True).nunique(),
        }
    )


def _word(answer: object) -> str:
    return f"{answer:.4g}" if isinstance(answer, float) else str(answer)
