"""The page on all studies, from made-up tables."""

import numpy as np
import pytest
import synthetic
from synthetic import sentence, set_score

from simprune import findings
from simprune.experiment import Experiment
from simprune.store import SeedResult, Store

MEASURES = list(synthetic.FIRST_MEASURES)


@pytest.fixture
def studies():
    both = {name: synthetic.results(seeds=(0,), levels=3) for name in ("A on B", "C on D")}
    for results in both.values():
        results.similarity["value"], results.similarity["status"] = 0.95, "ok"
    return both


def test_the_least_similar_layer_is_found_in_every_study_with_its_place_in_the_network(studies):
    last = studies["A on B"].similarity["level"] == 3
    chosen = last & (studies["A on B"].similarity["layer"] == "pool2")
    studies["A on B"].similarity.loc[chosen, "value"] = 0.5
    chosen = (studies["C on D"].similarity["level"] == 3) & (studies["C on D"].similarity["layer"] == "logits")
    studies["C on D"].similarity.loc[chosen, "value"] = 0.5
    table = findings.least_similar(studies)
    assert table.loc[("A on B", "nbs")].tolist() == ["pool2", 0.5, 0.5]
    assert table.loc[("C on D", "nbs"), "depth"] == 1
    text = findings.all_layers_sentence(studies)
    assert "in A on B" in text and text.endswith("By no measure is it a layer in between in every study.")


def test_the_fall_is_dated_by_the_first_density_below_the_threshold_or_never(studies):
    chosen = (studies["A on B"].similarity["level"] >= 2) & (studies["A on B"].similarity["measure"] == "nbs")
    studies["A on B"].similarity.loc[chosen, "value"] = 0.5
    table = findings.fall_density(studies)
    assert table.loc[("A on B", "nbs"), "density"] == pytest.approx(0.64)
    assert np.isnan(table.loc[("A on B", "svcca"), "density"])
    shown = findings.conclusion_table(studies)
    assert [sentence(cell) for cell in shown["A on B"].loc["NBS"]][1] == "64 %"
    assert shown["C on D"].loc["NBS"].iloc[1] == "never"


def falls(results, level, *measures):
    """Let similarity by these measures fall below the threshold at a level."""
    table = results.similarity
    table.loc[(table["level"] >= level) & table["measure"].isin(measures), "value"] = 0.5


def spoil(results, measure, *layers):
    """Let a measure be degenerate in these layers (in all, if none is named)."""
    table = results.similarity
    chosen = (table["measure"] == measure) & (table["layer"].isin(layers) if layers else True)
    assert chosen.any()
    table.loc[chosen, "status"] = synthetic.DEGENERATE


def test_only_a_measure_with_a_score_in_every_layer_of_every_study_is_spoken_of_for_every_study(studies):
    for results in studies.values():
        set_score(results, 0.5, level=3, layer="pool2")
        spoil(results, "mean_cca", "pool1")
    spoil(studies["C on D"], "svcca", "logits")
    text = findings.all_layers_sentence(studies)
    assert "By PWCCA, linear CKA and NBS it is a layer in between in every study." in text
    assert text.endswith("SVCCA is ok in every layer in A on B only, and mean CCA in no study.")


def test_a_study_in_which_no_measure_is_ok_in_every_layer_leaves_nothing_to_say_of_every_study(studies):
    set_score(studies["A on B"], 0.5, level=3, layer="pool2")
    for measure in MEASURES:
        spoil(studies["C on D"], measure, "pool1")
    text = findings.all_layers_sentence(studies)
    assert "By no measure is it a layer in between in every study." in text
    assert text.endswith("Mean CCA, SVCCA, PWCCA, linear CKA and NBS are ok in every layer in A on B only.")
    for measure in MEASURES:
        spoil(studies["A on B"], measure, "pool1")
    assert findings.all_layers_sentence(studies) == "In no study is a measure ok in every layer at the last level."


def test_measures_that_fall_first_or_never_in_every_study_are_named_whatever_is_tied_with_them(studies):
    falls(studies["A on B"], 1, "svcca", "mean_cca")
    falls(studies["A on B"], 2, "linear_cka")
    falls(studies["C on D"], 1, "pwcca", "svcca")
    falls(studies["C on D"], 3, "mean_cca", "linear_cka")
    text = findings.all_fall_sentence(studies)
    start = "In every study SVCCA is among the first to fall below 0.9, and NBS never falls below it."
    assert (
        text == f"{start} The means are over the layers in which a measure is ok at every level: 7 for SVCCA and NBS."
    )


def test_the_first_and_the_last_to_fall_are_named_without_reserve_where_nothing_is_tied_with_them(studies):
    for results in studies.values():
        falls(results, 1, "mean_cca")
        falls(results, 2, "svcca", "pwcca", "linear_cka")
        falls(results, 3, "nbs")
    text = findings.all_fall_sentence(studies)
    assert text.startswith(
        "In every study mean CCA is the first to fall below 0.9, and NBS is the last to fall below it."
    )


def test_a_measure_may_be_the_last_in_one_study_and_never_fall_in_another(studies):
    falls(studies["A on B"], 1, *MEASURES[:3], "linear_cka")
    falls(studies["C on D"], 1, "mean_cca")
    falls(studies["C on D"], 2, "svcca", "pwcca", "linear_cka")
    falls(studies["C on D"], 3, "nbs")
    assert "and NBS is the last to fall below it or never does." in findings.all_fall_sentence(studies)


def test_only_the_end_that_studies_do_not_share_is_said_to_depend_on_the_study(studies):
    falls(studies["A on B"], 1, "mean_cca", "svcca")
    falls(studies["C on D"], 1, "pwcca")
    text = findings.all_fall_sentence(studies)
    start = "In every study linear CKA and NBS never fall below 0.9; which falls first depends on the study."
    assert (
        text
        == f"{start} The means are over the layers in which a measure is ok at every level: 7 for linear CKA and NBS."
    )
    falls(studies["A on B"], 2, "pwcca", "linear_cka")
    falls(studies["C on D"], 1, "mean_cca", "nbs", "linear_cka")
    text = findings.all_fall_sentence(studies)
    start = "In every study mean CCA is among the first to fall below 0.9; which falls last depends on the study."
    assert text.startswith(start)


def test_where_studies_share_neither_end_all_that_are_tied_are_listed(studies):
    falls(studies["A on B"], 1, "mean_cca", "svcca")
    falls(studies["C on D"], 1, "linear_cka", "nbs")
    falls(studies["C on D"], 2, "mean_cca", "pwcca")
    falls(studies["C on D"], 3, "svcca")
    text = findings.all_fall_sentence(studies)
    assert text.startswith(
        "Which measure falls below 0.9 first, and which last, depends on the study: mean CCA and SVCCA first, and "
        "PWCCA, linear CKA and NBS never in A on B; linear CKA and NBS first, and SVCCA last in C on D."
    )


def test_that_nothing_falls_or_that_all_falls_at_once_is_no_order(studies):
    assert findings.all_fall_sentence(studies) == "In no study does a measure fall below 0.9."
    falls(studies["A on B"], 2, *MEASURES)
    text = findings.all_fall_sentence(studies)
    assert "all at once in A on B; none at all in C on D." in text
    falls(studies["C on D"], 1, *MEASURES)
    assert findings.all_fall_sentence(studies).startswith("In every study all measures fall below 0.9 at once.")


def test_measures_are_told_with_the_number_of_layers_that_their_mean_is_over(studies):
    for results in studies.values():
        falls(results, 1, "mean_cca", "svcca", "pwcca", "linear_cka")
        spoil(results, "mean_cca", "pool1")
    spoil(studies["C on D"], "mean_cca", "pool1", "pool2")
    spoil(studies["C on D"], "svcca")
    text = findings.all_fall_sentence(studies)
    start = "In every study mean CCA, PWCCA and linear CKA are among the first to fall below 0.9, "
    means = "The means are over different layers, those in which a measure is ok at every level: "
    assert text == f"{start}and NBS never falls below it. {means}5 to 6 for mean CCA; 7 for PWCCA, linear CKA and NBS."


def test_agreement_is_listed_for_every_pair_and_study():
    both = {"A": synthetic.results(seeds=(0,)), "C": synthetic.results(seeds=(1,))}
    table = findings.pair_agreement(both)
    assert table.shape == (10, 2)
    assert findings.pair_table(both).shape == (10, 2)
    assert "agree most" in findings.all_agreement_sentence(both)


def test_studies_are_those_that_are_stored_under_the_first_profile_that_has_them(tmp_path):
    made_up = synthetic.results(seeds=(0,), levels=2, measures=tuple(MEASURES))
    for profile, seed in (("laptop", 1), ("paper", 2)):
        experiment = Experiment("vgg16", "cifar100", profile=profile)  # of which nothing is shipped
        tables = SeedResult(
            made_up.performance,
            synthetic.with_controls(synthetic.results(seeds=(0,), levels=2)).similarity,
            made_up.sparsity,
            {**made_up.provenance},
        )
        Store(tmp_path).write_seed(experiment, seed, tables)
    found = findings.stored_studies(measures=MEASURES, store=tmp_path)
    assert found["VGG-16 on CIFAR-100"].experiment.profile == "paper"
    assert found["VGG-16 on CIFAR-100"].experiment.seeds == (2,)
    laptop = findings.stored_studies(measures=MEASURES, store=tmp_path, profiles=["laptop"])
    assert laptop["VGG-16 on CIFAR-100"].experiment.seeds == (1,)


def test_a_study_has_its_row_of_accuracies_and_costs(studies):
    table = findings.study_table(studies)
    assert list(table.index) == list(studies)
    row = table.loc["A on B"]
    assert row["device"] == "cpu (x86_64)" and row["time"] == "20.6 min" and row["seeds"] == "0"
    assert sentence(row["dense"]).endswith("%")
