"""Tests with a known answer, on networks whose answer is known: sane measures pass, others are at chance."""

from functools import cache, partial

import numpy as np
import pandas as pd
import planted
import pytest
import synthetic
from scipy.stats import somersd, spearmanr
from sklearn.metrics import average_precision_score

from simprune.analysis import known_answers
from simprune.errors import InputError


def growing(seed, level, layer, view, measure):
    """Similarity that falls a little with every level."""
    return 1 - 0.05 * level - 0.01 * layer


def apart(seed, x, y, layer, measure):
    """Levels as points on a line."""
    return 0.05 * (y - x)


@cache
def drawn(*place):
    """A number from 0 to 1, at random but always the same one at a place."""
    return np.random.default_rng(place).random()


@cache
def order(seed, layer):
    return np.random.default_rng([seed, layer]).permutation(planted.LEVELS + 1)


def shuffled(seed, x, y, layer, measure):
    """The same points in random order."""
    place = order(seed, layer)
    return 0.05 * abs(place[y] - place[x])


def saturated(seed, x, y, layer, measure):
    return 0.0


def study(distance=apart, value=growing, seeds=(0,), **more):
    similarity = planted.similarity(value, seeds=seeds, views=("flatten",))
    tables = {"level_pairs": planted.level_pairs(distance, seeds=seeds), **more.pop("diagnostics", {})}
    return planted.results(similarity, tables, seeds=seeds, **more)


def mean_score(rows):
    return rows["score"].mean()


# Monotonicity -------------------------------------------------------------------------------------------------------


def test_a_sane_measure_gets_every_triplet_and_a_trend_of_one():
    assert (known_answers.monotonicity(study())["score"] == 1).all()
    assert (known_answers.trend(study())["score"] == 1).all()


def test_a_measure_that_runs_backwards_gets_none():
    assert (known_answers.monotonicity(study(lambda *place: 1 - apart(*place)))["score"] == 0).all()
    assert (known_answers.trend(study(value=lambda *place: 1 - growing(*place)))["score"] == -1).all()


def test_a_saturated_measure_is_at_chance_and_not_rewarded_for_its_ties():
    triplets = known_answers.monotonicity(study(saturated))
    assert (triplets["score"] == 0.5).all() and (triplets["chance"] == 0.5).all()
    trend = known_answers.trend(study(value=lambda *place: 1.0))
    assert (trend["score"] == 0).all() and (trend["chance"] == 0).all()
    assert (trend["missing"] == 0).all()


def test_a_measure_that_ties_most_levels_scores_less_than_one_that_orders_them():
    def coarse(seed, level, layer, view, measure):
        return 0.5 if level > planted.LEVELS // 2 else 1.0

    assert known_answers.trend(study(value=coarse))["score"].max() < 0.7


def test_on_shuffled_levels_monotonicity_is_at_chance():
    seeds = tuple(range(30))
    rows = known_answers.monotonicity(study(shuffled, seeds=seeds))
    by_seed = rows.groupby("seed")["score"].mean()
    assert abs(by_seed.mean() - 0.5) < 3 * by_seed.std() / np.sqrt(len(by_seed))
    assert np.allclose(rows["chance"], 0.5, atol=0.08)


def test_on_shuffled_levels_the_trend_is_at_chance():
    results = study(value=lambda seed, level, layer, *rest: drawn(seed, level, layer), seeds=tuple(range(30)))
    rows = known_answers.trend(results)
    assert abs(mean_score(rows)) < 0.1


def test_the_trend_with_ties_is_somers_d():
    values = [1.0, 0.9, 0.9, 0.8, 0.9, 0.7, 0.7, 0.6]
    rows = known_answers.trend(study(value=lambda seed, level, *rest: values[level - 1]))
    expected = somersd(range(planted.LEVELS), [1 - value for value in values]).statistic
    assert rows["score"].to_numpy() == pytest.approx(np.full(len(rows), expected))


def test_a_score_that_is_not_ok_is_missing_and_not_wrong():
    results = study()
    table = results.similarity
    table.loc[(table["measure"] == "nbs") & (table["level"] == 2), "status"] = synthetic.DEGENERATE
    pairs = results.diagnostics["level_pairs"]
    pairs.loc[(pairs["measure"] == "nbs") & (pairs["level_y"] == 2), "status"] = synthetic.DEGENERATE
    for rows in (known_answers.trend(results), known_answers.monotonicity(results)):
        assert (rows["score"] == 1).all()
        assert (rows["missing"] > 0).eq(rows["measure"] == "nbs").all()
        assert rows.assign(all=rows["counted"] + rows["missing"])["all"].nunique() == 1


def test_the_debiased_estimator_stands_as_a_correction_of_cka():
    similarity = planted.similarity(growing, views=("flatten",), measures=("linear_cka", "debiased_linear_cka"))
    rows = known_answers.trend(planted.results(similarity))
    assert set(rows["measure"]) == {"linear_cka"} and set(rows["correction"]) == {"none", "debiased"}


def test_chance_corrected_scores_are_tested_beside_the_others():
    results = study()
    results.diagnostics["nulls"] = planted.nulls(results.similarity, 0.2)
    rows = known_answers.trend(results)
    assert set(rows["correction"]) == {"none", "chance"} and (rows["score"] == 1).all()


# Detection ----------------------------------------------------------------------------------------------------------


with_siblings = partial(planted.with_siblings, growing, views=("flatten",))


def test_change_is_detected_at_the_first_level_farther_away_than_the_sibling():
    rows = known_answers.detection(with_siblings(0.82))
    first = rows[rows["layer_index"] == 0]  # 1 − 0.05 level < 0.82 from level 4
    assert first["density"].to_numpy() == pytest.approx(np.full(len(first), planted.density(4)))
    assert (rows["score"] == 1).all()
    assert set(rows["siblings"]) == {"one pair"}


def test_never_is_a_legal_answer_and_not_a_missing_one():
    rows = known_answers.detection(with_siblings(0.1))
    assert (rows[["score", "density"]] == 0).all(axis=None) and (rows["missing"] == 0).all()


def test_with_seeds_the_siblings_have_a_range_and_detection_waits_for_its_end():
    sharp, wide = (
        known_answers.detection(with_siblings(0.8, seeds=(0, 1, 2), jitter=jitter)) for jitter in (1e-9, 0.02)
    )
    assert set(wide["siblings"]) == {"seeds"}
    assert (wide["density"] < sharp["density"]).all()


def test_with_one_seed_the_range_comes_from_draws_of_inputs():
    results = with_siblings(0.8)
    sibling = results.similarity[results.similarity["reference"] == "sibling"]
    # On half of the inputs all scores are larger: what counts is how far they spread, not where they lie.
    draws = [sibling.assign(value=0.9 + 0.01 * draw, inputs=500, draw=draw) for draw in range(5)]
    results.diagnostics["samples"] = pd.concat(draws)
    rows = known_answers.detection(results)
    assert set(rows["siblings"]) == {"inputs"}
    assert ((rows["bound"] > 0.2) & (rows["bound"] < 0.3)).all()


def test_a_control_is_judged_by_the_siblings_of_its_study():
    several, one = (with_siblings(sibling, seeds=seeds) for sibling, seeds in ((0.1, (0, 1, 2)), (0.82, (0,))))
    alone = known_answers.run_tests({"a": one}, {"a": one}, ["detection"])["detection"]
    assert (alone["control"] == 1).all()
    rows = known_answers.run_tests({"a": several}, {"a": one}, ["detection"])["detection"]
    assert (rows.loc[rows["seed"] == 0, "control"] == 0).all()


def test_without_siblings_nothing_is_detected():
    assert known_answers.detection(study()) is None


def test_the_loss_of_weights_is_noticed_from_the_level_on_at_which_the_pruned_network_is_the_farther_one():
    """With every seed: here from level 4 on, but in the last layer, where it is never so."""

    def pruned(seed, level, layer, view, measure):
        beyond = 0.05 if level >= 4 + seed else -0.05
        return growing(seed, level, layer, view, measure) - (0 if layer == 2 else beyond)

    pruned, twin = (planted.with_siblings(value, seeds=(0, 1), views=("flatten",)) for value in (pruned, growing))
    table = known_answers.turns(pruned, twin)
    assert np.allclose(table[["conv1_relu", "conv2_relu"]], planted.density(5))
    assert (table["logits"] == 0).all()


def test_of_two_networks_that_differ_in_the_loss_of_weights_the_one_that_lost_them_is_farther():
    held = study(value=lambda seed, level, layer, *rest: 1 - 0.01 * level)
    rows = known_answers.removal(study(), held)
    assert (rows["score"] == 1).all() and (rows["counted"] == planted.LEVELS).all()
    assert (known_answers.removal(held, study())["score"] == 0).all()
    assert (known_answers.removal(held, held)["score"] == rows["chance"]).all()
    both = known_answers.removals({"one": {"pruned": study(), "held": held}, "two": {"pruned": held, "held": study()}})
    assert both.groupby("study")["score"].agg(["min", "max"]).to_numpy().tolist() == [[1, 1], [0, 0]]


# Bands --------------------------------------------------------------------------------------------------------------


def band(level):
    return sum(planted.density(level) < edge for edge in known_answers.BANDS)


def test_bands_that_a_measure_tells_apart_have_full_precision():
    rows = known_answers.band_separation(study(lambda seed, x, y, *rest: 0.1 if band(x) == band(y) else 0.5))
    assert (rows["score"] == 1).all()


def test_the_chance_level_of_bands_is_how_common_pairs_within_are():
    rows = known_answers.band_separation(study(saturated))
    pairs = [(x, y) for y in range(planted.LEVELS + 1) for x in range(y)]
    expected = np.mean([band(x) == band(y) for x, y in pairs])
    assert np.allclose(rows["chance"], expected)
    assert np.allclose(rows["score"], expected)  # a saturated measure is at chance


def test_band_separation_is_the_average_precision_of_scikit_learn():
    """With ties, and without what has no score."""
    results = study(lambda seed, x, y, layer, measure: round(shuffled(seed, x, y, layer, measure), 1))
    table = results.diagnostics["level_pairs"]
    table.loc[(table["level_x"] == 1) & (table["layer_index"] == 1), "status"] = "undefined"
    rows = known_answers.band_separation(results).query("measure == 'nbs'").set_index("layer_index")
    for layer, chosen in table[(table["measure"] == "nbs") & (table["status"] == "ok")].groupby("layer_index"):
        same = [band(x) == band(y) for x, y in zip(chosen["level_x"], chosen["level_y"], strict=True)]
        assert rows.loc[layer, "score"] == pytest.approx(average_precision_score(same, chosen["value"]))
        assert rows.loc[layer, "counted"] == len(chosen)


def test_on_shuffled_levels_bands_are_near_chance():
    rows = known_answers.band_separation(study(shuffled, seeds=tuple(range(20))))
    assert abs(mean_score(rows) - rows["chance"].mean()) < 0.03


# Function -----------------------------------------------------------------------------------------------------------


def with_outputs(change, value=growing, seeds=(0,)):
    results = study(value=value, seeds=seeds)
    rows = [
        {**place, "reference": "dense", "layer": "logits", "layer_index": 2, "view": "outputs", "status": "ok"}
        | {"measure": measure, "value": 1 - lost if measure == "prediction_agreement" else lost}
        for seed in seeds
        for level in range(planted.LEVELS + 1)
        for place, lost in [({"seed": seed, "level": level, "density": planted.density(level)}, change(seed, level))]
        for measure in ("prediction_agreement", "jensen_shannon", "accuracy_gap")
    ]
    results.similarity = pd.concat([results.similarity, pd.DataFrame(rows)], ignore_index=True)
    return results


def test_a_distance_that_follows_function_correlates_fully():
    results = with_outputs(lambda seed, level: 0.01 * level)
    for test in ("disagreement", "divergence", "accuracy_gap"):
        assert np.allclose(known_answers.TESTS[test](results)["score"], 1)


def test_function_agrees_with_scipy_and_is_at_chance_for_shuffled_networks():
    rows = known_answers.TESTS["divergence"](with_outputs(drawn, seeds=tuple(range(30))))
    lost = [drawn(3, level) for level in range(1, planted.LEVELS + 1)]
    chosen = rows.query("seed == 3 and measure == 'nbs' and layer_index == 0")
    assert chosen["score"].to_numpy() == pytest.approx([spearmanr(range(planted.LEVELS), lost).statistic])
    by_seed = rows.groupby("seed")["score"].mean()
    assert abs(by_seed.mean()) < 3 * by_seed.std() / np.sqrt(len(by_seed))


def test_a_function_that_does_not_change_is_no_test():
    assert known_answers.function(with_outputs(lambda seed, level: 0.0), "jensen_shannon") is None
    assert known_answers.function(study(), "jensen_shannon") is None


# Layers -------------------------------------------------------------------------------------------------------------


def identified(value, **more):
    return known_answers.layer_identification(study(diagnostics={"layer_pairs": planted.layer_pairs(value, **more)}))


def test_layers_that_resemble_their_own_most_are_identified():
    rows = identified(lambda seed, x, y, measure: 1 - 0.1 * abs(x - y))
    assert (rows["score"] == 1).all() and (rows["chance"] == 1 / 3).all()


def test_layers_that_resemble_another_most_are_not():
    assert (identified(lambda seed, x, y, measure: 0.1 * abs(x - y))["score"] == 0).all()


def test_a_saturated_measure_identifies_layers_at_chance():
    rows = identified(lambda *place: 1.0)
    assert (rows["score"] == rows["chance"]).all()


def test_random_similarities_identify_layers_at_chance():
    rows = identified(lambda *place: drawn(*place[:3]), seeds=tuple(range(60)))
    assert abs(mean_score(rows) - 1 / 3) < 0.12


def test_a_layer_without_a_score_against_every_layer_is_missing():
    table = planted.layer_pairs(lambda seed, x, y, measure: 1 - 0.1 * abs(x - y))
    table.loc[(table["index_x"] == 1) & (table["index_y"] == 1), "status"] = synthetic.DEGENERATE
    rows = known_answers.layer_identification(study(diagnostics={"layer_pairs": table}))
    assert rows["score"].isna().eq(rows["layer_index"] == 1).all()
    assert rows.loc[rows["layer_index"] == 1, "missing"].eq(1).all()


def test_a_measure_that_compares_a_layer_with_itself_alone_identifies_nothing():
    table = planted.layer_pairs(lambda *place: 1.0)
    table.loc[table["index_x"] != table["index_y"], "status"] = "undefined: other numbers of units"
    assert known_answers.layer_identification(study(diagnostics={"layer_pairs": table}))["score"].isna().all()


def test_of_layers_that_are_one_representation_the_first_counts():
    def value(seed, x, y, measure):  # the last layer is the one before it, but for rounding
        x, y, noise = min(x, 1), min(y, 1), 1e-9 * (x == y == 2)
        return 0.3 + 0.6 * (x == y) + noise

    rows = identified(value)
    assert (
        set(rows["layer"]) == set(planted.LAYERS[:2]) and (rows["score"] == 1).all() and (rows["chance"] == 0.5).all()
    )


# Corruptions --------------------------------------------------------------------------------------------------------

STRENGTHS = (0, 0.1, 0.2, 0.5, 1.0)


def corrupted(value, probe=lambda strength: 0.9 - 0.3 * strength):
    rows = [
        {"seed": 0, "corruption": corruption, "strength": strength, "layer": layer, "layer_index": index}
        | {"view": "flatten", "measure": measure, "value": value(strength, index), "status": "ok"}
        | {"probe_accuracy": probe(strength)}
        for corruption in ("noise", "truncation")
        for strength in STRENGTHS
        for index, layer in enumerate(planted.LAYERS)
        for measure in planted.FAIR
    ]
    results = with_siblings(0.9)
    results.diagnostics["corruptions"] = pd.DataFrame(rows)
    return results


def test_on_a_monotone_corruption_a_sane_measure_scores_one():
    rows = known_answers.corruption_order(corrupted(lambda strength, layer: 1 - 0.5 * strength))
    assert (rows["score"] == 1).all() and set(rows["corruption"]) == {"noise", "truncation"}


def test_a_saturated_measure_does_not_order_corruptions():
    assert (known_answers.corruption_order(corrupted(lambda *place: 1.0))["score"] == 0).all()


def test_a_measure_that_follows_the_probe_is_sensitive():
    assert np.allclose(known_answers.sensitivity(corrupted(lambda strength, layer: 1 - 0.5 * strength))["score"], 1)
    assert np.allclose(known_answers.sensitivity(corrupted(lambda strength, layer: 0.5 * strength))["score"], -1)
    assert np.allclose(known_answers.sensitivity(corrupted(lambda *place: 1.0))["score"], 0)


def test_damage_nearer_than_a_sibling_is_not_specific():
    # Strengths from 0.1 cost the probe more than a point; the sibling stands at a similarity of 0.9.
    rows = known_answers.specificity(corrupted(lambda strength, layer: 1 - 0.4 * strength))
    assert np.allclose(rows["score"], 2 / 4)
    assert np.allclose(known_answers.specificity(corrupted(lambda strength, layer: 0.5))["score"], 1)
    assert np.allclose(known_answers.specificity(corrupted(lambda strength, layer: 0.9))["score"], 0.5)


def test_without_probe_accuracies_there_is_no_test_of_sensitivity():
    results = corrupted(lambda strength, layer: 1 - strength, probe=lambda strength: np.nan)
    assert known_answers.sensitivity(results) is None and known_answers.specificity(results) is None


# Merit --------------------------------------------------------------------------------------------------------------


def test_tests_without_tables_are_left_out_and_unknown_ones_refused():
    bare = planted.results(planted.similarity(growing))
    assert set(known_answers.run_tests({"a": bare})) == {"trend"}
    with pytest.raises(InputError, match="tests"):
        known_answers.run_tests({"a": bare}, tests=["triplets"])


@cache
def drifting(run):
    """A network that is only trained on: it drifts away from the dense one, each `run` with noise of its own."""
    seeds = tuple(range(6))

    def noise(*place):
        return 0.15 * drawn(run, *place)

    def value(seed, level, layer, view, measure):
        return growing(seed, level, layer, view, measure) - noise(seed, level, layer)

    results = with_outputs(lambda seed, level: 0.01 * level + noise(seed, level) / 3, value, seeds)
    sibling = planted.similarity(lambda *place: 0.6, seeds=seeds, views=("flatten",), levels=(0,), reference="sibling")
    results.similarity = pd.concat([results.similarity, sibling], ignore_index=True)
    pairs = planted.level_pairs(apart, seeds=seeds)
    pairs["value"] -= [noise(*place) for place in zip(pairs["seed"], pairs["level_x"], pairs["level_y"], strict=True)]
    results.diagnostics["level_pairs"] = pairs
    return results


@pytest.mark.parametrize("test", known_answers.OF_LEVELS)
def test_a_network_that_lost_no_weight_has_no_merit(test):
    """It passes the test as it is; held against another one that lost none it is at chance."""
    rows = known_answers.run_tests({"a": drifting(0)}, {"a": drifting(1)}, [test])[test]
    board = known_answers.leaderboard(rows)
    assert (board["score"] > board["chance"] + 0.2).all()
    assert (board["merit"].abs() < 0.1).all() and (board["low"] <= 0).all()
    assert known_answers.advice(rows, pd.Series(dtype=float)).empty
    same = known_answers.run_tests({"a": drifting(0)}, {"a": drifting(0)}, [test])[test]
    assert (known_answers.leaderboard(same)["merit"] == 0).all()


def test_without_a_twin_a_test_of_levels_has_a_score_and_no_merit():
    [board] = (
        known_answers.leaderboard(rows) for rows in known_answers.run_tests({"a": study()}, tests=["trend"]).values()
    )
    assert (board["score"] == 1).all() and board["merit"].isna().all() and (board["units"] == 0).all()


def better(seed, level, layer, view, measure):
    """NBS falls with the level, the others in no order."""
    place = level if measure == "nbs" else drawn(seed, level, layer)
    return 1 - 0.05 * place


def unmoved(seeds=(0, 1, 2)):
    return study(value=lambda seed, level, layer, *rest: drawn(9, seed, level, layer), seeds=seeds)


def test_the_leaderboard_puts_the_better_measure_first_with_its_counts():
    rows = known_answers.run_tests({"a": study(value=better, seeds=(0, 1, 2))}, {"a": unmoved()}, ["trend"])["trend"]
    board = known_answers.leaderboard(rows)
    assert board.loc[0, "measure"] == "nbs" and board.loc[0, "score"] == 1
    assert (board["units"] == 3).all() and (board["missing"] == 0).all()
    assert (board["low"] <= board["merit"]).all() and (board["merit"] <= board["high"]).all()
    assert list(known_answers.advice(rows, pd.Series(dtype=float))["measure"]) == ["nbs"]


def test_a_study_counts_once_however_many_seeds_it_has():
    def rising(*place):
        return 1 - growing(*place)

    studies = {"many": study(seeds=tuple(range(5))), "one": study(value=rising)}
    rows = known_answers.run_tests(studies, tests=["trend"])["trend"]
    assert np.allclose(known_answers.leaderboard(rows)["score"], 0)


def test_what_can_t_be_told_from_the_best_ties_and_what_is_not_to_be_used_is_left_out():
    rows = known_answers.corruption_order(corrupted(lambda strength, layer: 1 - 0.5 * strength)).assign(study="a")
    rows.loc[rows["measure"] == "svcca", "score"] = 0.97
    rows.loc[rows["measure"] == "pwcca", "score"] = 0.5
    rows.loc[rows["measure"] == "mean_cca", ["counted", "missing"]] = [1, 9]
    index = pd.MultiIndex.from_tuples([("flatten", "nbs", "none")], names=known_answers.PROCEDURE)
    assert set(known_answers.advice(rows, pd.Series(dtype=float))["measure"]) == {"linear_cka", "nbs", "svcca"}
    assert set(known_answers.advice(rows, pd.Series([0.5], index))["measure"]) == {"linear_cka", "svcca"}


def test_a_floor_is_what_a_measure_says_of_shuffled_inputs_where_it_says_most():
    results = study()
    results.diagnostics["nulls"] = planted.nulls(results.similarity, lambda row: 0.1 + 0.2 * row.layer_index)
    assert np.allclose(known_answers.floors({"a": results}), 0.5)
    results.similarity.loc[results.similarity["layer_index"] == 2, "status"] = synthetic.DEGENERATE
    assert np.allclose(known_answers.floors({"a": results}), 0.3)
    assert known_answers.floors({"a": study()}).empty


def test_one_layer_that_moves_with_the_inputs_leaves_a_measure_unsettled_though_it_drops_out_with_fewer():
    results = planted.everything()
    whole = results.similarity[results.similarity["reference"] == "dense"]
    keys = ["seed", "level", "layer_index", "view", "measure"]
    samples = results.diagnostics["samples"]
    samples["value"] = samples[keys].merge(whole[[*keys, "value"]], on=keys, how="left")["value"].to_numpy()
    moves = (samples["measure"] == "nbs") & (samples["layer_index"] == 1)
    samples.loc[moves, "value"] += 0.02  # on average over layers too little to count
    samples.loc[moves & (samples["inputs"] == 50), "status"] = "degenerate"
    needed = known_answers.inputs_needed({"a": results}).set_index("measure")["needed"]
    assert np.isnan(needed.pop("nbs")) and (needed == 50).all()


def test_all_inputs_are_no_proof_that_all_are_enough():
    steady, drift = planted.everything(), planted.everything()
    whole = steady.similarity[steady.similarity["reference"] == "dense"]
    keys = ["seed", "level", "layer_index", "view", "measure"]
    samples = steady.diagnostics["samples"]
    samples["value"] = samples[keys].merge(whole[[*keys, "value"]], on=keys, how="left")["value"].to_numpy()
    drift.diagnostics["samples"]["value"] += 0.1
    table = known_answers.inputs_needed({"steady": steady, "drift": drift}).set_index(["study", "measure"])
    assert (table.loc["steady", "needed"] == 50).all() and table.loc["drift", "needed"].isna().all()
    assert (table["tried"] == 500).all() and (table["all"] == 1000).all()


def test_a_correction_that_some_runs_lack_is_judged_without_them_and_keeps_no_run_from_the_others():
    def value(seed, level, layer, view, measure):
        return growing(seed, level, layer, view, measure) if seed == 0 else 0.5  # no order in the second run

    table = planted.similarity(value, seeds=(0, 1), views=("flatten",))
    only_first = planted.nulls(table[table["seed"] == 0], 0.0)
    results = planted.results(table, {"nulls": only_first}, seeds=(0, 1))
    rows = known_answers.run_tests({"a": results}, tests=["trend"])["trend"]
    means = known_answers.leaderboard(rows).groupby("correction")["score"].agg(["min", "max"])
    assert (means.loc["chance"] == 1).all() and (means.loc["none"] == 0.5).all()
    # A run that lacks a measure would rank it on others than the rest.
    short = rows[(rows["seed"] == 0) | (rows["measure"] != planted.FAIR[0])]
    assert (known_answers.leaderboard(short)["score"] == 1).all()
    # Where no run has all measures, all runs count.
    apart = rows[(rows["correction"] == "none") & ((rows["seed"] == 0) == (rows["measure"] == planted.FAIR[0]))]
    assert set(known_answers.leaderboard(apart)["score"]) == {0, 1}


def test_runs_that_are_too_short_for_a_test_are_left_out():
    long = study()
    pairs, similarity = long.diagnostics["level_pairs"], long.similarity
    one = planted.results(similarity[similarity["level"] <= 1], {"level_pairs": pairs[pairs["level_y"] <= 1]}, levels=1)
    none = planted.results(similarity[similarity["level"] == 0], levels=0)
    assert known_answers.monotonicity(one) is None and known_answers.trend(none) is None
    assert set(known_answers.run_tests({"one": one, "none": none})) >= {"trend"}
