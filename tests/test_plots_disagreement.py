"""The figures on disagreement show what the tables hold."""

import re

import numpy as np
import pandas as pd
import planted
import pytest

from simprune import analysis, plots
from simprune.analysis import known_answers, published

NAME = "LeNet-5 on Fashion-MNIST"


@pytest.fixture(scope="module")
def studies():
    return {NAME: planted.everything(seeds=(0, 1, 2)), "VGG on CIFAR-10": planted.everything()}


@pytest.fixture(scope="module")
def bare():
    results = planted.everything()
    results.diagnostics.clear()
    return {NAME: results}


def test_the_marks_of_a_scale_are_where_the_table_has_them(studies):
    table = analysis.calibration(studies[NAME], twin=studies[NAME])
    table = table[(table["level"] == 3) & (table["layer_index"] == 1)]
    left, right = plots.calibration_dots(table).axes
    means = table.groupby("measure")[["value", "calibrated", "sibling", "chance"]].mean().sort_values("value")
    drawn = {line.get_label(): list(line.get_xdata()) for line in left.lines}
    assert drawn["another seed"] == list(means["sibling"]) and drawn["chance"] == list(means["chance"])
    assert drawn["pruned"] == list(means["value"]) == drawn["its twin"]
    assert any(list(line.get_xdata()) == list(means["calibrated"]) for line in right.lines)
    plots.calibration_dots(table.drop(columns=["twin", "twin_calibrated"])).canvas.draw()


def test_the_agreement_matrix_has_one_scale_on_either_side_of_its_diagonal(studies):
    before, after = (analysis.mean_agreement(analysis.study_agreement(studies, scale=s)) for s in analysis.SCALES)
    axes = plots.agreement_halves(before, after).axes[0]
    shown = axes.collections[0].get_array().reshape(len(after), -1)
    order = list(analysis.clustered(after).index)
    for matrix, half in ((before, np.tril_indices(len(order), -1)), (after, np.triu_indices(len(order), 1))):
        assert np.allclose(shown[half], matrix.loc[order, order].to_numpy()[half])


def conclusions_of(results):
    return {scale: analysis.conclusions(results, scale=scale) for scale in analysis.SCALES}


def test_each_measure_has_its_least_similar_layer_marked_on_both_scales(studies):
    answers = conclusions_of(studies[NAME])
    left, right = plots.conclusions_map(studies[NAME], answers).axes
    rings, dots = (line for line in left.lines if len(line.get_xdata()) == len(answers["value"]))
    assert [planted.LAYERS[int(place)] for place in rings.get_xdata()] == list(answers["value"]["least_layer"])
    assert len(dots.get_xdata()) == len(answers["value"])
    assert "never" in [label.get_text() for label in right.get_xticklabels()]


def test_a_measure_without_an_answer_against_siblings_has_one_as_it_is():
    results = planted.everything()
    table = results.similarity
    results.similarity = pd.concat([table, table[table["measure"] == "nbs"].assign(measure="unit_correlation")])
    answers = conclusions_of(results)
    left, _ = plots.conclusions_map(results, answers).axes
    rings, dots = (line for line in left.lines if len(line.get_xdata()) == len(answers["value"]))
    assert np.isfinite(rings.get_xdata()).all() and np.isnan(dots.get_xdata()).sum() == 1


def parts_of(studies, *by):
    parts = {name: analysis.seed_intervals(analysis.source_shares(results), by) for name, results in studies.items()}
    return pd.concat(parts, names=["study"]).reset_index("study")


def test_the_bars_of_sources_add_up_to_the_whole(studies):
    axes, *_ = plots.source_bars(parts_of(studies, "what", "positions")).axes
    widths = {}
    for bar in axes.patches:
        widths.setdefault(round(bar.get_y() + bar.get_height() / 2), []).append(bar.get_width())
    assert len(widths) == 2 * len(studies)
    assert all(sum(parts) == pytest.approx(1) for parts in widths.values())
    assert {len(parts) for parts in widths.values()} == {len(plots.PART_WORDS)}


def test_sources_that_could_not_be_told_apart_are_not_in_the_legend(bare):
    [legend] = plots.source_bars(parts_of(bare, "what", "positions")).legends
    shown = [text.get_text() for text in legend.get_texts()]
    assert shown == [plots.PART_WORDS[part] for part in ("measure", "view", "interactions", "residual")]


def test_layers_of_the_sources_stand_in_network_order(studies):
    axes = plots.source_layers(parts_of({NAME: studies[NAME]}, "what", "layer_index", "layer")).axes[-1]
    assert [label.get_text().replace("\n", "_") for label in axes.get_xticklabels()] == list(planted.LAYERS)


def test_no_panel_of_the_numbers_of_inputs_has_more_lines_than_can_be_told_apart(studies):
    means = analysis.convergence(studies[NAME])
    panels = plots.convergence_lines(means).axes
    assert sum(len(axes.lines) for axes in panels) == means["measure"].nunique()
    assert max(len(axes.lines) for axes in panels) <= 6


def test_the_ladder_has_a_line_for_each_step(studies):
    assert len(plots.ladder_lines(analysis.ladder(studies[NAME], 3)).axes[0].lines) == len(analysis.LADDER)


def test_the_merits_have_a_cell_or_a_cross_for_each_measure_and_a_line_between_the_kinds_of_tests(studies):
    tests = known_answers.run_tests(studies, studies, ["trend", "monotonicity", "sensitivity"])
    tests["monotonicity"]["control"] = np.nan
    table = known_answers.merits({test: known_answers.leaderboard(rows) for test, rows in tests.items()})
    axes = plots.merit_map(table).axes[0]
    cells = [text for text in axes.texts if re.fullmatch(r"−?\d\.\d\d", text.get_text())]
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert len(cells) + len(crosses) == 2 * len(table)  # no column for the test without any merit
    assert [line for line in axes.lines if list(line.get_xdata()) == [1, 1]]


def test_a_test_is_drawn_beside_its_control_for_each_study(studies):
    rows = known_answers.run_tests(studies, studies, ["trend"])["trend"]
    units = known_answers.unit_scores(rows).xs(("flatten", "none"), level=("view", "correction"))
    first, second = plots.control_dots(units, "trend").axes
    for axes, study in ((first, NAME), (second, "VGG on CIFAR-10")):
        drawn = {line.get_label(): sorted(line.get_xdata()) for line in axes.lines}
        means = units.xs(study, level="study").groupby("measure").mean()
        assert drawn["pruned"] == drawn["its twin"] == sorted(means["score"])
        assert drawn["shuffled"] == sorted(means["chance"])
    [only] = plots.control_dots(units.xs(NAME, level="study", drop_level=False).drop(columns="control"), "trend").axes
    assert "its twin" not in [line.get_label() for line in only.lines]


def test_a_turn_is_a_density_or_a_dash_or_a_cross():
    table = pd.DataFrame({"conv1_relu": [0.0, np.nan], "fc1_relu": [0.107, 0.8]}, index=["nbs", "mean_cca"])
    axes = plots.turns_map({"A": table}).axes[0]
    assert [text.get_text() for text in axes.texts] == ["80", "–", "11"]  # mean CCA stands first, as in the registry
    assert len([line for line in axes.lines if line.get_marker() == "x"]) == 1
    wide = pd.DataFrame(0.0, index=["nbs"], columns=[f"conv{number}_relu" for number in range(13)])
    places = [axes.get_subplotspec() for axes in plots.turns_map({"A": table, "B": wide, "C": wide}).axes[:3]]
    assert [(place.rowspan.start, place.colspan.start) for place in places] == [(0, 0), (0, 1), (1, 0)]


def test_the_guide_fills_what_ties_with_the_best():
    points = pd.DataFrame({"question": ["a", "a", "b"], "merit": [0.5, 0.1, 0.0], "tied": [True, False, False]})
    axes = plots.guide_chart(points).axes[0]
    hollow, filled = axes.lines[1:]
    assert list(filled.get_xdata()) == [0.5] and list(hollow.get_xdata()) == [0.1, 0.0]


def test_svcca_is_drawn_for_each_study_and_network_and_left_out_where_it_is_not_ok(studies):
    table = published.profiles(studies, {NAME: planted.everything()})
    table.loc[(table["study"] == NAME) & (table["who"] == "twin") & (table["layer_index"] == 0), "ok"] = False
    first, second = plots.svcca_profiles(table).axes
    assert [len(line.get_xdata()) for line in first.lines] == [3, 2, 3]
    assert [len(line.get_xdata()) for line in second.lines] == [3, 0, 3]
