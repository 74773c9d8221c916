"""Diagnostics of made-up representations, where the right answer is known."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import nn

from simprune import diagnostics, pruning
from simprune.comparison import compare
from simprune.data import Dataset, augment, normalise
from simprune.diagnostics import TABLES, ProbedRun, representation_measures
from simprune.measures import MEASURES, spectral_similarity
from simprune.measures.released import linear_kernel, released_cka
from simprune.representations import VIEWS

INPUTS, SIZES = 60, (12, 24)
MEASURE_IDS = [measure.id for measure in representation_measures()]
LABELS = torch.arange(INPUTS) % 3

DRAWN = torch.Generator().manual_seed(5)
IMAGES = Dataset(
    "made up",
    *(torch.randint(0, 256, (90, 1, 4, 4), dtype=torch.uint8, generator=DRAWN), torch.arange(90) % 3),
    *(torch.randint(0, 256, (60, 1, 4, 4), dtype=torch.uint8, generator=DRAWN), torch.arange(60) % 3),
    *(("a", "b", "c"), (0.5,), (0.25,), "none", "f" * 16, "made up"),
)


@dataclass(frozen=True)
class MadeUp(ProbedRun):
    """Activations that were made up; the network is one that `random_pruning` can prune."""

    made: tuple[dict[str, torch.Tensor], ...] = field(default=())
    other: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def layers(self):
        return tuple(self.made[0])

    def activations(self, level, layers=None):
        return {layer: self.made[level][layer] for layer in layers or self.layers}

    def sibling_activations(self):
        return self.other


def network():
    """Maps of 4 channels, then 8 units, in the layers that the made-up activations have."""
    torch.manual_seed(0)
    net = nn.Sequential()
    net.add_module("maps", nn.Conv2d(1, 4, 3, padding=1))
    net.add_module("flat", nn.Flatten())
    net.add_module("units", nn.Linear(4 * 16, 8))
    net.probed = ("maps", "units")
    return pruning.attach_masks(net)


def made_up(levels, other=None):
    inputs = torch.randn(INPUTS, 1, 4, 4, generator=torch.Generator().manual_seed(9))
    made = {"made": tuple(levels), "other": other or levels[0], "dataset": IMAGES}
    return MadeUp(len(levels) - 1, lambda level: network(), network, inputs, LABELS, 3, **made)


def activations(seed):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(INPUTS, *shape, generator=generator)  # noqa: E731
    return {"maps": draw(4, 4, 4) + 2 * LABELS[:, None, None, None] * draw(4, 1, 1)[:1], "units": draw(8).relu()}


def mixed(first, second, share):
    return {layer: (1 - share) * first[layer] + share * second[layer] for layer in first}


@pytest.fixture(scope="module")
def run():
    """A dense network, one like it, one unlike it, and one that has nothing to do with it."""
    dense, noise, unrelated = activations(0), activations(1), activations(2)
    return made_up([dense, mixed(dense, noise, 0.2), mixed(dense, noise, 0.5), unrelated], activations(3))


@pytest.fixture(autouse=True)
def small_samples(monkeypatch):
    monkeypatch.setattr(diagnostics, "SAMPLE_SIZES", (*SIZES, INPUTS))
    monkeypatch.setattr(diagnostics, "SAMPLE_DRAWS", 2)


def same(table, expected):
    np.testing.assert_allclose(table, expected, atol=1e-10)


COLUMNS = {
    "nulls": "level layer layer_index reference view measure null null_sd shuffles",
    "samples": "level layer layer_index reference view measure inputs draw value status note",
    "level_pairs": "level_x level_y layer layer_index view measure value status note",
    "layer_pairs": "layer_x layer_y index_x index_y view measure value status note",
    "corruptions": "corruption strength layer layer_index view measure value status note probe_accuracy",
    "spectral": "level layer layer_index reference alpha p value",
    "released": "level layer layer_index reference view measure centring value",
    "dead_units": "level layer layer_index units dead silent",
    "living": "level layer layer_index reference view measure value status note units",
    "connectivity": "level reference position error loss",
}
NUMBERS = {"value", "status", "note", "null", "null_sd", "shuffles", "probe_accuracy", "units", "dead", "silent"}
NUMBERS |= {"error", "loss"}
# Those that score each layer of the pruned networks, whatever it is like.
SCORED = ("nulls", "level_pairs", "layer_pairs", "spectral")


@pytest.mark.parametrize("name", COLUMNS)
def test_every_table_is_tidy_and_the_same_again(name):
    last = activations(1)
    last["units"][:, 3] = 0
    run = made_up([activations(0), last], activations(2))
    table = TABLES[name](run)
    assert list(table.columns) == COLUMNS[name].split() and len(table)
    assert not table.duplicated([column for column in table if column not in NUMBERS]).any()
    assert TABLES[name](run).equals(table)
    if name in ("nulls", "samples", "level_pairs", "layer_pairs", "corruptions"):
        assert set(table["measure"]) == set(MEASURE_IDS) and len(MEASURE_IDS) == 19


def test_these_are_all_tables():
    assert set(TABLES) == set(COLUMNS)


# Chance -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nulls(run):
    return diagnostics.nulls(run)


def test_a_null_is_that_of_shuffled_inputs_in_every_view(run, nulls):
    table = nulls.set_index(["level", "layer", "view", "measure"]).sort_index()
    for view in VIEWS:
        times = diagnostics.SHUFFLES[view]
        maps = run.made[0]["maps"], run.made[2]["maps"]
        expected = compare(*maps, MEASURE_IDS, view=view, permutations=times, seed=run.seed)
        rows = table.loc[(2, "maps", view)].loc[expected.index]
        same(rows["null"], expected["null"])
        same(rows["null_sd"], expected["null_sd"])
        assert (rows["shuffles"] == times).all()


def test_what_is_unrelated_scores_its_null_and_what_is_related_scores_more(run, nulls):
    table = nulls.set_index(["level", "layer", "view", "measure"])["null"]
    for level, low, high in ((3, -0.12, 0.12), (1, 0.4, 1.1)):
        value = compare(run.made[0]["units"], run.made[level]["units"])["value"]
        for measure in ("mean_cca", "linear_cka", "debiased_linear_cka", "nbs"):
            assert low < value[measure] - table[level, "units", "flatten", measure] < high


def test_a_layer_without_maps_has_one_null_for_all_views(nulls):
    table = nulls.query("layer == 'units'").pivot_table("null", ["level", "measure"], "view")
    assert (table["flatten"] == table["pooled"]).all() and (table["flatten"] == table["channels"]).all()


# Inputs -------------------------------------------------------------------------------------------------------------


def test_a_sample_is_the_score_on_the_inputs_drawn(run):
    table = diagnostics.samples(run)
    drawn = list(diagnostics.drawn_inputs(INPUTS, run.generator()))
    assert [len(chosen) for _, _, chosen in drawn] == [12, 12, 24, 24]
    table = table.set_index(["inputs", "draw", "level", "reference", "layer", "view", "measure"]).sort_index()
    for size, draw, chosen in drawn:
        assert len(chosen.unique()) == size
        for level, reference, x, y in (
            (2, "dense", run.made[0]["maps"], run.made[2]["maps"]),
            (0, "sibling", run.other["maps"], run.made[0]["maps"]),
        ):
            for view in ("flatten", "pooled"):
                rows = table.loc[size, draw, level, reference, "maps", view]
                expected = compare(x[chosen], y[chosen], MEASURE_IDS, view=view)
                same(rows["value"][expected.index], expected["value"])
                assert (rows["status"][expected.index] == expected["status"]).all()


def test_the_draws_are_other_inputs_each_time():
    drawn = [tuple(chosen.tolist()) for _, _, chosen in diagnostics.drawn_inputs(INPUTS, torch.Generator())]
    assert len(set(drawn)) == len(drawn) == 2 * len(SIZES)


@pytest.mark.parametrize(
    ("levels", "sampled"), [(12, (1, 3, 6, 12)), (10, (1, 3, 5, 10)), (2, (1, 2)), (1, (1,)), (0, ())]
)
def test_samples_are_of_the_first_and_the_last_level_and_some_between(levels, sampled):
    assert diagnostics.spread_levels(levels) == sampled


# Levels and layers --------------------------------------------------------------------------------------------------


def test_each_two_levels_are_compared_the_denser_one_first(run):
    table = diagnostics.level_pairs(run)
    assert set(zip(table["level_x"], table["level_y"], strict=True)) == {(x, y) for y in range(4) for x in range(y)}
    for view in ("flatten", "pooled"):
        rows = table.query("level_x == 1 and level_y == 3 and layer == 'maps' and view == @view").set_index("measure")
        expected = compare(run.made[1]["maps"], run.made[3]["maps"], MEASURE_IDS, view=view)
        same(rows["value"][expected.index], expected["value"])


def test_level_pairs_do_not_depend_on_how_many_activations_are_held(run, monkeypatch):
    at_once = diagnostics.level_pairs(run)
    monkeypatch.setattr(diagnostics, "HELD", 1)
    assert diagnostics.level_pairs(run).equals(at_once)


def test_every_layer_of_identical_networks_is_its_own_best_match(run):
    table = diagnostics.layer_pairs(made_up(run.made))
    own = table.query("layer_x == layer_y").set_index("measure")["value"]
    same(own, [MEASURES[measure].best for measure in own.index])
    cka = table.query("measure == 'linear_cka' and view == 'pooled'").pivot_table("value", "layer_x", "layer_y")
    assert (cka.idxmax(axis=1) == cka.index).all()


def test_layers_with_other_maps_have_no_units_in_common(run):
    rows = diagnostics.layer_pairs(run).query("layer_x == 'maps' and layer_y == 'units'").set_index(["measure", "view"])
    assert rows.loc[("permutation_matching", "flatten"), "note"].startswith("maps of")
    assert rows.loc[("permutation_matching", "pooled"), "value"] > 0


# Corruptions --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corrupted(run):
    return diagnostics.corruptions(run)


def test_without_corruption_every_score_is_the_best(corrupted):
    whole = corrupted.query("strength == 0")
    assert set(whole["corruption"]) == {"noise", "truncation", "random_pruning"}
    same(whole["value"], [MEASURES[measure].best for measure in whole["measure"]])


@pytest.mark.parametrize("corruption", ["noise", "truncation"])
@pytest.mark.parametrize("measure", ["linear_cka", "nbs", "procrustes_distance", "linear_regression_r2"])
def test_the_stronger_the_corruption_the_less_similar(corrupted, corruption, measure):
    rows = corrupted.query("corruption == @corruption and measure == @measure and layer == 'units'")
    values = rows.sort_values("strength")["value"].to_numpy()
    steps = np.diff(values) * (1 if MEASURES[measure].is_distance else -1)
    assert len(values) > 3 and (steps > 0).all()


def test_noise_of_strength_t_has_t_standard_deviations_of_the_representation(run):
    tensor = run.made[0]["maps"] + 5
    for strength, noisy in diagnostics.noisy(tensor, torch.Generator().manual_seed(0)):
        added = (noisy - tensor).double()
        assert float(added.std() / tensor.double().std()) == pytest.approx(strength, rel=0.05)


def test_truncation_keeps_the_leading_directions_and_nothing_else(run):
    tensor = run.made[0]["maps"].double()
    (whole,) = run.parts(tensor, ("flatten",)).values()
    centred = (tensor - tensor.mean(0)).flatten(1)
    left, values, right = torch.linalg.svd(centred, full_matrices=False)
    for strength, truncated in diagnostics.truncated(tensor, whole):
        kept = round((1 - strength) * whole.rank)
        best = (left[:, :kept] * values[:kept]) @ right[:kept]
        assert truncated.shape == tensor.shape and kept < whole.rank
        same((truncated - tensor.mean(0)).flatten(1), best)


def test_random_pruning_takes_more_and_more_weights_of_one_network():
    kept = None
    for sparsity, pruned in diagnostics.randomly_pruned(network(), seed=0):
        assert pruning.density(pruned) == pytest.approx(1 - sparsity, abs=1e-3)
        masks = pruning.masks(pruned)
        assert kept is None or all((masks[layer] <= kept[layer]).all() for layer in masks)
        kept = masks


def test_the_probe_is_the_ridge_regression_on_the_classes_that_predicts_inputs_left_out_best(run):
    train = diagnostics.probe_split(LABELS)
    assert [int(train[label == LABELS].sum()) for label in range(3)] == [10, 10, 10]
    chosen = set()
    for signal in (0.0, 9.0):
        tensor = run.made[0]["units"].double() + signal * nn.functional.one_hot(LABELS, 8)
        (part,) = run.parts(tensor, ("flatten",)).values()
        X = (tensor - tensor.mean(0)) / part.scale
        Y = nn.functional.one_hot(LABELS).double()

        def fitted(rows, ridge, X=X, Y=Y):
            penalty = ridge * (X[train] ** 2).sum(1).mean() * torch.eye(8)
            return torch.linalg.solve(X[rows].T @ X[rows] + penalty, X[rows].T @ (Y[rows] - Y[train].mean(0)))

        def error(ridge, X=X, Y=Y, fitted=fitted):
            total = 0.0
            for row in train.nonzero().ravel():
                others = train.clone()
                others[row] = False
                total += float(((X[row] @ fitted(others, ridge) + Y[train].mean(0) - Y[row]) ** 2).sum())
            return total

        best = min(diagnostics.PROBE_RIDGES, key=error)
        chosen.add(best)
        right = ((X[~train] @ fitted(train, best) + Y[train].mean(0)).argmax(1) == LABELS[~train]).double().mean()
        assert diagnostics.probe_accuracy(part, LABELS, train) == float(right)
    assert len(chosen) == 2


# The plane and the defect -------------------------------------------------------------------------------------------


def test_the_plane_is_that_of_the_spectral_family(run):
    table = diagnostics.spectral(run).set_index(["level", "layer", "alpha", "p"])["value"]
    for alpha, p in ((0.0, 1.0), (1.0, 1.0), (0.5, 3.0), (1.5, math.inf)):
        for layer in run.layers:
            expected = spectral_similarity(run.made[0][layer], run.made[2][layer], alpha, p)
            assert table[2, layer, alpha, p] == pytest.approx(expected, abs=1e-12)


def test_the_released_score_of_the_dense_network_with_itself(run):
    table = diagnostics.released(run).set_index(["layer", "centring"])["value"]
    for centring in diagnostics.CENTRINGS:
        kernel = linear_kernel(run.made[0]["units"], centring != "raw")
        assert table["units", centring] == pytest.approx(released_cka(kernel, kernel).value, abs=1e-12)
    same(table["units", "columns first"], 1)


# Dead units ---------------------------------------------------------------------------------------------------------


def test_dead_units_are_those_that_no_input_moves_and_silent_ones_give_zeros():
    last = activations(1)
    last["units"][:, 2] = 0.7  # constant, and never zero
    last["maps"][:, 1] = 0
    table = TABLES["dead_units"](made_up([activations(0), last], activations(2))).set_index(["level", "layer"])
    assert list(table["dead"]) == [0, 0, 1, 1] and list(table["units"]) == [4, 8, 4, 8]
    assert table.loc[(1, "maps"), "silent"] == 0.25
    assert table.loc[(1, "units"), "silent"] == pytest.approx(float((last["units"] == 0).double().mean()))


def test_scores_over_living_units_are_those_of_the_layers_without_the_dead_ones():
    dense, last = activations(0), mixed(activations(0), activations(1), 0.3)
    last["units"][:, [1, 4]] = 0
    table = TABLES["living"](made_up([dense, last], dense))
    assert set(table["layer"]) == {"units"} and set(table["view"]) == {"flatten"} and set(table["units"]) == {6}
    kept = [0, 2, 3, 5, 6, 7]
    expected = compare(dense["units"][:, kept], last["units"][:, kept], MEASURE_IDS)
    same(table.set_index("measure")["value"][MEASURE_IDS], expected["value"][MEASURE_IDS])


# Linear mode connectivity -------------------------------------------------------------------------------------------


def classifier(seed, norm=False):
    """A trained network of 16 hidden units on the made-up images, whose class is where their light is."""
    torch.manual_seed(seed)
    layers = [nn.Flatten(), nn.Linear(16, 16), *([nn.BatchNorm1d(16)] if norm else []), nn.ReLU(), nn.Linear(16, 3)]
    net = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    images, labels = lit().train_images, lit().train_labels
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(normalise(images, (0.5,), (0.25,))), labels).backward()
        optimizer.step()
    return pruning.attach_masks(net.eval())


def lit():
    """The made-up images, made brighter in the row that is their class."""
    splits = {}
    for split in ("train", "test"):
        images, labels = getattr(IMAGES, f"{split}_images").clone() // 2, getattr(IMAGES, f"{split}_labels")
        images[torch.arange(len(labels)), 0, labels] += 100
        splits[f"{split}_images"] = images
    return replace(IMAGES, **splits)


def errors(first, second):
    walked = diagnostics.line(first, second, lit(), torch.Generator().manual_seed(0))
    return np.array([(position, loss, 1 - accuracy) for position, loss, accuracy in walked])


@pytest.mark.parametrize("norm", [False, True])
def test_between_a_network_and_itself_there_is_no_barrier(norm):
    walked = errors(classifier(0, norm), classifier(0, norm))
    assert list(walked[:, 0]) == pytest.approx(list(np.linspace(0, 1, 11)))
    assert np.ptp(walked[:, 1]) < 1e-5 and walked[:, 2].max() < 0.1


def test_between_a_network_and_itself_with_its_units_in_another_order_the_barrier_is_high_and_measures_see_nothing():
    first, second = classifier(0), classifier(0)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        second[1].weight_orig.copy_(first[1].weight_orig[order])
        second[1].bias.copy_(first[1].bias[order])
        second[3].weight_orig.copy_(first[3].weight_orig[:, order])
    inputs = normalise(lit().test_images, (0.5,), (0.25,))
    hidden = [net[:3](inputs).detach() for net in (first, second)]
    assert compare(*hidden, ["linear_cka", "nbs", "mean_cca"])["value"].min() > 1 - 1e-6
    walked = errors(first, second)
    assert walked[0, 1] == pytest.approx(walked[-1, 1], abs=1e-5)
    assert walked[5, 1] > 3 * walked[0, 1]


def test_the_ends_of_a_line_are_the_networks_with_their_masks():
    first, second = classifier(0), classifier(1)
    pruning.prune_to(second, 0.5, criterion="magnitude", scope="global", seed=0)
    inputs, labels = normalise(lit().test_images, (0.5,), (0.25,)), lit().test_labels
    expected = [float(nn.functional.cross_entropy(net(inputs), labels)) for net in (first, second)]
    walked = errors(first, second)
    assert [walked[0, 1], walked[-1, 1]] == pytest.approx(expected, abs=1e-5)


def test_statistics_of_batch_norm_are_estimated_anew_on_the_line():
    network = classifier(0, norm=True)
    network[2].running_mean.fill_(50.0)
    diagnostics.renormalise(network, lit().train_images, lit())
    with torch.no_grad():
        expected = network[1](normalise(lit().train_images, (0.5,), (0.25,)).flatten(1)).mean(0)
    assert torch.allclose(network[2].running_mean, expected, atol=1e-5) and network[2].momentum == 0.1


def test_a_network_that_was_trained_on_augmented_images_is_itself_at_the_end_of_a_line():
    network, draws = classifier(0, norm=True), torch.Generator().manual_seed(1)
    seen = torch.cat([augment(lit().train_images, "crop", draws) for _ in range(200)])
    diagnostics.renormalise(network, seen, lit())
    inputs, labels = normalise(lit().test_images, (0.5,), (0.25,)), lit().test_labels
    own = float(nn.functional.cross_entropy(network(inputs), labels))
    cropped, plain = (
        next(diagnostics.line(network, network, lit(), torch.Generator().manual_seed(0), changed))[1]
        for changed in ("crop", "none")
    )
    assert abs(cropped - own) < abs(plain - own) / 5


def test_dropout_leaves_the_statistics_of_batch_norm_reproducible():
    network, found = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(16, 4), nn.BatchNorm1d(4)), []
    for _ in range(2):
        diagnostics.renormalise(network, lit().train_images, lit())
        found.append(network[3].running_mean.clone())
    assert torch.equal(*found)


# What has no score --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, math.nan])
@pytest.mark.parametrize("name", SCORED)
def test_a_dead_or_diverged_layer_of_a_pruned_network_has_no_scores(name, value):
    dense, last = activations(0), activations(1)
    broken = {**last, "units": torch.full_like(last["units"], value)}
    table = TABLES[name](made_up([dense, broken], broken))
    column = "null" if name == "nulls" else "value"
    if "level" in table:
        table = table[table["level"] == 1]
    there = table["layer_y" if name == "layer_pairs" else "layer"] == "units"
    assert there.any() and table[there][column].isna().all() and table[~there][column].notna().any()


@pytest.mark.parametrize("value", [0.0, math.nan])
def test_a_dead_or_diverged_layer_of_the_dense_network_has_no_scores(value):
    dense = activations(0)
    broken = {**dense, "units": torch.full_like(dense["units"], value)}
    for name in ("released", "samples", "corruptions"):
        table = TABLES[name](made_up([broken, dense], dense))
        there = table["layer"] == "units"
        assert there.any() and table[there]["value"].isna().all()
        assert table[~there]["value"].notna().any()
    assert table[there & (table["strength"] == 0)]["probe_accuracy"].isna().all()
