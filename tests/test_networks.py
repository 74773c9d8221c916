"""Two networks, layer by layer."""

from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d
from torch.utils.data import DataLoader, TensorDataset

from simprune import compare, networks
from simprune.activations import extract
from simprune.errors import InputError
from simprune.networks import COLUMNS, compare_layers, compare_networks
from simprune.plots import HOLLOW

RANDOM = np.random.default_rng(0)
MEASURES = ("debiased_linear_cka", "linear_cka", "nbs", "mean_cca", "pwcca", "gulp", "linear_regression_r2")


class Maps(nn.Module):
    """Convolutions whose maps shrink, and dead channels."""

    def __init__(self, width, size=8):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, width, 3, padding=1), nn.Tanh())
        self.second = nn.Sequential(nn.Conv2d(width, width + 1, 2, stride=2), nn.Tanh())
        self.out = nn.Linear((width + 1) * (size // 2) ** 2, 6)
        with torch.no_grad():
            self.first[0].weight[0], self.first[0].bias[0] = 0, 1e3
        self.runs = 0

    def forward(self, images):
        self.runs += 1
        return self.out(self.second(self.first(images)).flatten(1))


class Tokens(nn.Module):
    """A transformer with a class token."""

    def __init__(self, width=8, patch=2):
        super().__init__()
        self.patches = nn.Conv2d(2, width, patch, stride=patch)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 2, 16, batch_first=True, activation="gelu") for _ in range(2)
        )
        self.head = nn.Linear(width, 6)

    def forward(self, images):
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], 1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(tokens[:, 0])


@pytest.fixture(scope="module")
def images():
    return torch.randn(90, 2, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def a():
    torch.manual_seed(1)
    return Maps(5)


@pytest.fixture(scope="module")
def b():
    torch.manual_seed(2)
    return Maps(4)


@pytest.fixture(scope="module")
def tokens():
    torch.manual_seed(3)
    return Tokens()


@pytest.fixture
def little_memory(monkeypatch):
    """As if no more than twenty inputs could be kept, and eight passed through at a time."""

    def set_for(view):
        floats = {
            "flatten": 5 * 64 + 6 * 16 + 6 + 4 * 64 + 5 * 16 + 6,
            "channels": 5 * 64 + 6 * 16 + 4 * 64 + 5 * 16 + 12,
        }
        monkeypatch.setattr(networks, "KEPT", 20 * 4 * floats.get(view, 64))
        monkeypatch.setattr(networks, "MOST_PASSING", 8)

    return set_for


LAYERS = ["first", "second", "out"]


def worst(found, wanted):
    """The greatest difference of values of two tables of the same pairs."""
    columns = ["layer", "other_layer", "measure", "value"]
    both = found[columns].merge(wanted[columns], on=columns[:3], validate="one_to_one")
    assert len(both) == len(found) == len(wanted)
    assert (both["value_x"].isna() == both["value_y"].isna()).all()
    return (both["value_x"] - both["value_y"]).abs().max()


def expected(a, b, images, layers, measures, view, pool=lambda x, y: (x, y)):
    """The table by `compare` of every pair of activations."""
    rows = []
    first, second = extract(a, images, layers), extract(b, images, layers)
    for layer, x in first.items():
        for other, y in second.items():
            table = compare(*pool(x, y), list(measures), view=view)
            rows += [(layer, other, measure, row.value) for measure, row in table.iterrows()]
    return pd.DataFrame(rows, columns=["layer", "other_layer", "measure", "value"])


def to_the_smaller_grid(x, y):
    x, y = (tensor[:, :, None, None] if tensor.ndim == 2 else tensor for tensor in (x, y))
    grid = tuple(map(min, x.shape[2:], y.shape[2:]))
    return adaptive_avg_pool2d(x.double(), grid), adaptive_avg_pool2d(y.double(), grid)


# Values -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["flatten", "channels", "pooled"])
def test_values_are_those_of_comparing_every_two_layers(a, b, images, view):
    found = compare_networks(a, b, images, LAYERS, measures=MEASURES, view=view)
    pool = to_the_smaller_grid if view == "channels" else lambda x, y: (x, y)
    assert worst(found.table, expected(a, b, images, LAYERS, MEASURES, view, pool)) < 1e-12
    assert list(found.table.columns) == list(COLUMNS) and found.inputs == 90


@pytest.mark.parametrize("view", ["flatten", "channels", "pooled"])
def test_where_not_all_can_be_kept_sums_of_products_tell_the_same(a, b, images, view, little_memory):
    measures = (*MEASURES, "permutation_matching", "unit_correlation")[: None if view != "flatten" else -2]
    whole = compare_networks(a, b, images, LAYERS, measures=measures, view=view)
    little_memory(view)
    streamed = compare_networks(a, b, images, LAYERS, measures=measures, view=view)
    assert worst(streamed.table, whole.table) < 1e-8
    assert not streamed.table["note"].str.contains("estimated|on 20 of").any()
    assert (streamed.table["status"] == whole.table["status"]).all()


def test_a_large_common_mean_costs_no_digits(images, little_memory):
    network = nn.Sequential(nn.Conv2d(2, 6, 8), nn.Flatten(), nn.Linear(6, 6)).double()
    network[2].bias.data += 1e4
    whole = compare_networks(network, network, images, ["0", "2"], measures=MEASURES, view="pooled")
    little_memory("pooled")
    streamed = compare_networks(network, network, images, ["0", "2"], measures=MEASURES, view="pooled")
    assert worst(streamed.table, whole.table) < 1e-8


def test_debiased_cka_of_wide_layers_is_estimated_within_its_stated_error(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    hits = []
    for seed in range(12):
        torch.manual_seed(seed)
        a, b = (nn.Sequential(nn.Linear(6, 200), nn.Tanh(), nn.Linear(200, 3)) for _ in range(2))
        rows = torch.randn(400, 6, generator=generator)
        monkeypatch.undo()
        exact = compare_networks(a, b, rows, "1").table
        monkeypatch.setattr(networks, "WIDEST", 100)
        monkeypatch.setattr(networks, "KEPT", 2**10)
        [estimate] = compare_networks(a, b, rows, "1", seed=seed).table.itertuples()
        text = estimate.note
        assert text.startswith("estimated from 20 batches, ± ") and text.endswith(" (95 %)")
        hits.append(abs(estimate.value - exact["value"].item()) <= float(text.split("± ")[1].split()[0]))
    assert sum(hits) >= 10


def test_what_needs_all_inputs_at_once_is_refused_before_work_or_undefined_and_says_why(a, b, images, little_memory):
    little_memory("flatten")
    runs = a.runs
    with pytest.raises(
        InputError, match="rbf_cka needs all inputs at once, which may be 20 with these layers, and .* 90"
    ):
        compare_networks(a, b, images, LAYERS, measures=["linear_cka", "rbf_cka"])
    assert a.runs - runs == 2  # on the few inputs that tell what its layers are
    found = compare_networks(a, b, iter(images.split(30)), LAYERS, measures=["linear_cka", "rbf_cka"]).table
    wrong = found[found["status"] == "undefined"]
    assert set(wrong["measure"]) == {"rbf_cka"} and wrong["note"].str.startswith("needs all inputs at once").all()


def test_what_is_kept_of_pairs_of_inputs_has_a_bound_too(a, b, images, monkeypatch):
    monkeypatch.setattr(networks, "TABLES", 4 * 4 * 50**2)
    compare_networks(a, b, images[:50], LAYERS, measures="rbf_cka")
    with pytest.raises(InputError, match="rbf_cka needs all inputs at once, which may be 50"):
        compare_networks(a, b, images, LAYERS, measures="rbf_cka")


@pytest.mark.parametrize(("bound", "exact"), [(8 * 36 + 2 * 16 * 36, 1), (8 * 36 + 2 * 16 * 36 - 1, 0)])
def test_sums_of_products_have_a_bound_on_all_that_they_take(a, b, images, little_memory, monkeypatch, bound, exact):
    little_memory("flatten")
    monkeypatch.setattr(networks, "SUMS", bound)
    notes = compare_networks(a, b, images, LAYERS).table["note"]
    assert list(notes.str.startswith("estimated")) == [True] * (9 - exact) + [False] * exact


# Inputs -------------------------------------------------------------------------------------------------------------


def test_both_networks_are_fed_in_one_pass_so_that_a_loader_may_shuffle(a, b, images):
    shuffling = DataLoader(TensorDataset(images, torch.zeros(90)), batch_size=7, shuffle=True)
    found = compare_networks(a, b, shuffling, LAYERS, measures=MEASURES).table
    assert worst(found, compare_networks(a, b, images, LAYERS, measures=MEASURES).table) < 1e-6


@pytest.mark.parametrize("batch_size", [1, 7, 90])
def test_batches_of_any_size_give_the_same_sums(a, b, images, batch_size, little_memory):
    whole = compare_networks(a, b, images, LAYERS, measures=MEASURES, view="pooled").table
    little_memory("pooled")
    loader = DataLoader([{"images": image, "label": 0} for image in images], batch_size=batch_size)
    assert worst(compare_networks(a, b, loader, LAYERS, measures=MEASURES, view="pooled").table, whole) < 1e-6


def test_a_network_with_itself_runs_once_and_is_alike(a, images):
    runs = a.runs
    found = compare_networks(a, a, images)
    assert a.runs - runs == 3  # two inputs, three inputs, all inputs
    assert np.allclose(np.diag(found.matrix()), 1) and np.allclose(found.matrix(), found.matrix().T)
    half = compare_networks(a, a, images, "first.1", "second.1").matrix()
    assert np.allclose(half, found.matrix().loc[["first.1"], ["second.1"]], atol=1e-6) and half.shape == (1, 1)


def test_networks_that_share_modules_are_kept_apart(a, images):
    whole = nn.Sequential(a, nn.Tanh())
    found = compare_networks(a, whole, images, ["first"], ["0.first", "1"]).matrix()
    assert found.loc["first", "0.first"] == pytest.approx(1)


# Tokens, and maps of different size ---------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["flatten", "channels", "pooled", "token", "token[-1]"])
def test_tokens_are_compared_in_every_view(tokens, images, view):
    found = compare_networks(tokens, tokens, images, "blocks.?", measures=MEASURES, view=view)
    assert worst(found.table, expected(tokens, tokens, images, "blocks.?", MEASURES, view)) < 1e-12


def test_tokens_meet_maps_on_the_smaller_grid(a, tokens, images):
    found = compare_networks(a, tokens, images, LAYERS, ["patches", "blocks.0"], view="channels", measures=["nbs"])
    maps, of_tokens = extract(a, images, LAYERS), extract(tokens, images, "blocks.0")["blocks.0"]
    grid = of_tokens[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    notes = found.table.set_index(["layer", "other_layer"])["note"]
    for layer, note in {
        "first": "X pooled from 8 x 8 positions to 4 x 4; Y without its first 1 of 17 tokens",
        "second": "Y without its first 1 of 17 tokens",
    }.items():
        value = compare(*to_the_smaller_grid(maps[layer], grid), ["nbs"], view="channels")["value"].item()
        assert found.matrix().loc[layer, "blocks.0"] == pytest.approx(value, abs=1e-12)
        assert notes[layer, "blocks.0"] == note
    assert notes["out", "blocks.0"] == "Y pooled from 17 tokens to 1 x 1"
    assert notes["second", "patches"] == ""


def test_what_has_no_tokens_and_what_meets_on_no_grid_is_undefined_and_says_why(a, tokens, images):
    found = compare_networks(a, tokens, images, ["second"], ["blocks.0"], view="token").table
    assert tuple(found[["status", "note"]].iloc[0]) == ("undefined", "maps of 4 x 4 positions have no tokens")
    found = compare_networks(tokens, tokens, images, "blocks.0", view="token[17]").table
    assert tuple(found[["status", "note"]].iloc[0]) == ("undefined", "'token[17]' is not one of 17 tokens")
    words = [{"block": RANDOM.random((9, count, 3))} for count in (13, 14)]
    found = compare_layers(*words, view="channels").table
    assert tuple(found[["status", "note"]].iloc[0]) == ("undefined", "13 tokens against 14")


class ChannelsLast(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.patches, self.mix, self.last = nn.Conv2d(2, 12, 2, stride=2), nn.Linear(12, 12), last
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, 3)
        self.block = nn.Identity()

    def forward(self, images):
        maps = self.norm(self.mix(self.patches(images).permute(0, 2, 3, 1)))
        return self.head(self.block(maps if self.last else maps.permute(0, 3, 1, 2)).flatten(1)[:, :12])


def test_channels_are_found_where_a_network_has_them_last(images):
    torch.manual_seed(0)
    last, first = ChannelsLast(True), ChannelsLast(False)
    first.load_state_dict(last.state_dict())
    for view in ("channels", "pooled"):
        found = compare_networks(last, first, images, "block", view=view, measures=["nbs", "unit_correlation"])
        assert np.allclose(found.table["value"], 1)


def test_maps_of_a_one_dimensional_convolution_are_not_tokens():
    torch.manual_seed(0)
    network, signals = nn.Sequential(nn.Conv1d(2, 7, 3), nn.Tanh()), torch.randn(40, 2, 12)
    found = compare_networks(network, network, signals, "0", view="pooled", measures=["nbs", "unit_correlation"])
    assert found.table["value"].tolist() == pytest.approx([1, 1])


# The result ---------------------------------------------------------------------------------------------------------


def test_both_axes_say_which_network_they_are(a, b, images, tmp_path):
    found = compare_networks(a, b, images, LAYERS, measures=["nbs", "mean_cca", "gulp"])
    matrix = found.matrix("nbs")
    assert (matrix.index.name, matrix.columns.name) == ("Maps (a)", "Maps (b)")
    assert list(matrix.index) == list(matrix.columns) == LAYERS
    named = compare_networks(a, b, images, LAYERS, names=("dense", "pruned"))
    axes = named.plot().axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("layers of dense", "layers of pruned")
    found.to_csv(tmp_path / "scores.csv")
    assert worst(pd.read_csv(tmp_path / "scores.csv"), found.table) < 1e-12
    with pytest.raises(InputError, match="measure: 'linear_cka' is not one of nbs, mean_cca, gulp"):
        found.matrix("linear_cka")


def test_scores_that_are_not_ok_are_hatched(a, b, images):
    found = compare_networks(a, b, images, LAYERS, measures=["mean_cca"])
    figure = found.plot()
    hatched = [patch for patch in figure.axes[0].patches if patch.get_hatch()]
    assert 0 < len(hatched) == (found.table["status"] == "degenerate").sum() < 9
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [HOLLOW]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": torch.zeros(0, 2, 8, 8)}, "inputs: there is none"),
        ({"inputs": torch.zeros(3, 2, 8, 8)}, "inputs: 3 are too few; at least 4"),
        ({"inputs": iter([torch.zeros(2, 2, 8, 8)])}, "inputs: 2 are too few; at least 4"),
        ({"inputs": torch.zeros(9, 3, 8, 8)}, r"Maps \(a\): the network does not take these inputs"),
        ({"inputs": torch.full((9, 2, 8, 8), torch.nan)}, "inputs: 1,152 of 1,152 values are NaN or infinite"),
        ({"inputs": {"images": torch.full((9, 2, 8, 8), torch.nan)}}, "inputs: 1,152 of 1,152 values are NaN"),
        ({"layers": "secnd"}, r"Maps \(a\): layers: this Maps has no layer 'secnd'; did you mean 'second'"),
        ({"b": nn.Sequential(nn.Flatten())}, r"Sequential: layers: this Sequential has no layer 'first'; it has 0"),
        ({"other_layers": ["outt"]}, r"Maps \(b\): layers: .* did you mean 'out'"),
        ({"measures": "linear_ckaa"}, "did you mean 'linear_cka'"),
        ({"measures": ["accuracy_gap"]}, "needs the logits of two networks"),
        ({"measures": []}, "measures: none given"),
        ({"view": "tokens"}, "view: 'tokens' is not one of flatten, channels, pooled, token"),
        ({"names": "ab"}, "names: 'ab' are not two names"),
        ({"a": Maps(4).state_dict()}, "a: this OrderedDict is not a network; load it into one with load_state_dict"),
        ({"b": Maps}, "b: Maps is not a network; call it first"),
        ({"b": torch.nn.functional.relu}, "b: relu is not a network; call it first"),
        ({"b": "resnet18"}, "b: this str is not a network; give a torch.nn.Module"),
        ({"b": nn.Sequential(nn.Conv2d(2, 3, 3, device="meta"))}, "no weights"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(a, b, images, change, message):
    given = {"a": a, "b": b, "inputs": images, "layers": LAYERS, "other_layers": LAYERS} | change
    with pytest.raises(InputError, match=message):
        compare_networks(**given)


def test_nan_of_the_second_network_is_named(a, b, images):
    broken = Maps(4)
    broken.second[0].bias.data[2] = torch.nan
    with pytest.raises(
        InputError, match=r"pruned: second: 1440 of 8640 activations are NaN or infinite|pruned: second"
    ):
        compare_networks(a, broken, images, LAYERS, names=("dense", "pruned"))


# Activations at hand ------------------------------------------------------------------------------------------------


def test_layers_at_hand_are_compared_as_those_of_networks(a, b, images):
    first, second = extract(a, images, LAYERS), {k: v.numpy() for k, v in extract(b, images, LAYERS).items()}
    found = compare_layers(first, second, MEASURES, names=("a", "b"))
    assert worst(found.table, compare_networks(a, b, images, LAYERS, measures=MEASURES).table) < 1e-12


def test_layers_without_a_common_number_of_inputs_are_refused():
    arrays = {"x": RANDOM.random((9, 3)), "y": RANDOM.random((9, 4))}
    with pytest.raises(InputError, match="layers need the same number of inputs; there are 9 in a: x, 8 in b: y$"):
        compare_layers(arrays, arrays | {"y": RANDOM.random((8, 4))})
    with pytest.raises(InputError, match="no layer"):
        compare_layers({}, {})


@pytest.mark.parametrize("view", ["flatten", "channels", "pooled"])
def test_ridge_regression_needs_no_activations_that_were_let_go(a, b, images, view):
    found = compare_networks(a, b, images, "first", measures="ridge_r2", view=view).table
    X, Y = (extract(network, images, ["first"])["first"] for network in (a, b))
    right = compare(X, Y, ["ridge_r2"], view=view)["value"].item()
    assert found["value"].item() == pytest.approx(right, abs=1e-6)


# The page -----------------------------------------------------------------------------------------------------------


def test_the_page_shows_networks_images_as_they_are_and_prunes_no_batch_norm():
    """Images are whole numbers without a sign, which wrap round below 0."""
    page = nbformat.read(Path(__file__).resolve().parent.parent / "notebooks/compare_networks.ipynb", as_version=4)
    cells, known = {cell.id: cell.source for cell in page.cells}, {}
    for cell in ("imports", "parameters"):
        exec(cells[cell], known)
    known |= {"train_images": 200, "epochs": 1, "images": 20}
    exec(cells["network"], known)
    for found, images in (
        ("pixels", known["clothes"].train_images[:200]),
        ("probe", known["clothes"].test_images[:20]),
    ):
        assert torch.equal(known[found], (images.float() - 128) / 128)
    known["dense"].conv1.append(nn.BatchNorm2d(16))
    exec(cells["compared"], known)
    assert not hasattr(known["pruned"].conv1[3], "weight_orig") and hasattr(known["pruned"].hidden[1], "weight_orig")
