import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils import weight_norm as old_weight_norm

from simprune import models, pruning
from simprune.errors import InputError
from simprune.experiment import Experiment
from simprune.training import Recipe, train

RECIPE = Recipe(2, 50, 0.05, 0.9, 5e-3, "step", "none")


def lenet(seed=0):
    return pruning.attach_masks(models.build("lenet5", channels=1, image_size=28, classes=10, seed=seed))


def pruned(target=0.5, *, network=None, criterion="magnitude", scope="global", seed=0):
    network = lenet() if network is None else network
    pruning.prune_to(network, target, criterion=criterion, scope=scope, seed=seed)
    return network


def flat(tensors):
    return torch.cat([tensor.flatten() for tensor in tensors.values()])


def test_attached_masks_of_ones_leave_the_network_as_it_is():
    plain = models.build("lenet5", channels=1, image_size=28, classes=10, seed=3)
    images = torch.rand(4, 1, 28, 28)
    assert torch.equal(plain(images), pruning.attach_masks(plain)(images))
    assert pruning.density(plain) == 1


def test_convolutional_and_fully_connected_weights_are_prunable_and_nothing_else():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
    assert [name for name, _ in pruning.prunable(network)] == ["0", "4"]


@pytest.mark.parametrize("criterion", ["magnitude", "random"])
@pytest.mark.parametrize("scope", pruning.SCOPES)
def test_measured_density_is_the_nominal_one_to_within_one_weight_at_every_level(criterion, scope):
    network = lenet()
    total = sum(row["weights"] for row in pruning.sparsity_report(network))
    for level in range(1, 13):
        pruned(pruning.nominal_density(0.2, level), network=network, criterion=criterion, scope=scope)
        slack = 0.5 * (len(pruning.sparsity_report(network)) if scope == "layerwise" else 1)
        assert abs(pruning.density(network) - 0.8**level) * total <= slack + 1e-6


def test_global_magnitude_pruning_keeps_the_weights_of_largest_magnitude():
    dense = lenet()
    magnitudes = flat(pruning.weights(dense)).abs()
    kept = flat(pruning.masks(pruned(0.3)))
    assert magnitudes[kept].min() >= magnitudes[~kept].max()
    assert int(kept.sum()) == round(0.3 * len(magnitudes))


def test_layerwise_pruning_leaves_every_layer_the_same_density():
    for row in pruning.sparsity_report(pruned(0.3, scope="layerwise")):
        assert row["kept"] == round(0.3 * row["weights"])


def test_random_pruning_depends_on_its_seed_alone_and_not_on_magnitude(untouched_random_state):
    first, again = (flat(pruning.masks(pruned(criterion="random", seed=1))) for _ in range(2))
    other = flat(pruning.masks(pruned(criterion="random", seed=2)))
    assert torch.equal(first, again) and not torch.equal(first, other)
    magnitudes = flat(pruning.weights(lenet())).abs()
    assert magnitudes[first].mean() == pytest.approx(magnitudes.mean().item(), rel=0.02)


def test_pruning_again_takes_its_share_of_the_surviving_weights():
    once = pruned(0.5)
    before = flat(pruning.masks(once))
    after = flat(pruning.masks(pruned(0.4, network=once)))
    assert not (after & ~before).any()
    assert int(after.sum()) == round(0.4 * len(after))


def test_no_pruned_weight_comes_back_in_retraining(tiny):
    # Momentum and weight decay push on every stored weight; the network must not notice where the mask is zero.
    network = lenet()
    train(network, tiny, RECIPE, order_seed=0, augmentation_seed=0)
    for level, target in enumerate((0.5, 0.2), start=1):
        pruned(target, network=network)
        gone = ~flat(pruning.masks(network))
        kept_before = flat(pruning.weights(network))[~gone].clone()
        train(network, tiny, RECIPE, order_seed=level, augmentation_seed=0)
        weights = flat(pruning.weights(network))
        assert (weights[gone] == 0).all()
        assert (weights[~gone] != kept_before).any()
        assert torch.equal(~flat(pruning.masks(network)), gone)
        assert pruning.density(network) == pytest.approx(target, abs=1e-5)


def test_the_report_counts_the_weights_that_are_not_zero_whatever_the_mask_says():
    network = lenet()
    with torch.no_grad():
        network.get_submodule("fc1").weight_orig[0, :7] = 0
    report = {row["layer"]: row for row in pruning.sparsity_report(network)}
    assert report["fc1"]["kept"] == report["fc1"]["weights"] - 7
    assert report["fc1"]["density"] == 1 - 7 / report["fc1"]["weights"]


def test_what_was_pruned_further_is_refused():
    with pytest.raises(InputError, match="above the density"):
        pruned(0.6, network=pruned(0.5))


def test_levels_that_would_empty_a_layer_or_the_network_are_refused():
    sizes = {"conv": 25, "fc": 1000}
    pruning.check_levels(sizes, scope="layerwise", rate=0.5, levels=5)
    with pytest.raises(InputError, match=r"levels: 6 at rate 0.5 leave layer 'conv' \(25 weights\) empty at level 6"):
        pruning.check_levels(sizes, scope="layerwise", rate=0.5, levels=6)
    pruning.check_levels(sizes, scope="global", rate=0.5, levels=9)
    with pytest.raises(InputError, match="levels: 10 at rate 0.5 leave fewer weights than the network has layers"):
        pruning.check_levels(sizes, scope="global", rate=0.5, levels=10)


@pytest.mark.parametrize("architecture", ["vgg", "resnet20"])
@pytest.mark.parametrize("criterion", ["magnitude", "random"])
def test_masks_do_not_depend_on_how_weights_lie_in_memory(architecture, criterion):
    def network(order):
        built = models.build(architecture, channels=3, image_size=32, classes=10)
        return pruning.attach_masks(built.to(memory_format=order))

    last = pruned(0.3, network=network(torch.channels_last), criterion=criterion)
    plain = pruned(0.3, network=network(torch.contiguous_format), criterion=criterion)
    assert torch.equal(flat(pruning.masks(last)), flat(pruning.masks(plain)))


# Networks of one's own ------------------------------------------------------------------------------------------------


class Attention(nn.Module):
    """A network whose attention reads the weight of its output layer without calling the layer."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.logits = nn.Linear(8, 3)

    def forward(self, images):
        tokens = images[:, 0]
        return self.logits(self.attention(tokens, tokens, tokens)[0].mean(1))


class ByHand(nn.Module):
    """A network that uses the weights of a layer and does not call it."""

    def __init__(self):
        super().__init__()
        self.query, self.logits = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, images):
        return self.logits(nn.functional.linear(images[:, 0].mean(1), self.query.weight))


def with_pruned_biases():
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Linear(5, 3))
    torch.nn.utils.prune.l1_unstructured(network[1], "bias", amount=2)
    return network


def trained(network, images, labels):
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    return network


@pytest.mark.parametrize("build", [Attention, lambda: nn.TransformerEncoderLayer(8, 2, 16), with_pruned_biases])
def test_attention_and_layers_with_pruned_biases_are_held_to_their_masks(build):
    torch.manual_seed(0)
    sequence = isinstance(build(), nn.TransformerEncoderLayer)
    images, labels = torch.rand(6, 1, 8, 8), torch.arange(6) % 3
    given, labels = (images[:, 0], torch.zeros(6, 8, 8).softmax(1)) if sequence else (images, labels)
    network = pruned(0.2, network=pruning.attach_masks(build()), scope="layerwise")
    before = pruning.weights(network)
    trained(network, given, labels)
    after, masks = pruning.weights(network), pruning.masks(network)
    assert all((after[layer][~masks[layer]] == 0).all() for layer in after)
    assert all(not torch.equal(before[layer], after[layer]) for layer in after)
    again = pruning.attach_masks(build())
    again.load_state_dict(network.state_dict())
    for mode in (True, False):
        network.train(mode), again.train(mode)
        torch.manual_seed(1)
        wanted = network(given)
        torch.manual_seed(1)
        assert torch.equal(again(given), wanted)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nn.Sequential(nn.Flatten(), nn.Identity()), "no convolutional and no fully connected layer"),
        (ByHand, "'query' is not called in the forward pass"),
        (
            lambda: nn.Sequential(nn.Flatten(), parametrizations.weight_norm(nn.Linear(64, 3))),
            "the weight of '1' is computed, as by weight normalisation",
        ),
        (lambda: nn.Sequential(nn.Flatten(), old_weight_norm(nn.Linear(64, 3))), "the weight of '1' is computed"),
        (lambda: nn.Linear(8, 3), r"it gives \(2, 1, 8, 3\) for 2 images of 3 classes, not logits"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), r"it gives \(2, 4\) for 2 images of 3 classes"),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.BatchNorm1d(3)),
            "the last batch of an epoch is one image, of which batch norm has no statistics",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_network_that_cannot_be_held_to_its_masks_or_trained_is_refused(build, message):
    with pytest.raises(InputError, match=message):
        pruning.check_network(build(), torch.rand(2, 1, 8, 8), 3, alone=True)


@pytest.mark.parametrize(
    "build", [Attention, with_pruned_biases, lambda: nn.Sequential(nn.Conv2d(1, 3, 8), nn.Flatten())]
)
def test_other_networks_are_not_refused_and_left_without_hooks(build, untouched_random_state):
    with torch.random.fork_rng():
        network = build()
        pruning.check_network(network, torch.rand(2, 1, 8, 8), 3, alone=True)
    assert not any(module._forward_hooks for module in network.modules())


def test_the_output_layer_is_known_by_its_name(monkeypatch):
    def build(channels, size, classes, width):
        return nn.Sequential(nn.Flatten(), nn.Linear(channels * size[0] * size[1], classes))

    own = models.Architecture(title="Own", build=build, reference="", min_image_size=1, has_width=False)
    monkeypatch.setitem(models.ARCHITECTURES, "own", own)
    with pytest.raises(InputError, match="keep_output: own has no prunable layer called 'logits'"):
        Experiment("own", "fashion_mnist_mini", keep_output=True)
