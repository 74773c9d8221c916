"""Each measure against its definition, the identities between measures, and references elsewhere."""

import inspect
import math
import warnings

import numpy as np
import pytest
import scipy
import slow_measures as slow
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from simprune import MEASURES, compare, representations, spectral_similarity
from simprune.errors import InputError
from simprune.measures import MinibatchCKA, spectral_map
from simprune.measures.core import pair_of
from simprune.measures.distances import centred_ranks
from simprune.measures.regression import gulp
from simprune.representations import view_matrix

pytestmark = pytest.mark.usefixtures("few_positions_drawn")
IDS = [name for name, measure in MEASURES.items() if measure.subject == "representations"]


def related(n, p, q, noise=1.0, seed=0):
    """X of independent columns, and Y = X mixed + noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    return X, X @ rng.standard_normal((p, q)) / math.sqrt(p) + noise * rng.standard_normal((n, q))


def dead_units():
    X, Y = related(50, 14, 14)
    X[:, 3], X[:, 5], Y[:, 2:6] = 0.1, 0, 7.3
    return X, Y


def duplicated_units():
    X, Y = related(50, 14, 14)
    X[:, 3], Y[:, 2:5] = X[:, 4], Y[:, 6:9]
    return X + 1e3, Y


def rows_of_zeros():
    X, Y = (np.maximum(Z, 0) for Z in related(50, 4, 4))
    assert (X == 0).all(1).any()
    return X, Y


def graded():
    X, Y = related(50, 10, 10)
    return X * 10.0 ** -np.arange(10), Y


def independent_pairs(count):
    return [(related(20, 4, 1, seed=2 * k)[0], related(20, 4, 1, seed=2 * k + 1)[0]) for k in range(count)]


def decomposing(representation, spectrum=representations._spectrum):
    return spectrum(representation)


INPUTS = {
    "random": lambda: related(50, 12, 12),
    "relu-like": lambda: tuple(np.maximum(Z, 0) for Z in related(50, 12, 12)),
    "rows of zeros": rows_of_zeros,
    "both wide": lambda: related(30, 70, 70),
    "wide and narrow": lambda: related(30, 70, 7),
    "narrow and wide": lambda: related(30, 7, 70),
    "wide, of low rank": lambda: tuple(Z @ np.ones((6, 10)).cumsum(1) for Z in related(50, 6, 6)),
    "wide, of rank 6": lambda: tuple(np.tile(Z, 15) for Z in related(50, 6, 6)),
    "unequal widths": lambda: related(50, 20, 9),
    "more columns than half the rows": lambda: related(30, 20, 22),
    "mean 1e3": lambda: tuple(Z + 1e3 for Z in related(50, 12, 12)),
    "own means to 1e3": lambda: tuple(Z + 1e3 * np.linspace(0, 1, 12) for Z in related(50, 12, 12)),
    "dead units": dead_units,
    "duplicated units": duplicated_units,
    "duplicated inputs": lambda: tuple(np.repeat(Z, 2, axis=0) for Z in related(25, 12, 12)),
    "scales 1e-12 and 1e12": lambda: tuple(Z * f for Z, f in zip(related(50, 12, 12), (1e-12, 1e12), strict=True)),
    "nine decades": graded,
    "n = 4, p = 5": lambda: related(4, 5, 5),
    "n = 4, p = 3": lambda: related(4, 3, 3),
    "n = 4, p = 2": lambda: related(4, 2, 2),
    "half precision": lambda: tuple(Z.astype(np.float16) for Z in related(50, 12, 12)),
}


def values(X, Y, measures=None, **options):
    return compare(X, Y, measures, **options)["value"]


# Definitions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", INPUTS)
def test_every_measure_is_its_definition(name):
    X, Y = INPUTS[name]()
    fast = values(X, Y)
    for measure in IDS:
        if measure == "unit_correlation" and X.shape[1] != Y.shape[1]:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of NumPy and SciPy, about what is constant
            expected = getattr(slow, measure)(X, Y)
        # Roots of differences that are near 0 keep half of the digits.
        tolerance = 1e-5 if MEASURES[measure].is_distance else 1e-8
        assert fast[measure] == pytest.approx(expected, abs=tolerance, nan_ok=True), measure


@pytest.mark.parametrize("view", ["flatten", "channels", "pooled"])
@pytest.mark.parametrize("shape", [(40, 5, 3, 3), (12, 5, 6, 6)])
def test_each_view_gives_what_its_matrix_gives(view, shape):
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(shape, generator=generator).relu()
    Y = X + torch.randn(shape, generator=generator)
    of_units = [name for name in IDS if MEASURES[name].family == "matching"]
    fast, flat = values(X, Y, view=view), values(view_matrix(X, view), view_matrix(Y, view))
    # In the view of channels the folds of ridge regression are of inputs, not of positions.
    others = fast.index.difference([*of_units, *(["ridge_r2"] if view == "channels" else [])])
    assert fast[others].to_numpy() == pytest.approx(flat[others].to_numpy(), abs=1e-10)
    units = [view_matrix(Z, "pooled" if view == "pooled" else "channels") for Z in (X, Y)]
    for measure in of_units:
        assert fast[measure] == pytest.approx(getattr(slow, measure)(*units), abs=1e-10)


def test_the_streamed_channels_view_gives_what_its_matrix_gives():
    generator = torch.Generator().manual_seed(0)
    X = torch.randn((40, 6, 4, 4), generator=generator).relu()
    Y = (X + torch.randn((40, 6, 4, 4), generator=generator))[:, :5]
    X, Y = X + 100, Y - 50
    matrices = [view_matrix(Z, "channels") for Z in (X, Y)]
    table = compare(X, Y, view="channels")
    exact = [name for name in IDS if MEASURES[name].family in ("cca", "shape", "regression") and name != "ridge_r2"]
    for measure in [*exact, "permutation_matching", "soft_matching"]:
        assert table.value[measure] == pytest.approx(getattr(slow, measure)(*matrices), abs=1e-8), measure
    assert table.value["linear_cka"] == pytest.approx(slow.linear_cka_of_features(*matrices), abs=1e-10)
    debiased = slow.debiased_linear_cka_of_features(*matrices)
    assert table.value["debiased_linear_cka"] == pytest.approx(debiased, abs=1e-10)
    drawn = table[table.note.str.contains("on 500 of 640 rows")]
    assert set(drawn.index) == {
        "rbf_cka", "rsa", "distance_correlation", "jaccard_knn", "mutual_knn", "second_order_cosine"
    }  # fmt: skip
    assert drawn.status.eq("ok").all()


def test_a_large_nuclear_norm_is_that_of_the_svd(monkeypatch):
    """Of many directions it is taken from eigenvalues of squares; see `core.nuclear_norm`."""
    monkeypatch.setattr("simprune.measures.core.SMALL", 40)
    X, Y = related(56, 54, 53)
    X, Y = X * np.logspace(0, -4, 54), Y * np.logspace(0, -3, 53)
    expected = slow.nbs(X, Y)
    for pair in ((X, Y), (Y, X)):
        assert values(*pair)["nbs"] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(("decades", "turned", "within"), [(3, 0, 1e-13), (9, 0, 1e-12), (14, 0, 1e-11), (9, 1, 1e-7)])
def test_nbs_of_wide_arrays_alone_keeps_its_digits(decades, turned, within):
    """It rests on Gram matrices, which are worst where one's small directions are the other's large ones."""
    generator = np.random.default_rng(0)
    left, other, first, second = (
        np.linalg.qr(generator.standard_normal((columns, 40)))[0] for columns in (60, 60, 300, 300)
    )
    lengths = np.logspace(0, -decades, 40)
    X, Y = (left * lengths) @ first.T, ((left[:, ::-1] if turned else other) * lengths) @ second.T
    x, y = (np.linalg.qr((Z - Z.mean(0)).T, mode="r") for Z in (X, Y))
    expected = np.linalg.svd(x @ y.T, compute_uv=False).sum() / (np.linalg.norm(x) * np.linalg.norm(y))
    assert compare(X, Y, ["nbs"]).value["nbs"] == pytest.approx(expected, abs=within)


def test_nbs_of_many_units_but_more_inputs_keeps_its_digits(monkeypatch):
    """Of narrow matrices it takes the SVD itself, which squares would spoil where ranks are low."""
    monkeypatch.setattr("simprune.measures.core.SMALL", 40)
    generator = np.random.default_rng(0)
    X, Y = (generator.standard_normal((200, 9)) @ generator.standard_normal((9, 60)) for _ in range(2))
    x, y = X - X.mean(0), Y - Y.mean(0)
    expected = np.linalg.svd(x.T @ y, compute_uv=False).sum() / (np.linalg.norm(x) * np.linalg.norm(y))
    assert compare(X, Y, ["nbs"]).value["nbs"] == pytest.approx(expected, abs=1e-13)


def test_matching_is_the_best_of_all_matchings():
    X, Y = related(20, 4, 6)
    assert values(X, Y)["permutation_matching"] == pytest.approx(slow.permutation_matching_by_trying_all(X, Y))


def test_soft_matching_counts_every_unit_and_is_the_best_matching_of_equally_many():
    X, Y = related(50, 6, 6)
    same = values(X, Y)
    assert same["soft_matching"] == pytest.approx(same["permutation_matching"])
    doubled = values(X, np.repeat(X, 2, axis=1))  # two partners each
    assert doubled["soft_matching"] == pytest.approx(1)
    more = values(X, np.hstack([X, related(50, 1, 1, seed=3)[0]]))
    assert more["permutation_matching"] == pytest.approx(1) and more["soft_matching"] < 0.9


def test_shape_metrics_run_from_cca_to_procrustes():
    for name in ("random", "both wide", "unequal widths", "scales 1e-12 and 1e12"):
        X, Y = INPUTS[name]()
        angle = [values(X, Y, ["shape_metric"], options={"shape_metric": {"alpha": a}})["shape_metric"] for a in (0, 1)]
        assert math.cos(angle[0]) == pytest.approx(spectral_similarity(X, Y, 0, 1), abs=1e-10)
        assert angle[1] == pytest.approx(values(X, Y)["angular_procrustes"], abs=1e-10)
    wide = compare(*INPUTS["both wide"](), options={"shape_metric": {"alpha": 0}})
    assert tuple(wide.loc["shape_metric", ["status", "note"]]) == ("degenerate", "alpha = 0.0; p >= n")


@given(seed=st.integers(0, 2**31), alpha=st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_shape_metrics_obey_the_triangle_inequality(seed, alpha):
    X, Y = related(20, 5, 7, seed=seed)
    Z = related(20, 6, 1, seed=seed + 1)[0]
    option = {"shape_metric": {"alpha": alpha}}
    xy, yz, xz = (values(*pair, ["shape_metric"], options=option)["shape_metric"] for pair in ((X, Y), (Y, Z), (X, Z)))
    assert xz <= xy + yz + 1e-9


def test_ridge_regression_does_not_take_many_columns_for_prediction():
    """In-sample R² of unrelated data is 1 with as many columns as inputs."""
    X, Y = related(60, 5, 1)[0], related(60, 100, 1, seed=1)[0]
    scores = values(X, Y)
    assert scores["linear_regression_r2"] == 1 and -0.5 < scores["ridge_r2"] < 0.1
    predicted = values(*related(300, 5, 8, noise=0.1))
    assert predicted["ridge_r2"] > 0.9


def test_positions_of_an_input_are_predicted_together():
    """Maps that are the same at every position would be known from the training rows."""
    X = np.repeat(np.random.default_rng(0).standard_normal((30, 3, 1, 1)), 9, axis=2)
    Y = np.repeat(np.random.default_rng(1).standard_normal((30, 40, 1, 1)), 9, axis=2)
    for shape in ((30, -1, 3, 3), (30, -1, 9, 1)):
        assert values(X.reshape(shape), Y.reshape(shape), ["ridge_r2"], view="channels")["ridge_r2"] < 0.1


def test_more_units_than_can_be_matched_have_a_status():
    X = np.random.default_rng(0).standard_normal((8, 4097))
    table = compare(X, X, ["permutation_matching", "unit_correlation"])
    assert table.note["permutation_matching"] == "more than 4096 units to match"
    assert table.value["unit_correlation"] == pytest.approx(1)


def test_svcca_counts_squared_singular_values():
    """With s = 10, 1, 0.1 the first component has 99.0 % of the variance, and 90 % of the sum of s."""
    U = np.linalg.qr(np.random.default_rng(0).standard_normal((50, 6)) - 0)[0]
    U = np.linalg.qr(U - U.mean(0))[0]
    X = U[:, :3] * [10, 1, 0.1]
    Y = U[:, [0, 4, 5]] * [10, 1, 0.1]
    assert values(X, Y)["svcca"] == pytest.approx(1)
    assert values(X, Y)["mean_cca"] == pytest.approx(1 / 3, abs=1e-7)


def test_pwcca_does_not_hang_on_how_tied_variates_are_rotated():
    """With p + q > n some correlations are 1, and any rotation of their variates gives canonical ones."""
    X, Y = related(30, 20, 22)
    mixed = Y @ np.random.default_rng(1).standard_normal((22, 22))
    assert values(X, mixed)["pwcca"] == pytest.approx(values(X, Y)["pwcca"], abs=1e-9)
    assert compare(X, Y).note["pwcca"] == "13 of 20 correlations are 1 by dimension alone"


def test_equal_values_share_their_ranks():
    values = torch.tensor([0.5, 0.1, 0.5, 0.9, 0.5, 0.1], dtype=torch.float64)
    assert (centred_ranks(values) + 3.5).tolist() == scipy.stats.rankdata(values).tolist()


@pytest.mark.parametrize(
    ("measure", "options", "expected"),
    [
        ("svcca", {"share": 0.6}, lambda X, Y: slow.svcca(X, Y, 0.6)),
        ("rbf_cka", {"bandwidth": 2.0}, lambda X, Y: slow.rbf_cka(X, Y, 2.0)),
        ("gulp", {"regularisation": 0.3}, lambda X, Y: slow.gulp(X, Y, 0.3)),
        ("jaccard_knn", {"neighbours": 3}, lambda X, Y: slow.jaccard_knn(X, Y, 3)),
        ("mutual_knn", {"neighbours": 3}, lambda X, Y: slow.mutual_knn(X, Y, 3)),
        ("second_order_cosine", {"neighbours": 3}, lambda X, Y: slow.second_order_cosine(X, Y, 3)),
        ("shape_metric", {"alpha": 0.2}, lambda X, Y: slow.shape_metric(X, Y, 0.2)),
        ("ridge_r2", {"folds": 3, "penalties": [0.5, 2]}, lambda X, Y: slow.ridge_r2(X, Y, 3, (0.5, 2))),
        ("rsa", {"dissimilarity": "euclidean", "comparison": "kendall"}, slow.rsa_euclidean_kendall),
    ],
)
@pytest.mark.parametrize(
    "name", ["random", "both wide", "unequal widths", "duplicated inputs", "scales 1e-12 and 1e12"]
)
def test_every_constant_can_be_chosen_and_is_named_beside_the_score(name, measure, options, expected):
    X, Y = INPUTS[name]()
    table = compare(X, Y, [measure, "mean_cca"], options={measure: options})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert table.value[measure] == pytest.approx(expected(X, Y), abs=1e-7)
    for option, value in options.items():
        shown = tuple(map(float, value)) if isinstance(value, list) else value
        assert f"{option} = {shown}" in table.note[measure]
        assert table.attrs["options"][measure][option] == shown
    assert " = " not in table.note["mean_cca"]


@pytest.mark.parametrize("measure", [name for name in IDS if MEASURES[name].options])
def test_the_options_of_a_measure_are_the_constants_of_its_score(measure):
    parameters = dict(list(inspect.signature(MEASURES[measure].score).parameters.items())[1:])
    options = MEASURES[measure].options
    assert {name: parameter.default for name, parameter in parameters.items()} == MEASURES[measure].constants
    for name, option in options.items():
        assert option.check(name, option.default) == option.default
        with pytest.raises(InputError, match=f"^{name}: "):
            option.check(name, -3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"svca": {"share": 0.9}}, "options: 'svca' is not one of .* did you mean 'svcca'"),
        ({"svcca": {"shares": 0.9}}, "options of svcca: 'shares' is not one of share; did you mean 'share'"),
        ({"svcca": {"share": 1.5}}, "share: 1.5 is not a number above 0 and at most 1"),
        ({"svcca": {"share": math.nan}}, "share: nan is not a number"),
        ({"svcca": 0.9}, "options: 0.9 is not a dictionary of options of svcca"),
        ({"nbs": {"share": 0.9}}, "options: nbs has none"),
        ({"rsa": {"comparison": "pearson"}}, "comparison: 'pearson' is not one of spearman, kendall"),
        ({"jaccard_knn": {"neighbours": 2.5}}, "neighbours: 2.5 is not a whole number of at least 1"),
        ({"ridge_r2": {"penalties": []}}, "penalties: .. is not a list of numbers"),
        ({"rbf_cka": {"bandwidth": 10**400}}, "bandwidth: 1000.* is not a number above 0"),
        ([("svcca", 1)], "options: .* is not a dictionary of measures and their options"),
    ],
)
def test_options_that_are_not_there_are_refused_in_one_sentence(options, message):
    with pytest.raises(InputError, match=message):
        compare(*related(30, 6, 5), options=options)


@pytest.mark.parametrize(
    ("shape", "view"),
    [
        *(((30, 8), "flatten"), ((30, 50), "flatten"), ((40, 4, 4, 4), "pooled")),
        *(((30, 4, 3, 3), "channels"), ((40, 4, 8, 8), "channels")),
    ],
)
def test_a_score_is_the_same_alone_and_measures_say_whether_they_need_the_decomposition(shape, view, monkeypatch):
    """Those that do not are what they are without it."""
    X, Y = np.random.default_rng(0).standard_normal((2, *shape))
    together, asked = compare(X, Y, view=view), []
    monkeypatch.setattr(representations, "_spectrum", lambda side: asked.append(side) or decomposing(side))
    for measure in IDS:
        asked.clear()
        table = compare(X, Y, [measure], view=view)
        assert table.value[measure] == pytest.approx(together.value[measure], abs=1e-12, nan_ok=True), measure
        assert table.drop(columns="value").equals(together.loc[[measure], ["status", "note"]])
        if not MEASURES[measure].decomposes:
            assert not asked and table.attrs["X"]["rank"] is None, measure
        elif MEASURES[measure].family == "cca":
            assert asked, measure  # the others may take a product instead


@pytest.mark.parametrize("shapes", [((30, 8), (30, 50)), ((30, 50), (30, 8)), ((30, 40), (30, 50)), ((30, 8), (30, 9))])
def test_cka_of_products_is_that_of_spectra(shapes):
    X, Y = (np.random.default_rng(seed).standard_normal(shape) for seed, shape in enumerate(shapes))
    alone = values(X + 1e4, Y * 1e-9, ["linear_cka", "debiased_linear_cka"])
    spectra = values(X + 1e4, Y * 1e-9, ["mean_cca", "linear_cka", "debiased_linear_cka"])[1:]
    assert alone.to_numpy() == pytest.approx(spectra.to_numpy(), abs=1e-12)
    assert alone["linear_cka"] == pytest.approx(slow.linear_cka(X, Y), abs=1e-10)
    assert alone["debiased_linear_cka"] == pytest.approx(slow.debiased_linear_cka(X, Y), abs=1e-10)


# From batches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_minibatch_cka_is_the_ratio_of_sums_over_batches(dtype):
    X, Y, Z = (z.astype(dtype) for z in (*related(70, 300, 20), related(70, 9, 1, seed=5)[0] + 1e4))
    batches = MinibatchCKA()
    places = [slice(0, 30), slice(30, 52), slice(52, 67), slice(67, 70)]
    for place in places:
        batches.add(
            [torch.from_numpy(X[place]).reshape(-1, 3, 10, 10), torch.from_numpy(Z[place])],
            [torch.from_numpy(Y[place])],
        )
    assert (batches.inputs, batches.left_out) == (67, 3)
    scores, errors = batches.finish()
    tolerance = 1e-5 if dtype == np.float32 else 1e-10
    for row, layer in enumerate((X, Z)):
        expected = slow.minibatch_cka([(layer[place], Y[place]) for place in places[:3]])
        assert float(scores[row, 0]) == pytest.approx(expected, abs=tolerance)
        # The jackknife: without each batch once.
        without = [
            slow.minibatch_cka([(layer[place], Y[place]) for place in places[:3] if place is not out])
            for out in places[:3]
        ]
        assert float(errors[row, 0]) == pytest.approx(math.sqrt(2) * np.std(without), abs=tolerance)


def test_minibatch_cka_is_near_that_of_all_inputs_within_its_error():
    X, Y = related(2000, 30, 30)
    batches = MinibatchCKA()
    for x, y in zip(torch.from_numpy(X).split(100), torch.from_numpy(Y).split(100), strict=True):
        batches.add([x, y], [x, y])
    scores, errors = batches.finish()
    assert float(errors[0, 1]) < 0.05
    assert abs(float(scores[0, 1]) - slow.debiased_linear_cka_of_features(X, Y)) < 4 * float(errors[0, 1])
    assert scores.diagonal().tolist() == pytest.approx([1, 1]) and float(errors[0, 0]) < 1e-6


def test_a_minibatch_estimate_needs_batches_of_the_same_inputs_and_a_variance():
    X = torch.from_numpy(related(10, 4, 4)[0])
    batches = MinibatchCKA()
    with pytest.raises(InputError, match="batch: none has 4 inputs"):
        batches.finish()
    with pytest.raises(InputError, match=r"batch: layers have other numbers of inputs: \[9, 10\]"):
        batches.add([X], [X[:9]])
    batches.add([X, torch.ones(10, 3)], [X])
    scores, errors = batches.finish()
    assert float(scores[0, 0]) == pytest.approx(1) and scores[1].isnan().all() and errors.isnan().all()


# Identities ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["random", "relu-like", "both wide", "unequal widths", "mean 1e3", "dead units"])
class TestIdentities:
    def test_cka_of_gram_matrices_is_that_of_features(self, name):
        X, Y = INPUTS[name]()
        assert values(X, Y)["linear_cka"] == pytest.approx(slow.linear_cka_of_features(X, Y), abs=1e-10)

    def test_debiased_cka_has_three_forms(self, name):
        X, Y = INPUTS[name]()
        fast = values(X, Y)["debiased_linear_cka"]
        assert fast == pytest.approx(slow.debiased_linear_cka_u_centred(X, Y), abs=1e-10)
        assert fast == pytest.approx(slow.debiased_linear_cka_of_features(X, Y), abs=1e-10)

    def test_nbs_is_the_fidelity_of_gram_matrices(self, name):
        """Here the roots of tiny eigenvalues enter."""
        X, Y = INPUTS[name]()
        assert values(X, Y)["nbs"] == pytest.approx(slow.nbs_of_kernels(X, Y), abs=1e-5)

    def test_nbs_is_the_cosine_of_the_procrustes_angle(self, name):
        scores = values(*INPUTS[name]())
        assert math.cos(scores["angular_procrustes"]) == pytest.approx(scores["nbs"], abs=1e-12)
        assert scores["procrustes_distance"] ** 2 == pytest.approx(2 - 2 * scores["nbs"], abs=1e-12)

    def test_pwcca_with_squares_is_regression(self, name):
        X, Y = INPUTS[name]()
        if X.shape[1] > Y.shape[1]:
            X, Y = Y, X  # so that every direction of X has its canonical partner
        U_x, U_y = slow.thin_svd(X)[0], slow.thin_svd(Y)[0]
        A, rho, _ = np.linalg.svd(U_x.T @ U_y)
        weights = ((U_x @ A).T @ slow.centred(X)) ** 2
        rho = np.pad(rho, (0, len(weights) - len(rho)))
        weighted = (weights.sum(1) * rho**2).sum() / weights.sum()
        assert values(X, Y)["linear_regression_r2"] == pytest.approx(weighted, abs=1e-10)

    def test_gulp_without_regularisation_counts_unshared_directions(self, name):
        pair = pair_of(*INPUTS[name]())
        ranks = pair.x.rank + pair.y.rank
        shared = (slow.canonical_correlations(*INPUTS[name]()) ** 2).sum()
        assert gulp(pair, 1e-13).value ** 2 == pytest.approx(ranks - 2 * shared, abs=1e-6)

    def test_the_spectral_family_holds_cka_nbs_and_cca(self, name):
        X, Y = INPUTS[name]()
        scores, rho = values(X, Y), slow.canonical_correlations(X, Y)
        pair = pair_of(X, Y)
        size = math.sqrt(pair.x.rank * pair.y.rank)
        assert spectral_similarity(X, Y, 1, 2) ** 2 == pytest.approx(scores["linear_cka"], abs=1e-10)
        assert spectral_similarity(X, Y, 1, 1) == pytest.approx(scores["nbs"], abs=1e-10)
        assert spectral_similarity(X, Y, 0, 1) == pytest.approx(rho.sum() / size, abs=1e-10)
        assert spectral_similarity(X, Y, 0, 2) ** 2 == pytest.approx((rho**2).sum() / size, abs=1e-10)


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(4, 20), st.integers(1, 25), st.integers(1, 25)),
    alpha=st.floats(0, 4),
    p=st.one_of(st.floats(1, 10), st.just(math.inf)),
)
@settings(max_examples=30, deadline=None)
def test_the_spectral_family_is_its_definition_and_stays_in_range(seed, shape, alpha, p):
    X, Y = related(*shape, seed=seed)
    value = spectral_similarity(X, Y, alpha, p)
    assert -1e-12 <= value <= 1 + 1e-12
    assert value == pytest.approx(slow.spectral_similarity(X, Y, alpha, p), abs=1e-8)
    assert spectral_similarity(X, X, alpha, p) == pytest.approx(1)


def test_exponents_may_be_large_whole_numbers():
    X, Y = related(30, 8, 6)
    assert spectral_similarity(X, Y, 10**30, 10**30) == pytest.approx(spectral_similarity(X, Y, 1e30, 1e30))


def test_a_spectral_map_is_a_table_of_spectral_similarities():
    X, Y = related(30, 8, 6)
    table = spectral_map(X, Y, [0, 0.5, 1], [1, 2, math.inf])
    assert (table.index.name, table.columns.name) == ("alpha", "p")
    assert table.loc[0.5, math.inf] == pytest.approx(spectral_similarity(X, Y, 0.5, math.inf))


@pytest.mark.parametrize(
    ("alpha", "p"), [(-0.1, 1), (math.nan, 1), (math.inf, 1), (10**400, 1), (1, 0.5), (1, math.nan)]
)
def test_the_spectral_family_refuses_what_is_no_norm(alpha, p):
    X, Y = related(30, 8, 6)
    with pytest.raises(InputError, match="alpha|p:"):
        spectral_similarity(X, Y, alpha, p)


def test_a_constant_representation_has_no_spectral_similarity():
    X, _ = related(30, 8, 6)
    with pytest.raises(InputError, match="Y: the representation is constant"):
        spectral_similarity(X, np.ones((30, 3)), 1, 1)


# What a score says --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", INPUTS)
def test_a_representation_is_most_similar_to_itself(name):
    X, _ = INPUTS[name]()
    table = compare(X, X.copy())
    for measure in IDS:
        best = MEASURES[measure].best
        if measure == "ridge_r2":  # predicts what it has not seen, so that it is below 1
            continue
        if MEASURES[measure].family == "matching":
            best = 1 - np.mean((X == X[0]).all(0))  # dead units correlate 0
        if measure == "second_order_cosine":
            best = 1 - np.mean((X == 0).all(1))  # inputs without a pattern have no cosine
        assert table.value[measure] == pytest.approx(best, abs=1e-9), measure


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(4, 30), st.integers(2, 40), st.integers(2, 40)),
    noise=st.sampled_from([0.0, 0.1, 10.0]),
    relu=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_values_stay_in_their_range_and_symmetric_measures_are_symmetric(seed, shape, noise, relu):
    X, Y = related(*shape, noise=noise, seed=seed)
    if relu:
        X, Y = np.maximum(X, 0), np.maximum(Y, 0)
    forth, back = compare(X, Y), compare(Y, X)
    assert forth.status.isin(["ok", "degenerate", "undefined"]).all()
    assert (forth.value.isna() == forth.status.eq("undefined")).all()
    for measure, value in forth.value.dropna().items():
        low, high = MEASURES[measure].range
        assert low - 1e-9 <= value <= high + 1e-9, measure
        if MEASURES[measure].symmetric:
            assert back.value[measure] == pytest.approx(value, abs=1e-7), measure


@pytest.mark.parametrize("measure", [name for name in IDS if not MEASURES[name].symmetric])
def test_asymmetric_measures_are_asymmetric(measure):
    X, Y = related(50, 3, 12)
    assert abs(values(X, Y)[measure] - values(Y, X)[measure]) > 1e-3


def test_unrelated_data_with_few_columns_are_near_their_null():
    X, Y = related(300, 4, 4)[0], related(300, 4, 4, seed=1)[0]
    table = compare(X, Y, permutations=30)
    assert (abs(table.value - table.null) < 4 * table.null_sd + 1e-12).all()
    expected = {"mean_squared_cca": 4 / 299, "linear_regression_r2": 4 / 299, "debiased_linear_cka": 0, "rsa": 0}
    for measure, null in expected.items():
        assert table.null[measure] == pytest.approx(null, abs=0.01), measure
    for measure, value in table.value.items():
        if not MEASURES[measure].is_distance and measure != "second_order_cosine":
            assert value < 0.25, measure


def test_linear_cka_of_unrelated_data_grows_with_width_and_debiased_cka_does_not():
    biased, debiased = [], []
    for p in (50, 300, 3000):
        X, Y = related(100, p, 1)[0], related(100, p, 1, seed=1)[0]
        scores = values(X, Y, ["linear_cka", "debiased_linear_cka"])
        biased.append(scores["linear_cka"])
        debiased.append(scores["debiased_linear_cka"])
    assert biased == pytest.approx([0.34, 0.75, 0.97], abs=0.02)
    assert debiased == pytest.approx([0, 0, 0], abs=0.05)


def test_half_of_the_debiased_scores_of_unrelated_data_are_negative():
    scores = [values(*pair, ["debiased_linear_cka"]).item() for pair in independent_pairs(40)]
    assert 8 <= sum(score < 0 for score in scores) <= 32


def test_a_wide_gaussian_kernel_makes_linear_cka_of_rbf_cka():
    X, Y = related(50, 5, 5)
    linear, gaussian = values(X, Y)[["linear_cka", "rbf_cka"]]
    assert abs(gaussian - linear) > 0.01
    wide = values(X, Y, ["rbf_cka"], options={"rbf_cka": {"bandwidth": 100}})
    assert wide["rbf_cka"] == pytest.approx(linear, abs=1e-3)


# Chance -------------------------------------------------------------------------------------------------------------


def test_the_null_is_of_scores_of_permuted_inputs():
    X, Y = related(40, 6, 5)
    table = compare(X, Y, permutations=3, seed=7)
    generator = torch.Generator().manual_seed(7)
    orders = [torch.randperm(40, generator=generator).numpy() for _ in range(3)]
    scores = [compare(X, Y[order]).value for order in orders]
    defined = table.index[table.value.notna()]
    assert table.null[defined].to_numpy() == pytest.approx(np.mean(scores, 0)[table.value.notna()], abs=1e-9)
    assert table.null_sd[defined].to_numpy() == pytest.approx(np.std(scores, 0)[table.value.notna()], abs=1e-9)
    for measure in defined:
        best, null = MEASURES[measure].best, np.array([score[measure] for score in scores])
        as_near = abs(best - null) <= abs(best - table.value[measure])
        assert table.p_value[measure] == (1 + as_near.sum()) / 4
        expected = (table.value[measure] - null.mean()) / (best - null.mean())
        assert table.calibrated[measure] == pytest.approx(expected)
    undefined = table[table.value.isna()]
    assert "unit_correlation" in undefined.index
    assert undefined[["p_value", "null", "null_sd", "calibrated"]].isna().all(axis=None)


def test_p_values_of_unrelated_data_are_spread_and_those_of_related_data_are_the_least_there_are():
    unrelated = [compare(*pair, ["rsa"], permutations=19).p_value["rsa"] for pair in independent_pairs(40)]
    assert 0.3 < np.mean(unrelated) < 0.7 and min(unrelated) >= 0.05
    assert (compare(*related(60, 4, 4, noise=0.1), permutations=19).p_value == 0.05).all()
    forced = compare(*related(10, 20, 20), ["mean_cca"], permutations=9)
    assert forced.p_value["mean_cca"] == 1


@pytest.mark.parametrize("view", ["flatten", "channels", "pooled"])
@pytest.mark.parametrize("shape", [(40, 3, 3, 3), (40, 3, 8, 8)])
def test_a_null_of_features_made_before_is_that_of_permuted_inputs(view, shape):
    """The null reorders what was derived from Y; here it is derived afresh."""
    generator = torch.Generator().manual_seed(0)
    X, Y = torch.randn((2, *shape), generator=generator).relu()
    # Folds of ridge regression are of inputs by their place; the others take ties in the order of inputs.
    measures = [name for name in IDS if not name.endswith(("knn", "cosine", "rsa"))]
    if view == "channels" and shape[2] == 8:  # the rest is on drawn rows in an order of their own
        measures = [name for name in measures if name not in ("rbf_cka", "distance_correlation")]
    table = compare(X, Y, measures, view=view, permutations=1, seed=3)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(3))
    expected = compare(X, Y[order], measures, view=view).value
    assert table.null.to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-9)


def test_a_null_that_nothing_can_tell_from_the_best_gives_no_calibrated_value():
    X, Y = related(10, 20, 20)
    table = compare(X, Y, ["mean_cca", "linear_cka"], permutations=2)
    assert math.isnan(table.calibrated["mean_cca"])
    assert table.calibrated["linear_cka"] < table.value["linear_cka"]


@pytest.mark.parametrize("shape", [(40, 6), (20, 30), (40, 3, 8, 8)])
def test_a_null_needs_no_decomposition_where_the_score_needs_none(shape, monkeypatch):
    monkeypatch.setattr(representations, "_spectrum", lambda side: pytest.fail("a decomposition was asked for"))
    X, Y = np.random.default_rng(0).standard_normal((2, *shape))
    view = "channels" if len(shape) == 4 else "flatten"
    table = compare(X, Y, ["linear_cka", "debiased_linear_cka"], view=view, permutations=1, seed=3)
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(3))
    expected = compare(X, Y[order], table.index, view=view).value
    assert table.null.to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-12)


# References elsewhere -----------------------------------------------------------------------------------------------


def test_linear_and_debiased_cka_are_those_that_kornblith_et_al_print():
    """Of their demonstration: standard normal X, and Y = X + noise, by NumPy's old generator with the seed 1337."""
    old = np.random.RandomState(1337)
    X = old.randn(100, 10)
    Y = old.randn(100, 10) + X
    scores = values(X, Y)
    assert (round(scores["linear_cka"], 5), round(scores["debiased_linear_cka"], 5)) == (0.55761, 0.51346)
    # Theirs is 0.65483: its median counts the distances of inputs to themselves.
    assert round(scores["rbf_cka"], 5) == 0.65401


def test_scipy_finds_the_same_angles_between_subspaces():
    X, Y = (slow.centred(Z) for Z in related(50, 6, 9))
    cosines = np.cos(scipy.linalg.subspace_angles(X, Y))
    assert values(X, Y)["mean_cca"] == pytest.approx(cosines.mean(), abs=1e-10)


def test_scipy_finds_the_same_procrustes_fit():
    """Its disparity lets Y be rescaled as well: 1 - nbs^2."""
    X, Y = related(50, 6, 6)
    disparity = scipy.spatial.procrustes(X, Y)[2]
    assert values(X, Y)["nbs"] == pytest.approx(math.sqrt(1 - disparity), abs=1e-10)


def test_scipy_finds_the_same_rsa():
    X, Y = related(50, 6, 9)
    vectors = [scipy.spatial.distance.pdist(Z, "correlation") for Z in (X, Y)]
    assert values(X, Y)["rsa"] == pytest.approx(scipy.stats.spearmanr(*vectors).statistic, abs=1e-10)


def test_rsatoolbox_finds_the_same_rsa_and_cka():
    rsatoolbox = pytest.importorskip("rsatoolbox")
    X, Y = related(40, 6, 9)
    patterns = [rsatoolbox.data.Dataset(Z) for Z in (X, Y)]
    rdms = [rsatoolbox.rdm.calc_rdm(pattern, method="correlation") for pattern in patterns]
    assert values(X, Y)["rsa"] == pytest.approx(rsatoolbox.rdm.compare(*rdms, method="spearman").item(), abs=1e-8)
    squares = [rsatoolbox.rdm.calc_rdm(pattern, method="euclidean") for pattern in patterns]
    # The covariance-weighted cosine of squared distances is linear CKA (Diedrichsen et al. 2020).
    whitened = rsatoolbox.rdm.compare(*squares, method="cosine_cov").item()
    assert values(X, Y)["linear_cka"] == pytest.approx(whitened, abs=1e-6)


def test_scikit_learn_finds_the_same_regression():
    linear = pytest.importorskip("sklearn.linear_model")
    metrics = pytest.importorskip("sklearn.metrics")
    X, Y = related(50, 6, 9)
    predicted = linear.LinearRegression().fit(Y, X).predict(Y)
    expected = metrics.r2_score(X, predicted, multioutput="variance_weighted")
    assert values(X, Y)["linear_regression_r2"] == pytest.approx(expected, abs=1e-10)
