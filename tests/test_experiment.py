import dataclasses
import re
import shutil

import numpy as np
import pytest
from synthetic import draw_images

from simprune import Experiment, InputError
from simprune.experiment import FIRST_MEASURES, PROFILES
from simprune.models import ARCHITECTURES
from simprune.retraining import RETRAINING


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_profile_fills_in_what_is_not_given(profile, architecture):
    experiment = Experiment(architecture, "cifar10", profile=profile)
    assert all(value is not None for value in dataclasses.asdict(experiment).values())
    assert Experiment(architecture, "cifar10", profile=profile, levels=2).levels == 2


def test_the_step_counts_in_every_way_that_goes_back_to_it(monkeypatch):
    monkeypatch.setitem(RETRAINING, "mine", RETRAINING["weight_rewind"])
    assert len({Experiment(retraining="mine", rewind_step=step).key for step in (1, 2)}) == 2


def test_the_paper_profile_prunes_twelve_times_to_below_seven_percent():
    experiment = Experiment("lenet5", "mnist", profile="paper")
    assert experiment.levels >= 12 and (1 - experiment.rate) ** experiment.levels <= 0.07
    assert experiment.train_size == "all" and experiment.width == 1


@pytest.mark.parametrize(("profile", "width"), [("laptop", 0.5), ("overnight", 1)])
def test_the_profiles_for_a_cpu_end_their_schedule_and_halve_it_at_each_level(profile, width):
    experiment = Experiment("vgg", "cifar10", profile=profile)
    assert (experiment.schedule, experiment.nesterov, experiment.width) == ("linear", True, width)
    assert [round((1 - experiment.rate) ** level, 3) for level in range(1, experiment.levels + 1)] == [
        round(0.8**level, 3) for level in (3, 6, 9, 12)
    ]
    assert 2 * experiment.recipe(1).epochs == experiment.recipe(0).epochs == experiment.epochs
    assert experiment.replace(epochs=6).recipe(1).epochs == 3
    assert experiment.replace(epochs=6, retraining_epochs=5).recipe(1).epochs == 5


@pytest.mark.parametrize("profile", PROFILES)
def test_an_architecture_of_one_width_has_that_in_every_profile(profile, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "one_size", dataclasses.replace(ARCHITECTURES["vgg"], has_width=False))
    assert Experiment("one_size", "cifar10", profile=profile).width == 1
    assert Experiment("vgg", "cifar10", profile=profile, width=16).width == 16


def test_new_fields_leave_the_keys_of_experiments_that_do_not_use_them():
    """These are those of results that were stored before; a change that is meant comes with a new RESULTS_SCHEMA."""
    assert Experiment().key == "ae40b847c822"
    assert Experiment("lenet5", "fashion_mnist", profile="paper").key == "1259edacf7a4"
    before = {"levels": 10, "rate": 0.2, "schedule": "step", "nesterov": False, "epochs": 8, "retraining_epochs": 8}
    assert Experiment("vgg", "cifar10", profile="laptop", **before).key == "21a36d38c1f5"
    assert Experiment("vgg", "cifar10", profile="laptop").key == "1f4862a345e8"
    for change in ({"nesterov": True}, {"retraining_epochs": 3}, {"schedule": "linear"}):
        assert Experiment("lenet5", "fashion_mnist", profile="paper", **change).key != "1259edacf7a4"


def test_ways_that_take_masks_need_some():
    with pytest.raises(InputError, match="criterion: 'none' gives no masks, which retraining 'held' takes"):
        Experiment(criterion="none", retraining="held")


def test_the_quick_profile_of_the_embedded_data_is_the_default():
    experiment = Experiment()
    assert (experiment.architecture, experiment.dataset) == ("lenet5", "fashion_mnist_mini")
    assert experiment.measures == FIRST_MEASURES and experiment.references == ("dense",)


def test_an_experiment_is_frozen_and_equal_ones_are_equal():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Experiment().levels = 3
    assert Experiment() == Experiment(levels=Experiment().levels) and hash(Experiment()) == hash(Experiment())


def test_json_brings_an_experiment_back():
    experiment = Experiment("lenet5", "mnist", profile="laptop", seeds=(2, 0), rate=0.3, measures=["nbs"])
    assert Experiment.from_json(experiment.to_json()) == experiment


def test_names_are_put_in_their_order_and_numbers_of_numpy_are_taken():
    experiment = Experiment(
        measures=["nbs", "mean_cca", "nbs"], seeds=np.arange(2)[::-1], levels=np.int64(3), rate=np.float64(0.5)
    )
    assert experiment.measures == ("mean_cca", "nbs") and experiment.seeds == (0, 1)
    assert Experiment.from_json(experiment.to_json()) == experiment
    assert Experiment(seeds=3).seeds == (3,) and Experiment(measures="nbs").measures == ("nbs",)


@pytest.mark.parametrize(
    "change",
    [
        {"rate": 0.3},
        {"levels": 4},
        {"epochs": 7},
        {"criterion": "random"},
        {"scope": "layerwise"},
        {"retraining": "finetune"},
        {"retraining": "weight_rewind"},
        {"retraining": "weight_rewind", "rewind_step": 3},
        {"one_shot": True},
        {"keep_output": True},
        {"train_size": 5000},
        {"batch_size": 64},
        {"learning_rate": 0.01},
        {"momentum": 0.5},
        {"weight_decay": 0.0},
        {"schedule": "cosine"},
        {"augmentation": "crop"},
        {"probe_size": 400},
        {"dataset": "mnist"},
    ],
)
def test_what_changes_the_numbers_changes_the_key(change):
    assert Experiment().replace(**change).key != Experiment().key


def test_the_width_of_a_network_changes_the_key():
    assert Experiment("vgg", "cifar10", width=0.5).key != Experiment("vgg", "cifar10", width=0.25).key


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": (1, 2)},
        {"measures": ("nbs",)},
        {"views": ("pooled",)},
        {"references": ("previous",)},
        {"rewind_step": 3},
    ],
)
def test_what_leaves_the_numbers_leaves_the_key(change):
    assert Experiment().replace(**change).key == Experiment().key


def test_the_full_training_set_has_one_name():
    assert Experiment(train_size=10_000).key == Experiment(train_size="all").key


def test_dense_networks_are_shared_between_ways_of_pruning_and_levels_between_depths():
    a, b = Experiment(), Experiment(rate=0.3, scope="layerwise", probe_size=100)
    assert a.network_key(0) == b.network_key(0) and a.network_key(1) != b.network_key(1)
    assert a.network_key(3) == a.replace(levels=20, measures=("nbs",)).network_key(3)
    assert a.network_key(0) != a.replace(epochs=9).network_key(0)


def test_images_of_ones_own_count_by_what_is_in_them_and_not_by_their_path(tmp_path, monkeypatch):
    for place, seed in (("a/flowers", 0), ("b/flowers", 1), ("copy of a", 0)):
        draw_images(tmp_path / place, seed)
    (tmp_path / "link").symlink_to(tmp_path / "a" / "flowers")
    monkeypatch.chdir(tmp_path / "a")
    names = ("flowers", "./flowers", "flowers/.", "flowers//", tmp_path / "a/flowers", "../link", "../copy of a")
    same = [Experiment(dataset=f"folder:{name}", probe_size=4) for name in names]
    other = Experiment(dataset="folder:../b/flowers", probe_size=4)
    assert {experiment.key for experiment in same} == {same[0].key} != {other.key}
    assert {experiment.network_key(0) for experiment in same} == {same[0].network_key(0)} != {other.network_key(0)}
    assert same[:4] == [same[0]] * 4
    assert same[0].name == f"lenet5-folder_flowers-quick-{same[0].key}"
    assert same[6].name == f"lenet5-folder_copy_of_a-quick-{same[0].key}"
    monkeypatch.chdir("flowers")
    assert Experiment(dataset="folder:.", probe_size=4).name == same[0].name


def test_an_experiment_on_images_of_ones_own_stays_the_same_when_they_are_changed_or_gone(tmp_path):
    draw_images(tmp_path / "own", 0)
    first = Experiment(dataset=f"folder:{tmp_path / 'own'}", probe_size=4)
    draw_images(tmp_path / "own", 1)
    assert Experiment(dataset=f"folder:{tmp_path / 'own'}", probe_size=4).key != first.key
    shutil.rmtree(tmp_path / "own")
    assert Experiment.from_json(first.to_json()) == first.replace(seeds=0) == first
    with pytest.raises(InputError, match=re.escape(f"data: {tmp_path / 'own' / 'train'} is not a folder")):
        Experiment(dataset=f"folder:{tmp_path / 'own'}", probe_size=4)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"architecture": "lenet"}, "architecture: 'lenet' is not one of .*; did you mean 'lenet5'"),
        ({"dataset": "fashion-mnist"}, "dataset: 'fashion-mnist' is not one of .*; did you mean 'fashion_mnist'"),
        ({"dataset": "folder:"}, "dataset: 'folder:' needs the path of a folder"),
        ({"dataset": 3}, "dataset: 3 is not one of"),
        ({"profile": "fast"}, "profile: 'fast' is not one of quick, laptop, overnight, paper"),
        ({"criterion": "magnitudes"}, "criterion: 'magnitudes' .* did you mean 'magnitude'"),
        ({"scope": "locally"}, "scope: 'locally' is not one of global, layerwise"),
        ({"retraining": "lr-rewind"}, "retraining: 'lr-rewind' .* did you mean 'lr_rewind'"),
        ({"views": ["flat"]}, "views: 'flat' is not one of flatten, channels, pooled; did you mean 'flatten'"),
        ({"measures": ["cka"]}, "measures: 'cka' is not one of"),
        ({"measures": []}, "measures: none given"),
        ({"references": ["dens"]}, "references: 'dens' .* did you mean 'dense'"),
        ({"rate": 0}, "rate: 0 is not a number above 0 and below 1"),
        ({"rate": 1.0}, "rate: 1.0 is not a number above 0 and below 1"),
        ({"rate": -0.2}, "rate: -0.2 is not"),
        ({"rate": float("nan")}, "rate: nan is not"),
        ({"rate": "0.2"}, "rate: '0.2' is not"),
        ({"levels": -1}, "levels: -1 is not a whole number of at least 0"),
        ({"levels": 2.5}, "levels: 2.5 is not a whole number"),
        ({"levels": 60}, "levels: 60 at rate 0.2 leave fewer weights than the network has layers"),
        ({"levels": 40, "scope": "layerwise"}, "levels: 40 at rate 0.2 leave layer 'conv1' .* empty"),
        ({"rewind_step": -1}, "rewind_step: -1 is not a whole number of at least 0"),
        ({"one_shot": 1}, "one_shot: 1 is neither True nor False"),
        ({"width": 0}, "width: 0 is not a number above 0 and at most 16"),
        ({"epochs": 0}, "epochs: 0 is not a whole number of at least 1"),
        ({"train_size": 10_001}, "train_size: 10001 is more than the 10,000 training images"),
        ({"train_size": "half"}, "train_size: 'half' is not a whole number"),
        ({"probe_size": 3}, "probe_size: 3 is not a whole number of at least 4"),
        ({"probe_size": 2001}, "probe_size: 2001 is more than the 2,000 test images"),
        ({"batch_size": -1}, "batch_size: -1 is not"),
        ({"learning_rate": -1}, "learning_rate: -1 is not"),
        ({"learning_rate": 0}, "learning_rate: 0 would leave"),
        ({"learning_rate": float("nan")}, "learning_rate: nan is not"),
        ({"momentum": 1.0}, "momentum: 1.0 is not a number of at least 0 and below 1"),
        ({"weight_decay": -0.1}, "weight_decay: -0.1 is not"),
        ({"schedule": "steps"}, "schedule: 'steps' is not one of step, cosine, linear; did you mean 'step'"),
        ({"augmentation": "flip"}, "augmentation: 'flip' is not one of none, crop, crop_flip"),
        ({"seeds": ()}, "seeds: none given"),
        ({"seeds": (-1,)}, "seeds: -1 is not a whole number of at least 0"),
        ({"seeds": (0.5,)}, "seeds: 0.5 is not"),
        ({"seeds": 0.5}, "seeds: 0.5 is not a list"),
        ({"seeds": (True,)}, "seeds: True is not"),
    ],
)
def test_a_bad_value_is_refused_in_one_clear_sentence(fields, message):
    with pytest.raises(InputError, match=message) as refusal:
        Experiment(**fields)
    assert "\n" not in str(refusal.value)


# In words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"measures": ["nbs"], "views": ["pooled"]}, "simprune run lenet5 fashion_mnist --profile paper --seeds 0,1"),
        ({"retraining": "none", "one_shot": True}, "--one-shot"),
        ({"rate": 0.3, "levels": 4}, "--rate 0.3 --levels 4"),
    ],
)
def test_the_command_says_what_is_not_as_the_profile_has_it(changes, line):
    experiment = Experiment("lenet5", "fashion_mnist", profile="paper", seeds=(0, 1)).replace(**changes)
    assert experiment.command.endswith(line)


def test_the_command_names_scores_that_the_profile_would_not_compute():
    experiment = Experiment("lenet5", profile="quick", references=["dense", "sibling"], measures=["gulp"])
    assert experiment.command.endswith("--measures gulp --references dense,sibling")


def test_an_experiment_has_a_title():
    assert Experiment("lenet5", "fashion_mnist").title == "LeNet-5 on Fashion-MNIST"
