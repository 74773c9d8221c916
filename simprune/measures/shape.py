"""Shape: how well a rotation alone lays one centred representation of unit size on the other.

The distances are roots of differences from 1, which rounding blurs by about rows * 1e-16: what is nearer than that
root, 1e-7 to 1e-6, has distance 0.
"""

import math

from simprune.measures.core import SHAPE, Measure, Pair, Score
from simprune.representations import EPS

# Beyond rounding no value is above 1; one that is gets clipped and says so.
CLIP_REPORTED = 1e-9


def nbs(pair: Pair) -> Score:
    """|Xc' Yc|_* / (|Xc| |Yc|): the cosine of the Procrustes angle."""
    return Score(pair.nuclear_norm / float(pair.x.singular_values.norm() * pair.y.singular_values.norm()))


def procrustes_distance(pair: Pair) -> Score:
    """sqrt(2 - 2 nbs): the length left between centred, unit-norm X and Y after the best rotation."""
    cosine, note = _cosine(pair)
    return Score(math.sqrt(2 - 2 * cosine), note=note)


def angular_procrustes(pair: Pair) -> Score:
    """arccos(nbs), in radians: a metric."""
    cosine, note = _cosine(pair)
    return Score(math.acos(cosine), note=note)


def _cosine(pair: Pair) -> tuple[float, str]:
    """nbs for a root or arccos: 1 where it is 1 within the rounding of a sum over rows; and a note."""
    value = nbs(pair).value
    if value > 1 + CLIP_REPORTED:
        return 1.0, f"cosine clipped from {value:.10f}"
    return (1.0 if value >= 1 - EPS * pair.rows else value), ""


MEASURES = (
    Measure(
        id="nbs",
        title="NBS",
        family="shape",
        kind="similarity",
        symmetric=True,
        range=(0.0, 1.0),
        invariances=SHAPE,
        reference="Tang et al. 2020",
        score=nbs,
    ),
    Measure(
        id="procrustes_distance",
        title="Procrustes distance",
        family="shape",
        kind="distance",
        symmetric=True,
        range=(0.0, math.sqrt(2)),
        invariances=SHAPE,
        reference="Ding et al. 2021; Williams et al. 2021",
        score=procrustes_distance,
    ),
    Measure(
        id="angular_procrustes",
        title="Angular Procrustes",
        family="shape",
        kind="distance",
        symmetric=True,
        range=(0.0, math.pi / 2),
        invariances=SHAPE,
        reference="Williams et al. 2021",
        score=angular_procrustes,
    ),
)
