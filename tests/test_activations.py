import copy
from collections import OrderedDict

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from simprune.activations import default_layers, extract
from simprune.errors import InputError


class Small(nn.Module):
    """A network with dropout, batch norm, an in-place ReLU and a module that runs twice."""

    probed = ("conv", "relu", "logits")

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.norm = nn.BatchNorm2d(3)
        self.relu = nn.ReLU(inplace=True)
        self.twice = nn.Identity()
        self.drop = nn.Dropout(0.5)
        self.logits = nn.Linear(3 * 16, 4)
        self.unused = nn.Linear(2, 2)

    def forward(self, images):
        maps = self.relu(self.norm(self.conv(images)))
        return self.logits(self.twice(self.twice(self.drop(maps.flatten(1)))))


@pytest.fixture
def small():
    torch.manual_seed(0)
    return Small()


@pytest.fixture
def images():
    return torch.randn(11, 1, 6, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def resnet():
    return torchvision.models.resnet18(num_classes=10)


# Extraction ---------------------------------------------------------------------------------------------------------


def test_activations_are_those_of_a_forward_pass_in_evaluation_mode(small, images):
    found = extract(small, images)
    small.eval()
    with torch.no_grad():
        maps = small.conv(images)
        assert torch.allclose(found["conv"], maps)
        assert torch.allclose(found["relu"], small.norm(maps).relu())
        assert torch.allclose(found["logits"], small(images))


def test_layers_come_as_they_run_whatever_order_they_are_asked_for(small, images):
    assert list(extract(small, images, ["logits", "conv"])) == ["conv", "logits"]
    assert list(extract(small, images)) == ["conv", "relu", "logits"]


def test_an_in_place_relu_does_not_overwrite_the_layer_before_it(images):
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(inplace=True))
    found = extract(network, images, ["0", "1"])
    assert (found["0"] < 0).any()
    assert torch.equal(found["1"], found["0"].relu())


@pytest.mark.parametrize("batch_size", [1, 4, 11, 500])
def test_the_batch_size_does_not_change_activations(small, images, batch_size):
    found, whole = extract(small, images, batch_size=batch_size), extract(small, images)
    assert all(torch.allclose(found[layer], whole[layer], atol=1e-6) for layer in whole)


def test_extraction_leaves_modes_buffers_gradients_and_hooks_as_they_were(small, images):
    small.train()
    small.drop.eval()
    before = copy.deepcopy(small.state_dict())
    found = extract(small, images)
    assert small.training and small.norm.training and not small.drop.training
    assert all(torch.equal(before[name], tensor) for name, tensor in small.state_dict().items())
    assert not any(tensor.requires_grad for tensor in found.values())
    assert not any(module._forward_hooks for module in small.modules())


def test_extraction_cleans_up_after_a_failure(small, images):
    small.train()
    with pytest.raises(InputError, match=r"does not take these inputs \(torch.float32 \(2, 36\)\)"):
        extract(small, images.flatten(1))
    assert small.training and not any(module._forward_hooks for module in small.modules())


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["logit"], "this Small has no layer 'logit'; did you mean 'logits'"),
        (["twice"], "layers: 'twice' runs 2 times in a forward pass"),
        (["unused"], "layers: 'unused' is not called"),
    ],
)
def test_a_layer_that_cannot_be_probed_is_refused(small, images, layers, message):
    with pytest.raises(InputError, match=message):
        extract(small, images, layers)


def test_no_inputs_and_no_batch_are_refused(small, images):
    with pytest.raises(InputError, match="inputs"):
        extract(small, images[:0])
    for wrong in (0, 0.5, 10.0, None, True):
        with pytest.raises(InputError, match=f"batch_size: {wrong} is not a whole number"):
            extract(small, images, batch_size=wrong)


# Inputs people have -------------------------------------------------------------------------------------------------


class Stream(IterableDataset):
    def __init__(self, tensor):
        self.tensor = tensor

    def __iter__(self):
        return iter(self.tensor)


class Named(nn.Module):
    """A network that takes and gives dictionaries, as those of the Transformers library."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, pixel_values, mask=None):
        return OrderedDict(logits=self.network(pixel_values if mask is None else pixel_values * mask))


GIVEN = {
    "array": lambda x: x.numpy(),
    "array of doubles": lambda x: x.double().numpy(),
    "read-only array in the other byte order": lambda x: (
        np.frombuffer(x.numpy().astype(">f4")).view(">f4").reshape(x.shape)
    ),
    "doubles": lambda x: x.double(),
    "sparse": lambda x: x.to_sparse(),
    "dictionary": lambda x: {"pixel_values": x, "labels": torch.zeros(len(x))},
    "dataset": lambda x: TensorDataset(x, torch.zeros(len(x))),
    "loader of pairs": lambda x: DataLoader(TensorDataset(x, torch.zeros(len(x))), batch_size=4),
    "loader of singles": lambda x: DataLoader(TensorDataset(x), batch_size=1),
    "loader of dictionaries": lambda x: DataLoader([{"image": image, "label": 1} for image in x], batch_size=3),
    "loader of a stream": lambda x: DataLoader(Stream(x), batch_size=7),
    "generator": lambda x: (batch for batch in x.split(5)),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_inputs_of_any_kind_give_the_activations_of_the_tensor(small, images, kind):
    found, wanted = extract(small, GIVEN[kind](images)), extract(small, images)
    assert list(found) == list(wanted)
    assert all(torch.allclose(found[layer], wanted[layer], atol=1e-6) for layer in wanted)


def test_entries_of_a_dictionary_go_to_the_arguments_of_their_name(small, images):
    network, mask = Named(small), torch.rand_like(images)
    given = {"mask": mask, "pixel_values": images, "labels": torch.zeros(11), "idx": torch.arange(11)}
    [found] = extract(network, given, "network.logits").values()
    assert torch.allclose(found, extract(small, images * mask)["logits"], atol=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda x: list(x), "a list may hold inputs or batches"),
        (lambda x: (x, x), "a tuple may hold"),
        (lambda x: (255 * x).byte(), "uint8 are bytes of images"),
        (lambda x: np.ma.masked_less(x.numpy(), 0), "masked"),
        (lambda x: np.array([["a"]]), "not an array of numbers"),
        (lambda x: "images.npy", "is not a tensor, an array, a dataset or a DataLoader"),
        (lambda x: 3, "3 is not a tensor"),
        (lambda x: x[0, 0, 0, 0], "no dimension of inputs"),
        (lambda x: x[0], "does not take these inputs"),
        (lambda x: iter([]), "there is none"),
        (lambda x: DataLoader(TensorDataset(x[:0])), "there is none"),
        (lambda x: ["a"] and iter(["ab"]), "a batch is a str"),
        (lambda x: {"a": x, "b": x[:3]}, r"tensors of \[3, 11\] inputs"),
        (lambda x: {"pixels": x, "mask": x}, "of the entries pixels, mask of a batch the network takes none"),
    ],
)
def test_inputs_that_cannot_be_used_are_refused_in_a_sentence(small, images, given, message):
    with pytest.raises(InputError, match=message):
        extract(small, given(images))


# Networks people have -----------------------------------------------------------------------------------------------


class Windows(nn.Module):
    def __init__(self):
        super().__init__()
        self.window, self.out = nn.Linear(8, 8), nn.Linear(32, 4)

    def forward(self, rows):
        return self.out(self.window(rows.reshape(-1, 8)).reshape(len(rows), 32))


class SequenceFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 1, enable_nested_tensor=False)

    def forward(self, tokens):
        return self.encoder(tokens.transpose(0, 1)).mean(0)


class Called(nn.Module):
    """A network whose one layer gives what `function` makes of the inputs."""

    def __init__(self, function):
        super().__init__()
        self.weight, self.layer = nn.Parameter(torch.ones(())), nn.Module()
        self.layer.forward = function

    def forward(self, rows):
        return self.layer(rows)


rows, tokens = torch.rand(20, 32), torch.rand(20, 7, 8)


@pytest.mark.parametrize("positions", [7, 20])
def test_inputs_come_first_also_where_the_network_has_them_second(positions):
    given = torch.rand(20, positions, 8)
    network = SequenceFirst().eval()
    with torch.no_grad():
        wanted = network.encoder(given.transpose(0, 1)).transpose(0, 1)
    assert torch.allclose(extract(network, given, "encoder", batch_size=6)["encoder"], wanted, atol=1e-6)


def test_an_item_is_chosen_of_what_a_layer_returns():
    network = nn.Sequential(nn.LSTM(8, 4, num_layers=2, batch_first=True))
    with pytest.raises(InputError, match=r"'0' returns a tuple, not a tensor; choose an item, as '0\[0\]'"):
        extract(network, tokens, "0")
    found = extract(network, tokens, ["0[0]", "0[1][1]"])
    output, (_, cell) = network[0](tokens)
    assert torch.allclose(found["0[0]"], output, atol=1e-6)
    assert torch.allclose(found["0[1][1]"], cell.transpose(0, 1), atol=1e-6)
    assert list(extract(network, tokens, "*")) == list(extract(network, tokens, nn.LSTM)) == ["0[0]"]
    with pytest.raises(InputError, match="returns a NoneType"):
        extract(network, tokens, "0[2]")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x.sum(), r"returns \(\) for 2 inputs"),
        (lambda x: x.sum(1), "one number for an input"),
        (lambda x: torch.ones(4, 4), r"returns \(4, 4\) for 2 inputs and \(4, 4\) for 3"),
        (lambda x: None, "returns a NoneType"),
        (lambda x: x + 1j, "complex"),
        (lambda x: nn.utils.rnn.pack_padded_sequence(x[..., None], [3] * len(x), batch_first=True), "PackedSequence"),
        (lambda x: x[:, : int(10 * x[0, 0]) + 1], "the shape of 'layer' differs between batches"),
    ],
)
def test_what_is_no_pattern_for_each_input_is_refused_as_what_it_is(function, message):
    given = torch.cat([torch.full((10, 32), 0.3), torch.full((10, 32), 0.9)])
    with pytest.raises(InputError, match=message):
        extract(Called(function), given, "layer", batch_size=10)


def test_windows_and_uncalled_layers_are_named_as_what_they_are():
    with pytest.raises(InputError, match="'window' sees 4 windows of each input"):
        extract(Windows(), rows, "window")
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    with pytest.raises(InputError, match="'self_attn.out_proj' is not called .* probe 'self_attn'"):
        extract(layer, tokens, "self_attn.out_proj")


@pytest.mark.parametrize(
    ("layers", "wanted"),
    [
        ("layer2", ["layer2"]),
        (["layer2", "layer2"], ["layer2"]),
        ("layer[12].0", ["layer1.0", "layer2.0"]),
        (nn.MaxPool2d, ["maxpool"]),
        ([nn.Linear, "layer4"], ["layer4", "fc"]),
        ("layer1.0.*1", ["layer1.0.conv1", "layer1.0.bn1"]),
        (None, [f"layer{stage}.{block}" for stage in range(1, 5) for block in range(2)] + ["fc"]),
    ],
)
def test_layers_are_chosen_by_name_pattern_and_type(resnet, layers, wanted):
    assert list(extract(resnet, torch.rand(3, 3, 32, 32), layers)) == wanted


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("layer_2", "no layer 'layer_2'; did you mean 'layer2'"),
        ("0.conv1", "did you mean 'layer1.0.conv1'"),
        ("nothing*", "no layer 'nothing\\*'; it has conv1, bn1"),
        (nn.LSTM, "no layer of the type LSTM"),
        ([], "layers: none given; give at least one"),
        ([3], "3 is neither a name nor a type"),
        ("layer1.0.relu", "runs 2 times in a forward pass; probe 'layer1.0'"),
        ("layer?.?.relu", "'layer1.0.relu' runs 2 times"),
    ],
)
def test_layers_that_are_not_there_are_refused_with_the_nearest(resnet, layers, message):
    with pytest.raises(InputError, match=message):
        extract(resnet, torch.rand(3, 3, 32, 32), layers)


def test_a_name_without_the_wrapper_s_is_met_with_the_whole_name(resnet):
    with pytest.raises(InputError, match="did you mean 'module.layer2'"):
        extract(nn.DataParallel(resnet), torch.rand(3, 3, 32, 32), "layer2")


@pytest.mark.parametrize(
    ("network", "first", "count"),
    [
        (torchvision.models.vit_b_32, "encoder.layers.encoder_layer_0", 13),
        (torchvision.models.swin_t, "features.1.0", 16),
        (torchvision.models.mobilenet_v2, "features.1", 18),
        (torchvision.models.mobilenet_v3_small, "features.1", 12),
        (torchvision.models.vgg11, "features.1", 11),
        (torchvision.models.densenet121, "features.denseblock1.denselayer1", 59),
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), "0", 2),
        (lambda: nn.Sequential(nn.Flatten()), "0", 1),
    ],
)
def test_default_layers_are_the_outputs_of_blocks(network, first, count):
    with torch.device("meta"):
        found = default_layers(network())
    assert (found[0], len(found)) == (first, count)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_networks_in_other_forms(images):
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    wanted = extract(network, images, "1")["1"]
    compiled = nn.Module()  # as torch.compile wraps it
    compiled._orig_mod = network
    assert torch.equal(extract(compiled, images, "1")["1"], wanted)
    assert extract(copy.deepcopy(network).half(), images, "1")["1"].dtype == torch.float16
    scripted = torch.jit.script(copy.deepcopy(network))
    for wrong, message in (
        (scripted, "scripted or traced"),
        (copy.deepcopy(network).to("meta"), "no weights"),
        (lambda x: x, "is not a torch.nn.Module"),
    ):
        with pytest.raises(InputError, match=message):
            extract(wrong, images, "1")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_activations_of_a_quantized_network_are_its_numbers(images):
    from torch.ao import quantization

    network = nn.Sequential(quantization.QuantStub(), nn.Conv2d(1, 4, 3), quantization.DeQuantStub()).eval()
    exact = extract(nn.Sequential(network[1]), images, "0")["0"]
    network.qconfig = quantization.get_default_qconfig(torch.backends.quantized.engine)
    quantization.prepare(network, inplace=True)(images)
    quantization.convert(network, inplace=True)
    assert torch.allclose(extract(network, images, "1")["1"], exact, atol=0.05)


def test_batch_norm_without_running_statistics_is_warned_of(images):
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
    with pytest.warns(UserWarning, match="'1' normalises by the statistics of its batch"):
        extract(network, images, "1")
