"""The numbers of one study, and of the pruned network beside its company, from made-up tables."""

import numpy as np
import pytest
import synthetic
from synthetic import set_score

from simprune import analysis
from simprune.analysis import Range
from simprune.errors import InputError


@pytest.fixture
def results():
    return synthetic.results()


@pytest.fixture
def sound():
    """Results with controls of which every score is ok."""
    made_up = synthetic.with_controls(synthetic.results())
    made_up.similarity["status"] = "ok"
    made_up.similarity["value"] = made_up.similarity["value"].fillna(0.5)
    return made_up


def with_accuracies(*accuracies):
    """Results of one seed with these test accuracies by level."""
    results = synthetic.results(seeds=(0,), levels=len(accuracies) - 1)
    results.performance["test_accuracy"] = accuracies
    return results


# Choosing and summing up ------------------------------------------------------------------------------------


def test_the_nearest_level_is_nearest_in_ratio(results):
    assert analysis.nearest_level(results, 1) == 0
    assert analysis.nearest_level(results, 0.1) == 10  # 10.7 %, not 8.6 %
    assert analysis.nearest_level(results, 1e-6) == 12


def test_a_run_that_loses_no_weight_has_no_level_of_a_density(results):
    results.performance["density"] = 1.0
    with pytest.raises(InputError, match="density: no level of this run is at 0.1, since it loses no weight"):
        analysis.nearest_level(results, 0.1)


@pytest.mark.parametrize("density", [0, -0.1, 1.5])
def test_a_density_outside_0_to_1_is_refused(results, density):
    with pytest.raises(InputError, match="density"):
        analysis.nearest_level(results, density)


@pytest.mark.parametrize("choice", [{"view": "pooled"}, {"reference": "sibling"}, {"measures": ["gulp"]}])
def test_what_the_results_do_not_hold_is_refused_by_name(results, choice):
    with pytest.raises(InputError, match=next(iter(choice))):
        analysis.select(results, **choice)


def test_one_measure_is_chosen_by_name(results):
    assert set(analysis.select(results, measures=["nbs"])["measure"]) == {"nbs"}


def test_of_each_family_the_measure_with_most_sound_scores_is_chosen(sound):
    assert analysis.one_of_each_family(sound) == ["mean_cca", "linear_cka", "nbs"]
    sound.similarity.loc[sound.similarity["measure"] == "mean_cca", "status"] = synthetic.DEGENERATE
    assert analysis.one_of_each_family(sound) == ["svcca", "linear_cka", "nbs"]


# Accuracy ---------------------------------------------------------------------------------------------------


def test_several_seeds_give_a_mean_and_a_range():
    results, twin = synthetic.results(seeds=(0, 1), levels=1), with_accuracies(0.9, 0.7)
    results.performance["test_accuracy"] = [0.9, 0.8, 0.92, 0.8]
    table = analysis.accuracy_by_level(results, {"twin": twin})
    assert table["test accuracy"].tolist() == [Range(0.91, 0.9, 0.92), Range(0.8, 0.8, 0.8)]
    assert table["test accuracy, twin"].tolist() == [Range(0.9, 0.9, 0.9), Range(0.7, 0.7, 0.7)]


@pytest.mark.parametrize(
    ("accuracies", "density"), [((0.90, 0.895, 0.88, 0.9), 0.8), ((0.90, 0.91, 0.895), 0.64), ((0.9,), 1)]
)
def test_accuracy_lasts_until_it_first_falls_by_more_than_a_point(accuracies, density):
    assert analysis.accuracy_lasts(with_accuracies(*accuracies)) == pytest.approx(density)


def test_a_dense_network_that_gains_from_longer_training_is_unfinished():
    assert analysis.unfinished_gain(with_accuracies(0.8, 0.805, 0.7)) is None
    assert analysis.unfinished_gain(with_accuracies(0.8, 0.83, 0.7)) == pytest.approx(0.03)


@pytest.mark.parametrize(("epochs", "retraining", "level"), [(10, 5, 2), (10, 10, 1), (10, 4, 3), (10, 2, None)])
def test_what_training_on_gains_is_read_where_the_twin_has_been_trained_for_as_long_again(epochs, retraining, level):
    twin = with_accuracies(0.8, 0.81, 0.825, 0.835)
    twin.experiment.epochs, twin.experiment.retraining_epochs = epochs, retraining
    ending = analysis.gained_by_training_on(twin)
    if level is None:
        assert ending is None
    else:
        assert (ending["level"], ending["epochs"]) == (level, level * retraining)
        assert ending["gain"] == pytest.approx((0.01, 0.025, 0.035)[level - 1])


def test_densities_of_layers_stand_by_the_density_of_the_network(results):
    last = results.sparsity["level"] == 12
    results.sparsity.loc[last & (results.sparsity["layer"] == "fc1"), "density"] = 0.025
    table = analysis.layer_densities(results)
    assert list(table.columns) == list(synthetic.PRUNABLE) and table.index[0] == 1
    assert table["fc1"].iloc[-1] == pytest.approx(0.025)


# Similarity -------------------------------------------------------------------------------------------------


def test_the_table_of_similarity_has_every_measure_layer_and_density_in_order(results):
    table = analysis.similarity_by_density(results)
    assert list(table.index) == [(measure, layer) for measure in synthetic.FIRST_MEASURES for layer in synthetic.LAYERS]
    assert np.allclose(table.columns[:3], [1, 0.8, 0.64])
    assert not table.loc[("mean_cca", "conv1_relu")].iloc[1].ok and table.loc[("nbs", "conv1_relu")].iloc[1].ok
    assert np.isnan(table.loc[("nbs", "logits")].iloc[-1].mean)


def test_a_profile_holds_the_means_of_the_nearest_level(results):
    scores = results.similarity.query("level == 3 and layer == 'fc2_relu' and measure == 'nbs'")["value"]
    cell = analysis.profile(results, 0.5).loc["fc2_relu", "nbs"]
    assert cell == pytest.approx((scores.mean(), scores.min(), scores.max(), True))


def test_the_spread_names_the_measures_that_are_farthest_apart(results):
    table = results.similarity
    chosen = (table["level"] == 10) & (table["layer"] == "fc1_relu")
    planted = {"mean_cca": 0.5, "svcca": 0.04, "pwcca": 0.5, "linear_cka": 0.99, "nbs": 0.6}
    table.loc[chosen, "value"] = table.loc[chosen, "measure"].map(planted)
    far = analysis.widest(analysis.spread(results, 0.1))
    assert (far.layer, far.lowest, far.highest) == ("fc1_relu", "svcca", "linear_cka")
    assert (far.low, far.high, far.gap) == pytest.approx((0.04, 0.99, 0.95))


def test_a_score_that_is_not_ok_does_not_count_as_disagreement(results):
    table = results.similarity
    chosen = (table["layer"] == "fc1_relu") & (table["measure"] == "mean_cca")
    table.loc[chosen, ["value", "status"]] = [0.0, synthetic.DEGENERATE]
    spread = analysis.spread(results, 0.1)
    assert analysis.widest(spread).layer == "pool2" and len(spread) == 4
    table["status"] = synthetic.DEGENERATE
    nothing = analysis.widest(analysis.spread(results, 0.1))
    assert nothing.layer == "" and np.isnan(nothing.gap)


def test_the_least_similar_layer_is_named_for_each_measure_that_has_a_value(results):
    set_score(results, 0.01, level=12, measure="nbs", layer="pool1")
    set_score(results, np.nan, level=12, measure="svcca")
    least = analysis.least_similar_layers(results)
    assert least["nbs"] == "pool1" and "svcca" not in least


def test_a_dip_needs_a_layer_in_between_that_is_markedly_below_both_ends(sound):
    set_score(sound, 0.9, level=12, reference="dense")
    assert not analysis.dips(sound)["dips"].any()
    set_score(sound, 0.8, level=12, reference="dense", layer="pool2", measure="nbs")
    row = analysis.dips(sound).loc["nbs"]
    assert (row["where"], row["dips"]) == ("pool2", True)
    assert row["depth"] == pytest.approx(0.1) and not analysis.dips(sound).loc["mean_cca", "dips"]


def test_statuses_are_counted_by_measure_layer_and_reason(results):
    # mean CCA is degenerate in 2 layers, all five have no value in the logits at the last level; 3 seeds, 13 levels.
    table = analysis.statuses(results)
    by_status = table.groupby("status")["scores"].sum()
    assert by_status.to_dict() == {"degenerate": 78, "undefined": 15}
    assert set(table["why"]) == {"p >= n", "X is constant"}
    results.similarity["status"], results.similarity["note"] = "ok", "rank 9 in X"
    assert analysis.statuses(results).empty


# Company ----------------------------------------------------------------------------------------------------


def test_a_pruned_network_is_nearer_than_a_sibling_until_its_score_first_falls_below_the_siblings(sound):
    set_score(sound, 0.8, reference="sibling", level=0)
    set_score(sound, 0.9, reference="dense")
    for level, value in ((5, 0.7), (6, 0.9)):  # what comes back does not count
        set_score(sound, value, reference="dense", level=level, layer="fc1_relu", measure="nbs")
    set_score(sound, 0.5, reference="dense", layer="logits", measure="nbs")
    table = analysis.nearer_than_sibling(sound, ["nbs"])
    assert table["level"].loc["nbs", [4, 6, 0]].tolist() == [4, 0, 12]
    assert table.loc[("nbs", 4), "density"] == pytest.approx(0.8**4)
    assert list(analysis.by_layer(table, sound).index[-1]) == ["nbs", "logits"]
    sound.similarity = sound.similarity[sound.similarity["reference"] == "dense"]
    assert analysis.nearer_than_sibling(sound, ["nbs"]).empty


def test_company_at_a_density_is_a_range_for_each_of_it(sound):
    table = analysis.company_at(analysis.company(sound, measures=["nbs"]), 0.5)
    assert list(table.columns) == ["pruned", "sibling", "untrained"] and table.index.names == ["measure", "layer"]
    level = sound.similarity.query("level == 3 and measure == 'nbs' and layer == 'fc1_relu' and reference == 'dense'")
    assert table.loc[("nbs", "fc1_relu"), "pruned"].mean == pytest.approx(level["value"].mean())
    at_start = sound.similarity.query(
        "level == 0 and measure == 'nbs' and layer == 'fc1_relu' and reference == 'sibling'"
    )
    assert table.loc[("nbs", "fc1_relu"), "sibling"].mean == pytest.approx(at_start["value"].mean())


@pytest.mark.parametrize("levels", [0, 1])
def test_small_runs_have_their_numbers(levels):
    results = synthetic.with_controls(synthetic.results(seeds=(0,), levels=levels, measures=("mean_cca", "nbs")))
    company = analysis.company(results)
    for table in (
        analysis.accuracy_by_level(results),
        analysis.layer_densities(results),
        analysis.similarity_by_density(results),
        analysis.profile(results, 0.1),
        analysis.company_at(company, 0.1),
        analysis.nearer_than_sibling(results),
    ):
        assert len(table)
    analysis.dips(results), analysis.least_similar_layers(results)
