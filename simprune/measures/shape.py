"""Shape: how well a rotation alone lays one centred representation of unit size on the other.

The distances are roots of differences from 1, which rounding blurs by about rows * 1e-16: what is nearer than that
root, 1e-7 to 1e-6, has distance 0.
"""

import math

from simprune.errors import check_number
from simprune.measures.cca import full_reading
from simprune.measures.core import SHAPE, Measure, Option, Pair, Score, noted, nuclear_norm
from simprune.representations import EPS

# Beyond rounding no value is above 1; one that is gets clipped and says so.
CLIP_REPORTED = 1e-9
# Halfway between a rotation alone and CCA.
WHITENING = 0.5


def nbs(pair: Pair) -> Score:
    """|Xc' Yc|_* / (|Xc| |Yc|): the cosine of the Procrustes angle."""
    return Score(pair.nuclear_norm / (pair.x.total * pair.y.total) ** 0.5)


def procrustes_distance(pair: Pair) -> Score:
    """sqrt(2 - 2 nbs): the length left between centred, unit-norm X and Y after the best rotation."""
    cosine, note = _cosine(nbs(pair).value, pair.rows)
    return Score(math.sqrt(2 - 2 * cosine), note=note)


def angular_procrustes(pair: Pair) -> Score:
    """arccos(nbs), in radians: a metric."""
    cosine, note = _cosine(nbs(pair).value, pair.rows)
    return Score(math.acos(cosine), note=note)


def shape_metric(pair: Pair, alpha: float = WHITENING) -> Score:
    """Angle left by the best rotation, in radians, of centred X and Y whitened in part: S becomes alpha S + 1 - alpha.

    `alpha` is 1 for angular Procrustes and 0 for the angle of CCA, arccos of the sum of the canonical correlations /
    sqrt(r_x r_y). Singular values are taken in units of their root mean square, so that between the two the scale of a
    representation does not matter either; Williams et al. (2021, eq. 9) leave the scale to their reader.
    """
    x, y = (alpha * side.singular_values / side.variances.mean().sqrt() + 1 - alpha for side in (pair.x, pair.y))
    status, note = full_reading(pair) if alpha == 0 else ("ok", "")
    cosine, clipped = _cosine(nuclear_norm(x[:, None] * pair.overlap * y) / float(x.norm() * y.norm()), pair.rows)
    return Score(math.acos(cosine), status, noted(clipped, note))


def _cosine(value: float, rows: int) -> tuple[float, str]:
    """A cosine for a root or arccos: 1 where it is 1 within the rounding of a sum over rows; and a note."""
    if value > 1 + CLIP_REPORTED:
        return 1.0, f"cosine clipped from {value:.10f}"
    return (1.0 if value >= 1 - EPS * rows else value), ""


MEASURES = (
    Measure(
        id="nbs",
        title="NBS",
        family="shape",
        invariances=SHAPE,
        reference="Tang et al. 2020",
        score=nbs,
        from_sums=True,
    ),
    Measure(
        id="procrustes_distance",
        title="Procrustes distance",
        family="shape",
        kind="distance",
        range=(0.0, math.sqrt(2)),
        invariances=SHAPE,
        reference="Ding et al. 2021; Williams et al. 2021",
        score=procrustes_distance,
        from_sums=True,
    ),
    Measure(
        id="angular_procrustes",
        title="Angular Procrustes",
        family="shape",
        kind="distance",
        range=(0.0, math.pi / 2),
        invariances=SHAPE,
        reference="Williams et al. 2021",
        score=angular_procrustes,
        from_sums=True,
    ),
    Measure(
        id="shape_metric",
        title="Shape metric",
        family="shape",
        kind="distance",
        range=(0.0, math.pi / 2),
        invariances=SHAPE,
        reference="Williams et al. 2021",
        score=shape_metric,
        from_sums=True,
        options={"alpha": Option(WHITENING, lambda field, value: check_number(field, value, "[0, 1]"))},
    ),
)
