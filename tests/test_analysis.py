"""Agreement, conclusions and the sources of disagreement, on scores and representations whose truth was planted."""

import numpy as np
import pandas as pd
import planted
import pytest
import synthetic
import torch
from scipy.stats import kendalltau

from simprune import analysis
from simprune.analysis import clustered, rank_agreement
from simprune.errors import InputError
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


def test_tau_is_that_of_scipy_over_layers_and_pruned_levels(values):
    other = np.random.default_rng(1).random(LEVELS * LAYERS)
    expected = kendalltau(values[LAYERS:], other[LAYERS:]).statistic
    assert rank_agreement(scores(nbs=values, svcca=other)).loc["nbs", "svcca"] == pytest.approx(expected)


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
    table.loc[table.index[-1], ["status", "note"]] = ["ok", "rank 3 in X"]
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


# Agreement over seeds, inputs and studies ---------------------------------------------------------------------------


def random_study(seed, seeds=(0,), noise=0.0):
    """Scores at random; with `noise` 0 all seeds of all such studies are alike but for the measures' own orders."""

    def value(run, level, layer, view, measure):
        own = np.random.default_rng([7, level, layer, planted.FAIR.index(measure)]).random()
        return own + noise * np.random.default_rng([seed, run, level, layer, planted.FAIR.index(measure)]).random()

    return planted.with_siblings(value, base=0.0, seeds=seeds)


def test_one_seed_gives_no_interval_over_seeds():
    found = analysis.agreement_by_scale(random_study(0)).loc["value"]
    assert np.isfinite(found["median"]) and np.isnan(found["low"]) and np.isnan(found["high"])
    assert found["pairs"] == 10


def test_the_interval_over_seeds_holds_the_median_and_narrows_as_seeds_agree():
    wide, narrow = (
        analysis.agreement_by_scale(random_study(0, seeds=(0, 1, 2, 3), noise=noise)).loc["value"] for noise in (2, 0)
    )
    assert wide["low"] <= wide["median"] <= wide["high"] and wide["low"] < wide["high"]
    assert narrow["low"] == pytest.approx(narrow["high"])


def test_copies_and_debiased_estimators_of_a_measure_do_not_count_as_agreement():
    def value(run, level, layer, view, measure):
        return np.random.default_rng([level, layer, len(measure)]).random()

    measures = ("nbs", "procrustes_distance", "svcca", "linear_cka", "debiased_linear_cka")
    results = planted.results(planted.similarity(value, measures=measures))
    assert set(analysis.study_agreement({"a": results})["a"]) == {"nbs", "svcca", "linear_cka"}


def test_studies_with_one_pattern_of_agreement_correlate_fully():
    matrices = analysis.study_agreement({"a": random_study(0), "b": random_study(1)})
    assert analysis.agreement_between_studies(matrices).loc["a", "b"] == pytest.approx(1)


def test_studies_are_compared_by_the_measures_that_both_hold():
    fewer = random_study(1)
    fewer.similarity = fewer.similarity[fewer.similarity["measure"] != "pwcca"]
    matrices = analysis.study_agreement({"a": random_study(0), "b": fewer})
    assert [list(matrix.index) for matrix in matrices.values()] == [["mean_cca", "svcca", "linear_cka", "nbs"]] * 2


def test_agreement_over_inputs_spans_the_draws():
    results = random_study(0)
    draws = [
        random_study(draw, noise=0.5).similarity.assign(inputs=inputs, draw=draw)
        for draw in range(5)
        for inputs in (50, 500)
    ]
    results.diagnostics["samples"] = pd.concat(draws)
    found = analysis.agreement_over_inputs(results)
    assert found["draws"] == 5 and found["low"] < found["median"] < found["high"]


def test_what_seeds_differ_by_is_no_spread_over_inputs():
    results = random_study(0, seeds=(0, 1, 2), noise=2)
    results.diagnostics["samples"] = pd.concat([results.similarity.assign(inputs=500, draw=draw) for draw in range(4)])
    found = analysis.agreement_over_inputs(results)
    assert found["draws"] == 4 and found["low"] == pytest.approx(found["high"])
    assert found["median"] == pytest.approx(analysis.agreement_by_scale(results).loc["value", "median"])


def test_nothing_drawn_gives_no_interval_over_inputs():
    assert analysis.agreement_over_inputs(random_study(0)) is None


# One footing --------------------------------------------------------------------------------------------------------


def test_distances_become_similarities_that_are_one_for_equal_representations_and_fall():
    names = pd.Series(["procrustes_distance"] * 2 + ["gulp"] * 2 + ["nbs"])
    found = analysis.as_similarity(names, pd.Series([0.0, np.sqrt(2), 0.0, 3.0, 0.3]))
    assert list(found) == pytest.approx([1, 0, 1, 0.25, 0.3])


def test_a_score_that_is_not_ok_has_no_value_among_the_compared():
    table = planted.similarity(lambda *place: 0.5)
    table.loc[table["measure"] == "nbs", "status"] = synthetic.DEGENERATE
    found = analysis.dense_scores(table)
    assert (found["value"].isna() == (found["measure"] == "nbs")).all()
    assert found["level"].min() == 1


def test_chance_correction_puts_chance_at_zero_and_the_best_at_one():
    table = planted.similarity(
        lambda seed, level, layer, view, measure: 1.0 if layer else 0.6, measures=("nbs", "gulp")
    )
    table.loc[table["measure"] == "gulp", "value"] = np.where(table["layer_index"][table["measure"] == "gulp"], 0, 2.0)
    results = planted.results(table, {"nulls": planted.nulls(table, lambda row: 2.0 if row.measure == "gulp" else 0.6)})
    found = analysis.procedures(results).query("correction == 'chance'")
    assert np.allclose(found["value"], found["layer_index"] > 0)


def test_where_chance_is_the_best_nothing_can_be_corrected():
    table = planted.similarity(lambda *place: 1.0)
    results = planted.results(table, {"nulls": planted.nulls(table, 0.999)})
    assert analysis.procedures(results).query("correction == 'chance'")["value"].isna().all()


# Each measure on its own scale --------------------------------------------------------------------------------------


def differing_by_scale(seeds=(0, 1, 2), noise=0.0):
    """Measures that say the same, each in units of its own that differ by layer too."""

    def unit(layer, measure):
        return (0.1 + 0.2 * planted.FAIR.index(measure)) * (1 + (layer == planted.FAIR.index(measure) % 3))

    def value(seed, level, layer, view, measure):
        change = np.random.default_rng([seed, level, layer]).random()
        own = np.random.default_rng([seed, level, layer, planted.FAIR.index(measure)]).random()
        return 1 - unit(layer, measure) * ((1 - noise) * change + noise * own) * 0.4

    dense = planted.similarity(value, seeds=seeds)
    sibling = planted.similarity(
        lambda seed, level, layer, view, measure: 1 - 0.5 * unit(layer, measure), seeds=seeds, levels=(0,)
    )
    return planted.results(pd.concat([dense, sibling.assign(reference="sibling")]), seeds=seeds)


def test_measures_that_differ_by_scale_only_agree_fully_on_their_own_scales():
    results = differing_by_scale()
    found = analysis.agreement_by_scale(results)
    assert found.loc["sibling", "median"] == pytest.approx(1) and found.loc["value", "median"] < 0.9
    assert found.loc["sibling", "between_measures"] == pytest.approx(0) and found.loc["value", "between_measures"] > 0.3
    assert list(found["seeds_above"]) == [0, 3]
    matrix = analysis.mean_agreement(analysis.study_agreement({"a": results}, scale="sibling"))
    assert np.allclose(matrix, 1)


def test_measures_that_differ_in_what_they_say_do_not_agree_on_their_own_scales():
    found = analysis.agreement_by_scale(differing_by_scale(noise=1.0))
    assert abs(found.loc["sibling", "median"]) < 0.3


def test_another_seed_is_0_and_the_network_itself_is_1_on_the_scale():
    results = planted.with_siblings(lambda seed, level, *_: {1: 1.0, 2: 0.4, 3: 0.7}.get(level, 0.1), base=0.4)
    twin = planted.with_siblings(lambda *place: 0.7, base=0.9)
    results.diagnostics["nulls"] = planted.nulls(results.similarity, 0.05)
    table = analysis.calibration(results, twin=twin)
    assert list(table[table["level"] < 4].groupby("level")["calibrated"].mean()) == pytest.approx([1, 0, 0.5])
    assert np.allclose(table["twin_calibrated"], 0.5) and np.allclose(table["chance"], 0.05)


def test_there_is_no_scale_where_another_seed_is_the_network_itself_or_units_must_correspond():
    results = planted.with_siblings(falling(1), base=1.0)
    table = results.similarity
    assert analysis.calibration(results)["calibrated"].isna().all()
    results.similarity = pd.concat([table, table[table["measure"] == "nbs"].assign(measure="unit_correlation")])
    assert "unit_correlation" not in set(analysis.calibration(results)["measure"])


def test_scores_that_are_not_there_make_false_disagreement_about_the_least_similar_layer():
    results = planted.with_siblings(falling(0, dip=0.001))
    table = results.similarity
    table.loc[(table["measure"] == "nbs") & (table["layer_index"] == 0), "status"] = synthetic.DEGENERATE
    at = analysis.calibration(results).query("level == 3")
    assert list(analysis.least_layers(at).value_counts()) == [4, 1]
    assert set(analysis.least_layers(at, shared=True)) == {planted.LAYERS[1]}
    counted = analysis.least_layer_answers(at)
    assert counted.tolist() == [3, 2, 2, 1, 1]
    assert analysis.least_layer_answers(at, ["svcca", "pwcca"]).tolist() == [3, 3, 1, 1, 1]


# Conclusions --------------------------------------------------------------------------------------------------------


def falling(least, steepness=1.0, dip=0.0):
    """Similarity that falls with the level, most in one layer; with `dip` more in the middle layer."""

    def value(seed, level, layer, view, measure):
        return 1 - level * (0.02 + 0.02 * (layer == least) + dip * (layer == 1)) * steepness

    return value


@pytest.mark.parametrize("layer", range(3))
@pytest.mark.parametrize("scale", analysis.SCALES)
def test_the_layer_that_falls_most_is_named_by_every_measure(layer, scale):
    answers = analysis.conclusions(planted.with_siblings(falling(layer)), scale=scale)
    assert set(answers["least_layer"]) == {planted.LAYERS[layer]}
    counted = analysis.distinct_answers(answers).loc["least_layer"]
    assert (counted["distinct"], counted["share"], counted["answering"]) == (1, 1, 5)


def test_a_dip_is_a_middle_below_both_ends():
    assert set(analysis.conclusions(planted.with_siblings(falling(1, dip=0.02)))["dips"]) == {"yes"}
    assert set(analysis.conclusions(planted.with_siblings(falling(2)))["dips"]) == {"no"}


def test_the_scale_of_siblings_dates_the_fall_to_half_of_their_distance():
    # On average over layers 1 − 0.08/3 per level: below 0.9 from level 4; half of the way to 0.5 from level 10, never.
    answers = analysis.conclusions(planted.with_siblings(falling(1)), scale="value")
    assert list(answers["falls_at"]) == pytest.approx([planted.density(4)] * 5)
    assert set(analysis.conclusions(planted.with_siblings(falling(1)))["falls_at"]) == {"never"}
    near = analysis.conclusions(planted.with_siblings(falling(1), base=0.9))
    assert list(near["falls_at"]) == pytest.approx([planted.density(2)] * 5)
    assert set(near["last_stays"]) == {"no"}


def test_siblings_that_were_not_compared_are_missed():
    with pytest.raises(InputError, match="sibling"):
        analysis.conclusions(planted.results(planted.similarity(falling(0))))


def test_answers_that_every_seed_gives_have_full_support():
    table = analysis.conclusions(planted.with_siblings(falling(1), seeds=(0, 1, 2)))
    assert (table["least_layer_seeds"] == 1).all()
    assert analysis.conclusions(planted.with_siblings(falling(1)))["least_layer_seeds"].isna().all()


def test_an_answer_that_seeds_dispute_has_less_than_full_support():
    def disputed(seed, level, layer, view, measure):
        return falling(1 if seed else 2, steepness=1 + 0.1 * seed)(seed, level, layer, view, measure)

    support = analysis.conclusions(planted.with_siblings(disputed, seeds=(0, 1, 2)))["least_layer_seeds"]
    assert ((support > 0.5) & (support < 1)).all()


def test_support_by_seeds_is_the_chance_that_a_resample_gives_the_answer():
    # Seed 0 says layer 2 so loudly that only resamples without it say layer 1: (2/3)³ of them.
    def disputed(seed, level, layer, view, measure):
        return (
            falling(1)(seed, level, layer, view, measure) if seed else falling(2, steepness=10)(0, level, layer, 0, 0)
        )

    table = analysis.conclusions(planted.with_siblings(disputed, seeds=(0, 1, 2)), scale="value")
    assert set(table["least_layer"]) == {planted.LAYERS[2]}
    assert np.allclose(table["least_layer_seeds"], 1 - (2 / 3) ** 3, atol=0.06)


def test_measures_without_a_score_in_a_layer_answer_from_the_others():
    results = planted.with_siblings(falling(0))
    table = results.similarity
    table.loc[(table["measure"] == "nbs") & (table["layer_index"] == 0), "status"] = synthetic.DEGENERATE
    answers = analysis.conclusions(results)
    assert answers.loc["nbs", "layers"] == 2 and answers.loc["nbs", "least_layer"] != planted.LAYERS[0]
    assert pd.isna(answers.loc["nbs", "dips"])


def test_a_measure_that_needs_corresponding_units_has_no_answer_against_siblings():
    results = planted.with_siblings(falling(1))
    table = results.similarity
    results.similarity = pd.concat([table, table[table["measure"] == "nbs"].assign(measure="unit_correlation")])
    assert "unit_correlation" in analysis.conclusions(results, scale="value").index
    assert "unit_correlation" not in analysis.conclusions(results, scale="sibling").index


# Where from: tables with a planted source ---------------------------------------------------------------------------


def full(**effects):
    """A crossed table of scores with an effect for each level of each factor."""
    levels = {"implementation": 2, "view": 3, "correction": 2, "measure": 5}
    index = pd.MultiIndex.from_product([range(count) for count in levels.values()], names=list(levels))
    table = index.to_frame(index=False)
    value = sum(np.asarray(effect)[table[name]] for name, effect in effects.items())
    return table.assign(value=value, cell=0)


FACTORS = ["implementation", "view", "correction", "measure"]


@pytest.mark.parametrize("factor", FACTORS)
def test_the_only_factor_with_an_effect_has_the_whole_spread(factor):
    sizes = dict(zip(FACTORS, (2, 3, 2, 5), strict=True))
    table = full(**{factor: np.random.default_rng(0).random(sizes[factor])})
    shares = analysis.variance_shares(table, FACTORS, ["cell"]).set_index("source")["share"]
    assert shares[factor] == pytest.approx(1)
    assert shares.sum() == pytest.approx(1)


def test_sums_of_squares_are_those_of_statsmodels():
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    table = full(view=[0, 1, 3], measure=[1, 2, 3, 5, 8])
    table["value"] += np.random.default_rng(0).standard_normal(len(table))
    uneven = table[~((table["implementation"] == 1) & (table["correction"] == 1))]
    for scores_, factors in ((table, FACTORS), (uneven.drop(columns="implementation"), FACTORS[1:])):
        wide = scores_.groupby([*factors, "cell"], as_index=False)["value"].mean()
        found = analysis.variance_shares(wide, factors, ["cell"]).set_index("source")["sum_of_squares"]
        terms = " + ".join(f"C({name})" for name in factors)
        expected = anova_lm(ols(f"value ~ ({terms})**2", wide).fit(), typ=2)["sum_sq"]
        words = expected.index.str.replace(r"C\((\w+)\)", r"\1", regex=True).str.replace(":", " × ")
        expected = expected.set_axis(words.str.replace("Residual", "residual"))
        assert np.allclose(found.loc[expected.index], expected)


def test_a_level_without_all_its_scores_is_left_out_and_counted():
    table = full(measure=[0, 0, 0, 0, 1], view=[0, 1, 2])
    table.loc[(table["measure"] == 4) & (table["view"] == 0), "value"] = np.nan
    shares = analysis.variance_shares(table, FACTORS, ["cell"])
    assert set(shares["compared"]) == {4}
    assert shares.set_index("source").loc["view", "share"] == pytest.approx(1)


def test_no_spread_has_no_shares():
    shares = analysis.variance_shares(full(view=[1, 1, 1]), FACTORS, ["cell"])
    assert shares["share"].isna().all() and np.allclose(shares["sum_of_squares"], 0)


def test_overall_a_cell_counts_by_its_spread():
    small, large = full(view=[0, 0.1, 0.2]), full(measure=[0, 1, 2, 3, 4]).assign(cell=1)
    shares = analysis.variance_shares(pd.concat([small, large]), FACTORS, ["cell"])
    overall = analysis.overall_shares(shares)
    assert overall["measure"] > 0.99 and overall.sum() == pytest.approx(1)


def test_intervals_over_seeds_hold_the_shares_of_single_seeds_at_their_ends():
    rng = np.random.default_rng(0)
    tables = []
    for seed in range(3):
        table = full(view=[0, 1, 2], measure=[0, 1, 2, 3, 4 + 2 * seed])
        table["value"] += 0.3 * rng.standard_normal(len(table))
        tables.append(table.assign(seed=seed))
    shares = analysis.variance_shares(pd.concat(tables), FACTORS, ["seed", "cell"])
    table = analysis.seed_intervals(shares).set_index("source")
    overall = analysis.overall_shares(shares)
    assert table.loc["measure", "share"] == pytest.approx(overall["measure"])
    pairs = overall[overall.index.str.contains("×")].sum()
    assert table.loc[analysis.INTERACTIONS, "share"] == pytest.approx(pairs)
    assert table["share"].sum() == pytest.approx(1)
    alone = analysis.overall_shares(shares, ["seed"]).xs("measure", level="source")
    # With three seeds one resample in 27 is one seed three times: the percentiles lie between the extremes.
    low, high = table.loc["measure", ["low", "high"]]
    assert alone.min() - 1e-9 <= low < high <= alone.max() + 1e-9
    assert low == pytest.approx(alone.min(), abs=0.02)
    few = analysis.seed_intervals(shares[shares["seed"] < 2])
    assert few["low"].isna().all() and few["high"].isna().all()
    by_cell = analysis.seed_intervals(shares, ["cell"])
    assert np.allclose(by_cell.set_index("source")["low"], table["low"])


# Where from: representations with a planted source ------------------------------------------------------------------


def only_the_view(seed):
    """Units whose means over positions are the same, and whose patterns over positions are unrelated."""
    base = planted.noise(600, 2, 1, 1, seed=seed)
    patterns = [planted.noise(600, 2, 2, 2, seed=other) for other in (seed + 100, seed + 200)]
    return tuple(base + 6 * (pattern - pattern.mean((2, 3), keepdim=True)) for pattern in patterns)


def only_finite_samples(seed):
    """Unrelated representations with nearly half as many columns as inputs."""
    return planted.noise(60, 24, 1, 1, seed=seed), planted.noise(60, 24, 1, 1, seed=seed + 50)


def only_the_spectrum(seed):
    """Two representations that share one direction of great variance and none of the others."""
    raw = planted.noise(600, 11, seed=seed)
    basis = torch.linalg.qr(raw - raw.mean(0))[0]
    scale = torch.tensor([30.0, 1, 1, 1, 1, 1], dtype=basis.dtype)
    x, y = basis[:, :6] * scale, torch.cat([basis[:, :1], basis[:, 6:]], 1) * scale
    return x[:, :, None, None], y[:, :, None, None]


@pytest.mark.parametrize(
    "pair, source",
    [(only_the_view, "view"), (only_finite_samples, "correction"), (only_the_spectrum, "measure")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_decomposition_names_the_planted_source(pair, source):
    shares = analysis.source_shares(planted.study([pair(seed) for seed in range(2)]), views=None)
    overall = analysis.overall_shares(shares[shares["what"] == "values"])
    assert overall.sum() == pytest.approx(1)
    assert overall[source] == overall.max() > 0.5


def test_sources_without_tables_are_not_told_apart_and_not_named():
    results = planted.results(planted.similarity(lambda seed, level, layer, view, measure: len(view) / 10 + level / 99))
    shares = analysis.source_shares(results)
    assert set(shares["source"]) == {"view", "measure", "view × measure", "residual"}
    assert analysis.overall_shares(shares, ["what"])["values", "view"] == 1


def test_ranks_do_not_see_that_measures_have_other_scales():
    def value(seed, level, layer, view, measure):
        return (1 - 0.01 * level - 0.001 * layer) ** (1 + planted.FAIR.index(measure))

    shares = analysis.source_shares(planted.results(planted.similarity(value)))
    sums = shares.groupby("what")["sum_of_squares"].sum()
    assert sums["values"] > 0.1 and sums["ranks"] == pytest.approx(0, abs=1e-9)


def test_shares_are_of_the_views_in_which_all_five_measures_have_a_score():
    """In flatten mean CCA is degenerate in the first layer; with that view, it counts in that layer nowhere."""
    results = planted.everything()
    for views, compared in ((analysis.COMMON_VIEWS, 5), (None, 4)):
        shares = analysis.source_shares(results, views)
        assert set(shares.loc[shares["layer_index"] == 0, "compared"]) == {compared}
    before = analysis.source_shares(results)
    results.similarity = results.similarity[results.similarity["view"] != "flatten"]
    results.diagnostics["nulls"] = results.diagnostics["nulls"].query("view != 'flatten'")
    assert np.allclose(before["sum_of_squares"], analysis.source_shares(results)["sum_of_squares"])


def test_a_layer_has_positions_if_its_scores_as_they_are_depend_on_the_view():
    results = planted.everything()
    assert analysis.layers_with_positions(results) == sorted(planted.LAYERS)
    table = results.similarity
    same = table["layer_index"] == 2
    table.loc[same, "value"] = 1 - 0.01 * table.loc[same, "level"]
    assert analysis.layers_with_positions(results) == sorted(planted.LAYERS[:2])
    shares = analysis.source_shares(planted.results(table))
    assert (shares["positions"] == (shares["layer_index"] < 2)).all()
    view = shares[(shares["source"] == "view") & (shares["what"] == "values") & ~shares["positions"]]
    assert np.allclose(view["sum_of_squares"], 0)


# Genuine differences and finite samples -----------------------------------------------------------------------------


def test_the_spectral_shares_name_the_axis_that_matters():
    rows = [
        {"seed": 0, "level": 1, "density": 0.7, "layer": "conv1_relu", "layer_index": 0, "reference": "dense"}
        | {"alpha": alpha, "p": p, "value": 1 - 0.3 * alpha}
        for alpha in (0, 0.5, 1)
        for p in (1, 2, np.inf)
    ]
    results = planted.results(planted.similarity(lambda *place: 1.0), {"spectral": pd.DataFrame(rows)})
    shares = analysis.spectral_shares(results).set_index("source")["share"]
    assert shares["alpha"] == pytest.approx(1)
    assert analysis.spectral_shares(planted.results(results.similarity)) is None


def test_the_ladder_has_a_step_for_what_a_wider_group_explains():
    heights = dict(zip(analysis.LADDER, (0.2, 0.5, 0.5, 0.9), strict=True))
    table = planted.similarity(lambda seed, level, layer, view, measure: heights[measure], measures=analysis.LADDER)
    table.loc[(table["measure"] == "mean_cca") & (table["layer_index"] == 0), "status"] = synthetic.DEGENERATE
    steps = analysis.ladder(planted.results(table), level=3)
    assert list(steps.loc["conv2_relu"]) == [0.2, 0.5, 0.5, 0.9]
    assert np.isnan(steps.loc["conv1_relu", "mean_cca"])


def test_convergence_runs_over_the_numbers_of_inputs_to_the_whole():
    results = planted.results(planted.similarity(lambda *place: 0.5))
    draws = [
        planted.similarity(
            lambda *place, inputs=inputs, draw=draw: 0.5 + 10 / inputs + 0.01 * draw, inputs=inputs, draw=draw
        )
        for inputs in (50, 100)
        for draw in range(3)
    ]
    results.diagnostics["samples"] = pd.concat(draws)
    table = analysis.convergence(results)
    nbs = table[table["measure"] == "nbs"].set_index("inputs")
    assert list(nbs.index) == [50, 100, 1000]
    assert nbs.loc[50, ["low", "mean", "high"]].tolist() == pytest.approx([0.7, 0.71, 0.72])
    assert nbs.loc[1000, "mean"] == 0.5


def test_means_over_inputs_are_of_the_same_layers_with_any_number_of_them():
    def value(seed, level, layer, view, measure):
        return 0.3 if layer == 0 else 0.6

    results = planted.results(planted.similarity(value))
    few = planted.similarity(value, inputs=50, draw=0)
    few.loc[few["layer_index"] == 0, "status"] = synthetic.DEGENERATE
    results.diagnostics["samples"] = few
    means = analysis.convergence(results)
    assert np.allclose(means["mean"], 0.6) and set(means["inputs"]) == {50, 1000}
