"""Sentences and tables about controls, ways of retraining and all studies say what the tables of runs hold."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import synthetic
from typer.testing import CliRunner

import simprune
from simprune import findings
from simprune.experiment import Experiment
from simprune.store import SeedResult, Store

MEASURES = list(synthetic.FIRST_MEASURES)


def sentence(text):
    return text.replace("\u00a0", " ")


@pytest.fixture
def results():
    made_up = synthetic.with_controls(synthetic.results())
    made_up.similarity["status"] = "ok"
    made_up.similarity["value"] = made_up.similarity["value"].fillna(0.5)
    return made_up


def set_score(results, value, **where):
    """Give every score that is described a value."""
    table = results.similarity
    chosen = np.logical_and.reduce([table[column] == wanted for column, wanted in where.items()])
    assert chosen.any()
    table.loc[chosen, "value"] = value


# What is stored ---------------------------------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path):
    """An experiment two of whose seeds are stored, one of them with every score."""
    experiment = Experiment("lenet5", "fashion_mnist_mini", levels=2, measures=["nbs", "linear_cka"])
    made_up = synthetic.results(seeds=(0,), levels=2, measures=("nbs", "linear_cka"))
    for seed, measures in ((4, ["nbs", "linear_cka"]), (7, ["nbs"])):
        similarity = made_up.similarity[made_up.similarity["measure"].isin(measures)]
        tables = SeedResult(made_up.performance, similarity, made_up.sparsity, {**made_up.provenance})
        Store(tmp_path).write_seed(experiment, seed, tables)
    return experiment, tmp_path


def test_the_seeds_of_an_experiment_are_those_with_every_score_that_is_asked_for(stored):
    experiment, store = stored
    assert findings.stored_seeds(experiment, store) == (4,)
    assert findings.stored_seeds(experiment.replace(measures=["nbs"]), store) == (4, 7)
    assert findings.stored_seeds(experiment.replace(levels=3), store) == ()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "simprune run lenet5 fashion_mnist --profile paper --seeds 0,1"),
        ({"measures": ["nbs"], "views": ["pooled"]}, "simprune run lenet5 fashion_mnist --profile paper --seeds 0,1"),
        ({"retraining": "none", "one_shot": True}, "--one-shot"),
        ({"rate": 0.3, "levels": 4}, "--rate 0.3 --levels 4"),
    ],
)
def test_the_command_that_is_printed_runs_that_very_experiment(changes, line, monkeypatch):
    from simprune.cli import app

    experiment = Experiment("lenet5", "fashion_mnist", profile="paper", seeds=(0, 1)).replace(**changes)
    assert line in findings.command(experiment)
    asked = []

    def refuse(experiment, **options):
        asked.append(experiment)
        raise KeyboardInterrupt

    monkeypatch.setattr("simprune.study.run", refuse)
    CliRunner().invoke(app, findings.command(experiment).split()[1:])
    assert asked[0].key == experiment.key and asked[0].seeds == experiment.seeds


def test_the_command_names_scores_that_the_profile_would_not_compute():
    experiment = Experiment("lenet5", profile="quick", references=["dense", "sibling"], measures=["gulp"])
    assert findings.command(experiment).endswith("--measures gulp --references dense,sibling")


def test_tables_are_linked_where_the_book_holds_them_and_named_where_it_does_not(stored, tmp_path):
    experiment, store = stored
    results = simprune.load(experiment.replace(seeds=[4]), store=store)
    assert f"seed 4: `{experiment.name}` in the store" in findings.sources(results, tmp_path / "elsewhere")
    book = tmp_path / "checkout"
    (book / "book").mkdir(parents=True)
    (book / "book" / "results").symlink_to(store)
    (book / "notebooks").mkdir()
    (book / "notebooks" / "lenet5_fashion_mnist_mini.ipynb").touch()
    text = findings.sources(results, book)
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) == 3 and "`notebooks/lenet5_fashion_mnist_mini.ipynb`" in text
    for link in links:
        assert Path(os.path.normpath(book / "book" / "executed" / link)).is_file()
    assert findings.command(results.experiment) in text


def test_what_limits_a_run_is_said_with_it(results):
    assert "With one seed" not in findings.caveats_sentence(results)
    assert "JPEG" not in findings.caveats_sentence(results)
    results.experiment.profile, results.experiment.seeds, results.experiment.width = "laptop", (0,), 0.5
    results.provenance["data"]["source"] = "parquet (JPEG)"
    text = findings.caveats_sentence(results)
    for words in ("0.5 times the width", "replaced by runs of the profile paper", "With one seed", "JPEG re-encoded"):
        assert words in text


def test_a_dense_network_that_gains_from_longer_training_is_said_to_be_unfinished(results):
    table = results.performance
    table["test_accuracy"] = 0.80
    assert "trained to its end" not in findings.caveats_sentence(results)
    table.loc[table["level"] == 3, "test_accuracy"] = 0.83
    text = sentence(findings.caveats_sentence(results))
    assert "later levels reach 83.0 %, 3.0 points more" in text


# Controls ---------------------------------------------------------------------------------------------------


def test_of_each_family_the_measure_with_most_sound_scores_is_chosen(results):
    assert findings.one_of_each_family(results) == ["mean_cca", "linear_cka", "nbs"]
    results.similarity.loc[results.similarity["measure"] == "mean_cca", "status"] = synthetic.DEGENERATE
    assert findings.one_of_each_family(results) == ["svcca", "linear_cka", "nbs"]


def test_a_pruned_network_is_nearer_than_a_sibling_until_its_score_first_falls_below_the_siblings(results):
    set_score(results, 0.8, reference="sibling", level=0)
    set_score(results, 0.9, reference="dense")
    for level, value in ((5, 0.7), (6, 0.9)):  # what comes back does not count
        set_score(results, value, reference="dense", level=level, layer="fc1_relu", measure="nbs")
    set_score(results, 0.5, reference="dense", layer="logits", measure="nbs")
    table = findings.nearer_than_sibling(results, ["nbs"])["level"]
    assert table["nbs", 4] == 4 and table["nbs", 6] == 0 and table["nbs", 0] == 12
    text = sentence(findings.control_sentence(results, ["nbs"]))
    assert "by NBS in 5 of 7 layers (first lost in logits, from the first level on)" in text
    shown = findings.control_table(results, ["nbs"]).iloc[:, -1]
    assert [sentence(cell) for cell in shown[-3:]] == ["41 %", "6.87 % (the last level)", "100 %"]


def test_a_layer_whose_scores_are_not_ok_is_not_counted(results):
    chosen = (results.similarity["layer"] == "pool1") & (results.similarity["reference"] == "sibling")
    results.similarity.loc[chosen, "status"] = synthetic.DEGENERATE
    set_score(results, 0.1, reference="sibling", level=0)
    assert "by NBS in every layer" in findings.control_sentence(results, ["nbs"])
    assert findings.control_table(results, ["nbs"]).iloc[1, -1] == findings.NO_VALUE


def test_references_are_named_from_the_most_to_the_least_similar(results):
    for reference, value in (("previous", 0.95), ("dense", 0.9), ("sibling", 0.4), ("untrained", 0.6)):
        set_score(results, value, reference=reference)
    text = findings.reference_sentence(results, measures=["nbs"])
    assert "by NBS, 0.95 to the network one level before, 0.90 to the dense network, 0.60 to the untrained" in text
    assert text.endswith("and 0.40 to a dense network of another seed.")


def test_a_dip_needs_a_layer_in_between_that_is_markedly_below_both_ends(results):
    last = results.similarity["level"].max()
    set_score(results, 0.9, level=last, reference="dense")
    assert "by no measure" in findings.dip_sentence(results)
    set_score(results, 0.8, level=last, reference="dense", layer="pool2", measure="nbs")
    text = findings.dip_sentence(results)
    assert "by NBS (0.80 in pool2, 0.90 and 0.90 at the ends), and not by mean CCA" in text


def test_a_run_without_pruned_networks_has_its_sentences_too():
    dense_only = synthetic.with_controls(synthetic.results(seeds=(0,), levels=0))
    said = findings.study_sentences(dense_only, dense_only)
    assert all(said.values()) and not any("nan" in text.split() for text in said.values())


# Ways of retraining -----------------------------------------------------------------------------------------


def run_with(*accuracies, rate=0.2):
    """Made-up results of one seed with these test accuracies by level."""
    made_up = synthetic.results(seeds=(0,), levels=len(accuracies) - 1, rate=rate)
    made_up.performance["test_accuracy"] = accuracies
    return made_up


def test_lr_rewinding_is_held_against_what_renda_and_others_found():
    far = {"lr_rewind": run_with(0.9, 0.9, 0.896, 0.89, rate=0.5)}
    text = sentence(findings.renda_sentence(far))
    assert "within 0.5 percentage points of the dense network down to 25 % of the weights" in text
    assert "at 25 % it is 0.40 points below it. That is as far" in text
    near = {"lr_rewind": run_with(0.9, 0.9, 0.89, 0.896, rate=0.5)}
    assert "down to 50 %" in sentence(findings.renda_sentence(near)) and "That is not" in findings.renda_sentence(near)


def test_fine_tuning_is_compared_at_the_low_densities_only():
    runs = {"lr_rewind": run_with(0.9, 0.5, 0.9, 0.9, rate=0.5), "finetune": run_with(0.9, 0.9, 0.89, 0.88, rate=0.5)}
    text = sentence(findings.finetune_sentence(runs))
    assert (
        "more accurate than fine-tuning at 2 of 2 levels with one seed (fine-tuning is \u22122.00 to \u22121.00" in text
    )
    assert "from it), as Renda et al. (2020) found" in text
    assert findings.finetune_sentence({"lr_rewind": runs["lr_rewind"]}) == "Fine-tuning is not computed yet."


def test_variants_are_compared_with_the_same_seeds_only():
    base = {0: (0.90, 0.80), 1: (0.92, 0.70), 2: (0.10, 0.10)}
    runs = {"lr_rewind": synthetic.results(seeds=(0, 1, 2), levels=1, rate=0.5)}
    runs["lr_rewind"].performance["test_accuracy"] = [value for seed in base for value in base[seed]]
    runs["random"] = synthetic.results(seeds=(1, 0), levels=1, rate=0.5)
    by_seed = {1: (0.92, 0.40), 0: (0.90, 0.70)}
    performance = runs["random"].performance
    performance["test_accuracy"] = [by_seed[row.seed][row.level] for row in performance.itertuples()]
    gaps = findings.variant_gaps(runs)
    assert np.allclose(gaps.loc["random", ["mean", "low", "high"]], [[0, 0, 0], [-20, -30, -10]])
    text = sentence(findings.gap_sentence(runs))
    assert text.startswith("At 50 % of the weights")
    assert text.endswith("random pruning \u221220.00 (\u221230.00 to \u221210.00) (2 seeds).")
    table = findings.variant_gap_table(runs)
    assert table.columns.tolist() == ["random pruning (2 seeds)"] and table.iloc[0, 0] == "0.00"


def test_what_holds_on_average_is_told_from_what_holds_with_every_seed():
    runs = {name: synthetic.results(seeds=(0, 1), levels=2, rate=0.7) for name in ("lr_rewind", "finetune")}
    runs["lr_rewind"].performance["test_accuracy"] = 0.9
    runs["finetune"].performance["test_accuracy"] = [0.9, 0.89, 0.88, 0.9, 0.895, 0.91]
    text = findings.finetune_sentence(runs)
    assert "at 2 of 2 levels on average, and at 1 of them with every one of 2 seeds" in text


def test_a_lead_on_the_training_images_only_is_called_fit():
    runs = {"lr_rewind": run_with(0.9, 0.8, 0.8, rate=0.7), "finetune": run_with(0.9, 0.82, 0.81, rate=0.7)}
    runs["lr_rewind"].performance["train_accuracy"] = [0.9, 0.98, 0.97]
    runs["finetune"].performance["train_accuracy"] = [0.9, 0.95, 0.96]
    text = findings.fit_sentence(runs)
    assert (
        "fine-tuning is \u22123.00 to \u22121.00 points from LR rewinding at these levels, and behind at 2 of 2" in text
    )
    assert "which the test images do not reward" in text
    runs["finetune"].performance["test_accuracy"] = 0.5
    assert "reward" not in findings.fit_sentence(runs)
    runs["finetune"].performance["test_accuracy"] = 0.9
    runs["finetune"].performance["train_accuracy"] = 0.99
    assert "behind at 0 of 2" in findings.fit_sentence(runs) and "reward" not in findings.fit_sentence(runs)
    assert findings.fit_sentence({"lr_rewind": runs["lr_rewind"]}).endswith("not computed yet.")


def test_variants_without_a_common_seed_are_not_compared():
    runs = {"lr_rewind": run_with(0.9, 0.9), "finetune": synthetic.results(seeds=(1,), levels=1)}
    assert findings.finetune_sentence(runs) == "Fine-tuning and LR rewinding have no seed in common."
    assert findings.variant_gaps(runs).empty and findings.variant_gap_table(runs).empty
    assert findings.gap_sentence(runs) == "There is nothing here that LR rewinding could be compared with."


def test_the_commands_of_variants_are_those_of_the_seeds_that_are_shown():
    runs = {name: synthetic.results(seeds=seeds) for name, seeds in (("lr_rewind", (0, 1, 2)), ("random", (1,)))}
    table = findings.variant_commands(Experiment("lenet5", "fashion_mnist", profile="paper"), runs)[""]
    assert "--seeds 0,1,2" in table["LR rewinding"] and "--seeds 0,1,2" in table["fine-tuning"]
    assert table["random pruning"] == "simprune run lenet5 fashion_mnist --profile paper --seeds 1 --criterion random"


def test_variants_that_are_missing_are_named():
    runs = {"lr_rewind": run_with(0.9, 0.9), "random": run_with(0.9, 0.7)}
    missing = findings.missing_sentence(runs)
    table = findings.variant_table(runs)
    for name, (words, _) in findings.VARIANTS.items():
        assert (words in missing) == (name not in runs)
        assert (table.loc[words, "seeds"] == "not computed yet") == (name not in runs)
    assert findings.missing_sentence(dict.fromkeys(findings.VARIANTS)) == "All variants are here."


def test_the_nearest_and_the_farthest_variant_are_named_and_the_unpruned_one_is_not_among_them():
    runs = {name: run_with(0.9, 0.9, rate=0.5) for name in ("lr_rewind", "random", "no_pruning")}
    for results, value in zip(runs.values(), (0.8, 0.3, 0.9), strict=True):
        results.similarity["value"], results.similarity["status"] = value, "ok"
    text = findings.variant_similarity_sentence(runs, measures=["nbs"])
    assert "LR rewinding is nearest to the dense network (0.80) and random pruning farthest from it (0.30)" in text
    assert "0.90 by NBS, where the pruned network is at 0.80" in findings.no_pruning_sentence(runs, measures=["nbs"])


def test_only_what_is_stored_is_read_and_nothing_is_computed_for_it(stored, monkeypatch):
    experiment, store = stored
    monkeypatch.setattr("simprune.findings.studies.run", lambda *_, **__: pytest.fail("computed"))
    assert list(findings.variants(experiment, store=store)) == ["lr_rewind"]
    assert findings.stored_variants(experiment.replace(levels=3), store) == {}


def test_seeds_that_are_asked_for_are_computed_for_every_variant(stored, monkeypatch):
    experiment, store = stored
    monkeypatch.setattr("simprune.findings.studies.run", lambda asked, **_: asked)
    asked = findings.variants(experiment, seeds=[3], store=store)
    made = {name: (e.retraining, e.criterion) for name, e in asked.items()}
    assert made["none"] == ("none", "magnitude") and made["random"] == ("lr_rewind", "random")
    assert list(asked) == list(findings.VARIANTS) and {e.seeds for e in asked.values()} == {(3,)}


# All studies ------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("seconds", "text"), [(59.6, "60 s"), (150, "2.5 min"), (9000, "2.5 h")])
def test_durations_read_well(seconds, text):
    assert findings.duration(seconds) == text
