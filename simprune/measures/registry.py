"""All measures by id, in the order in which tables and figures show them."""

from simprune.measures import (
    cca,
    distances,
    kernels,
    matching,
    neighbours,
    outputs,
    regression,
    shape,
    weights,
)
from simprune.measures.core import Measure

MEASURES: dict[str, Measure] = {
    measure.id: measure
    for family in (cca, kernels, shape, distances, regression, neighbours, matching, outputs, weights)
    for measure in family.MEASURES
}
