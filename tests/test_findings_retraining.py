"""The page on the ways of pruning and retraining, from made-up tables."""

import numpy as np
import pytest
import synthetic
from synthetic import sentence

from simprune import findings
from simprune.experiment import Experiment


@pytest.fixture
def stored(tmp_path):
    return synthetic.write_incomplete(tmp_path)


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


def test_the_table_of_ways_has_means_and_leaves_ranges_to_the_table_of_every_level():
    runs = {"lr_rewind": synthetic.results(seeds=(0, 1), levels=1, rate=0.5)}
    runs["lr_rewind"].performance["test_accuracy"] = [0.9, 0.8, 0.9, 0.7]
    row = [sentence(cell) for cell in findings.variant_table(runs).loc["LR rewinding"]]
    assert row == ["0, 1", "90.0 %", "75.0 %", "20.6 min"]
    assert sentence(findings.variant_accuracy_table(runs)["LR rewinding (2 seeds)"].iloc[1]) == "75.0 % (70.0–80.0 %)"


def test_variants_that_are_missing_are_named():
    runs = {"lr_rewind": run_with(0.9, 0.9), "random": run_with(0.9, 0.7)}
    missing = findings.missing_sentence(runs)
    table = findings.variant_table(runs)
    for name, (words, _) in findings.VARIANTS.items():
        assert (words in missing) == (name not in runs)
        assert (table.loc[words, "seeds"] == "not computed yet") == (name not in runs)
    assert findings.missing_sentence(dict.fromkeys(findings.VARIANTS)) == "Every way was run."


def test_the_nearest_and_the_farthest_variant_are_named_and_the_unpruned_one_is_not_among_them():
    runs = {name: run_with(0.9, 0.9, rate=0.5) for name in ("lr_rewind", "random", "no_pruning")}
    for results, value in zip(runs.values(), (0.8, 0.3, 0.9), strict=True):
        results.similarity["value"], results.similarity["status"] = value, "ok"
    text = findings.variant_similarity_sentence(runs, measures=["nbs"])
    assert "LR rewinding is nearest to the dense network (0.80) and random pruning farthest from it (0.30)" in text
    text = findings.no_pruning_sentence(runs, measures=["nbs"])
    assert text.endswith("what it was, beside the pruned network (one seed): 0.90 by NBS (pruned 0.80).")


def with_siblings(results, value):
    """The same results with scores against dense networks of other seeds."""
    results.similarity = synthetic.with_controls(results).similarity
    synthetic.set_score(results, value, reference="sibling")
    results.similarity["status"] = "ok"
    return results


def test_another_seed_is_the_scale_of_the_ways():
    runs = {name: run_with(0.9, 0.9, rate=0.5) for name in ("lr_rewind", "random", "no_pruning")}
    for results, value in zip(runs.values(), (0.8, 0.3, 0.9), strict=True):
        results.similarity["value"], results.similarity["status"] = value, "ok"
    with_siblings(runs["lr_rewind"], 0.1)
    assert findings.variant_means(runs, 0.5, ["nbs"])["nbs"].to_dict() == pytest.approx(
        {"lr_rewind": 0.8, "random": 0.3, "no_pruning": 0.9, "sibling": 0.1}
    )
    assert "random pruning farthest from it (0.30)" in findings.variant_similarity_sentence(runs, measures=["nbs"])
    text = findings.no_pruning_sentence(runs, measures=["nbs"])
    assert text.endswith("of another seed (one seed): 0.90 by NBS (pruned 0.80, another seed 0.10).")
    synthetic.set_score(runs["no_pruning"], 0.1, measure="nbs")
    assert findings.no_pruning_sentence(runs, measures=["nbs", "svcca"]).endswith(
        ". By NBS that is no nearer than another seed."
    )
    synthetic.set_score(runs["no_pruning"], 0.9, measure="nbs")
    assert findings.variant_means_table(runs, density=0.5, measures=["nbs"]).index[-1] == findings.SIBLING
    # A layer that is not ok against siblings counts for no way.
    synthetic.set_score(runs["lr_rewind"], 0.5, layer="pool1", level=1, reference="dense", measure="nbs")
    runs["lr_rewind"].similarity.loc[
        (runs["lr_rewind"].similarity["layer"] == "pool1") & (runs["lr_rewind"].similarity["reference"] == "sibling"),
        "status",
    ] = synthetic.DEGENERATE
    assert findings.variant_means(runs, 0.5, ["nbs"]).loc["lr_rewind", "nbs"] == pytest.approx(0.8)


def seeds_differ(seeds, more=0.0):
    """Results with similarities that depend on the seed, so that means over other seeds differ."""
    made_up = synthetic.results(seeds=seeds, levels=1, rate=0.5)
    made_up.similarity["value"] = made_up.similarity["seed"].map({0: 0.9, 1: 0.6, 2: 0.6}) + more
    made_up.similarity["status"] = "ok"
    made_up.performance["test_accuracy"] = made_up.performance["seed"].map({0: 0.9, 1: 0.6, 2: 0.6})
    return made_up


def test_a_variant_with_fewer_seeds_is_not_nearer_for_its_seeds():
    runs = {"lr_rewind": seeds_differ((0, 1, 2)), "random": seeds_differ((0,)), "reinitialise": seeds_differ((0,))}
    means = findings.variant_means(runs, 0.5, ["nbs"])["nbs"]
    assert means.to_dict() == pytest.approx(dict.fromkeys(runs, 0.7))
    assert "all are equally near to the dense network (0.70)" in findings.variant_similarity_sentence(
        runs, density=0.5, measures=["nbs"]
    )
    text = sentence(findings.masks_sentence(runs, density=0.5, measures=["nbs"]))
    assert "(one seed) classify 90.0 % of the test images, LR rewinding 90.0 %." in text
    assert "0.70 by NBS (LR rewinding 0.70)" in text
    runs["random"] = seeds_differ((0,), more=0.05)
    assert findings.variant_means(runs, 0.5, ["nbs"])["nbs"]["random"] == pytest.approx(0.75)
    runs["random"] = seeds_differ((5,))
    assert "random" not in findings.variant_means(runs, 0.5, ["nbs"]).index


def test_variants_that_are_as_near_in_two_decimals_share_the_place():
    runs = {name: run_with(0.9, 0.9, rate=0.5) for name in ("lr_rewind", "finetune", "random")}
    for results, value in zip(runs.values(), (0.801, 0.804, 0.3), strict=True):
        results.similarity["value"], results.similarity["status"] = value, "ok"
    text = findings.variant_similarity_sentence(runs, density=0.5, measures=["nbs"])
    assert "(7 by NBS): by NBS, fine-tuning and LR rewinding are nearest to the dense network (0.80)" in text


def test_new_weights_under_the_same_masks_are_held_against_another_seed():
    runs = {name: run_with(0.9, accuracy, rate=0.5) for name, accuracy in (("lr_rewind", 0.89), ("reinitialise", 0.85))}
    for results, value in zip(runs.values(), (0.8, 0.5), strict=True):
        results.similarity["value"], results.similarity["status"] = value, "ok"
    assert "another seed" not in findings.masks_sentence(runs, density=0.5, measures=["nbs", "svcca"])
    with_siblings(runs["lr_rewind"], 0.4)
    synthetic.set_score(runs["reinitialise"], 0.75, measure="svcca")
    text = sentence(findings.masks_sentence(runs, density=0.5, measures=["nbs", "svcca"]))
    assert text.startswith(
        "With 50 % of the weights left, new weights under the same masks (one seed) classify 85.0 % of the test "
        "images, LR rewinding 89.0 %."
    )
    assert "0.50 by NBS (LR rewinding 0.80, another seed 0.40)" in text
    assert text.endswith("By each of these that is nearer than another seed.")
    synthetic.set_score(runs["reinitialise"], 0.4, measure="nbs")
    text = findings.masks_sentence(runs, density=0.5, measures=["nbs", "svcca"])
    assert text.endswith("By NBS that is no nearer than another seed, by SVCCA it is.")
    synthetic.set_score(runs["reinitialise"], 0.3, measure="svcca")
    text = findings.masks_sentence(runs, density=0.5, measures=["nbs", "svcca"])
    assert text.endswith(
        "By SVCCA and NBS that is no nearer than another seed, so that masks alone keep no more than two trainings "
        "share anyway."
    )
    assert findings.masks_sentence({"lr_rewind": runs["lr_rewind"]}).endswith("are not computed yet.")


def test_only_what_is_stored_is_read(stored):
    experiment, store = stored
    assert list(findings.stored_variants(experiment, store)) == ["lr_rewind"]
    assert findings.stored_variants(experiment, store, seeds=[4])["lr_rewind"].experiment.seeds == (4,)
    assert findings.stored_variants(experiment, store, seeds=[3]) == {}
    assert findings.stored_variants(experiment.replace(levels=3), store) == {}
