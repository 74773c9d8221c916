"""Ways of retraining, and studies, beside each other: on made-up results whose answers are known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import synthetic

from simprune import analysis, notebook
from simprune.analysis import WAYS, effects
from simprune.results import load
from simprune.retraining import RETRAINING
from simprune.store import Store


def run(*accuracies, seeds=(0,), rate=0.5, score=0.8, sibling=0.5):
    """Results with these test accuracies by level, and one score in all layers at all levels but the first."""
    made_up = synthetic.with_controls(synthetic.results(seeds=seeds, levels=len(accuracies) - 1, rate=rate))
    made_up.performance["test_accuracy"] = accuracies * len(seeds)
    made_up.similarity["status"] = "ok"
    synthetic.set_score(made_up, sibling, reference="sibling")
    synthetic.set_score(made_up, 1.0, reference="dense")
    made_up.similarity.loc[
        (made_up.similarity["reference"] == "dense") & (made_up.similarity["level"] > 0), "value"
    ] = score
    return made_up


def at_last(**runs):
    positions = effects.positions(runs)
    return positions[positions["level"] == positions["level"].max()]


# Ways of retraining -------------------------------------------------------------------------------------------


def test_every_way_of_retraining_is_among_the_ways():
    assert {way.changes.get("retraining") for way in WAYS.values()} >= set(RETRAINING)
    assert WAYS["pruned"].title == RETRAINING["lr_rewind"].title


def test_accuracies_are_compared_with_the_same_seeds_only():
    runs = {"pruned": run(0.9, 0.8, seeds=(0, 1, 2)), "random": run(0.9, 0.7, seeds=(1, 0))}
    runs["random"].performance.loc[1, "test_accuracy"] = 0.4
    table = analysis.gaps(runs, "random", below=2)
    assert np.allclose(table[["mean", "low", "high"]], [[0, 0, 0], [-0.25, -0.4, -0.1]])
    assert analysis.gaps(runs, "random")["density"].tolist() == [0.5]
    assert analysis.gaps(runs, "finetune").empty
    runs["random"] = run(0.9, 0.7, seeds=(5,))
    assert analysis.gaps(runs, "random").empty


def test_the_distance_from_the_dense_network_is_taken_seed_by_seed():
    results = run(0.9, 0.8, seeds=(0, 1))
    results.performance["test_accuracy"] = [0.9, 0.8, 0.8, 0.6]
    assert np.allclose(analysis.from_dense(results).loc[1, ["mean", "low", "high"]].astype(float), [-0.15, -0.2, -0.1])


def test_measures_are_counted_against_another_way_and_against_another_seed():
    positions = at_last(
        pruned=run(0.9, 0.9, score=0.8), finetune=run(0.9, 0.9, score=0.9), random=run(0.9, 0.9, score=0.4)
    )
    measures = len(synthetic.FIRST_MEASURES)
    for way, other, says in (
        ("finetune", "pruned", "nearer"),
        ("pruned", "finetune", "farther"),
        ("random", "sibling", "farther"),
        ("pruned", "sibling", "nearer"),
    ):
        counts = analysis.by_measures(positions, way, other)
        assert list(counts.index) == list(synthetic.LAYERS)
        assert (counts[says] == measures).all() and counts.sum(axis=1).eq(measures).all()
        opposite = {"nearer": "farther", "farther": "nearer"}[says]
        assert analysis.in_every_layer(counts, says, opposite) is True
        assert analysis.in_every_layer(counts, opposite, says) is False


def test_of_a_way_that_is_not_there_nothing_is_said():
    counts = analysis.by_measures(at_last(pruned=run(0.9, 0.9)), "held", "pruned")
    assert counts.empty and analysis.in_every_layer(counts, "nearer", "farther") is None


def test_the_ways_of_a_run_are_those_that_are_stored_with_its_seeds_and_data(tmp_path):
    experiment, store = synthetic.write_incomplete(tmp_path)
    results = load(experiment.replace(seeds=[4]), store=store)
    assert list(notebook.ways(results, store)) == ["pruned"]
    [made] = Store(store).read_seed(experiment, 4)
    for seed in (4, 5):
        Store(store).write_seed(experiment.replace(retraining="held"), seed, made)
    other = {**made.provenance, "data": {"fingerprint": "other", "source": "elsewhere"}}
    Store(store).write_seed(experiment.replace(criterion="none"), 4, replace(made, provenance=other))
    ways = notebook.ways(results, store)
    assert list(ways) == ["pruned", "held"] and ways["held"].experiment.seeds == (4,)


# All studies --------------------------------------------------------------------------------------------------


def study():
    """A study of which every finding holds."""
    made_up = run(0.9, 0.9, 0.9, 0.9, score=0.95)
    table = made_up.similarity
    table["value"] = table["value"].fillna(0.95)
    falls(made_up, 1, "mean_cca")
    last = (table["level"] == 3) & (table["reference"] == "dense")
    # Later layers change more; NBS and linear CKA name another layer than the CCA family does.
    for place, layer in enumerate(synthetic.LAYERS[:-1]):
        table.loc[last & (table["layer"] == layer), "value"] -= 0.005 * place
    table.loc[last & (table["layer"] == "fc1_relu") & table["measure"].isin(["linear_cka", "nbs"]), "value"] = 0.91
    return made_up


def falls(results, level, *measures):
    """Let similarity by these measures fall below the threshold at a level."""
    table = results.similarity
    chosen = (table["level"] >= level) & (table["reference"] == "dense") & table["measure"].isin(measures)
    table.loc[chosen, "value"] = 0.6


def holds(results, twin=None):
    return analysis.across_studies({"A on B": results}, {"A on B": twin} if twin else {}).holds["A on B"]


def test_the_least_similar_layer_is_found_with_its_place_in_the_network():
    results = run(0.9, 0.9)
    synthetic.set_score(results, 0.9, reference="dense")
    synthetic.set_score(results, 0.5, reference="dense", level=1, layer="pool2")
    table = analysis.least_similar({"A on B": results})
    assert table.loc[("A on B", "nbs")].tolist() == ["pool2", 0.5, 0.5]
    results.similarity.loc[results.similarity["measure"] == "nbs", "status"] = "degenerate"
    assert ("A on B", "nbs") not in analysis.least_similar({"A on B": results}).index


def test_the_fall_is_dated_by_the_first_density_below_the_threshold_or_never():
    results = run(0.9, 0.9, 0.9, score=0.95)
    falls(results, 2, "nbs")
    table = analysis.fall_density({"A on B": results})["density"]
    assert table["A on B", "nbs"] == pytest.approx(0.25) and np.isnan(table["A on B", "svcca"])


def test_the_first_layer_to_turn_is_that_of_most_measures_at_the_first_level_where_one_does():
    results = run(0.9, 0.9, 0.9)
    assert analysis.across_studies({"A on B": results}, {}).turns["A on B"] is None
    synthetic.set_score(results, 0.4, reference="dense", level=2)
    for measure in ("nbs", "svcca", "pwcca"):
        synthetic.set_score(results, 0.4, reference="dense", level=1, layer="fc1_relu", measure=measure)
    turn = analysis.across_studies({"A on B": results}, {}).turns["A on B"]
    assert (turn["level"], turn["layer"], turn["depth"]) == (1, "fc1_relu", pytest.approx(4 / 6))


def test_of_layers_that_turn_at_once_that_of_the_greatest_share_of_measures_is_the_first():
    counts = pd.DataFrame({"level": 1, "layer": list("abc"), "layer_index": range(3)})
    turn = analysis.first_to_turn(counts.assign(farther=[5, 13, 0], nearer=[0, 5, 9]))
    assert (turn["layer"], turn["depth"]) == ("a", 0)


def test_findings_hold_where_they_were_planted_and_nothing_is_said_of_a_twin_that_is_not_there():
    found = holds(study())
    assert found[["trained", "accurate", "extremes", "split", "between", "output_stays"]].all()
    assert found[["twin", "late"]].tolist() == [None, None]
    assert holds(study(), run(0.9, 0.9, 0.9, 0.9, score=0.6))["twin"] is True
    assert holds(study(), run(0.9, 0.9, 0.9, 0.9, score=0.99))["twin"] is False


def test_each_finding_breaks_where_its_opposite_was_planted():
    gaining = study()
    gaining.performance["test_accuracy"] = [0.8, 0.85, 0.9, 0.9]
    losing = study()
    losing.performance["test_accuracy"] = [0.9, 0.9, 0.85, 0.8]
    late = study()
    falls(late, 2, "mean_cca")
    synthetic.set_score(late, 0.95, reference="dense", level=1, measure="mean_cca")
    near = study()
    falls(near, 3, "nbs")
    one = study()
    synthetic.set_score(one, 0.1, reference="dense", level=3, layer="fc1_relu")
    ends = study()
    synthetic.set_score(ends, 0.1, reference="dense", level=3, layer="logits")
    early = study()
    synthetic.set_score(early, 0.1, reference="dense", level=2, layer="conv1_relu")
    for results, findings in (
        (gaining, ["trained"]),
        (losing, ["accurate"]),
        (late, ["extremes"]),
        (near, ["extremes"]),
        (one, ["split"]),
        (early, ["late"]),
        (ends, ["between", "output_stays", "split"]),
    ):
        found = holds(results)[findings]
        assert found.notna().all() and not found.any(), findings


def test_what_holds_everywhere_is_asked_of_the_studies_that_can_tell():
    seen = analysis.across_studies(
        {"A on B": study(), "C on D": study()}, {"C on D": run(0.9, 0.9, 0.9, 0.9, score=0.6)}
    )
    assert seen.everywhere("twin") and seen.everywhere("accurate") and seen.everywhere("late") is None
    seen.holds.loc["twin", "A on B"] = False
    assert not seen.everywhere("twin")
