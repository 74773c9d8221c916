"""Draws, normalisation and augmentation of decoded images."""

import numpy as np
import pytest
import torch

from simprune import data
from simprune.errors import InputError


@pytest.fixture(scope="module")
def mini():
    return data.load("fashion_mnist_mini")


def test_a_stratified_draw_gives_each_class_its_share():
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    drawn = data.stratified_draw(labels, 10, seed=0)
    assert labels[drawn].bincount().tolist() == [5, 3, 2]
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    assert not torch.equal(drawn, data.stratified_draw(labels, 10, seed=1))


@pytest.mark.parametrize("size", [1, 7, 99, 100])
def test_a_stratified_draw_has_the_size_asked_for(size):
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    drawn = data.stratified_draw(labels, size, seed=0)
    assert len(drawn.unique()) == size
    shares = labels[drawn].bincount(minlength=3)
    assert (shares - size * torch.tensor([0.5, 0.3, 0.2])).abs().max() < 1


def test_a_subset_is_a_fixed_stratified_part_of_the_training_images(mini):
    part = mini.subset(1_000)
    assert part.train_labels.bincount().tolist() == [100] * 10
    assert torch.equal(part.train_images, mini.subset(1_000).train_images)
    chosen = data.stratified_draw(mini.train_labels, 1_000, seed=0)
    assert torch.equal(part.train_images, mini.train_images[chosen])
    assert torch.equal(part.test_images, mini.test_images)
    assert part.fingerprint == mini.fingerprint


def test_a_subset_of_everything_is_the_dataset_itself(mini):
    assert mini.subset(None) is mini
    assert mini.subset(10_000) is mini


@pytest.mark.parametrize("size", [0, 9, 10_001, 100.0, True, "all"])
def test_an_impossible_subset_is_refused(size, mini):
    with pytest.raises(
        InputError, match="train_size: .* is (not a whole number of at least 10|more than the 10,000 training images)"
    ):
        mini.subset(size)


def test_normalising_is_by_channel():
    images = torch.randint(256, (5, 3, 4, 4), dtype=torch.uint8)
    mean, std = (0.1, 0.5, 0.9), (0.2, 0.3, 0.4)
    by_hand = torch.stack([(images[:, c] / 255 - mean[c]) / std[c] for c in range(3)], dim=1)
    assert torch.allclose(data.normalise(images, mean, std), by_hand, atol=1e-6)


def test_probe_inputs_are_the_same_stratified_test_images_each_time(mini):
    probes, labels = data.probe_inputs(mini, 100)
    assert probes.shape == (100, 1, 28, 28) and probes.dtype == torch.float32
    assert torch.equal(probes, data.probe_inputs(mini.subset(500), 100)[0])
    chosen = data.stratified_draw(mini.test_labels, 100, seed=0)
    assert mini.test_labels[chosen].bincount().tolist() == [10] * 10
    assert torch.equal(probes, data.normalise(mini.test_images[chosen], mini.mean, mini.std))
    assert torch.equal(labels, mini.test_labels[chosen])


def test_all_test_images_can_be_probes_in_their_order(mini):
    assert torch.equal(data.probe_inputs(mini, 2_000)[0], data.normalise(mini.test_images, mini.mean, mini.std))


@pytest.mark.parametrize("size", [0, 3, 2_001, 10.5])
def test_an_impossible_probe_size_is_refused(size, mini):
    with pytest.raises(
        InputError, match="probe_size: .* is (not a whole number of at least 4|more than the 2,000 test images)"
    ):
        data.probe_inputs(mini, size)


def shifts(image: torch.Tensor) -> dict[bytes, tuple[int, int]]:
    """Every crop of an image (c × h × w) padded with 4 black pixels: its bytes and its offset."""
    _, height, width = image.shape
    padded = np.pad(image.numpy(), ((0, 0), (4, 4), (4, 4)))
    return {
        padded[:, top : top + height, left : left + width].tobytes(): (top, left)
        for top in range(9)
        for left in range(9)
    }


def test_crop_shifts_each_image_on_its_own_with_black_at_the_borders():
    images = torch.randint(1, 256, (300, 3, 10, 12), dtype=torch.uint8)
    before = images.clone()
    cropped = data.augment(images, "crop", torch.Generator().manual_seed(0))
    assert cropped.dtype == torch.uint8 and torch.equal(images, before)
    offsets = [shifts(a)[b.numpy().tobytes()] for a, b in zip(images, cropped, strict=True)]
    assert {top for top, _ in offsets} == {left for _, left in offsets} == set(range(9))
    assert len(set(offsets)) > 60  # of 81; rows and columns are drawn apart


def test_crop_flip_also_mirrors_half_of_the_images():
    images = torch.randint(1, 256, (400, 1, 10, 12), dtype=torch.uint8)
    changed = data.augment(images, "crop_flip", torch.Generator().manual_seed(0))
    straight = [b.numpy().tobytes() in shifts(a) for a, b in zip(images, changed, strict=True)]
    mirrored = [
        np.ascontiguousarray(b.flip(2).numpy()).tobytes() in shifts(a) for a, b in zip(images, changed, strict=True)
    ]
    assert all(a != b for a, b in zip(straight, mirrored, strict=True))
    assert 150 < sum(mirrored) < 250


def test_augmentation_is_decided_by_its_generator(mini):
    images = mini.train_images[:50]
    first, again, other = (data.augment(images, "crop_flip", torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_no_augmentation_returns_the_images_themselves(mini):
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    assert data.augment(mini.train_images, "none", generator) is mini.train_images
    assert torch.equal(generator.get_state(), state)


def test_an_unknown_augmentation_is_refused(mini):
    with pytest.raises(InputError, match="did you mean 'crop_flip'"):
        data.augment(mini.train_images[:2], "cropflip", torch.Generator())


def test_a_dataset_moves_to_a_device_as_a_whole(mini):
    moved = mini.to("meta")
    assert {t.device.type for t in (moved.train_images, moved.train_labels)} == {"meta"}
    assert {t.device.type for t in (moved.test_images, moved.test_labels)} == {"meta"}
    assert moved.fingerprint == mini.fingerprint and mini.train_images.device.type == "cpu"
