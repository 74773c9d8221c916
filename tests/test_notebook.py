"""What a page says is of its results, and what numbers break stops the book."""

import re
from pathlib import Path

import pandas as pd
import pytest

from simprune import notebook
from simprune.analysis.effects import other_beginnings
from simprune.errors import InputError
from simprune.experiment import Experiment
from simprune.notebook import ClaimError, claim, say
from simprune.results import load, shipped
from simprune.store import SHIPPED, Store
from simprune.tables import duration

CHECKOUT = Path(__file__).resolve().parent.parent
STUDY = {"architecture": "lenet5", "dataset": "mnist", "profile": "paper", "measures": ["nbs"], "views": ["flatten"]}


@pytest.fixture(autouse=True)
def shown(monkeypatch):
    """The Markdown that a page shows; each test is a page of its own."""
    texts = []
    monkeypatch.setattr(notebook, "display", lambda data, raw: texts.append(data["text/markdown"]))
    monkeypatch.setattr(notebook, "_read", [])
    monkeypatch.setenv("SIMPRUNE_DATA", "nowhere")
    return texts


@pytest.fixture
def book(monkeypatch):
    monkeypatch.setenv(notebook.CLAIMS_HOLD, "1")


def own(tmp_path):
    """A store with one seed of the study's results, changed."""
    experiment = Experiment(**STUDY)
    [result] = Store(SHIPPED, shipped=None).read_seed(experiment, 0)
    result.performance["test_accuracy"] = 0.5
    Store(tmp_path).write_seed(experiment, 0, result)
    return tmp_path


def test_a_claim_that_does_not_hold_stops_a_page_of_shipped_results_and_names_itself(book, shown):
    notebook.study(**STUDY)
    claim("Water is wet", holds=True)
    for verdict in (False, None):
        with pytest.raises(ClaimError, match="'Water is dry'"):
            claim("Water is dry", holds=verdict)
    assert len(shown) == 1


def test_elsewhere_a_claim_shows_its_verdict(shown, tmp_path, book):
    notebook.study(**STUDY, seeds=0, store=own(tmp_path))
    assert "were\nwritten for those that come with the project" in shown.pop()
    claim("Water is dry", holds=False)
    claim("Water is cold", holds=None)
    claim("Water is wet", holds=pd.Series([True]).all())
    assert "✗ does not hold for these results; the sentence was written for those" in shown[0]
    assert "? these results can't tell" in shown[1] and "✓ holds for these results" in shown[2]


def test_outside_the_book_nothing_stops_a_page(shown):
    notebook.study(**STUDY)
    claim("Water is dry", holds=False)
    assert shown[0].startswith("Water is dry.\n\n") and "does not hold" in shown[0]


def test_the_evidence_of_a_claim_is_a_table_one_click_away(shown):
    table = pd.DataFrame({"score": [0.25] * 50}, index=[f"row {n}" for n in range(50)])
    claim("Scores are low.", holds=True, evidence=table, source="[somebody](page.md)")
    assert shown[0].startswith("Scores are low ([somebody](page.md)).\n\n<details")
    assert "0.250" in shown[0] and "row 39" in shown[0] and "row 40" not in shown[0] and "10 more rows" in shown[0]
    assert "\n\n" not in shown[0].partition("<details")[2]  # a blank line would end the block of HTML


def test_a_verdict_is_true_false_or_none():
    for verdict in (pd.Series([True]), 1, "yes"):
        with pytest.raises(InputError, match="holds: .* is not True, False or None"):
            claim("Water is wet", holds=verdict)


def test_a_paragraph_has_the_books_signs(shown):
    say(f"""From {0.107:.1%} to 5 %, by {-0.25:.2f} or -1, in `100%` [there](a-1%20b.md), $-1$;
            lr-1 stays.""")
    assert shown == [
        "From 10.7\u00a0% to 5\u00a0%, by \u22120.25 or \u22121, in `100%` [there](a-1%20b.md), $-1$;\nlr-1 stays."
    ]


def test_a_page_reads_every_stored_seed_or_those_named_and_zero_is_a_seed(tmp_path):
    held = load(Experiment(**STUDY), every_seed=True).experiment.seeds
    assert notebook.study(**STUDY).experiment.seeds == held and notebook.are_shipped()
    assert notebook.study(**STUDY, seeds=0, levels=None, store=tmp_path).experiment.seeds == (0,)
    assert not notebook.are_shipped()


def test_a_page_computes_what_it_is_asked_to(tmp_path, shown):
    small = {"architecture": "lenet5", "dataset": "fashion_mnist_mini", "levels": 1, "epochs": 1, "train_size": 200}
    with pytest.raises(InputError, match="compute = True"):
        notebook.study(**small, store=tmp_path)
    results = notebook.study(**small, seeds=0, measures=["nbs"], compute=True, store=tmp_path)
    assert results.experiment.seeds == (0,) and not notebook.are_shipped() and len(shown) == 1


def test_a_page_says_how_its_results_came_about_and_where_their_tables_are(shown, tmp_path):
    results = notebook.study(**STUDY)
    made = results.provenance
    made["seeds"][0]["start"] = "2025-01-01T10:00:00+00:00"
    made["seeds"][0]["levels"] = [{"precision": "bfloat16", "processor": "a GPU"}]
    notebook.sources(results)
    rows = dict(re.findall(r"^\| ([^|]+) \| (.*) \|$", shown[-1], flags=re.MULTILINE))
    assert rows["study"] == "LeNet-5 on MNIST, profile paper" and results.experiment.command in rows["made by"]
    trained = duration(results.performance["seconds"].sum())
    assert (
        f"trained on a GPU (bfloat16) and cpu (x86_64) in {trained}, compared on cpu (x86_64), 2025-"
        in rows["computed"]
    )
    for link in re.findall(r"\]\(([^)]+)\)", rows["tables"]):
        assert (CHECKOUT / "notebooks" / link).resolve().is_file()
    made["data"]["source"] = "folder a|b"
    notebook.sources(results)
    assert [line.replace(r"\|", "").count("|") for line in shown[-1].splitlines()] == [3] * 8
    assert r"folder a\|b" in shown[-1]
    results = notebook.study(**STUDY, seeds=0, store=own(tmp_path))
    notebook.sources(results)
    assert f"| tables | `{results.experiment.name}` in the store |" in shown[-1]


def test_other_data_than_those_of_the_results_are_named_in_one_line(shown, monkeypatch):
    monkeypatch.setattr(notebook, "other_data", lambda results, store: "0123")
    made = notebook.study(**STUDY).provenance["data"]["fingerprint"]
    [line] = shown
    assert "MNIST" in line and "`0123`" in line and made in line


def test_a_control_stands_beside_the_seeds_that_both_have(tmp_path):
    results = notebook.study(**STUDY)
    twin = notebook.beside(results, criterion="none")
    assert twin.experiment.criterion == "none" and set(twin.experiment.seeds) <= set(results.experiment.seeds)
    assert notebook.beside(results, rate=0.123) is None
    held = load(Experiment("lenet5", "fashion_mnist", profile="overnight", retraining="held"))
    twin = notebook.beside(held, criterion="none").experiment  # of the run that gave the masks
    assert (twin.criterion, twin.retraining) == ("none", "lr_rewind")
    assert notebook.beside(results, measures=["ridge_r2"]) is None


def test_a_control_of_another_dense_network_is_none(shown, tmp_path):
    results = notebook.study(**STUDY)
    twin = results.experiment.replace(criterion="none", seeds=(0,))
    [result] = Store(SHIPPED, shipped=None).read_seed(twin, 0)
    result.performance.loc[0, "test_loss"] += 1e-9
    Store(tmp_path).write_seed(twin, 0, result)
    del shown[:]
    assert notebook.beside(results, tmp_path, criterion="none") is None
    [line] = shown
    assert f"Left out: `{twin.command}`" in line and results.experiment.replace(seeds=(0,)).command in line


def test_all_shipped_runs_of_a_seed_begin_with_one_dense_network():
    seen = {}
    for results in shipped().values():
        study = results.experiment.replace(retraining="lr_rewind", criterion="magnitude", scope="global").key
        for other in seen.setdefault(study, []):
            assert not other_beginnings(other, results), (other.experiment.command, results.experiment.command)
        seen[study].append(results)
    assert max(map(len, seen.values())) > 1


def test_fields_of_a_study_are_judged_with_its_architecture(tmp_path):
    """LeNet-5, which an experiment has where none is named, has one width."""
    notebook.check_parameters(others={"width": 0.5})
    with pytest.raises(InputError, match="width: lenet5 has one width only"):
        notebook.study("lenet5", "mnist", profile="paper", width=0.5, store=tmp_path)


def test_controls_are_those_of_the_run_that_gave_the_masks():
    pruned = Experiment("lenet5", "fashion_mnist", profile="overnight")
    found = notebook.controls(load(pruned))
    assert {name: (run.experiment.criterion, run.experiment.retraining) for name, run in found.items()} == {
        "twin": ("none", "lr_rewind"),
        "held": ("magnitude", "held"),
        "regrown": ("magnitude", "regrown"),
    }
    layerwise = notebook.controls(load(pruned.replace(scope="layerwise")))
    assert set(layerwise) == {"twin", "held"} and layerwise["twin"].experiment == found["twin"].experiment
    assert set(notebook.controls(load(pruned.replace(retraining="held")))) == {"twin"}


class Row:
    """A row of the table of studies."""

    def __init__(self, **fields):
        self.experiment = Experiment("lenet5", "mnist", **fields)


def test_the_studies_of_the_book_are_those_that_are_stored(tmp_path, monkeypatch):
    found = notebook.studies(store=tmp_path)
    assert list(found)[:2] == ["LeNet-5 on Fashion-MNIST", "LeNet-5 on MNIST"]  # in the order of the table
    assert all(results.experiment.criterion == "magnitude" for results in found.values())
    assert list(notebook.studies([["lenet5", "mnist", "paper"], ["resnet18", "svhn", "quick"]])) == ["LeNet-5 on MNIST"]
    monkeypatch.setattr(notebook.study_table, "read", lambda: [Row(rate=0.123), Row(profile="paper")])
    with pytest.raises(InputError, match="studies: none"):
        notebook.studies(store=tmp_path)  # the first row is the study, though the second is stored
    with pytest.raises(InputError, match="studies: none"):
        notebook.studies([["resnet18", "svhn", "quick"]])


def test_bad_input_shows_its_sentence_in_a_notebook_and_no_traceback(capsys):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell(history_manager=None)
    shell.run_cell("import simprune; simprune.Experiment('lenet5', rate=1.5)")
    [line] = capsys.readouterr().out.splitlines()
    assert line == "InputError: rate: 1.5 is not a number above 0 and below 1"
