"""Tables and sentences say what the tables of a run hold."""

import numpy as np
import pandas as pd
import pytest
import synthetic

from simprune import findings
from simprune.errors import InputError
from simprune.measures import MEASURES

HARD_SPACE = "\u00a0"


@pytest.fixture
def results():
    return synthetic.results()


def sentence(text):
    return text.replace(HARD_SPACE, " ")


def with_accuracies(*accuracies):
    """Results of one seed with the given test accuracies by level."""
    results = synthetic.results(seeds=(0,), levels=len(accuracies) - 1)
    results.performance["test_accuracy"] = accuracies
    return results


def test_the_run_is_described_in_a_sentence_or_two(results):
    assert sentence(findings.run_sentence(results)) == (
        "LeNet-5 was trained on fashion_mnist (Fashion-MNIST) with 3 seeds and pruned in 12 levels, each taking 20 % "
        "of the weights that were left, down to a density of 6.87 %. It is compared at 7 layers on 2,000 probe inputs, "
        "in the view flatten."
    )


def test_accuracy_lasts_until_it_first_falls_by_more_than_a_point():
    text = sentence(findings.accuracy_sentence(with_accuracies(0.90, 0.895, 0.88, 0.9)))
    assert text == (
        "The dense network classifies 90.0 % of the test images correctly; accuracy is at most one percentage point "
        "below that down to 80 % of the weights, and with 51.2 % left it is 90.0 %."
    )


def test_accuracy_that_never_falls_is_said_to_last_to_the_end():
    text = sentence(findings.accuracy_sentence(with_accuracies(0.90, 0.91, 0.895)))
    assert "never more than one percentage point below that, down to 64 % of the weights, where it is 89.5 %" in text


def test_several_seeds_give_a_mean_and_a_range():
    results = synthetic.results(seeds=(0, 1), levels=1)
    results.performance["test_accuracy"] = [0.9, 0.8, 0.92, 0.8]
    table = findings.accuracy_table(results)
    assert [sentence(cell) for cell in table["test accuracy"]] == ["91.0 % (90.0–92.0 %)", "80.0 %"]


def test_the_nearest_level_is_nearest_in_ratio(results):
    assert findings.nearest_level(results, 1) == 0
    assert findings.nearest_level(results, 0.1) == 10  # 10.7 %, not 8.6 %
    assert findings.nearest_level(results, 1e-6) == 12


def test_names_are_small_within_a_sentence_unless_they_are_proper_names_or_abbreviations():
    names = [findings.named(measure) for measure in ("linear_cka", "nbs", "procrustes_distance", "gulp")]
    assert names == ["linear CKA", "NBS", "Procrustes distance", "GULP"]


@pytest.mark.parametrize("density", [0, -0.1, 1.5])
def test_a_density_outside_0_to_1_is_refused(results, density):
    with pytest.raises(InputError, match="density"):
        findings.nearest_level(results, density)


def test_spread_names_the_layer_and_the_measures_that_are_farthest_apart(results):
    level = findings.nearest_level(results, 0.1)
    table = results.similarity
    chosen = (table["level"] == level) & (table["layer"] == "fc1_relu")
    table.loc[chosen, "value"] = table.loc[chosen, "measure"].map(
        {"mean_cca": 0.5, "svcca": 0.04, "pwcca": 0.5, "linear_cka": 0.99, "nbs": 0.6}
    )
    fact = findings.spread_facts(results, density=0.1)
    assert (fact["layer"], fact["gap"]) == ("fc1_relu", "0.95")
    assert (fact["low"], fact["lowest"]) == ("0.04", MEASURES["svcca"].title)
    assert (fact["high"], fact["highest"]) == ("0.99", "linear CKA")


def test_a_score_that_is_not_ok_does_not_count_as_disagreement(results):
    table = results.similarity
    chosen = (table["layer"] == "fc1_relu") & (table["measure"] == "mean_cca")
    table.loc[chosen, ["value", "status"]] = [0.0, synthetic.DEGENERATE]
    fact = findings.spread_facts(results, density=0.1)
    assert fact["layer"] == "pool2"
    assert fact["compared"] == "the 4 layers in which every score is ok"


def test_where_no_layer_is_sound_the_sentences_say_so(results):
    results.similarity.loc[results.similarity["measure"] == "nbs", "status"] = synthetic.DEGENERATE
    assert findings.spread_facts(results) is None
    for text in (findings.spread_sentence(results), findings.change_sentence(results)):
        assert text == "There is no layer here in which every score is ok."


def test_the_least_similar_layer_is_named_for_each_measure_that_has_a_value(results):
    table = results.similarity
    last = table["level"] == table["level"].max()
    table.loc[last & (table["measure"] == "nbs") & (table["layer"] == "pool1"), "value"] = 0.01
    table.loc[last & (table["measure"] == "svcca"), "value"] = np.nan
    text = findings.least_similar_sentence(results)
    assert f"pool1 for {MEASURES['nbs'].title}" in text
    assert MEASURES["svcca"].title not in text


def test_one_layer_for_all_measures_is_said_once(results):
    text = findings.least_similar_sentence(results)
    assert "is pool2 for every measure shown. For mean CCA, " in text
    assert text.endswith("only the layers with an ok score count.")  # the logits have no value there
    results.similarity["status"] = "ok"
    results.similarity["value"] = results.similarity["value"].fillna(0.99)
    assert findings.least_similar_sentence(results).endswith("is pool2 for every measure shown.")


def test_all_days_and_commits_of_a_study_are_shown(results):
    days = ("2026-11-23", "2026-11-22", "2026-11-23")
    results.provenance["seeds"] = {
        seed: {"start": f"{day}T10:00:00+00:00", "git_commit": f"commit{day}"} for seed, day in enumerate(days)
    }
    table = findings.experiment_table(results)[""]
    assert "2026-11-22 to 2026-11-23, in" in table["computed on"]
    assert table["commit"] == "commit2026-11-23, commit2026-11-22"


def test_change_is_dated_by_the_first_density_below_the_threshold():
    results = synthetic.results(seeds=(0,), levels=3, measures=("linear_cka", "nbs"))
    falling = {"linear_cka": [1, 0.95, 0.85, 0.8], "nbs": [1, 0.99, 0.98, 0.97]}
    table = results.similarity
    table["value"] = [falling[measure][level] for measure, level in zip(table["measure"], table["level"], strict=True)]
    table["status"] = "ok"
    text = sentence(findings.change_sentence(results))
    assert text.startswith("Averaged over all layers,")
    assert "first falls below 0.9 for linear CKA at 64 % of the weights" in text
    assert f"for {MEASURES['nbs'].title} it never does" in text


def test_agreement_facts_name_the_extreme_pairs(results, monkeypatch):
    names = ["mean_cca", "svcca", "nbs"]
    matrix = pd.DataFrame([[1, 0.2, 0.5], [0.2, 1, 0.8], [0.5, 0.8, 1]], index=names, columns=names)
    monkeypatch.setattr(findings.results, "rank_agreement", lambda scores: matrix)
    fact = findings.agreement_facts(results)
    assert (fact["least"], fact["median"], fact["greatest"]) == ("0.20", "0.50", "0.80")
    assert fact["least_pair"] == "mean CCA and SVCCA"
    assert fact["greatest_pair"] == "SVCCA and NBS"


def test_layer_density_names_the_densest_and_the_sparsest_layer(results):
    last = results.sparsity["level"] == 12
    results.sparsity.loc[last & (results.sparsity["layer"] == "conv1"), "density"] = 0.75
    results.sparsity.loc[last & (results.sparsity["layer"] == "fc1"), "density"] = 0.025
    assert "conv1 keeps 75 % of its own and fc1 2.5 %." in sentence(findings.layer_density_sentence(results))


def test_remarks_count_the_scores_by_status(results):
    text = findings.remarks_sentence(results)
    # mean CCA is degenerate in 2 layers, all five have no value in the logits at the last level; 3 seeds, 13 levels.
    assert "1,365 scores, 93 have a status other than ok" in text
    assert "“degenerate: p >= n” (78)" in text and "“undefined: X is constant” (15)" in text
    assert findings.remarks_table(results)["scores"].sum() == 93


def test_a_run_without_remarks_says_so(results):
    results.similarity["status"], results.similarity["note"] = "ok", "rank 9 in X"
    assert findings.remarks_sentence(results) == "All scores have the status ok."
    assert findings.remarks_table(results).empty


def test_a_table_marks_scores_that_are_not_ok_and_shows_missing_ones(results):
    table = findings.similarity_table(results)
    first, last = table.columns[1], table.columns[-1]
    cca, nbs = MEASURES["mean_cca"].title, MEASURES["nbs"].title
    assert table.loc[(cca, "conv1_relu"), first].endswith(findings.REMARK)
    assert not table.loc[(nbs, "conv1_relu"), first].endswith(findings.REMARK)
    assert table.loc[(nbs, "logits"), last] == findings.NO_VALUE
    assert table.notna().all(axis=None)


def test_the_similarity_table_has_every_measure_layer_and_density_in_order(results):
    table = findings.similarity_table(results)
    assert list(table.index) == [
        (MEASURES[measure].title, layer) for measure in synthetic.FIRST_MEASURES for layer in synthetic.LAYERS
    ]
    assert [sentence(column) for column in table.columns[:3]] == ["100 %", "80 %", "64 %"]


def test_the_profile_table_holds_the_means_of_the_nearest_level(results):
    table = findings.profile_table(results, density=0.5)
    scores = results.similarity.query("level == 3 and layer == 'fc2_relu' and measure == 'nbs'")["value"]
    assert table.loc["fc2_relu", MEASURES["nbs"].title].startswith(f"{scores.mean():.3f}")


def test_the_experiment_table_says_what_was_run_and_on_what(results):
    table = findings.experiment_table(results)[""]
    assert "20 % of the weights left at each of 12 levels" in sentence(table["pruning"])
    assert table["computed on"] == "cpu (x86_64), 2025-01-01, in 20.6 min"
    assert table["commit"] == "not recorded"


def test_the_experiment_table_says_if_training_was_not_all_in_float32(results):
    results.provenance["precision"] = "float32"
    assert findings.experiment_table(results)[""]["computed on"].startswith("cpu (x86_64), 2025")
    results.provenance["precision"] = "bfloat16 and float32"
    computed = findings.experiment_table(results)[""]["computed on"]
    assert computed.startswith("cpu (x86_64), trained in bfloat16 and float32, 2025")


@pytest.mark.parametrize("choice", [{"view": "pooled"}, {"reference": "sibling"}, {"measures": ["gulp"]}])
def test_what_the_results_do_not_hold_is_refused_by_name(results, choice):
    with pytest.raises(InputError, match=next(iter(choice))):
        findings.select(results, **choice)


def test_one_measure_is_chosen_by_name(results):
    assert set(findings.select(results, measures=["nbs"])["measure"]) == {"nbs"}


@pytest.mark.parametrize(
    "results",
    [
        synthetic.results(seeds=(0,), levels=0),
        synthetic.results(seeds=(3,), levels=1, measures=("nbs",)),
        synthetic.results(seeds=(0, 1), levels=2, measures=("mean_cca", "nbs")),
    ],
    ids=["dense only", "one measure", "two seeds"],
)
def test_small_runs_have_all_sentences(results):
    said = findings.sentences(results) | findings.facts(results)
    assert all(isinstance(text, str) and text for text in said.values())
    assert not any("nan" in text.split() for text in said.values())


def test_comparisons_stand_side_by_side():
    index = pd.Index(["nbs", "mean_cca"], name="measure")
    tables = {
        "a": pd.DataFrame({"value": [0.5, 1.0], "status": ["ok", "degenerate"]}, index=index),
        "b": pd.DataFrame({"value": [0.25, np.nan], "status": ["ok", "constant"]}, index=index),
    }
    shown = findings.side_by_side(tables)
    assert shown.loc[MEASURES["nbs"].title].tolist() == ["0.500", "0.250"]
    assert shown.loc[MEASURES["mean_cca"].title].tolist() == ["1.000*", findings.NO_VALUE]


def test_the_table_of_invariances_is_that_of_the_registry():
    table = findings.invariance_table(synthetic.FIRST_MEASURES)
    for measure in synthetic.FIRST_MEASURES:
        row = table.loc[MEASURES[measure].title]
        marked = {kind for kind, words in findings.INVARIANCE_WORDS.items() if row[words] == "✓"}
        assert marked == set(findings.INVARIANCE_WORDS) & set(MEASURES[measure].invariances)
        assert (row["symmetric"] == "✓") == MEASURES[measure].symmetric


def test_a_table_of_words_has_no_counting_index_and_names_each_cells_column():
    table = pd.DataFrame({"claim": ["a < b", "c"], "verdict": ["holds", "does not"]})
    html = findings.TextTable(table)._repr_html_()
    assert '<th scope="row">a &lt; b</th><td data-column="verdict">holds</td>' in html
    assert html.count("<th") - html.count("<thead") == 4
    named = findings.TextTable(table.set_index("claim"))._repr_html_()
    assert named == html
    assert "holds" in repr(findings.TextTable(table))


@pytest.mark.parametrize(("seconds", "text"), [(59.6, "60 s"), (150, "2.5 min"), (9000, "2.5 h")])
def test_durations_read_well(seconds, text):
    assert findings.duration(seconds) == text
