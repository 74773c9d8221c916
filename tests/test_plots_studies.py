"""Figures of ways of retraining and of all studies."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import synthetic
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure

from simprune import findings, plots


@pytest.fixture
def runs():
    return {name: synthetic.results(seeds=(0, 1), levels=4, rate=0.4) for name in findings.VARIANTS}


@pytest.fixture
def studies():
    both = {name: synthetic.results(seeds=(0, 1), levels=4) for name in ("A on B", "C on D")}
    for made_up in both.values():
        made_up.similarity["status"] = "ok"
        made_up.similarity["value"] = made_up.similarity["value"].fillna(0.5)
    return both


RETRAINING = (plots.retraining_accuracy, plots.retraining_similarity, plots.retraining_profiles)
STUDIES = (plots.studies_accuracy, plots.studies_layers, plots.studies_fall, plots.studies_agreement)


@pytest.mark.parametrize(
    ("function", "given"),
    [
        *((function, "runs") for function in RETRAINING),
        *((function, "studies") for function in STUDIES),
    ],
)
def test_a_figure_has_the_books_width_and_ground_and_is_left_to_its_caller(function, given, request):
    figure = function(request.getfixturevalue(given))
    figure.draw_without_rendering()
    assert isinstance(figure, Figure) and plt.get_fignums() == []
    assert figure.get_figwidth() <= plots.WIDTH
    assert to_hex(figure.get_facecolor()) == "#ffffff"


def test_a_variant_that_prunes_nothing_stands_at_the_densities_of_the_others(runs):
    runs["no_pruning"].performance["density"] = 1.0
    axes = plots.retraining_accuracy(runs).axes[0]
    colour = to_rgba(plots.VARIANT_STYLES["no_pruning"].colour)
    [line] = [
        line
        for line in axes.lines
        if len(line.get_xdata()) == 5 and to_rgba(line.get_color()) == colour and line.get_marker() == "None"
    ]
    assert np.allclose(line.get_xdata(), findings.densities(runs["lr_rewind"]))


def test_the_enlarged_accuracies_leave_out_what_has_collapsed(runs):
    runs["none"].performance.loc[runs["none"].performance["level"] == 4, "test_accuracy"] = 0.1
    whole, near = plots.retraining_accuracy(runs).axes
    assert whole.get_ylim() == (0, 100)
    assert near.get_ylim()[0] > -5


def test_the_enlarged_accuracies_are_those_above_the_dense_network_of_the_same_seed(runs):
    performance = runs["random"].performance
    dense = performance["seed"].map({0: 0.8, 1: 0.9, 2: 0.7})
    performance["test_accuracy"] = dense - 0.005 * performance["level"]
    near = plots.retraining_accuracy(runs).axes[1]
    colour = to_rgba(plots.VARIANT_STYLES["random"].colour)
    lines = [line.get_ydata() for line in near.lines if to_rgba(line.get_color()) == colour]
    assert any(len(line) == 5 and np.allclose(line, [0, -0.5, -1, -1.5, -2]) for line in lines)


def test_only_the_variants_that_are_there_are_drawn(runs):
    del runs["random"]
    words = [text.get_text() for text in plots.retraining_profiles(runs).legends[0].get_texts()]
    assert findings.VARIANTS["random"][0] not in words
    assert {findings.VARIANTS[name][0] for name in runs} <= set(words)


@pytest.mark.parametrize("function", [plots.retraining_similarity, plots.retraining_profiles])
def test_a_dense_network_of_another_seed_is_a_dashed_line_where_it_was_compared_with(runs, function):
    def dashed():
        figure = function(runs, measures=["nbs"])
        words = [text.get_text() for text in figure.legends[0].get_texts()]
        assert (findings.SIBLING in words) == any(line.get_label() == findings.SIBLING for line in figure.axes[0].lines)
        return [
            float(value)
            for axes in figure.axes
            for line in axes.lines
            if line.get_label() == findings.SIBLING
            for value in dict.fromkeys(line.get_ydata())
        ]

    assert dashed() == []
    synthetic.with_controls(runs["lr_rewind"])
    for place, layer in enumerate(synthetic.LAYERS):
        synthetic.set_score(runs["lr_rewind"], 0.1 * place, reference="sibling", layer=layer, measure="nbs")
    assert dashed() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def test_every_variant_has_a_look_of_its_own():
    assert set(plots.VARIANT_STYLES) == set(findings.VARIANTS)
    looks = [(style.colour, style.marker) for style in plots.VARIANT_STYLES.values()]
    assert len(set(looks)) == len(looks)


def test_a_similarity_that_never_falls_is_a_hollow_mark_at_the_last_density(studies):
    for made_up in studies.values():
        made_up.similarity["value"] = 0.95
    figure = plots.studies_fall(studies)
    marks = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert marks and all(line.get_markerfacecolor() == "none" for line in marks)
    assert {round(float(line.get_xdata()[0]), 4) for line in marks} == {round(0.8**4, 4)}
    assert "never (last level)" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_least_similar_layers_are_named_beside_their_marks(studies):
    axes = plots.studies_layers(studies).axes[0]
    table = findings.least_similar(studies)
    assert sorted(text.get_text() for text in axes.texts) == sorted(table["layer"])


def test_pairs_of_measures_stand_in_the_order_of_their_agreement(studies):
    axes = plots.studies_agreement(studies).axes[0]
    shown = np.nanmean([line.get_ydata() * 0 + line.get_xdata() for line in axes.lines[1:]], axis=0)
    assert (np.diff(shown) <= 1e-12).all()
