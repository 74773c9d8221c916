import dataclasses
import json
import shutil
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest
import torch
from synthetic import draw_images, equal
from torch import nn

import simprune
from simprune import data as datasets
from simprune import diagnostics, pruning, study
from simprune.comparison import REFERENCES, compare
from simprune.errors import InputError
from simprune.experiment import FIRST_MEASURES, Experiment
from simprune.models import ARCHITECTURES, Architecture
from simprune.representations import extract
from simprune.retraining import RETRAINING
from simprune.store import Checkpoint, Store

pytestmark = pytest.mark.usefixtures("few_images")

SMALL = Experiment(levels=2, rate=0.5, epochs=1, train_size=300, batch_size=50, probe_size=200, seeds=(0,))
PLAIN = SMALL.replace(measures=("linear_cka",), probe_size=20)  # where only the networks matter
LAYERS = ["conv1_relu", "pool1", "conv2_relu", "pool2", "fc1_relu", "fc2_relu", "logits"]


def run(experiment=SMALL, **options):
    return simprune.run(experiment, progress=False, device="cpu", **options)


@pytest.fixture(scope="module")
def small(few_images, tmp_path_factory):
    store = tmp_path_factory.mktemp("module-store")
    return run(store=store), store


@pytest.fixture
def trainings(monkeypatch):
    """The number of networks trained so far."""
    calls = []
    real = study.train
    monkeypatch.setattr(study, "train", lambda *a, **k: calls.append(1) or real(*a, **k))
    return calls


def test_the_tables_are_tidy_and_complete(small):
    results, _ = small
    assert list(results.performance.columns) == [
        "seed", "level", "density", "sparsity", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds",
    ]  # fmt: skip
    assert list(results.similarity.columns) == [
        "seed", "level", "density", "layer", "layer_index", "reference", "view", "measure", "value", "status", "note",
    ]  # fmt: skip
    assert list(results.sparsity.columns) == ["seed", "level", "layer", "weights", "kept", "density"]
    assert list(results.performance["level"]) == [0, 1, 2]
    scores = results.similarity.set_index(["level", "layer", "measure"])
    assert len(scores) == 3 * len(LAYERS) * len(FIRST_MEASURES) and scores.index.is_unique
    layers = results.similarity.drop_duplicates("layer").sort_values("layer_index")
    assert list(layers["layer"]) == LAYERS and list(layers["layer_index"]) == list(range(7))
    assert not results.similarity.isna().any().any()


def test_the_dense_network_is_itself_and_pruned_ones_are_not(small):
    values = small[0].similarity.set_index("level")["value"]
    assert np.allclose(values[0], 1, atol=1e-6)
    assert (values[2] < 0.9999).any()


def test_measured_densities_are_the_nominal_ones_at_every_level(small):
    results, _ = small
    assert list(results.performance["density"]) == pytest.approx([1, 0.5, 0.25], abs=1e-4)
    totals = results.sparsity.groupby("level")[["kept", "weights"]].sum()
    assert list(totals["kept"] / totals["weights"]) == list(results.performance["density"])
    assert set(results.sparsity["layer"]) == {"conv1", "conv2", "fc1", "fc2", "logits"}


def test_the_scores_are_those_of_the_stored_networks(small):
    results, store = small
    dataset = datasets.load(SMALL.dataset)
    inputs, _ = datasets.probe_inputs(dataset, SMALL.probe_size)
    activations = []
    for level in (0, 2):
        checkpoint = Store(store).read_network(SMALL, 0, level, dataset.fingerprint)
        network = pruning.attach_masks(simprune.models.build("lenet5", channels=1, image_size=28, classes=10))
        network.load_state_dict(checkpoint.state)
        activations.append(extract(network, inputs)["fc1_relu"])
    expected = compare(*activations, measures=FIRST_MEASURES)["value"]
    scores = results.similarity.query("level == 2 and layer == 'fc1_relu'").set_index("measure")["value"]
    assert np.allclose(scores[list(FIRST_MEASURES)], expected[list(FIRST_MEASURES)], atol=1e-10)


def test_provenance_says_what_made_the_result(small):
    results, store = small
    provenance = results.provenance
    assert Experiment(**provenance["experiment"]) == SMALL
    assert provenance["simprune"] == simprune.__version__
    assert provenance["packages"]["torch"] == version("torch")
    assert provenance["data"] == {"fingerprint": datasets.load(SMALL.dataset).fingerprint, "source": "embedded"}
    assert provenance["device"].startswith("cpu") and provenance["threads"] >= 1
    assert provenance["precision"] == "float32"
    assert provenance["duration"] > provenance["comparison"] > 0
    assert (
        provenance["duration"] > results.performance["seconds"].sum()
        and pd.Timestamp(provenance["start"]).tz is not None
    )
    on_disk = json.loads((results.directory / "seed-0" / "provenance.json").read_text())
    assert on_disk == provenance["seeds"][0]
    assert str(store) not in json.dumps(on_disk)


def test_a_repeated_run_is_read_and_not_computed(small, trainings):
    results, store = small
    again = run(store=store)
    assert equal(again, results) and not trainings
    assert list(again.performance["seconds"]) == list(results.performance["seconds"])
    assert equal(simprune.load(SMALL, store=store), results)


def test_without_resume_everything_is_computed_afresh_and_with_one_seed_bit_identical(small, trainings):
    results, store = small
    assert equal(run(store=store, resume=False), results) and len(trainings) == 3


def test_a_changed_parameter_gives_new_numbers_and_shares_the_dense_network(small, trainings):
    results, store = small
    other = run(SMALL.replace(rate=0.3), store=store)
    assert list(other.performance["density"]) == pytest.approx([1, 0.7, 0.49], abs=1e-4)
    assert other.directory != results.directory
    assert len(trainings) == 2


def test_more_levels_go_on_from_those_that_are_there(small, trainings):
    results, store = small
    deeper = run(SMALL.replace(levels=3), store=store)
    assert len(trainings) == 1
    first = deeper.similarity.query("level <= 2").reset_index(drop=True)
    assert first.equals(results.similarity)


@pytest.mark.parametrize("diagnostics", [None, 3.5, "", ["nulls", "spectra"]])
def test_diagnostics_that_are_no_names_of_tables_are_refused_before_work(diagnostics, tmp_path, trainings):
    with pytest.raises(InputError, match="diagnostics: "):
        run(SMALL, store=tmp_path, diagnostics=diagnostics)
    assert not trainings


def test_every_reference_has_a_network():
    assert set(study.SOURCES) == set(REFERENCES) - {"previous"}


def test_more_measures_views_and_references_train_nothing_and_leave_the_scores_that_were_there(tmp_path, trainings):
    results = run(store=tmp_path)
    del trainings[:]
    more = run(
        SMALL.replace(measures=("linear_cka", "nbs"), views=("flatten", "pooled"), references=("dense", "previous")),
        store=tmp_path,
    )
    assert not trainings
    key = ["level", "layer", "reference", "view", "measure"]
    old = results.similarity.query("measure == 'nbs'").set_index(key)["value"]
    assert more.similarity.set_index(key)["value"][old.index].equals(old)
    previous = more.similarity.query("reference == 'previous'")
    assert set(previous["level"]) == {1, 2} and set(previous["view"]) == {"flatten", "pooled"}
    assert equal(run(store=tmp_path), results)
    [(stored, _)] = Store(tmp_path, shipped=None).stored()
    assert (stored.measures, stored.views) == (FIRST_MEASURES, ("flatten", "pooled"))


def test_a_dense_network_alone_has_none_before_it_and_is_read_again(tmp_path, capsys):
    dense = PLAIN.replace(levels=0, references=("dense", "previous"))
    first = run(dense, store=tmp_path)
    assert set(first.similarity["reference"]) == {"dense"}
    simprune.run(dense, store=tmp_path, device="cpu")
    assert f"seed 0: read from {first.directory}" in capsys.readouterr().err


def test_siblings_are_the_dense_networks_of_the_next_seed_trained_once(tmp_path, trainings):
    experiment = SMALL.replace(references=("sibling", "untrained"), measures=("linear_cka",))
    results = run(experiment, store=tmp_path)
    assert len(trainings) == 4  # three levels, one sibling
    run(experiment.replace(seeds=(1,)), store=tmp_path)
    assert len(trainings) == 4 + 2 + 1  # its dense network was there; its own sibling was not
    scores = results.similarity.query("level == 0").set_index(["reference", "layer"])["value"]
    assert scores["sibling"].between(0.05, 0.999).all()
    assert scores["untrained"].between(0.05, 0.99999).all()


def test_scores_with_another_sibling_are_not_added_to_those_of_the_one_before(tmp_path):
    one = PLAIN.replace(references=("dense", "sibling"))
    both = one.replace(measures=("linear_cka", "nbs"))
    first = run(one, store=tmp_path)
    assert set(first.provenance["references"]) == {"sibling"}
    run(one.replace(views=("pooled",)), store=tmp_path)
    assert len(Store(tmp_path).read_seed(one, 0)[0].scores()) == 4  # added to the others
    change_network(PLAIN.replace(seeds=(1,)), tmp_path, 0)
    again = run(both, store=tmp_path)
    assert again.provenance["references"] != first.provenance["references"]
    same = "reference == 'sibling' and measure == 'linear_cka'"
    assert not np.allclose(*(results.similarity.query(same)["value"] for results in (first, again)), atol=1e-12)
    assert len(Store(tmp_path).read_seed(one, 0)[0].scores()) == 4  # those of the other sibling are gone


def test_seeds_are_added_and_merged_by_being_there(small, trainings):
    results, store = small
    both = run(SMALL.replace(seeds=(0, 5)), store=store)
    assert len(trainings) == 3
    first = both.performance.query("seed == 0").drop(columns="seconds")
    assert first.equals(results.performance.drop(columns="seconds"))
    second = both.performance.query("seed == 5")
    assert (second["test_loss"].to_numpy() != first["test_loss"].to_numpy()).all()
    assert list(both.provenance["seeds"]) == [0, 5]


def test_an_interrupted_run_goes_on_at_the_level_it_was_in_and_ends_with_the_same_numbers(small, tmp_path, monkeypatch):
    real, calls = study.train, []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(study, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(store=tmp_path)
    resumed = run(store=tmp_path)
    assert len(calls) == 4
    assert equal(resumed, small[0])


def test_a_result_from_other_data_is_not_mixed_in(small, monkeypatch, capsys, trainings):
    results, store = small
    other = dataclasses.replace(datasets.load("fashion_mnist_mini"), fingerprint="0" * 16)
    monkeypatch.setattr(datasets, "load", lambda *a, **k: other)
    monkeypatch.setattr(datasets, "state_of_files", lambda *a, **k: "other files")
    again = simprune.run(SMALL, store=store, device="cpu")
    assert "was made from other data" in capsys.readouterr().err and len(trainings) == 3
    assert again.provenance["data"]["fingerprint"] == "0" * 16
    monkeypatch.undo()
    assert run(store=store).provenance["data"] == results.provenance["data"]


def test_stored_results_are_read_where_the_data_is_not(small, monkeypatch, trainings):
    results, store = small

    def absent(*arguments, **options):
        raise InputError("data: not here")

    monkeypatch.setattr(datasets, "load", absent)
    monkeypatch.setattr(datasets, "state_of_files", absent)
    assert equal(run(store=store), results) and not trainings
    with pytest.raises(InputError, match="not here"):
        run(SMALL.replace(rate=0.4), store=store)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, "device: 'gpu' is not one of auto, cpu, cuda"),
        ({"experiment": SMALL.replace(dataset="mnist", train_size=300), "data": "nowhere"}, "data: nowhere"),
        ({"experiment": SMALL.replace(dataset="folder:nowhere#0123456789abcdef")}, "nowhere"),
        (
            {"experiment": SMALL.replace(retraining="weight_rewind", rewind_step=6)},
            "rewind_step: 6 is not before the end of the training, step 6",
        ),
    ],
)
def test_a_refused_run_writes_nothing(options, message, tmp_path):
    store = tmp_path / "store"
    arguments = {"experiment": SMALL, "store": store} | options
    with pytest.raises(InputError, match=message):
        simprune.run(arguments.pop("experiment"), **arguments)
    assert not store.exists()


def test_a_network_of_ones_own_is_tried_before_anything_is_trained(tmp_path, monkeypatch, trainings):
    def build(channels, size, classes, width):
        return nn.Sequential(nn.Flatten(), nn.Linear(channels * size[0] * size[1], classes), nn.BatchNorm1d(classes))

    own = Architecture(title="Own", build=build, reference="", min_image_size=1, has_width=False)
    monkeypatch.setitem(ARCHITECTURES, "own", own)
    experiment = SMALL.replace(architecture="own", train_size=301, batch_size=100)
    with pytest.raises(InputError, match="batch_size: the last batch of an epoch is one image"):
        simprune.run(experiment, store=tmp_path / "store")
    assert not trainings and not (tmp_path / "store").exists()
    assert len(run(experiment.replace(train_size=300), store=tmp_path).performance) == SMALL.levels + 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_cuda_is_refused_where_there_is_none():
    with pytest.raises(InputError, match="device: 'cuda' was asked for"):
        simprune.run(SMALL, device="cuda")


def own_images(folder, seed=0, side=28, channels=1):
    """The plain experiment on images of one's own, other ones for each seed."""
    draw_images(folder, seed, side, count=16, channels=channels)
    return PLAIN.replace(dataset=f"folder:{folder}", train_size="all", batch_size=8, probe_size=8, levels=0)


def test_results_of_images_of_ones_own_are_found_wherever_the_images_are(tmp_path, trainings):
    first = run(own_images(tmp_path / "own"), store=tmp_path / "store")
    trainings.clear()
    moved = own_images(tmp_path / "of another name")
    for found in (run(moved, store=tmp_path / "store"), simprune.load(moved, store=tmp_path / "store")):
        assert equal(found, first) and found.directory == first.directory
    wider = run(moved.replace(measures=("nbs", "jaccard_knn")), store=tmp_path / "store")
    assert wider.directory == first.directory and not trainings
    assert [place for _, place in Store(tmp_path / "store", shipped=None).stored()] == [first.directory]
    shutil.rmtree(tmp_path / "of another name")
    assert equal(run(moved, store=tmp_path / "store"), first)


def test_images_that_were_changed_since_the_experiment_was_made_are_refused(tmp_path):
    experiment = own_images(tmp_path / "own")
    changed = own_images(tmp_path / "own", 1)
    with pytest.raises(InputError, match=r"are not those of this experiment any more .*; make the experiment again"):
        run(experiment, store=tmp_path / "store")
    assert not (tmp_path / "store").exists()
    run(changed, store=tmp_path / "store")
    with pytest.raises(InputError, match="are not those of this experiment any more"):
        run(experiment, store=tmp_path / "store")


def test_images_in_colour_are_trained_on_too(tmp_path):
    experiment = own_images(tmp_path / "own", side=32, channels=3)
    assert run(experiment.replace(levels=1), store=tmp_path / "store").performance["test_accuracy"].between(0, 1).all()


# What each level starts from ----------------------------------------------------------------------------------------


@pytest.fixture
def starts(monkeypatch):
    """What `train` was called with: the state of the network before, its options, and the learning rates it used."""
    calls = []
    real = study.train

    def recording(network, *arguments, **options):
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        rates = real(network, *arguments, **options)
        calls.append({"before": before, "rates": rates, "options": options})
        return rates

    monkeypatch.setattr(study, "train", recording)
    return calls


def network_state(experiment, store, level, seed=0):
    fingerprint = datasets.load(experiment.dataset).fingerprint
    return Store(store).read_network(experiment, seed, level, fingerprint).state


def test_with_lr_rewind_each_level_starts_from_the_weights_before_and_from_the_first_learning_rate(tmp_path, starts):
    experiment = PLAIN.replace(epochs=4)
    run(experiment, store=tmp_path)
    assert starts[2]["rates"] == starts[0]["rates"]
    assert starts[2]["rates"][0] == experiment.learning_rate
    assert starts[2]["rates"][-1] == pytest.approx(experiment.learning_rate / 100)
    for level in (1, 2):
        before = network_state(experiment, tmp_path, level - 1)
        for name, tensor in starts[level]["before"].items():
            if not name.endswith("_mask"):
                assert torch.equal(tensor, before[name])
            else:
                assert tensor.sum() < before[name].sum()


@pytest.mark.parametrize(("scope", "retraining"), [("global", "lr_rewind"), ("layerwise", "none")])
def test_what_goes_are_the_smallest_of_the_trained_weights_that_were_left(tmp_path, scope, retraining):
    experiment = PLAIN.replace(scope=scope, retraining=retraining)
    run(experiment, store=tmp_path)
    for level in range(1, experiment.levels + 1):
        before, after = (network_state(experiment, tmp_path, number) for number in (level - 1, level))
        layers = [name.removesuffix("_mask") for name in after if name.endswith("_mask")]
        groups = [layers] if scope == "global" else [[layer] for layer in layers]
        for group in groups:
            magnitude = torch.cat([before[f"{layer}_orig"].abs().flatten() for layer in group])
            had, has = (
                torch.cat([state[f"{layer}_mask"].flatten().bool() for layer in group]) for state in (before, after)
            )
            assert (had & ~has).any()
            assert magnitude[has].min() >= magnitude[had & ~has].max()


def test_a_way_of_retraining_goes_back_to_an_early_step_only_if_its_key_knows_the_step(tmp_path, monkeypatch):
    monkeypatch.setitem(RETRAINING, "mine", dataclasses.replace(RETRAINING["weight_rewind"], dense_recipe=False))
    with pytest.raises(InputError, match="'mine' goes back to a step, so its Mode needs dense_recipe=True"):
        simprune.run(PLAIN.replace(retraining="mine"), store=tmp_path, progress=False)


def test_with_weight_rewind_each_level_starts_from_an_early_step_of_the_dense_training(tmp_path, starts):
    experiment = PLAIN.replace(epochs=4, retraining="weight_rewind", rewind_step=5)
    run(experiment, store=tmp_path)
    dense, early, first, second = starts
    assert early["options"]["last_step"] == 5
    assert [call["rates"] for call in (early, first, second)] == [
        dense["rates"][:5],
        dense["rates"][5:],
        dense["rates"][5:],
    ]
    for name, tensor in first["before"].items():
        if not name.endswith("_mask"):
            assert torch.equal(tensor, second["before"][name])
            assert not torch.equal(tensor, dense["before"][name])
    # The early state is that of the dense training, step for step.
    network = pruning.attach_masks(simprune.models.build("lenet5", channels=1, image_size=28, classes=10))
    dataset = datasets.load(experiment.dataset).subset(experiment.train_size)
    study.train(network, dataset, experiment.recipe(), order_seed=study.derived_seed(0, "order", 0),
                augmentation_seed=0, last_step=5)  # fmt: skip
    assert all(torch.equal(first["before"][n], t) for n, t in network.state_dict().items() if not n.endswith("_mask"))


def test_with_finetuning_the_learning_rate_stays_the_last_one(tmp_path, starts):
    experiment = PLAIN.replace(retraining="finetune")
    run(experiment, store=tmp_path)
    assert set(starts[1]["rates"]) == {experiment.learning_rate / 100}


def test_without_retraining_the_weights_left_are_the_dense_ones(tmp_path, starts):
    experiment = PLAIN.replace(retraining="none")
    run(experiment, store=tmp_path)
    assert len(starts) == 1
    dense, pruned = (network_state(experiment, tmp_path, level) for level in (0, 2))
    for name, tensor in dense.items():
        if not name.endswith("_mask"):
            assert torch.equal(tensor, pruned[name])


def test_reinitialised_networks_have_the_masks_of_the_run_and_other_weights(tmp_path, starts):
    run(PLAIN, store=tmp_path)
    again = run(PLAIN.replace(retraining="reinitialise"), store=tmp_path)
    assert len(starts) == 3 + 2
    for level in (1, 2):
        run_state = network_state(PLAIN, tmp_path, level)
        for name, tensor in starts[2 + level]["before"].items():
            if name.endswith("_mask"):
                assert torch.equal(tensor, run_state[name])
            elif name.endswith("weight_orig"):
                assert not torch.equal(tensor, starts[0]["before"][name])
    assert list(again.performance["density"]) == pytest.approx([1, 0.5, 0.25], abs=1e-4)


@pytest.mark.parametrize("scope", ["global", "layerwise"])
def test_held_weights_stay_to_the_bit_and_the_others_train(tmp_path, scope):
    donor = PLAIN.replace(scope=scope)
    run(donor, store=tmp_path)
    held = run(donor.replace(retraining="held"), store=tmp_path)
    assert list(held.performance["density"]) == [1, 1, 1]
    for level in (1, 2):
        masks = network_state(donor, tmp_path, level)
        before, after = (network_state(donor.replace(retraining="held"), tmp_path, n) for n in (level - 1, level))
        for name, mask in masks.items():
            if name.endswith("_mask"):
                weight = name.replace("_mask", "_orig")
                assert torch.equal(before[weight][mask == 0], after[weight][mask == 0])
                assert (before[weight] != after[weight])[mask == 1].float().mean() > 0.9
                assert after[weight][mask == 0].abs().min() > 0 and (after[name] == 1).all()


def test_regrown_weights_start_each_level_at_zero_and_do_not_stay_there(tmp_path, starts):
    regrown = PLAIN.replace(retraining="regrown")
    results = run(regrown, store=tmp_path)
    assert len(starts) == 3 + 2 and results.performance["density"].min() > 0.9
    for level in (1, 2):
        masks, before = network_state(PLAIN, tmp_path, level), network_state(regrown, tmp_path, level - 1)
        start, after = starts[2 + level]["before"], network_state(regrown, tmp_path, level)
        for name, mask in masks.items():
            if name.endswith("_mask"):
                weight = name.replace("_mask", "_orig")
                assert torch.equal(start[weight], before[weight] * mask)
                assert after[weight][mask == 0].ne(0).float().mean() > 0.5  # but for units that are dead


def change_network(experiment, store, level):
    """Put another network in the place of one that is stored, as a run on another machine might."""
    place = Store(store)
    fingerprint = datasets.load(experiment.dataset).fingerprint
    (seed,) = experiment.seeds
    checkpoint = place.read_network(experiment, seed, level, fingerprint)
    state = {name: tensor * (1 if name.endswith("_mask") else 1.01) for name, tensor in checkpoint.state.items()}
    place.write_network(experiment, seed, level, fingerprint, Checkpoint(state, checkpoint.facts))


def test_new_weights_take_one_run_of_donors_whatever_is_stored(tmp_path, trainings):
    experiment = PLAIN.replace(retraining="reinitialise")
    first = run(experiment, store=tmp_path)
    assert len(trainings) == 1 + 2 + 2
    again = run(experiment, store=tmp_path, resume=False)
    assert len(trainings) == 2 * (1 + 2 + 2) and equal(first, again)


def test_networks_that_were_made_from_another_network_are_made_again(tmp_path, trainings):
    run(PLAIN, store=tmp_path)
    change_network(PLAIN, tmp_path, 1)
    del trainings[:]
    run(PLAIN.replace(measures=["nbs", "rsa"]), store=tmp_path)
    assert len(trainings) == 1  # level 2, from the network that is there now
    change_network(PLAIN, tmp_path, 0)
    run(PLAIN.replace(measures=["gulp"]), store=tmp_path)
    assert len(trainings) == 1 + 2


def test_new_weights_are_trained_again_where_their_masks_come_from_other_networks(tmp_path, trainings):
    experiment = PLAIN.replace(retraining="reinitialise")
    run(experiment, store=tmp_path)
    change_network(PLAIN, tmp_path, 2)
    del trainings[:]
    run(experiment.replace(measures=["nbs", "rsa"]), store=tmp_path)
    assert len(trainings) == 1


def test_one_shot_levels_start_from_the_dense_network(tmp_path, starts):
    experiment = PLAIN.replace(one_shot=True)
    results = run(experiment, store=tmp_path)
    dense = network_state(experiment, tmp_path, 0)
    for level in (1, 2):
        for name, tensor in starts[level]["before"].items():
            if not name.endswith("_mask"):
                assert torch.equal(tensor, dense[name])
    assert list(results.performance["density"]) == pytest.approx([1, 0.5, 0.25], abs=1e-4)


def test_without_retraining_pruning_in_rounds_and_in_one_shot_give_the_same_networks(tmp_path):
    rounds = PLAIN.replace(retraining="none")
    for experiment in (rounds, rounds.replace(one_shot=True)):
        run(experiment, store=tmp_path)
    for level in (1, 2):
        one, other = (network_state(each, tmp_path, level) for each in (rounds, rounds.replace(one_shot=True)))
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_output_layer_can_be_left_whole(tmp_path):
    results = run(PLAIN.replace(keep_output=True), store=tmp_path)
    report = results.sparsity.query("level == 2").set_index("layer")
    assert report.loc["logits", "density"] == 1
    others = report.drop("logits")
    assert others["kept"].sum() / others["weights"].sum() == pytest.approx(0.25, abs=1e-4)


def test_retraining_without_pruning_keeps_every_weight(tmp_path, starts):
    results = run(PLAIN.replace(criterion="none"), store=tmp_path)
    assert list(results.performance["density"]) == [1, 1, 1] and len(starts) == 3


# Diagnostics --------------------------------------------------------------------------------------------------------

PROBED = PLAIN.replace(levels=1, probe_size=60, measures=("nbs",))


@pytest.fixture(scope="module")
def diagnosed(few_images, tmp_path_factory):
    store = tmp_path_factory.mktemp("diagnosed-store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnostics, "VIEWS", ("flatten",))  # the others have tests of their own, and cost most
        return run(PROBED, store=store, diagnostics=True), store


@pytest.fixture
def computed(monkeypatch):
    """The names of the tables of diagnostics computed so far, each of them a made-up one."""
    names = []

    def made_up(name):
        def table(networks):
            names.append(name)
            return pd.DataFrame({"level": range(networks.levels + 1), "value": 0.5})

        return table

    monkeypatch.setattr(diagnostics, "TABLES", {name: made_up(name) for name in ("nulls", "samples", "spectral")})
    return names


def test_diagnostics_are_stored_and_read_with_the_results_and_do_not_change_them(diagnosed, trainings, monkeypatch):
    results, store = diagnosed
    assert set(results.diagnostics) == set(diagnostics.TABLES)
    for table in results.diagnostics.values():
        assert list(table["seed"].unique()) == [0]
    monkeypatch.setattr(diagnostics, "TABLES", dict.fromkeys(diagnostics.TABLES))  # none can be computed
    for again in (
        simprune.load(PROBED, store=store),
        run(PROBED, store=store),
        run(PROBED, store=store, diagnostics=True),
    ):
        assert equal(again, results) and not trainings
        for name, table in results.diagnostics.items():
            pd.testing.assert_frame_equal(again.diagnostics[name], table)


def test_diagnostics_are_of_the_stored_networks(diagnosed):
    results, _ = diagnosed
    pair = [results.diagnostics["level_pairs"], results.diagnostics["layer_pairs"]]
    scores = pair[0].query("measure == 'nbs' and view == 'flatten'").set_index("layer")["value"]
    expected = results.similarity.query("level == 1").set_index("layer")["value"]
    assert np.allclose(scores[expected.index], expected, atol=1e-10)
    assert set(pair[1]["layer_x"]) == set(LAYERS)
    density = results.diagnostics["nulls"].groupby("level")["density"].first()
    assert list(density) == list(results.performance["density"])


def test_diagnostics_say_what_made_them(diagnosed):
    results, _ = diagnosed
    listed = json.loads((results.directory / "seed-0" / "diagnostics.json").read_text())["tables"]
    assert set(listed) == set(diagnostics.TABLES)
    for name, facts in listed.items():
        assert facts["packages"]["torch"] == version("torch") and facts["seconds"] > 0
        assert facts["rows"] == len(results.diagnostics[name])


def test_without_being_asked_for_there_are_no_diagnostics(small):
    assert small[0].diagnostics == {}


def test_diagnostics_train_nothing_but_a_missing_sibling(tmp_path, trainings, computed):
    run(PROBED, store=tmp_path)
    assert len(trainings) == 2
    run(PROBED, store=tmp_path, diagnostics=True)
    assert len(trainings) == 3 and computed == ["nulls", "samples", "spectral"]


def test_interrupted_diagnostics_keep_the_tables_that_were_finished(tmp_path, computed, monkeypatch):
    def interrupted(networks):
        raise KeyboardInterrupt

    whole = diagnostics.TABLES["samples"]
    diagnostics.TABLES["samples"] = interrupted
    with pytest.raises(KeyboardInterrupt):
        run(PROBED, store=tmp_path, diagnostics=True)
    assert set(simprune.load(PROBED, store=tmp_path).diagnostics) == {"nulls"}
    diagnostics.TABLES["samples"] = whole
    assert set(run(PROBED, store=tmp_path, diagnostics=True).diagnostics) == {"nulls", "samples", "spectral"}
    assert computed == ["nulls", "samples", "spectral"]


def test_without_resume_diagnostics_are_computed_afresh(tmp_path, computed):
    for _ in range(2):
        run(PROBED, store=tmp_path, diagnostics=True, resume=False)
    assert computed == 2 * ["nulls", "samples", "spectral"]


def test_diagnostics_are_those_of_the_seeds_that_have_them(tmp_path, computed):
    run(PROBED, store=tmp_path, diagnostics=True)
    both = run(PROBED.replace(seeds=(0, 1)), store=tmp_path)
    assert list(both.diagnostics["nulls"]["seed"]) == [0, 0]
    both = run(PROBED.replace(seeds=(0, 1)), store=tmp_path, diagnostics=True)
    assert list(both.diagnostics["nulls"]["seed"]) == [0, 0, 1, 1] and len(computed) == 6


def test_diagnostics_without_the_networks_are_refused(tmp_path, computed):
    run(PROBED, store=tmp_path)
    for file in (tmp_path / ".networks").rglob("level-01.json"):
        file.unlink()
    with pytest.raises(InputError, match="diagnostics: the networks of seed 0 are not in the store"):
        run(PROBED, store=tmp_path, diagnostics=True)
    assert not computed


def test_diagnostics_that_can_not_be_made_are_refused_before_another_seed_is_trained(
    tmp_path, computed, trainings, monkeypatch
):
    def unwritable(*_):
        raise InputError("store: it can't be written")

    run(PROBED, store=tmp_path)
    del trainings[:]
    with monkeypatch.context() as patch, pytest.raises(InputError, match="store: it can't be written"):
        patch.setattr(Store, "prepare", unwritable)
        run(PROBED, store=tmp_path, diagnostics=True)
    for file in (tmp_path / ".networks").rglob("level-01.json"):
        file.unlink()
    with pytest.raises(InputError, match="diagnostics: the networks of seed 0 are not in the store"):
        run(PROBED.replace(seeds=(0, 1)), store=tmp_path, diagnostics=True)
    assert not trainings and not computed


def test_a_network_that_is_replaced_while_diagnostics_are_made_is_not_used(tmp_path, computed, monkeypatch):
    def replacing(networks):
        change_network(PROBED, tmp_path, 1)
        return networks.network(1)

    run(PROBED, store=tmp_path)
    monkeypatch.setitem(diagnostics.TABLES, "samples", replacing)
    with pytest.raises(RuntimeError, match="level 1, was changed in the store by another process"):
        run(PROBED, store=tmp_path, diagnostics=True)


def test_progress_of_diagnostics_is_a_line_per_table(tmp_path, computed, capsys):
    simprune.run(PROBED, store=tmp_path, device="cpu", diagnostics=True)
    said = capsys.readouterr().err
    assert [f"seed 0, {name}: 2 rows in" in said for name in diagnostics.TABLES] == [True] * 3
