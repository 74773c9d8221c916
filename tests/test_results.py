"""What is stored is shown, what is not is absent."""

import dataclasses
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import synthetic
from test_data import random_split, write_idx

import simprune
from simprune import data
from simprune.comparison import REFERENCES
from simprune.errors import InputError
from simprune.measures import MEASURES
from simprune.representations import VIEWS
from simprune.results import fingerprint_at_hand, joined, load, other_data, stored, stored_seeds
from simprune.store import SHIPPED, Store


@pytest.fixture
def incomplete(tmp_path):
    """An experiment and a store with two of its seeds, 4 with both its measures, 7 with NBS only."""
    return synthetic.write_incomplete(tmp_path)


def test_scores_are_those_that_every_seed_holds_and_the_experiment_names_them(incomplete):
    experiment, store = incomplete
    assert stored_seeds(experiment, store) == (4, 7)
    assert stored_seeds(experiment.replace(levels=3), store) == ()
    both = load(experiment, every_seed=True, store=store)
    assert both.experiment.seeds == (4, 7) and both.experiment.measures == ("nbs",)
    assert set(both.similarity["measure"]) == {"nbs"} and set(both.performance["seed"]) == {4, 7}
    one = load(experiment.replace(seeds=[4]), store=store)
    assert one.experiment.measures == ("linear_cka", "nbs") and one.experiment.references == ("dense",)


def test_a_seed_whose_diagnostic_has_no_rows_leaves_the_numbers_of_the_others_numbers(incomplete):
    experiment, folder = incomplete
    store = Store(folder)
    living = pd.DataFrame({"level": [1, 1], "value": [0.5, np.nan]})
    made = {seed: store.read_seed(experiment, seed)[0] for seed in (4, 7)}
    for empty, full in ((4, 7), (7, 4)):
        both = joined(experiment, made, {empty: {"living": living[:0].astype(object)}, full: {"living": living}}, set())
        assert both.diagnostics["living"]["value"].dtype == float
    none = joined(experiment, made, {seed: {"living": living[:0]} for seed in made}, set())
    assert none.diagnostics["living"].empty and list(none.diagnostics["living"]) == ["level", "value"]


def test_what_is_not_there_at_all_is_refused(incomplete):
    experiment, store = incomplete
    with pytest.raises(InputError, match="holds seed 5; compute it"):
        load(experiment.replace(seeds=[4, 5]), store=store)
    with pytest.raises(InputError, match="measures: no score"):
        load(experiment.replace(seeds=[7], measures=["rsa"]), store=store)
    with pytest.raises(InputError, match="seeds: no result of"):
        load(experiment.replace(levels=3), every_seed=True, store=store)
    for folder in ("nowhere", store, 3):
        with pytest.raises(InputError, match="experiment: .* is not an Experiment"):
            load(folder, store=store)


def test_a_folder_of_results_is_read_by_its_path_or_its_name(incomplete, tmp_path):
    experiment, store = incomplete
    for folder in (store / experiment.name, str(store / experiment.name), experiment.name):
        assert load(folder, store=store).experiment.seeds == (4, 7)
    assert set(stored(store)) == {experiment.name, *(folder.name for folder in SHIPPED.iterdir())}
    assert load(next(SHIPPED.iterdir()).name, store=tmp_path).are_shipped


def test_what_comes_with_the_project_is_read_by_its_folders_names(incomplete, monkeypatch):
    experiment, store = incomplete
    monkeypatch.setattr("simprune.results.SHIPPED", store)
    monkeypatch.setenv("SIMPRUNE_STORE", str(store))
    assert {name: results.experiment.seeds for name, results in simprune.shipped().items()} == {experiment.name: (4, 7)}


def test_all_seeds_are_of_the_data_that_most_are_stored_of(incomplete):
    experiment, store = incomplete
    [result] = Store(store).read_seed(experiment, 4)
    for seed, fingerprint in ((5, "other"), (6, "other"), (8, "other")):
        provenance = {**result.provenance, "data": {"fingerprint": fingerprint, "source": "elsewhere"}}
        Store(store).write_seed(experiment, seed, dataclasses.replace(result, provenance=provenance))
    assert stored_seeds(experiment, store) == (5, 6, 8)
    assert load(experiment, every_seed=True, store=store).provenance["data"]["fingerprint"] == "other"
    with pytest.raises(InputError, match="different data"):
        load(experiment.replace(seeds=[4, 5]), store=store)


def test_results_are_the_shipped_ones_if_every_table_is(tmp_path):
    experiment = next(e for e, _ in Store(SHIPPED, shipped=None).stored() if len(e.seeds) > 1)
    assert load(experiment).are_shipped
    assert not load(experiment.replace(seeds=experiment.seeds[:1])).are_shipped
    [result] = Store(SHIPPED, shipped=None).read_seed(experiment, experiment.seeds[0])
    changed = dataclasses.replace(result, performance=result.performance.assign(test_accuracy=0.5))
    Store(tmp_path).write_seed(experiment, experiment.seeds[0], changed)
    assert not load(experiment, store=tmp_path).are_shipped


def test_a_new_measure_reference_or_view_empties_nothing_that_is_shipped(tmp_path, monkeypatch):
    monkeypatch.setitem(MEASURES, "a_new_one", dataclasses.replace(MEASURES["nbs"], id="a_new_one"))
    asked = {"measures": list(MEASURES), "views": [*VIEWS, "new"], "references": [*REFERENCES, "new"]}
    for name in ("views", "references"):
        monkeypatch.setattr(f"simprune.experiment.{name.upper()}", asked[name])
    of_each = {experiment.architecture: experiment for experiment, _ in Store(SHIPPED, shipped=None).stored()}
    for experiment in of_each.values():
        results = load(experiment)
        more = load(experiment.replace(**asked), store=tmp_path)
        assert len(more.similarity) == len(results.similarity) > 0, experiment.name
        assert more.experiment == results.experiment


@mock.patch.dict(MEASURES)  # which puts all back in their order
def test_a_measure_that_is_no_longer_known_hides_no_other(incomplete):
    experiment, store = incomplete
    del MEASURES["nbs"]
    four = load(experiment.replace(seeds=[4], measures=["linear_cka"]), store=store)
    assert four.experiment.measures == ("linear_cka",) and experiment.name in stored(store)


@pytest.fixture
def other_mnist(tmp_path):
    """A data root with a few images that are not MNIST's, under its name."""
    write_idx(tmp_path / "data", "MNIST", random_split(20, 1, 28, 10, seed=0), random_split(20, 1, 28, 10, seed=1))
    return tmp_path / "data"


def made_from(dataset, fingerprint):
    provenance = {"data": {"fingerprint": fingerprint, "source": "elsewhere"}}
    experiment = SimpleNamespace(dataset=dataset, architecture="lenet5")
    return SimpleNamespace(experiment=experiment, provenance=provenance)


def test_data_at_hand_that_are_not_those_of_the_results_are_told_apart(other_mnist, tmp_path):
    here = data.load("mnist", other_mnist).fingerprint
    results = made_from("mnist", "11de40ec28a7c150")
    assert other_data(results, store=tmp_path, root=other_mnist) == here
    assert other_data(made_from("mnist", here), store=tmp_path, root=other_mnist) is None
    assert other_data(results, store=tmp_path, root=tmp_path / "nothing") is None


def test_data_are_decoded_once_to_be_recognised(other_mnist, tmp_path, monkeypatch):
    first = fingerprint_at_hand("mnist", Store(tmp_path), other_mnist)
    monkeypatch.setattr(data, "load", lambda *_, **__: pytest.fail("decoded again"))
    assert fingerprint_at_hand("mnist", Store(tmp_path), other_mnist) == first
