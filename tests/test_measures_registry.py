"""What the registry says of each measure, by random maps of each group, and by a counter-example where it says no."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

import simprune
from simprune import MEASURES, Experiment, compare
from simprune.diagnostics import representation_measures
from simprune.measures import INVARIANCES, STUDY

IDS = {
    subject: [name for name, measure in MEASURES.items() if measure.subject == subject]
    for subject in ("representations", "outputs", "weights")
}
WIDTH = 5


def permutation(rng, Z):
    order = rng.permutation(Z.shape[1])
    while (order == np.arange(len(order))).all():
        order = rng.permutation(Z.shape[1])
    return Z[:, order]


def orthogonal(rng, Z):
    return Z @ ortho_group.rvs(Z.shape[1], random_state=rng)


def isotropic_scaling(rng, Z):
    return Z * 10 ** rng.uniform(-6, 6)


def invertible_linear(rng, Z):
    """Between two rotations, directions scaled up to a thousandfold."""
    scales = 10.0 ** np.linspace(-1.5, 1.5, Z.shape[1])
    return orthogonal(rng, orthogonal(rng, Z) * scales)


def translation(rng, Z):
    return Z + 3 * rng.standard_normal(Z.shape[1])


def affine(rng, Z):
    return translation(rng, invertible_linear(rng, Z))


MAPS = {
    function.__name__: function
    for function in (permutation, orthogonal, isotropic_scaling, invertible_linear, translation, affine)
}


def data(seed, n=30):
    """Two related ReLU-like representations whose directions differ in variance."""
    rng = np.random.default_rng(seed)
    X = np.maximum(rng.standard_normal((n, WIDTH)) * np.linspace(0.5, 2, WIDTH) + 0.5, 0)
    Y = np.maximum(X @ rng.standard_normal((WIDTH, WIDTH)) + rng.standard_normal((n, WIDTH)), 0)
    return X, Y


def representation_values(X, Y):
    return compare(X, Y)["value"].to_dict()


def output_values(X, Y):
    labels = torch.arange(len(X)) % WIDTH
    logits = torch.as_tensor(X), torch.as_tensor(Y)
    return {name: MEASURES[name].score(*logits, labels).value for name in IDS["outputs"]}


def weight_values(X, Y):
    """A network of one layer, pruned where its weights are 0."""
    weights = [{"layer": torch.as_tensor(Z)} for Z in (X, Y)]
    masks = [{"layer": Z["layer"] != 0} for Z in weights]
    return {name: MEASURES[name].score(weights, masks).value for name in IDS["weights"]}


VALUES = {"representations": representation_values, "outputs": output_values, "weights": weight_values}


def changes(subject, transform, seed):
    """How much mapping X, and mapping Y, changes each measure of a subject: the larger of the two."""
    X, Y = data(seed)
    rng = np.random.default_rng([seed, 1])
    of, before = VALUES[subject], VALUES[subject](X, Y)
    after = of(MAPS[transform](rng, X), Y), of(X, MAPS[transform](rng, Y))
    return {name: max(abs(value[name] - before[name]) for value in after) for name in before}


@pytest.mark.parametrize("subject", IDS)
@pytest.mark.parametrize("transform", INVARIANCES)
@given(seed=st.integers(0, 2**31))
@settings(max_examples=8, deadline=None)
def test_a_measure_does_not_see_what_it_is_invariant_to(subject, transform, seed):
    for name, change in changes(subject, transform, seed).items():
        if transform in MEASURES[name].invariances:
            assert change < 1e-8, name


@pytest.mark.parametrize("subject", IDS)
@pytest.mark.parametrize("transform", INVARIANCES)
def test_a_measure_sees_what_it_is_not_invariant_to(subject, transform):
    seen = [changes(subject, transform, seed) for seed in range(4)]
    for name in seen[0]:
        if transform not in MEASURES[name].invariances:
            assert max(change[name] for change in seen) > 1e-4, name


def test_what_follows_from_an_invariance_is_flagged_too():
    for name, measure in MEASURES.items():
        groups = measure.invariances
        assert groups <= set(INVARIANCES), name
        if measure.subject == "representations":
            assert ("affine" in groups) == ({"invertible_linear", "translation"} <= groups), name
        if "invertible_linear" in groups:
            assert {"permutation", "orthogonal", "isotropic_scaling"} <= groups, name
        if "orthogonal" in groups:
            assert "permutation" in groups, name


def test_the_invariance_ladder_climbs_from_identity_to_invertible_maps():
    ladder = ("unit_correlation", "permutation_matching", "nbs", "mean_cca")
    groups = [MEASURES[name].invariances for name in ladder]
    assert all(lower < higher for lower, higher in itertools.pairwise(groups))


@pytest.mark.parametrize("name", MEASURES)
def test_the_registry_describes_each_measure(name):
    measure = MEASURES[name]
    low, high = measure.range
    assert measure.id == name
    assert measure.title and measure.family and measure.reference
    assert measure.kind in ("similarity", "distance")
    assert low < high and (low == 0 or not measure.is_distance)
    assert measure.best == (0 if measure.is_distance else 1)
    assert low <= measure.best <= high
    with pytest.raises(AttributeError):
        measure.title = "frozen"


def test_a_new_measure_changes_nothing_of_the_study(monkeypatch):
    """Its stored results hold the measures of `STUDY`, and pages show what is stored."""
    paper = Experiment("lenet5", "fashion_mnist", profile="paper")
    monkeypatch.setitem(MEASURES, "newest", dataclasses.replace(MEASURES["nbs"], id="newest"))
    again = Experiment("lenet5", "fashion_mnist", profile="paper")
    assert again.measures == paper.measures == STUDY and again.key == paper.key
    assert {measure.id for measure in representation_measures()} == set(STUDY) & set(IDS["representations"])
    asked = again.replace(measures=("nbs", "newest"))
    assert set(asked.measures) == {"nbs", "newest"} and asked.key == paper.key
    assert "newest" in compare(*data(0)).index


def test_the_shipped_results_hold_the_measures_of_the_study():
    results = simprune.load(Experiment("lenet5", "fashion_mnist", profile="paper"))
    assert set(results.similarity["measure"]) == set(STUDY)


def test_titles_are_unique():
    assert len({measure.title for measure in MEASURES.values()}) == len(MEASURES)


def test_ranges_are_reached_where_they_end():
    """Directions with nothing in common are as far apart as Procrustes distances go."""
    U = np.linalg.qr(np.random.default_rng(0).standard_normal((20, 5)))[0]
    U = np.linalg.qr(U - U.mean(0))[0]
    value = compare(U[:, :2], U[:, 2:])["value"]
    assert value["procrustes_distance"] == pytest.approx(math.sqrt(2))
    assert value["angular_procrustes"] == pytest.approx(math.pi / 2)
    for name in ("mean_cca", "linear_cka", "nbs", "linear_regression_r2", "eigenspace_overlap"):
        assert value[name] == pytest.approx(0, abs=1e-9)
