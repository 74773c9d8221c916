"""Chance: what a measure says of representations that have nothing to do with each other.

With about as many columns as inputs, most similarities of unrelated data are near 1. The null says how near.
"""

from collections.abc import Iterable

import torch

from simprune.measures.core import Measure, Pair, score_of

# Scores this near to each other are equal.
ROUNDING = 1e-12


def null_values(pair: Pair, measures: Iterable[Measure], shuffles: int, seed: int) -> dict[str, list[float]]:
    """Values of each measure with the inputs of Y in `shuffles` random orders: id -> values, nan where undefined.

    The decomposition of Y is put in order with its inputs, not made again.
    """
    generator = torch.Generator().manual_seed(seed)
    values: dict[str, list[float]] = {measure.id: [] for measure in measures}
    for _ in range(shuffles):
        shuffled = Pair(pair.x, pair.y.shuffled(generator))
        for measure in measures:
            values[measure.id].append(score_of(measure, shuffled).value)
    return values


def significance(value: float, null: list[float], measure: Measure) -> dict[str, float]:
    """How a score stands to its null: p value, mean, standard deviation, and the calibrated score; nan without null.

    p = (1 + number of null values that are at least as good) / (1 + number of null values), so that it is never 0.
    """
    values = torch.tensor(null, dtype=torch.float64)
    if not len(values) or not values.isfinite().all():
        return dict.fromkeys(("p_value", "null", "null_sd", "calibrated"), float("nan"))
    sign = -1 if measure.is_distance else 1
    as_good = int((sign * (values - value) >= -ROUNDING).sum())
    mean = float(values.mean())
    return {
        "p_value": (1 + as_good) / (1 + len(values)),
        "null": mean,
        "null_sd": float(values.std(correction=0)),
        "calibrated": chance_corrected(value, mean, measure.best),
    }


def chance_corrected(value: float, null: float, best: float = 1.0) -> float:
    """(value - null) / (best - null): 0 at chance, 1 at the best, which is 1 for a similarity, 0 for a distance.

    nan where chance is already the best, so that the measure says nothing.
    """
    return (value - null) / (best - null) if abs(best - null) > 1e-9 else float("nan")
