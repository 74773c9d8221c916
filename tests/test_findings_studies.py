"""Sentences and tables about stored studies and about a run beside its controls say what the tables of runs hold."""

import os
import re
from pathlib import Path

import pytest
import synthetic
from synthetic import sentence, set_score
from typer.testing import CliRunner

import simprune
from simprune import findings
from simprune.experiment import Experiment


@pytest.fixture
def results():
    made_up = synthetic.with_controls(synthetic.results())
    made_up.similarity["status"] = "ok"
    made_up.similarity["value"] = made_up.similarity["value"].fillna(0.5)
    return made_up


# What is stored ---------------------------------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path):
    return synthetic.write_incomplete(tmp_path)


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
