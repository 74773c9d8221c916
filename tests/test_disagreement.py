"""Agreement of measures, on scores whose agreement is known."""

import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy.stats import kendalltau

from simprune.disagreement import clustered, rank_agreement
from simprune.measures import MEASURES

LEVELS, LAYERS = 4, 3


def scores(seeds=1, **values):
    """A table of scores: for each measure an array of seeds × LEVELS × LAYERS."""
    rows = []
    for measure, array in values.items():
        array = np.asarray(array, float).reshape(seeds, LEVELS, LAYERS)
        for (seed, level, layer), value in np.ndenumerate(array):
            rows.append(
                {"seed": seed, "level": level, "layer_index": layer, "measure": measure, "value": value, "status": "ok"}
            )
    return pd.DataFrame(rows)


@pytest.fixture
def values():
    return np.random.default_rng(0).random(LEVELS * LAYERS)


def test_measures_that_rank_alike_agree_fully_whatever_their_scale(values):
    table = scores(nbs=values, svcca=values**3 / 7)
    assert rank_agreement(table).loc["nbs", "svcca"] == pytest.approx(1)


def test_measures_that_rank_in_opposite_order_have_tau_minus_one(values):
    assert rank_agreement(scores(nbs=values, svcca=-values)).loc["svcca", "nbs"] == pytest.approx(-1)


def test_tau_is_that_of_scipy_over_layers_and_pruned_levels(values):
    other = np.random.default_rng(1).random(LEVELS * LAYERS)
    expected = kendalltau(values[LAYERS:], other[LAYERS:]).statistic
    assert rank_agreement(scores(nbs=values, svcca=other)).loc["nbs", "svcca"] == pytest.approx(expected)


def test_the_dense_network_itself_does_not_count(values):
    other = np.concatenate([[9, -9, 3], values[LAYERS:]])
    assert rank_agreement(scores(nbs=values, svcca=other)).loc["nbs", "svcca"] == pytest.approx(1)


def test_tau_is_the_mean_of_each_seeds_tau(values):
    # Seed 1 is shifted as a whole: pooled, its order would mix with that of seed 0.
    both = np.concatenate([values, values])
    other = np.concatenate([values, 10 - values])
    assert rank_agreement(scores(2, nbs=both, svcca=other)).loc["nbs", "svcca"] == pytest.approx(0)


def test_a_distance_that_ranks_like_a_similarity_agrees_with_it(values, monkeypatch):
    monkeypatch.setitem(MEASURES, "svcca", synthetic.as_distance(MEASURES["svcca"]))
    assert rank_agreement(scores(nbs=values, svcca=2 - values)).loc["nbs", "svcca"] == pytest.approx(1)


def test_a_constant_measure_has_no_agreement_with_others(values):
    agreement = rank_agreement(scores(nbs=values, svcca=np.ones_like(values)))
    assert np.isnan(agreement.loc["nbs", "svcca"])
    assert agreement.loc["svcca", "svcca"] == 1


def test_a_pair_without_a_value_is_left_out_and_no_other(values):
    gap = values.copy()
    gap[-1] = np.nan
    assert rank_agreement(scores(nbs=values, svcca=gap)).loc["nbs", "svcca"] == pytest.approx(1)


def test_a_score_that_is_not_ok_has_no_rank(values):
    table = scores(nbs=values, svcca=np.append(values[:-1], 9))
    table.loc[table.index[-1], "status"] = synthetic.DEGENERATE
    assert rank_agreement(table).loc["nbs", "svcca"] == pytest.approx(1)
    table.loc[table.index[-1], "status"] = "ok; rank 3 in X"
    assert rank_agreement(table).loc["nbs", "svcca"] < 1


def test_a_run_without_pruned_levels_has_no_agreement(values):
    table = scores(nbs=values, svcca=values)
    assert rank_agreement(table[table["level"] == 0]).isna().all(axis=None)


def test_clustering_puts_measures_that_agree_side_by_side():
    names = ["mean_cca", "linear_cka", "svcca", "nbs"]
    agreement = pd.DataFrame(0.1 + 0.9 * np.eye(4), index=names, columns=names)
    for a, b in (("mean_cca", "svcca"), ("linear_cka", "nbs")):
        agreement.loc[a, b] = agreement.loc[b, a] = 0.9
    order = list(clustered(agreement).index)
    assert {frozenset(order[:2]), frozenset(order[2:])} == {
        frozenset({"mean_cca", "svcca"}),
        frozenset({"linear_cka", "nbs"}),
    }
    assert list(clustered(agreement).columns) == order


def test_clustering_works_with_unknown_agreement():
    names = ["mean_cca", "svcca", "nbs"]
    agreement = pd.DataFrame(np.nan, index=names, columns=names)
    assert sorted(clustered(agreement).index) == sorted(names)
