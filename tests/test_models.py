"""Architectures: sizes as published, layers probed at the right place, weights decided by the seed."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18
from torchvision.models.vgg import cfgs, make_layers

from simprune import models
from simprune.errors import InputError

NAMES = tuple(models.ARCHITECTURES)
LENET_INPUT = {"channels": 1, "image_size": 28}
COLOUR_INPUT = {"channels": 3, "image_size": 32}


def build(name: str, **options) -> nn.Module:
    usual = LENET_INPUT if name == "lenet5" else COLOUR_INPUT
    return models.build(name, **{**usual, "classes": 10, **options})


def narrow(name: str, width: float = 0.25, **options) -> nn.Module:
    """A network for colour images, of that width if it has one, to be evaluated."""
    width = width if models.ARCHITECTURES[name].has_width else 1.0
    return models.build(name, **{**COLOUR_INPUT, "classes": 10, "width": width, **options}).eval()


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    "name, parameters",
    [
        ("lenet5", 61_706),
        # 3×3 weights, biases, two numbers of batch norm a channel, and 256 × 10 + 10 for the logits.
        ("vgg", 9 * (3 * 32 + 32**2 + 32 * 64 + 64**2 + 64 * 128 + 128**2 + 128 * 256) + 3 * 704 + 2_570),
        ("resnet20", 269_722),  # the paper: 0.27 million
        ("resnet18", 11_173_962),
        ("vgg16", 14_728_266),
    ],
)
def test_parameter_counts_are_the_published_ones(name, parameters):
    assert count(build(name)) == parameters


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("larger", [(0, 0), (1, 5), (7, 2)])
def test_any_image_from_the_smallest_on_and_any_number_of_channels_and_classes_will_do(name, larger):
    side = models.ARCHITECTURES[name].min_image_size
    size = (side + larger[0], side + larger[1])
    network = narrow(name, 0.125, channels=2, image_size=size, classes=7)
    assert network(torch.randn(2, 2, *size)).shape == (2, 7)


@pytest.mark.parametrize("name", ["lenet5", "vgg", "vgg16"])
def test_below_the_smallest_image_nothing_is_left_to_pool(name):
    side = models.ARCHITECTURES[name].min_image_size
    network = narrow(name, 0.125, image_size=side)
    with pytest.raises(RuntimeError):
        network(torch.randn(2, 3, side - 1, side - 1))


def test_lenet5_probes_each_relu_each_pool_and_the_logits():
    assert build("lenet5").probed == (
        *("conv1_relu", "pool1", "conv2_relu", "pool2", "fc1_relu", "fc2_relu", "logits"),
    )


def test_vgg_has_the_authors_plan():
    network = build("vgg")
    convs = [module.out_channels for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert convs == [32, 32, 64, 64, 128, 128, 256]
    assert network.probed == (
        *("conv1_relu", "conv2_relu", "pool1", "conv3_relu", "conv4_relu", "pool2", "conv5_relu", "conv6_relu"),
        *("pool3", "conv7_relu", "pool4", "avgpool", "logits"),
    )


def test_an_average_pool_over_one_pixel_is_not_probed_again():
    assert "avgpool" not in build("vgg16", image_size=32).probed
    assert "avgpool" in build("vgg16", image_size=64).probed


def test_resnets_probe_the_stem_the_blocks_the_pool_and_the_logits():
    blocks = [f"stage{stage}_block{block}" for stage in (1, 2, 3) for block in (1, 2, 3)]
    assert build("resnet20").probed == ("stem_relu", *blocks, "avgpool", "logits")
    blocks = [f"stage{stage}_block{block}" for stage in (1, 2, 3, 4) for block in (1, 2)]
    assert build("resnet18").probed == ("stem_relu", *blocks, "avgpool", "logits")


@pytest.mark.parametrize("name", NAMES)
def test_layers_run_once_each_and_those_probed_in_the_order_given(name):
    network = narrow(name)
    order, outputs = [], {}
    for layer, module in network.named_modules():

        def record(module, inputs, output, layer=layer):
            order.append(layer)
            outputs[layer] = (output, output.clone())

        module.register_forward_hook(record)
    with torch.no_grad():
        logits = network(torch.randn(4, 3, 32, 32))
    assert sorted(order) == sorted(layer for layer, _ in network.named_modules())
    assert tuple(layer for layer in order if layer in network.probed) == network.probed
    assert network.probed[-1] == "logits" and torch.equal(outputs["logits"][0], logits)
    for layer, (output, seen) in outputs.items():
        assert torch.equal(output, seen), f"{layer} was changed in place after the hook saw it"
    for layer in network.probed[:-1]:
        assert outputs[layer][0].min() >= 0, f"{layer} is not taken after its ReLU"


def test_option_a_shortcuts_have_no_weights_and_pad_new_channels_with_zeros():
    shortcut = models.PaddedShortcut(4, 10, stride=2)
    inputs = torch.randn(2, 4, 6, 6)
    output = shortcut(inputs)
    assert count(shortcut) == 0
    assert torch.equal(output[:, 3:7], inputs[:, :, ::2, ::2])
    assert output[:, :3].abs().sum() == output[:, 7:].abs().sum() == 0


def torchvision_resnet18() -> nn.Module:
    """torchvision's network with a stem for small images."""
    network = resnet18(num_classes=10)
    network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    return network


def torchvision_vgg16() -> nn.Module:
    """torchvision's conv layers with one linear layer after them."""
    return nn.Sequential(make_layers(cfgs["D"], batch_norm=True), nn.Flatten(), nn.Linear(512, 10))


@pytest.mark.parametrize("name, reference", [("resnet18", torchvision_resnet18), ("vgg16", torchvision_vgg16)])
def test_with_the_same_weights_torchvisions_networks_give_the_same_logits(name, reference):
    torch.manual_seed(0)
    ours, theirs = build(name).eval(), reference().eval()
    with torch.no_grad():
        for module in theirs.modules():  # statistics that matter, as after training
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
        weights = theirs.state_dict().values()
        ours.load_state_dict(dict(zip(ours.state_dict(), weights, strict=True)))
        inputs = torch.randn(2, 3, 32, 32)
        assert torch.allclose(ours(inputs), theirs(inputs), atol=1e-5)


def test_width_multiplies_the_channels_and_leaves_at_least_one():
    def filters(width):
        return [m.out_channels for m in build("vgg", width=width).modules() if isinstance(m, nn.Conv2d)]

    assert filters(0.5) == [16, 16, 32, 32, 64, 64, 128]
    assert filters(1.5) == [48, 48, 96, 96, 192, 192, 384]
    assert filters(0.001) == [1] * 7


@pytest.mark.parametrize("name", ["resnet20", "resnet18"])
def test_odd_widths_fit_the_shortcuts(name):
    assert narrow(name, 0.1)(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("name", NAMES)
def test_initial_weights_are_decided_by_the_seed(name):
    torch.manual_seed(11)
    first = narrow(name, seed=3).state_dict()
    torch.manual_seed(12)
    again, other = (narrow(name, seed=seed).state_dict() for seed in (3, 4))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_building_leaves_the_global_generator_as_it_was(untouched_random_state):
    build("lenet5", seed=99)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_building_leaves_an_accelerators_generator_as_it_was():
    torch.cuda.manual_seed(5)
    before = torch.cuda.get_rng_state()
    build("lenet5", seed=99)
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_networks_are_made_on_the_cpu_whatever_the_default_device():
    with torch.device("meta"):
        network = build("lenet5")
    assert {(p.device.type, p.dtype) for p in network.parameters()} == {("cpu", torch.float32)}


@pytest.mark.parametrize("name", ["vgg", "resnet20", "resnet18", "vgg16"])
def test_signals_keep_their_size_through_an_untrained_network(name):
    network = build(name, width=0.5).train()
    with torch.no_grad():
        logits = network(torch.randn(16, 3, 32, 32))
    assert 0.01 < logits.std() < 10


@pytest.mark.parametrize(
    "options, message",
    [
        ({"image_size": 11}, "image_size: 11×11 is too small for lenet5, which needs at least 12×12"),
        ({"image_size": (28, 9)}, "image_size: 28×9 is too small"),
        ({"image_size": 28.0}, "image_size: 28.0 is not a whole number"),
        ({"image_size": None}, "image_size: None is not a whole number"),
        ({"image_size": (1, 28, 28)}, "is neither a side nor"),
        ({"channels": 0}, "channels: 0 is not a whole number of at least 1"),
        ({"classes": 1}, "classes: 1 is not a whole number of at least 2"),
        ({"seed": -1}, "seed: -1 is not a whole number of at least 0"),
        ({"seed": 0.5}, "seed: 0.5 is not a whole number"),
        ({"width": 2}, "width: lenet5 has one width only"),
    ],
)
def test_values_that_make_no_network_are_refused(options, message):
    with pytest.raises(InputError) as caught:
        build("lenet5", **options)
    assert message in str(caught.value)


@pytest.mark.parametrize("width", [0, -1, float("nan"), float("inf"), 1_000, "wide", True])
def test_a_width_that_makes_no_sense_is_refused(width):
    with pytest.raises(InputError, match=r"width: .* is not a number above 0 and at most 16"):
        build("vgg", width=width)
