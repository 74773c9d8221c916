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

# What the study computes and its pages show, whatever else there is to ask for: its stored results hold these.
STUDY: tuple[str, ...] = (
    "mean_cca",
    "mean_squared_cca",
    "svcca",
    "pwcca",
    "eigenspace_overlap",
    "linear_cka",
    "debiased_linear_cka",
    "rbf_cka",
    "nbs",
    "procrustes_distance",
    "angular_procrustes",
    "rsa",
    "distance_correlation",
    "linear_regression_r2",
    "gulp",
    "jaccard_knn",
    "second_order_cosine",
    "permutation_matching",
    "unit_correlation",
    "prediction_agreement",
    "jensen_shannon",
    "accuracy_gap",
    "mask_overlap",
    "weight_cosine",
)
