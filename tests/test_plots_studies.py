"""Figures of ways of retraining and of all studies."""

import numpy as np
import pytest
import synthetic
from matplotlib.colors import to_rgba

from simprune import plots
from simprune.analysis import WAYS, densities, effects, from_dense, pair_agreement
from simprune.plots import retraining


@pytest.fixture
def runs():
    return {name: synthetic.results(seeds=(0, 1), levels=4, rate=0.4) for name in WAYS}


@pytest.fixture
def studies():
    both = {name: synthetic.results(seeds=(0, 1), levels=4) for name in ("A on B", "C on D")}
    for made_up in both.values():
        made_up.similarity["status"] = "ok"
        made_up.similarity["value"] = made_up.similarity["value"].fillna(0.5)
    return both


def panels(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_visible()}


def lines(axes, colour):
    return [line.get_ydata() for line in axes.lines if to_rgba(line.get_color()) == to_rgba(colour)]


def test_a_way_that_prunes_nothing_stands_at_the_densities_of_the_others(runs):
    runs["twin"].performance["density"] = 1.0
    axes = panels(plots.accuracy_of_ways(runs))[WAYS["twin"].title]
    drawn = [line for line in axes.lines if len(line.get_xdata()) == 5]
    assert len(drawn) > 2 and all(np.allclose(line.get_xdata(), densities(runs["pruned"])) for line in drawn)


def test_a_way_whose_accuracy_collapses_says_how_far_it_falls(runs):
    performance = runs["none"].performance
    performance["test_accuracy"] = 0.9 - 0.1 * performance["level"]
    drawn = panels(plots.accuracy_of_ways(runs))
    assert [text.get_text() for text in drawn[WAYS["none"].title].texts] == ["falls to \u221240"]
    assert drawn[WAYS["none"].title].get_ylim()[0] > -5 and not drawn[WAYS["random"].title].texts


def test_accuracies_are_those_above_the_dense_network_of_the_same_seed_with_the_studys_own_way_in_every_panel(runs):
    performance = runs["random"].performance
    performance["test_accuracy"] = performance["seed"].map({0: 0.8, 1: 0.9}) - 0.005 * performance["level"]
    drawn = panels(plots.accuracy_of_ways(runs))
    assert list(drawn) == [WAYS[name].title for name in runs if name != "pruned"]
    assert any(np.allclose(line, [0, -0.5, -1, -1.5, -2]) for line in lines(drawn["random pruning"], retraining.INK))
    own = 100 * from_dense(runs["pruned"])["mean"]
    assert all(any(np.allclose(line, own) for line in lines(axes, retraining.PALE)[1:]) for axes in drawn.values())


def test_only_the_ways_that_are_there_are_drawn(runs):
    del runs["random"], runs["held"]
    assert list(panels(plots.accuracy_of_ways(runs))) == [WAYS[name].title for name in runs if name != "pruned"]
    assert list(panels(plots.accuracy_of_ways({"pruned": runs["pruned"]}))) == [WAYS["pruned"].title]
    rows = [text.get_text() for text in plots.nearness_of_ways(nearness(runs)).axes[0].get_yticklabels()]
    assert rows == [WAYS[name].title for name in runs]


def test_each_measure_is_a_dot_and_what_is_far_away_stands_at_the_edge(runs):
    table = nearness(runs)
    table.loc[(table["network"] == "random") & (table["measure"] == "nbs"), "position"] = -7
    axes = panels(plots.nearness_of_ways(table))["pool1"]
    shown = table[(table["layer"] == "pool1") & (table["network"] == "random")].groupby("measure")["position"].mean()
    row = list(runs).index("random")
    [dots] = [line for line in axes.lines if line.get_marker() == "o" and set(line.get_ydata()) == {row}]
    assert sorted(dots.get_xdata()) == pytest.approx(sorted(shown.clip(lower=-1)))
    assert min(dots.get_xdata()) == -1 > axes.get_xlim()[0]


def nearness(runs):
    for results in runs.values():
        synthetic.with_controls(results).similarity["status"] = "ok"
    positions = effects.positions(runs)
    return positions[positions["level"] == 2]


def test_pairs_of_measures_stand_in_the_order_of_their_agreement(studies):
    axes = plots.studies_agreement(pair_agreement(studies)).axes[0]
    shown = np.nanmean([line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 10], axis=0)
    assert len(shown) == 10 and (np.diff(shown) <= 1e-12).all()
