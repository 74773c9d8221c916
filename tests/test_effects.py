"""Effects on made-up results, where what each network did is known."""

import numpy as np
import pandas as pd
import pytest
import synthetic

import simprune
from simprune import tables
from simprune.analysis import effects as fx
from simprune.errors import InputError
from simprune.measures import MEASURES
from simprune.plots import effects as drawn
from simprune.plots.common import HATCHED, HOLLOW

# Of five families, one of them a distance.
NAMES = ("mean_cca", "linear_cka", "nbs", "rsa", "gulp", "jaccard_knn")
SEEDS = (0, 1, 2)


def run(value, seeds=SEEDS, levels=4, sibling=0.5):
    """Results whose scores are `value(level, layer index, measure, seed)`, 0 to 1, and those of siblings `sibling`."""
    made = synthetic.results(seeds=seeds, levels=levels, measures=NAMES)
    table = made.similarity.assign(status="ok", note="")
    nearness = [
        1.0 if row.level == 0 else value(row.level, row.layer_index, row.measure, row.seed)
        for row in table.itertuples()
    ]
    other = table.assign(reference="sibling", value=sibling)
    made.similarity = pd.concat([table.assign(value=nearness), other], ignore_index=True)
    distance = made.similarity["measure"] == "gulp"
    made.similarity.loc[distance, "value"] = 1 - made.similarity.loc[distance, "value"]
    return made


def constant(nearness):
    return run(lambda level, layer, measure, seed: nearness)


def told(runs, effect):
    table = fx.verdicts(fx.effects(runs))
    return table[table["effect"] == effect]


def test_an_effect_is_a_difference_on_the_scale_from_another_seed_to_itself():
    table = fx.effects({"pruned": constant(0.7), "twin": constant(0.9), "held": constant(0.9)})
    sizes = table.groupby("effect")["size"].agg(["min", "max"])
    assert sizes.loc["removal"].tolist() == pytest.approx([-0.4, -0.4])  # (0.7 - 0.9) / (1 - 0.5)
    assert sizes.loc["restriction"].tolist() == pytest.approx([0, 0], abs=1e-12)
    assert sizes.loc["pruning"].tolist() == pytest.approx([-0.4, -0.4])
    assert set(table["seed"]) == set(SEEDS) and table["level"].min() == 1


def test_networks_that_begin_with_two_dense_networks_of_one_seed_have_no_effect():
    pruned, twin = constant(0.7), constant(0.9)
    twin.performance = twin.performance.copy()
    twin.performance.loc[twin.performance["seed"] == 1, "test_loss"] += 1e-9
    assert fx.other_beginnings(pruned, twin) == [1]
    with pytest.raises(InputError, match="runs: of seed 1, 'twin' and 'pruned' do not begin with the same dense"):
        fx.effects({"pruned": pruned, "twin": twin})


def test_where_removal_moves_nothing_no_measure_says_that_it_does():
    counts = told({"pruned": constant(0.8), "held": constant(0.8), "twin": constant(0.6)}, "removal")
    assert counts[["farther", "nearer", "mixed"]].sum().sum() == 0 and (counts["tied"] == len(NAMES)).all()


def test_distances_count_the_other_way_round():
    counts = told({"pruned": constant(0.6), "held": constant(0.8), "twin": constant(0.9)}, "removal")
    assert (counts["farther"] == len(NAMES)).all()


def test_a_measure_says_something_only_where_all_seeds_agree():
    split = run(lambda level, layer, measure, seed: 0.7 if measure == "nbs" and seed == 1 else 0.9)
    counts = told({"pruned": split, "twin": constant(0.8)}, "pruning")
    assert (counts["nearer"] == len(NAMES) - 1).all() and (counts["mixed"] == 1).all()


def test_over_living_units_only_the_measures_that_count_the_dead_change_their_mind():
    """Units die in the pruned network, and nothing else happens: NBS alone sees it."""
    twin = constant(0.9)
    pruned = run(lambda level, layer, measure, seed: 0.7 if measure == "nbs" else 0.9)
    assert fx.of_the_living(pruned) is None
    dense = pruned.similarity[(pruned.similarity["reference"] == "dense") & (pruned.similarity["level"] > 0)]
    living = dense.assign(value=np.where(dense["measure"] == "gulp", 0.1, 0.9), units=3)
    pruned.diagnostics["living"] = living[living["layer_index"] == 0]
    before = told({"pruned": pruned, "twin": twin}, "pruning").set_index(["layer_index", "level"])
    after = told({"pruned": fx.of_the_living(pruned), "twin": twin}, "pruning").set_index(["layer_index", "level"])
    assert (before["farther"] == 1).all() and (before["tied"] == len(NAMES) - 1).all()
    assert (after.loc[0, "tied"] == len(NAMES)).all() and after.loc[1].equals(before.loc[1])


def test_the_answer_turns_round_only_where_a_layer_by_layer_threshold_moves_it():
    """Planted: the twin moves by 0.2, the pruned network by what its layer lost; then as if the scope meant nothing."""
    twin = constant(0.8)
    lost = {"one threshold": (0.05, 0.1, 0.9), "each its own": (0.6, 0.6, 0.6), "no difference": (0.05, 0.1, 0.9)}

    def told_of(scope):
        pruned = run(lambda level, layer, measure, seed: 1 - lost[scope][min(layer, 2)])
        return fx.verdicts(fx.effects({"pruned": pruned, "twin": twin}, ("pruning",)))

    turned = fx.turned_round(told_of("one threshold"), told_of("each its own"))["turned"]
    first = turned.index.get_level_values("layer").isin(told_of("one threshold").query("layer_index < 2")["layer"])
    assert turned[first].all() and not turned[~first].any()
    assert not fx.turned_round(told_of("one threshold"), told_of("no difference"))["turned"].any()


@pytest.mark.parametrize("moves", [True, False])
def test_the_answer_turns_round_only_where_longer_training_moves_the_twin(moves):
    """The long study has twice the steps of the short one: its levels of the same densities are compared."""
    pruned, short = run(lambda *_: 0.6, levels=2), run(lambda *_: 0.8, levels=2)
    for results in (pruned, short):
        for table in (results.performance, results.sparsity):
            table["density"] = 0.64 ** table["level"]
    twin = run(lambda level, *_: 0.4 if moves and level % 2 == 0 else 0.8)  # moves at the levels of the short study
    long = {"pruned": constant(0.6), "twin": twin}
    told_of = [
        fx.with_densities(told(runs, "pruning"), runs["pruned"]) for runs in (long, {"pruned": pruned, "twin": short})
    ]
    turned = fx.turned_round(fx.at_levels_of(*told_of), told_of[1])
    assert len(turned) == 2 * 7 and set(turned["turned"]) == {moves}


def test_an_answer_that_seeds_dispute_has_not_turned_round():
    twin, near = constant(0.8), constant(0.9)
    disputed = run(lambda level, layer, measure, seed: 0.3 if seed or measure in NAMES[:3] else 0.9)  # by some measures
    before, after = (
        fx.verdicts(fx.effects({"pruned": pruned, "twin": twin}, ("pruning",))) for pruned in (near, disputed)
    )
    assert not fx.turned_round(before, after)["turned"].any()


def test_beside_its_twin_a_pruned_network_is_counted_layer_by_layer_at_one_level_also_without_siblings():
    pruned, twin = run(lambda level, layer, *_: 0.6 + 0.1 * (layer == 0)), constant(0.65)
    pruned.similarity = pruned.similarity[pruned.similarity["reference"] == "dense"]
    counts = fx.beside_twin(pruned, twin, 2)
    assert list(counts.index.unique("view")) == ["flatten"]
    counts = counts.loc["flatten"]
    assert counts.index[0] == "conv1_relu" and counts.loc["conv1_relu"].tolist() == [0, len(NAMES), 0, 0]
    assert (counts["farther"].iloc[1:] == len(NAMES)).all()


def test_scores_that_are_not_ok_say_nothing():
    pruned = constant(0.6)
    bad = (pruned.similarity["measure"] == "mean_cca") & (pruned.similarity["layer_index"] == 0)
    pruned.similarity.loc[bad, "status"] = "degenerate"
    counts = told({"pruned": pruned, "twin": constant(0.8)}, "pruning").set_index(["layer_index", "level"])["farther"]
    assert (counts[0] == len(NAMES) - 1).all() and (counts[1] == len(NAMES)).all()


def test_where_a_sibling_is_as_near_as_the_network_itself_there_is_no_scale():
    runs = {"pruned": run(lambda *_: 0.9, sibling=0.999), "twin": constant(0.8)}
    assert fx.positions(runs)["position"].isna().all()


def test_measures_that_split_on_large_effects_are_seen_to():
    """Two families against the others on whatever is large: the share of others that agree falls with size."""
    rng = np.random.default_rng(0)

    def pruned(level, layer, measure, seed):
        side = 1 if measure in ("mean_cca", "nbs", "gulp") or level < 3 else -1
        return 0.75 + side * (0.005 if level < 3 else 0.2)

    table = fx.agreement_by_size({"made up": fx.effects({"pruned": run(pruned), "twin": constant(0.75)})})
    assert table.iloc[0]["agreement"] == 1 and table.iloc[-1]["agreement"] < 0.5
    noise = run(lambda *_: 0.75 + 0.001 * rng.standard_normal())
    agreement = fx.agreement_by_size({"noise": fx.effects({"pruned": noise, "twin": constant(0.75)})})["agreement"]
    assert 0.4 < agreement.iloc[0] < 0.6


def test_relatives_do_not_count_as_others():
    names = {"nbs", "procrustes_distance"}
    assert len({MEASURES[name].family for name in names}) == 1
    table = fx.effects({"pruned": constant(0.6), "twin": constant(0.8)})
    relatives = table[table["measure"] == "nbs"].assign(measure="procrustes_distance", difference=1.0)
    alone = fx.agreement_by_size({"one": pd.concat([table[table["measure"] == "nbs"], relatives], ignore_index=True)})
    assert alone.empty


def test_the_density_from_which_on_a_measure_alarms_lasts():
    pruned = run(lambda level, layer, measure, seed: {1: 0.7, 2: 0.9, 3: 0.7, 4: 0.7}[level])
    density = pruned.performance.groupby("level")["density"].mean()
    first = fx.first_density(fx.effects({"pruned": pruned, "twin": constant(0.8)}), density)
    assert (first == density[3]).all().all()
    never = fx.first_density(fx.effects({"pruned": constant(0.9), "twin": constant(0.8)}), density)
    assert never.isna().all().all()


def test_a_measure_without_a_score_at_the_last_level_has_no_lasting_alarm():
    pruned, twin = constant(0.7), constant(0.8)
    density = pruned.performance.groupby("level")["density"].mean()
    table = fx.effects({"pruned": pruned, "twin": twin}, ("pruning",))
    silent = (table["level"] == table["level"].max()) & (table["layer"] == "fc1_relu")
    first = fx.first_density(table[~silent], density)
    assert first["fc1_relu"].isna().all().all() and first["fc2_relu"].notna().all().all()


def test_the_map_has_the_density_of_the_network_and_of_each_layer_with_weights():
    pruned = constant(0.6)
    table = fx.with_densities(told({"pruned": pruned, "twin": constant(0.8)}, "pruning"), pruned)
    row = table[(table["level"] == 2) & (table["layer"] == "fc1_relu")].iloc[0]
    assert row["density"] == pytest.approx(0.64) and row["own_density"] == pytest.approx(0.64, abs=1e-3)
    assert table[table["layer"] == "pool1"]["own_density"].isna().all()


def test_the_layers_own_density_is_of_the_seeds_that_the_control_has_too():
    pruned = constant(0.6)
    for name in ("similarity", "performance", "sparsity"):
        other = getattr(pruned, name).query("seed == 0").assign(seed=9)
        if name != "similarity":
            other["density"] = 0.01
        setattr(pruned, name, pd.concat([getattr(pruned, name), other], ignore_index=True))
    table = fx.with_densities(told({"pruned": pruned, "twin": constant(0.8)}, "pruning"), pruned)
    row = table[(table["level"] == 2) & (table["layer"] == "fc1_relu")].iloc[0]
    assert row["density"] == pytest.approx(0.64) and row["own_density"] == pytest.approx(0.64, abs=1e-3)


def test_tables_of_verdicts_say_who_is_farther():
    pruned = constant(0.6)
    table = fx.with_densities(told({"pruned": pruned, "twin": constant(0.8)}, "pruning"), pruned)
    columns = {"pruned farther": len(NAMES), "twin farther": 0, "seeds differ": 0, "the same": 0}
    assert fx.who_is_farther(table, "pruned", "twin").drop_duplicates().to_dict("records") == [columns]
    cells = tables.verdict_counts({"mine,\nhere": table})
    assert cells.loc[("mine, here", tables.percent(0.8)), "conv1_relu"] == f"{len(NAMES)} : 0"


def test_shipped_results_have_the_counts_that_were_found_by_other_code():
    """MNIST, seed 0: of 2,124 cells of layer, level, view and measure with a score in the convolutional layers."""
    base = simprune.Experiment("lenet5", "mnist", profile="paper")
    runs = {
        name: simprune.load(base.replace(**change))
        for name, change in (("pruned", {}), ("twin", {"criterion": "none"}))
    }
    table = fx.verdicts(fx.effects(runs))
    maps = table[table["layer"].isin(["conv1_relu", "pool1", "conv2_relu", "pool2"])]
    assert maps[["nearer", "farther"]].sum().tolist() == [1917, 207]


def test_figures_are_drawn_of_all_networks_and_of_layers_where_nothing_is_said():
    runs = {"pruned": constant(0.6), "twin": constant(0.8), "held": constant(0.7)}
    places = fx.positions(runs)
    figure = drawn.verdicts({"one layer": places[(places["level"] == 2) & (places["layer"] == "fc1_relu")]})
    assert len(figure.axes[0].get_yticklabels()) == len(NAMES)
    assert len(figure.legends[0].get_texts()) == 3
    table = fx.with_densities(fx.verdicts(fx.effects(runs)), runs["pruned"])
    table = table[table["effect"] == "removal"].copy()
    table.loc[table["layer_index"] == 0, ["farther", "nearer", "mixed"]] = 0
    figure = drawn.footprint({"a study": table})
    assert figure.axes[0].get_ylim() == (4, 0)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["no measure says anything"]
    assert HATCHED.get_label() == HOLLOW  # the mark that other figures share says the same as before
    deep = pd.concat([table, table.assign(layer_index=table["layer_index"] + 7)])  # names of many layers take room
    for panel, beside in ((table, 3), (deep, 2)):
        places = [axis.get_subplotspec() for axis in drawn.footprint(dict.fromkeys("abc", panel)).axes[:3]]
        assert len({place.colspan.start for place in places if place.rowspan.start == 0}) == beside
    figure = drawn.sign_agreement(fx.agreement_by_size({"a study": fx.effects(runs)}))
    assert figure.axes[0].get_ylim()[0] < 0.5


def test_the_map_is_coloured_by_the_share_of_measures_that_say_farther_and_each_panel_has_its_densities():
    counts = pd.DataFrame(
        {
            "level": [1, 1, 2, 2],
            "layer_index": [0, 1, 0, 1],
            "layer": ["a", "b"] * 2,
            "farther": [0, 3, 4, 0],
            "nearer": [4, 1, 0, 0],
            "mixed": [0, 0, 4, 0],
            "density": [0.5, 0.5, 0.25, 0.25],
            "own_density": [0.6, np.nan, 0.3, np.nan],
        }
    )
    figure = drawn.footprint({"A on B": counts, "C on D": counts[:2], "E on F": counts[:2]})
    first, *others = figure.axes[:3]
    [mesh] = [part for part in first.collections if hasattr(part, "get_coordinates")]
    assert np.allclose(np.ma.filled(mesh.get_array(), np.nan).ravel(), [-1, 0.5, 0.5, np.nan], equal_nan=True)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["no measure says anything"]
    assert [label.get_text() for label in first.get_yticklabels()] == ["50 %", "25 %"]
    assert [[tick.label1.get_visible() for tick in axis.yaxis.get_major_ticks()] for axis in others] == [
        [True],
        [False],
    ]


def test_a_barrier_is_what_rises_above_the_straight_line():
    results = constant(0.9)
    assert fx.barriers(results) is None
    line = {"seed": 0, "level": 1, "position": [0.0, 0.5, 1.0], "loss": 0.0}
    level = pd.DataFrame(line | {"reference": "dense", "error": [0.1, 0.15, 0.2]})
    hill = pd.DataFrame(line | {"reference": "sibling", "level": 0, "error": [0.1, 0.65, 0.2]})
    earlier = level.assign(level=0.5, error=0.3)
    results.diagnostics["connectivity"] = pd.concat([earlier, level, hill])
    found = fx.barriers(results).query("level != 0.5").set_index("reference")["barrier"]
    assert found["dense"] == pytest.approx(0, abs=1e-12) and found["sibling"] == pytest.approx(0.5)
    lines = fx.lines_from_dense({"twin": constant(0.9), "pruned": results})
    axis = drawn.paths({"a study": lines}).axes[0]
    assert [list(line.get_ydata()) for line in axis.lines] == [[0.1, 0.65, 0.2], [0.1, 0.15, 0.2]]
