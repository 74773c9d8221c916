import copy
import dataclasses
import math
import warnings

import pytest
import torch
from torch import nn

from simprune import models, pruning, training
from simprune.data import normalise
from simprune.training import Recipe, derived_seed, evaluate, steps_per_epoch, train

RECIPE = Recipe(
    epochs=4, batch_size=100, learning_rate=0.05, momentum=0.9, weight_decay=5e-4, schedule="step", augmentation="none"
)


def lenet(seed=0):
    return models.build("lenet5", channels=1, image_size=28, classes=10, seed=seed)


def equal(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def trained(dataset, recipe=RECIPE, order_seed=1, augmentation_seed=1, **changes):
    network = lenet()
    rates = train(network, dataset, recipe, order_seed=order_seed, augmentation_seed=augmentation_seed, **changes)
    return network, rates


def test_training_lowers_the_loss_and_raises_the_accuracy(tiny):
    recipe = dataclasses.replace(RECIPE, epochs=15)
    before = evaluate(lenet(), tiny.train_images, tiny.train_labels, tiny)
    after = evaluate(trained(tiny, recipe)[0], tiny.train_images, tiny.train_labels, tiny)
    assert after[0] < 0.75 * before[0] and after[1] > before[1] + 0.25


def test_equal_seeds_give_bit_identical_networks_and_leave_the_global_random_state(tiny, untouched_random_state):
    assert equal(trained(tiny)[0], trained(tiny)[0])


def test_order_and_augmentation_have_seeds_of_their_own(tiny):
    crop = dataclasses.replace(RECIPE, epochs=1, augmentation="crop")
    base = trained(tiny, crop)[0]
    assert not equal(base, trained(tiny, crop, order_seed=2)[0])
    assert not equal(base, trained(tiny, crop, augmentation_seed=2)[0])
    plain = dataclasses.replace(RECIPE, epochs=1)
    assert equal(trained(tiny, plain)[0], trained(tiny, plain, augmentation_seed=2)[0])


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("step", [0.05] * 10 + [0.005] * 5 + [0.0005] * 5),
        ("cosine", [0.0005 + 0.0495 * (1 + math.cos(math.pi * step / 20)) / 2 for step in range(20)]),
        ("linear", [0.0125, 0.025, 0.0375, 0.05, *(0.05 * (20 - step) / 16 for step in range(4, 20))]),
    ],
)
def test_schedules(tiny, schedule, rates):
    """A tenth at half and at three quarters; half a cosine down to a hundredth; up over a fifth, down to nothing."""
    assert trained(tiny, dataclasses.replace(RECIPE, schedule=schedule))[1] == pytest.approx(rates)


def test_a_run_cut_at_an_epoch_without_momentum_is_the_whole_run(tiny):
    recipe = dataclasses.replace(RECIPE, momentum=0.0)
    whole, rates = trained(tiny, recipe)
    parts = lenet()
    first = train(parts, tiny, recipe, order_seed=1, augmentation_seed=1, last_step=7)
    second = train(parts, tiny, recipe, order_seed=1, augmentation_seed=1, first_step=7)
    assert first + second == pytest.approx(rates)
    assert equal(whole, parts)


def test_a_constant_learning_rate_replaces_the_schedule(tiny):
    assert trained(tiny, constant_learning_rate=0.001)[1] == [0.001] * 20


def test_every_image_is_seen_once_per_epoch(tiny):
    seen = []
    network = lenet()
    network.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    train(network, tiny, dataclasses.replace(RECIPE, epochs=1, batch_size=128), order_seed=0, augmentation_seed=0)
    assert seen == [128, 128, 128, 116]
    assert steps_per_epoch(500, 128) == 4


def test_evaluation_is_in_eval_mode_without_gradients_and_restores_the_mode(tiny):
    modes = []
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(784), nn.Dropout(0.5), nn.Linear(784, 10))
    network.register_forward_hook(lambda module, inputs, output: modes.append((module.training, output.requires_grad)))
    state = copy.deepcopy(network.state_dict())
    first = evaluate(network, tiny.test_images, tiny.test_labels, tiny)
    assert set(modes) == {(False, False)} and network.training
    assert first == pytest.approx(evaluate(network, tiny.test_images, tiny.test_labels, tiny, batch_size=2000))
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())


def test_evaluation_counts_and_averages_over_all_images(tiny):
    network = lenet().eval()
    with torch.no_grad():
        logits = network((tiny.test_images.float() / 255 - tiny.mean[0]) / tiny.std[0])
    loss, accuracy = evaluate(network, tiny.test_images, tiny.test_labels, tiny, batch_size=333)
    assert loss == pytest.approx(nn.functional.cross_entropy(logits, tiny.test_labels).item(), rel=1e-5)
    assert accuracy == int((logits.argmax(1) == tiny.test_labels).sum()) / len(tiny.test_labels)


def test_a_diverging_run_says_so(tiny):
    class Exploding(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, x):
            return x.flatten(1)[:, :10] * self.weight * float("inf")

    with pytest.raises(FloatingPointError, match="diverged in epoch 1.*smaller learning_rate"):
        train(Exploding(), tiny, RECIPE, order_seed=0, augmentation_seed=0)


def test_derived_seeds_differ_by_purpose_and_stay_the_same():
    assert derived_seed(0, "order", 1) == derived_seed(0, "order", 1)
    assert len({derived_seed(s, p, e) for s in range(3) for p in ("order", "augmentation") for e in range(3)}) == 18
    assert all(0 <= derived_seed(n) < 2**63 for n in range(100))


# Speed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nesterov", [False, True])
def test_on_a_cpu_training_is_bit_for_bit_that_of_the_plain_loop(tiny, nesterov):
    network, _ = trained(tiny, dataclasses.replace(RECIPE, nesterov=nesterov))
    plain = lenet()
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=nesterov)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[10, 15], gamma=0.1)
    plain.train()
    for epoch in range(4):
        generator = torch.Generator().manual_seed(derived_seed(1, "order", epoch))
        for batch in torch.randperm(500, generator=generator).split(100):
            pixels = normalise(tiny.train_images[batch], tiny.mean, tiny.std)
            optimizer.zero_grad()
            nn.functional.cross_entropy(plain(pixels), tiny.train_labels[batch]).backward()
            optimizer.step()
            schedule.step()
    assert equal(network, plain)


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def vgg(width=0.25):
    return pruning.attach_masks(models.build("vgg", channels=1, image_size=28, classes=10, width=width))


def test_the_arithmetic_is_the_fastest_measured_and_lenet5_is_trained_plainly_in_float32(monkeypatch):
    times = {(False, False): 4.0, (False, True): 3.0, (True, True): 1.0, (True, False): 2.0}
    monkeypatch.setattr(training, "_measured", {})
    tried = []

    def seconds(network, pixels, arithmetic):
        tried.append(arithmetic)
        return times[arithmetic]

    monkeypatch.setattr(training, "_seconds_of_a_step", seconds)
    assert training.fastest_arithmetic(lenet(), (1, 28, 28), torch.device("cpu")) == training.PLAIN and not tried
    assert training.fastest_arithmetic(vgg(), (1, 28, 28), torch.device("cpu")) == (True, True)
    before = len(tried)
    training.fastest_arithmetic(vgg(), (1, 28, 28), torch.device("cpu"))
    assert len(tried) == before
    # Where bfloat16 takes ten times as long, one step of it is enough to know.
    times |= {(True, True): 40.0, (True, False): 40.0}
    tried.clear()
    assert training.fastest_arithmetic(vgg(0.125), (1, 28, 28), torch.device("cpu")) == (False, True)
    assert sum(arithmetic.bfloat16 for arithmetic in tried) == 2


def test_the_measurement_of_the_arithmetic_changes_neither_the_network_nor_the_random_state(
    untouched_random_state, monkeypatch
):
    monkeypatch.setattr(training, "_measured", {})
    network, same = vgg(0.125), vgg(0.125)
    chosen = training.fastest_arithmetic(network, (1, 28, 28), torch.device("cpu"))
    assert equal(network, same) and str(chosen).split(",")[0] in ("float32", "bfloat16")


@pytest.mark.parametrize(
    "arithmetic", [training.Arithmetic(b, c) for b in (False, True) for c in (False, True)], ids=str
)
def test_training_in_any_arithmetic_keeps_weights_and_evaluation_in_float32_and_is_bit_identical(tiny, arithmetic):
    dataset = dataclasses.replace(tiny, train_images=tiny.train_images[:100], train_labels=tiny.train_labels[:100])
    recipe = dataclasses.replace(RECIPE, epochs=1, augmentation="crop")
    networks, kinds = [], set()
    for _ in range(2):
        network = vgg(0.125)
        network.logits.register_forward_hook(lambda module, inputs, output: kinds.add(output.dtype))
        train(network, dataset, recipe, order_seed=0, augmentation_seed=0, arithmetic=arithmetic)
        assert kinds == {torch.bfloat16 if arithmetic.bfloat16 else torch.float32}
        kinds.clear()
        evaluate(network, tiny.test_images[:50], tiny.test_labels[:50], tiny)
        assert kinds == {torch.float32} == {value.dtype for value in network.parameters()}
        kinds.clear()
        networks.append(network)
    assert equal(*networks)


def test_training_goes_on_within_a_level_and_ends_bit_identical(tiny, monkeypatch):
    """Momentum, batch norm, schedule, augmentation, dropout, held weights: as in the run that never stopped."""
    monkeypatch.setattr(training, "SAVE_EVERY", 0)
    recipe = dataclasses.replace(RECIPE, epochs=3, augmentation="crop", schedule="linear", nesterov=True)
    dataset = dataclasses.replace(tiny, train_images=tiny.train_images[:200], train_labels=tiny.train_labels[:200])

    def network():
        torch.manual_seed(3)
        layers = [nn.Conv2d(1, 4, 5, stride=4), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()]
        return nn.Sequential(*layers, nn.Dropout(0.3), nn.Linear(144, 10))

    seeds = {"order_seed": 1, "augmentation_seed": 2}
    for arithmetic in (training.PLAIN, training.Arithmetic(False, True)):
        kept, whole = [], network()
        options = {"arithmetic": arithmetic, "trainable": {"5.weight": whole[5].weight.detach() > 0}}
        train(whole, dataset, recipe, **seeds, keep=kept.append, **options)
        assert [position.step for position in kept] == [2, 4]
        resumed, seen = network(), []
        train(resumed, dataset, recipe, **seeds, position=kept[0], on_epoch=seen.append, **options)
        assert seen == [1, 2] and equal(whole, resumed)


@needs_cuda
def test_on_cuda_the_forward_pass_is_in_bfloat16_and_the_weights_stay_in_single_precision(tiny):
    dataset, network, kinds = tiny.to("cuda"), lenet().to("cuda"), set()
    network.conv1.register_forward_hook(lambda module, inputs, output: kinds.add(output.dtype))
    before = evaluate(network, dataset.train_images, dataset.train_labels, dataset)
    assert kinds == {torch.float32}
    kinds.clear()
    train(network, dataset, dataclasses.replace(RECIPE, epochs=15), order_seed=0, augmentation_seed=0)
    assert kinds == {torch.bfloat16}
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert evaluate(network, dataset.train_images, dataset.train_labels, dataset)[0] < 0.75 * before[0]


@needs_cuda
@pytest.mark.parametrize("augmentation", ["none", "crop_flip"])
def test_on_cuda_the_host_does_not_wait_for_each_step(tiny, augmentation):
    dataset, waits = tiny.to("cuda"), []
    for batch_size in (250, 10):
        recipe = dataclasses.replace(RECIPE, epochs=1, batch_size=batch_size, augmentation=augmentation)
        network = lenet().to("cuda")
        train(network, dataset, recipe, order_seed=0, augmentation_seed=0)  # whatever happens once only
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                train(network, dataset, recipe, order_seed=0, augmentation_seed=0)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        waits.append(sum("synchroniz" in str(warning.message) for warning in said))
    assert waits[0] == waits[1]


@needs_cuda
@pytest.mark.parametrize("kind", ["vgg", "lenet5"])
def test_on_cuda_recorded_passes_train_as_those_launched_one_by_one(tiny, kind, monkeypatch):
    """Batches, the smaller last one, batch norm's statistics and held weights are those of the plain loop."""
    build, dataset = {"vgg": vgg, "lenet5": lenet}[kind], tiny.subset(330).to("cuda")
    # A library that may choose its kernels and round to TF32 differs more than this test allows, and steps add up.
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    recipe = dataclasses.replace(RECIPE, epochs=3, learning_rate=0.005, augmentation="crop", nesterov=True)
    networks, recordings, record = [], [], training._recorded
    for make in (record, lambda *_: None):
        monkeypatch.setattr(training, "_recorded", lambda *a, make=make: recordings.append(make(*a)) or recordings[-1])
        network = build().to("cuda")
        name, weight = next(iter(network.named_parameters()))
        free = {name: weight.detach() > 0}
        train(network, dataset, recipe, order_seed=0, augmentation_seed=0, trainable=free, arithmetic=training.PLAIN)
        networks.append(network)
    assert recordings[0] is not None and recordings[1] is None
    for (name, one), other in zip(networks[0].state_dict().items(), networks[1].state_dict().values(), strict=True):
        assert torch.allclose(one.double(), other.double(), rtol=1e-3, atol=1e-4), name


@needs_cuda
def test_on_cuda_a_network_that_cannot_be_recorded_is_trained_all_the_same(tiny):
    class Choosing(nn.Module):
        def forward(self, pixels):
            return pixels if pixels.mean().item() > 0 else -pixels

    torch.manual_seed(0)
    network = nn.Sequential(Choosing(), nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(784, 10)).to("cuda")
    dataset = tiny.to("cuda")
    before = evaluate(network, dataset.train_images, dataset.train_labels, dataset)
    recipe = dataclasses.replace(RECIPE, epochs=3, learning_rate=0.005)
    train(network, dataset, recipe, order_seed=0, augmentation_seed=0)
    assert evaluate(network, dataset.train_images, dataset.train_labels, dataset)[0] < before[0]
