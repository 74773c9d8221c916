import gc
import itertools
import math
import weakref

import numpy as np
import pandas as pd
import pytest
import torch

from simprune import MEASURES, InputError, compare
from simprune.comparison import COLUMNS, REFERENCES, RunComparison, Snapshot, split_status
from simprune.measures import STUDY
from simprune.representations import VIEWS
from simprune.tables import REFERENCE_WORDS

pytestmark = pytest.mark.usefixtures("few_positions_drawn")
OF_REPRESENTATIONS = [name for name, measure in MEASURES.items() if measure.subject == "representations"]
OF_THE_STUDY = [name for name in STUDY if name in OF_REPRESENTATIONS]
OF_OUTPUTS = [name for name, measure in MEASURES.items() if measure.subject == "outputs"]
OF_WEIGHTS = [name for name, measure in MEASURES.items() if measure.subject == "weights"]
CCA = ["mean_cca", "mean_squared_cca", "svcca", "pwcca", "eigenspace_overlap"]


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def reading(table, measure):
    return tuple(table.loc[measure, ["status", "note"]])


# Two representations ------------------------------------------------------------------------------------------------


def test_a_comparison_is_a_table_of_values_and_statuses_by_measure():
    table = compare(random(30, 5), random(30, 5, seed=1))
    assert table.index.name == "measure"
    assert list(table.index) == OF_REPRESENTATIONS
    assert list(table.columns) == ["value", "status", "note"]
    assert table.value.dtype == np.float64
    assert (table.status == "ok").all()


def test_measures_come_in_the_order_in_which_they_are_asked_for():
    table = compare(random(30, 5), random(30, 5, seed=1), ["nbs", "mean_cca"])
    assert list(table.index) == ["nbs", "mean_cca"]
    assert list(compare(random(30, 5), random(30, 5), "nbs").index) == ["nbs"]


def test_rows_are_drawn_by_the_seed_alone():
    X, Y = random(40, 4, 4, 4), random(40, 4, 4, 4, seed=1)
    first, again, other = (compare(X, Y, view="channels", seed=seed).value for seed in (0, 0, 1))
    assert first.equals(again)
    changed = first.index[(first != other) & first.notna()]
    assert set(changed) == {
        "rbf_cka",
        "rsa",
        "distance_correlation",
        "jaccard_knn",
        "mutual_knn",
        "second_order_cosine",
    }


@pytest.mark.parametrize(
    "shapes", [[(60, 3), (60, 3, 1, 1), (60, 70), (60, 70, 1, 1)], [(30, 3, 2, 1), (30, 70, 2, 1)]]
)
def test_two_sides_of_any_shapes_take_the_same_rows(monkeypatch, shapes):
    monkeypatch.setattr("simprune.representations.DRAWN_POSITIONS", 50)
    for first, second in itertools.product(shapes, shapes):
        table = compare(random(*first), random(*second, seed=1), view="channels")
        assert table.loc["rsa", "note"].count("on 50 of 60 rows") == (len(shapes) == 2)
        if len(shapes) == 4:
            expected = compare(random(*first).flatten(1), random(*second, seed=1).flatten(1))
            pd.testing.assert_frame_equal(table, expected)


def test_the_global_random_state_is_left_alone(untouched_random_state):
    compare(random(40, 4, 4, 4), random(40, 4, 4, 4, seed=1), view="channels")


def test_the_inputs_are_left_as_they_were():
    X, Y = random(30, 5), random(30, 5, seed=1)
    copies = X.clone(), Y.clone()
    compare(X, Y)
    assert torch.equal(X, copies[0]) and torch.equal(Y, copies[1])


def test_rank_dead_columns_and_shape_are_attached():
    X = random(30, 5)
    X[:, 2] = 3
    table = compare(X, random(30, 40))
    assert table.attrs["X"] == {"rows": 30, "columns": 5, "dead": 1, "rank": 4}
    assert table.attrs["Y"] == {"rows": 30, "columns": 40, "dead": 0, "rank": 29}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32])
def test_tensors_of_any_dtype_score_as_their_float64_values(dtype):
    X, Y = (random(30, 4, 3, 3) * 8).to(dtype), (random(30, 4, 3, 3, seed=1) * 8).to(dtype)
    for view in VIEWS:
        pd.testing.assert_frame_equal(compare(X, Y, view=view), compare(X.double(), Y.double(), view=view))


@pytest.mark.parametrize("view", VIEWS)
def test_layout_and_gradients_change_nothing(view):
    X, Y = random(30, 4, 3, 3), random(30, 4, 3, 3, seed=1)
    expected = compare(X, Y, view=view)
    strided = X.to(memory_format=torch.channels_last).requires_grad_()
    reversed_twice = np.ascontiguousarray(Y.numpy()[::-1])[::-1]
    reversed_twice.flags.writeable = False
    got = compare(strided, reversed_twice, view=view)
    assert got.value.to_numpy() == pytest.approx(expected.value.to_numpy(), abs=1e-12, nan_ok=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("shape", [(40, 4, 3, 3), (300, 4, 7, 7)])
def test_cuda_tensors_score_as_on_the_cpu(view, shape):
    X, Y = random(*shape), random(*shape, seed=1)
    expected = compare(X, Y, view=view)
    for got in (compare(X.cuda(), Y.cuda(), view=view), compare(X.cuda(), Y, view=view)):
        assert got.value.to_numpy() == pytest.approx(expected.value.to_numpy(), abs=1e-8)
        assert list(got.status) == list(expected.status)


# Bad input ----------------------------------------------------------------------------------------------------------


def with_nan(X, *values):
    X = X.clone()
    X.view(-1)[: len(values)] = torch.tensor(values)
    return X


@pytest.mark.parametrize(
    ("X", "Y", "options", "message"),
    [
        (random(30, 5), random(29, 6), {}, r"X and Y: shapes \(30, 5\) and \(29, 6\) are not .* same n"),
        (random(3, 5), random(3, 5), {}, "3 inputs are too few; at least 4"),
        (random(0, 5), random(0, 5), {}, "0 inputs are too few"),
        (with_nan(random(30, 5), math.nan), random(30, 5), {}, "X: 1 of 150 activations are NaN or infinite"),
        (
            random(30, 5),
            with_nan(random(30, 5), math.nan, math.inf, -math.inf),
            {},
            "Y: 3 of 150 activations are NaN or infinite",
        ),
        (random(30, 5), random(30, 5, 2, 2, 2), {}, r"Y: shape \(30, 5, 2, 2, 2\) is none of"),
        (random(30, 5), random(30, 5), {"measures": ["mean_ca"]}, "'mean_ca' .* did you mean 'mean_cca'"),
        (random(30, 5), random(30, 5), {"measures": ["cka"]}, "'cka' is not one of .* did you mean 'linear_cka'"),
        (random(30, 5), random(30, 5), {"measures": ["CCA"]}, "'CCA' is not one of .* did you mean 'mean_cca'"),
        (random(30, 5), random(30, 5), {"measures": ["accuracy"]}, r"'accuracy' is not one of (?!.*accuracy_gap)"),
        (random(30, 5), random(30, 5), {"view": "chanels"}, "view: 'chanels' .* did you mean 'channels'"),
        (
            random(30, 5),
            random(30, 5),
            {"measures": ["jensen_shannon"]},
            "needs the logits of two networks, not",
        ),
        (random(30, 5), random(30, 5), {"measures": ["mask_overlap"]}, "needs the weights of two networks"),
        (random(30, 5, 2, 2), random(30, 5, 3, 3), {"view": "channels"}, "other positions, .* use the view 'pooled'"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(X, Y, options, message):
    with pytest.raises(InputError, match=message) as refusal:
        compare(X, Y, **options)
    assert "\n" not in str(refusal.value)


# Statuses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("widths", [(50, 5), (5, 50), (50, 50), (30, 5)])
def test_cca_with_as_many_columns_as_inputs_is_degenerate_and_has_its_value(widths):
    table = compare(random(30, widths[0]), random(30, widths[1], seed=1))
    degenerate = set(table.index[(table.status == "degenerate") & (table.note == "p >= n")])
    assert set(CCA) - {"svcca"} <= degenerate <= {*CCA, "linear_regression_r2"}
    assert table.value[["mean_cca", "mean_squared_cca", "pwcca"]].tolist() == [1, 1, 1]
    assert table.value.drop("unit_correlation").notna().all()


def test_regression_is_degenerate_where_the_predictor_has_as_many_columns_as_inputs():
    narrow, wide = random(30, 5), random(30, 50, seed=1)
    assert reading(compare(narrow, wide), "linear_regression_r2") == ("degenerate", "p >= n")
    assert compare(narrow, wide).value["linear_regression_r2"] == 1
    assert compare(wide, narrow).status["linear_regression_r2"] == "ok"


def test_a_wide_representation_of_low_rank_is_not_degenerate():
    X = random(30, 3).double() @ random(3, 50).double()
    Y = random(30, 4, seed=1)
    table = compare(X, Y)
    assert reading(table, "mean_cca") == ("ok", "rank 3 in X")
    assert table.value["mean_cca"] < 0.9


def test_svcca_of_few_components_is_not_degenerate_however_wide():
    X = random(30, 50) + 100 * random(30, 1, seed=1)
    assert compare(X, random(30, 5)).status["svcca"] == "ok"


def test_a_rank_of_n_minus_1_is_degenerate_without_more_columns_than_inputs():
    table = compare(random(30, 29), random(30, 5))
    assert reading(table, "mean_cca") == ("degenerate", "rank = n - 1")
    assert table.value["mean_cca"] == 1


def test_correlations_that_are_1_by_dimension_alone_are_counted():
    table = compare(random(30, 20), random(30, 15, seed=1))
    assert reading(table, "mean_cca") == ("ok", "6 of 15 correlations are 1 by dimension alone")


def test_dead_columns_and_rank_are_told_where_they_count():
    X, Y = random(30, 6), random(30, 6, seed=1)
    X[:, 1], Y[:, 2:4], Y[:, 5] = 0, 7, Y[:, 4]
    table = compare(X, Y)
    assert reading(table, "mean_cca") == ("ok", "rank 5 in X, 1 of 6 columns dead; rank 3 in Y, 2 of 6 columns dead")
    assert reading(table, "unit_correlation") == ("ok", "1 of 6 units constant in X; 2 of 6 units constant in Y")
    assert table.status["linear_cka"] == "ok"


@pytest.mark.parametrize("constant", [0, 0.1, 1e3])
@pytest.mark.parametrize("shape", [(30, 5), (30, 50), (30, 3, 4, 4), (30, 3, 10, 10)])
@pytest.mark.parametrize("view", VIEWS)
def test_a_constant_representation_has_no_score_and_says_so(constant, shape, view):
    X, constant = random(*shape), torch.full(shape, constant)
    for table in (compare(X, constant, view=view), compare(constant, X, view=view)):
        assert table.value.isna().all()
        assert (table[["status", "note"]] == ["undefined", "constant representation"]).all(axis=None)


def test_inputs_without_a_pattern_are_counted():
    X, Y = random(30, 6), random(30, 6, seed=1)
    X[:4] = 0
    X[4] = 2.5
    table = compare(X, Y)
    assert reading(table, "rsa") == ("ok", "5 of 30 inputs left out: constant pattern")
    assert reading(table, "jaccard_knn") == ("ok", "4 of 30 inputs all 0")


def test_rsa_of_a_single_unit_is_undefined():
    table = compare(random(30, 1), random(30, 5))
    assert reading(table, "rsa") == ("undefined", "fewer than 3 inputs have patterns that are not constant")
    assert math.isnan(table.value["rsa"])


def test_rbf_cka_of_mostly_equal_inputs_is_undefined():
    X = torch.zeros(30, 5)
    X[:5] = random(5, 5)
    table = compare(X, random(30, 5))
    assert reading(table, "rbf_cka") == ("undefined", "the median distance between inputs is 0")
    assert table.status["linear_cka"] == "ok"


def test_units_that_do_not_correspond_are_not_correlated():
    table = compare(random(30, 5), random(30, 6))
    assert reading(table, "unit_correlation") == ("undefined", "5 units against 6")
    table = compare(random(30, 5, 2, 2), random(30, 5, 3, 3))
    assert reading(table, "unit_correlation") == ("undefined", "maps of (2, 2) against (3, 3) positions")


def test_few_inputs_have_fewer_neighbours():
    assert reading(compare(random(4, 3), random(4, 3, seed=1)), "jaccard_knn") == ("ok", "3 neighbours")


def test_a_status_that_held_notes_is_split_into_a_word_and_a_note():
    old = ["ok", "ok; rank 107 in X, 13 of 120 columns dead", "degenerate: p >= n; rank 3 in Y", "undefined: 5: 6; 7"]
    table = split_status(pd.DataFrame({"value": 0.5, "status": old, "inputs": 7}))
    assert list(table.columns) == ["value", "status", "note", "inputs"]
    assert list(table.status) == ["ok", "ok", "degenerate", "undefined"]
    assert list(table.note) == ["", "rank 107 in X, 13 of 120 columns dead", "p >= n; rank 3 in Y", "5: 6; 7"]
    assert split_status(table) is table and "note" not in split_status(pd.DataFrame({"density": [0.5]}))


def test_a_decomposition_that_fails_gives_a_status(monkeypatch):
    def fail(*args, **options):
        raise torch.linalg.LinAlgError("no convergence")

    X, Y = random(30, 5), random(30, 5, seed=1)
    monkeypatch.setattr(torch.linalg, "svdvals", fail)
    table = compare(X, Y)
    assert reading(table, "nbs") == ("undefined", "the decomposition did not converge")
    assert table.status["linear_cka"] == "ok"


# A pruning run ------------------------------------------------------------------------------------------------------


def snapshot(seed, n=40, density=1.0):
    generator = torch.Generator().manual_seed(seed)
    activations = {
        "conv": torch.randn(n, 3, 4, 4, generator=generator).relu(),
        "fc": torch.randn(n, 6, generator=generator).relu(),
        "logits": torch.randn(n, 5, generator=generator),
    }
    weights = {"fc": torch.randn(6, 48, generator=generator)}
    masks = {"fc": torch.rand(6, 48, generator=generator) < density}
    return Snapshot(activations, {"fc": weights["fc"] * masks["fc"]}, masks)


LABELS = torch.arange(40) % 5


def test_a_level_is_a_tidy_table_with_a_row_per_score():
    comparison = RunComparison(
        {"dense": snapshot(0), "sibling": snapshot(1)}, views=("flatten", "pooled"), labels=LABELS
    )
    table = comparison.level(snapshot(2, density=0.5))
    assert tuple(table.columns) == COLUMNS
    keys = ["layer", "reference", "view", "measure"]
    assert not table.duplicated(keys).any()
    per_layer = 2 * 2 * len(OF_THE_STUDY)
    assert len(table) == 3 * per_layer + 2 * len(OF_OUTPUTS) + 2 * len(OF_WEIGHTS)
    assert dict(zip(table.layer, table.layer_index, strict=True)) == {
        "conv": 0, "fc": 1, "logits": 2, "network": -1
    }  # fmt: skip
    assert set(table.view[table.measure.isin(OF_OUTPUTS)]) == {"outputs"}
    assert set(table.layer[table.measure.isin(OF_OUTPUTS)]) == {"logits"}
    assert set(table.view[table.measure.isin(OF_WEIGHTS)]) == {"weights"}
    triples = set(table[["reference", "view", "measure"]].itertuples(index=False, name=None))
    assert triples == RunComparison.scores(("dense", "sibling"), ("flatten", "pooled"), STUDY)


def test_each_score_is_that_of_comparing_the_two_layers():
    references = {"dense": snapshot(0), "untrained": snapshot(1)}
    table = RunComparison(references, views=VIEWS, measures=OF_REPRESENTATIONS, seed=5).level(snapshot(2))
    table = table.set_index(["reference", "layer", "view"])
    for reference, network in references.items():
        for layer, activations in network.activations.items():
            for view in VIEWS:
                expected = compare(activations, snapshot(2).activations[layer], view=view, seed=5)
                got = table.loc[(reference, layer, view)].set_index("measure").loc[expected.index]
                pd.testing.assert_frame_equal(got[["value", "status", "note"]], expected)


def test_the_previous_level_is_a_reference_from_the_second_level_on():
    comparison = RunComparison({"dense": snapshot(0)}, previous=True, labels=LABELS)
    first, second, third = (comparison.level(snapshot(seed, density=0.5)) for seed in (0, 1, 2))
    assert set(first.reference) == {"dense"}
    assert set(third.reference) == {"dense", "previous"}
    got = third[third.reference == "previous"].drop(columns="reference").reset_index(drop=True)
    expected = RunComparison({"dense": snapshot(1, density=0.5)}, labels=LABELS)
    expected = expected.level(snapshot(2, density=0.5)).drop(columns="reference")
    pd.testing.assert_frame_equal(got, expected)
    assert set(second.layer[second.reference == "previous"]) == {"conv", "fc", "logits", "network"}


def test_previous_can_be_the_only_reference():
    comparison = RunComparison({}, previous=True, measures=["nbs"])
    assert comparison.level(snapshot(0)).empty
    assert list(comparison.level(snapshot(1)).reference) == ["previous"] * 3


def test_the_dense_network_is_its_own_level_0():
    table = RunComparison({"dense": snapshot(0)}, views=VIEWS, labels=LABELS).level(snapshot(0))
    best = table.measure.map(lambda name: MEASURES[name].best)
    all_zero = (snapshot(0).activations["fc"] == 0).all(1).double().mean()
    blind = (table.measure == "second_order_cosine") & table.note.str.contains("inputs all 0")
    assert table.value[~blind].to_numpy() == pytest.approx(best[~blind].to_numpy(), abs=1e-6)
    assert all_zero < 0.2


def test_only_the_measures_and_views_asked_for_are_computed():
    table = RunComparison({"dense": snapshot(0)}, views=["pooled"], measures=["nbs"]).level(snapshot(1))
    assert set(table.measure) == {"nbs"} and set(table.view) == {"pooled"}
    table = RunComparison({"dense": snapshot(0)}, views=[], measures=["jensen_shannon"]).level(snapshot(1))
    assert list(table.measure) == ["jensen_shannon"]


def test_a_diverged_network_has_undefined_scores_and_stops_nothing():
    broken = snapshot(1)
    broken.activations["fc"][3, 2] = math.nan
    broken.activations["logits"][:2, 0] = math.inf
    comparison = RunComparison({"dense": snapshot(0)}, previous=True, labels=LABELS)
    table = comparison.level(broken).set_index("layer")
    assert (table.loc["fc"][["status", "note"]] == ["undefined", "1 NaN or infinite activations"]).all(axis=None)
    assert table.loc["conv"].status.eq("ok").any()
    outputs = table[table.view == "outputs"]
    assert outputs.value.isna().all() and set(outputs.status) == {"undefined"}
    assert set(outputs.note) == {"2 NaN or infinite logits"}
    after = comparison.level(snapshot(2))
    assert after[(after.reference == "previous") & (after.layer == "fc")].value.isna().all()
    assert after[(after.reference == "dense") & (after.layer == "fc")].value.notna().any()


def watched(network):
    """The network with activations whose memory can be watched: a weak reference per layer."""
    arrays = {layer: tensor.numpy().copy() for layer, tensor in network.activations.items()}
    activations = {layer: torch.from_numpy(array) for layer, array in arrays.items()}
    alive = {layer: weakref.ref(array) for layer, array in arrays.items()}
    return Snapshot(activations, network.weights, network.masks), alive


def layers_alive(alive):
    gc.collect()
    return [layer for layer, reference in alive.items() if reference() is not None]


def test_only_the_references_and_the_previous_level_stay_alive():
    dense, of_dense = watched(snapshot(0))
    comparison = RunComparison({"dense": dense}, previous=True, views=VIEWS, labels=LABELS)
    of_levels = []
    for seed in range(4):
        network, alive = watched(snapshot(seed))
        of_levels.append(alive)
        comparison.level(network)
        del network
    del dense
    everything = ["conv", "fc", "logits"]
    assert layers_alive(of_dense) == everything
    assert [layers_alive(alive) for alive in of_levels] == [[], [], [], everything]


def test_activations_that_no_measure_needs_are_let_go():
    dense, alive = watched(snapshot(0))
    comparison = RunComparison({"dense": dense}, measures=["mean_cca", "rsa", "jaccard_knn"])
    del dense
    assert layers_alive(alive) == ["logits"]
    assert comparison.level(snapshot(1)).value.notna().all()


def test_pwcca_keeps_the_activations_of_a_wide_reference_that_it_will_need():
    """Of rank 3 < n - 1 in 48 > 40 columns: its weights need the columns themselves."""
    maps = torch.einsum("nk,kchw->nchw", random(40, 3).double(), random(3, 3, 4, 4).double())
    reference, level = {"conv": maps}, {"conv": random(40, 3, 4, 4, seed=1)[:, :, :1, :1].expand(40, 3, 4, 4)}
    comparison = RunComparison({"dense": Snapshot(reference, {}, {})}, measures=["pwcca"])
    got = comparison.level(Snapshot(level, {}, {})).iloc[0]
    assert got.value == compare(maps, level["conv"]).value["pwcca"]
    assert got.value < 1


def test_every_reference_is_said_in_words():
    assert set(REFERENCE_WORDS) == set(REFERENCES)
