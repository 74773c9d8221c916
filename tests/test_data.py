"""Datasets: what is read is what was written, in every layout, and what cannot be read is refused clearly."""

import hashlib
import importlib
import os
import pickle
import re
import warnings
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io
import torch
from PIL import Image
from torchvision import datasets

from simprune import data
from simprune.data.readers import statistics
from simprune.errors import InputError

FULL_DATA = os.environ.get("SIMPRUNE_DATA")
IDX_FILES = [Path(file).name for file in data.DATASETS["mnist"].files]
smaller = pytest.mark.filterwarnings("ignore:.*the published dataset has")


def full_data_or_skip(folder: str) -> Path:
    if not FULL_DATA or not (Path(FULL_DATA) / folder).exists():
        pytest.skip(f"SIMPRUNE_DATA names no folder with the full data, {folder}")
    return Path(FULL_DATA)


def random_split(n: int, channels: int, side: int, classes: int, seed: int):
    """Images (n × c × h × w) and labels in which every class occurs."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, channels, side, side), dtype=np.uint8)
    return images, rng.permutation(np.arange(n) % classes)


def small(name: str, n_train: int = 20, n_test: int = 10):
    spec = data.DATASETS[name]
    shape = (spec.channels, spec.image_size, min(len(spec.classes), 10))
    return random_split(n_train, *shape, seed=1), random_split(n_test, *shape, seed=2)


def assert_holds(dataset: data.Dataset, train, test) -> None:
    for (images, labels), (read_images, read_labels) in (
        (train, (dataset.train_images, dataset.train_labels)),
        (test, (dataset.test_images, dataset.test_labels)),
    ):
        assert read_images.dtype == torch.uint8 and read_labels.dtype == torch.int64
        assert np.array_equal(read_images.numpy(), images)
        assert np.array_equal(read_labels.numpy(), labels)


def refusal(name: str, root: Path | None = None, **options) -> str:
    """The message with which loading is refused: one sentence on one line."""
    with pytest.raises(InputError) as caught:
        data.load(name, root, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- files in their original formats ------------------------------------------------------------------------


def write_idx(root: Path, folder: str, train, test) -> Path:
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    for split, (images, labels) in (("train", train), ("t10k", test)):
        header = (0x803).to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in images[:, 0].shape)
        (raw / f"{split}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        header = (0x801).to_bytes(4, "big") + len(labels).to_bytes(4, "big")
        (raw / f"{split}-labels-idx1-ubyte").write_bytes(header + labels.astype(np.uint8).tobytes())
    return raw


def write_pickle(path: Path, content: dict) -> tuple[str, str]:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(content))
    return path.name, hashlib.md5(path.read_bytes()).hexdigest()


def write_cifar(root: Path, name: str, train, test, monkeypatch) -> None:
    """Write CIFAR's pickles and make their checksums those that torchvision takes for the published ones."""
    cifar = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    folder = root / cifar.base_folder
    labels_key = {"cifar10": "labels", "cifar100": "fine_labels"}[name]

    def batch(images, labels):
        return {"data": images.reshape(len(images), -1), labels_key: labels.tolist()}

    if name == "cifar10":
        parts = zip(np.split(train[0], 5), np.split(train[1], 5), strict=True)
        train_list = [write_pickle(folder / f"data_batch_{i}", batch(*part)) for i, part in enumerate(parts, start=1)]
        test_list = [write_pickle(folder / "test_batch", batch(*test))]
    else:
        train_list = [write_pickle(folder / "train", batch(*train))]
        test_list = [write_pickle(folder / "test", batch(*test))]
    classes = list(data.DATASETS[name].classes)
    filename, md5 = write_pickle(folder / cifar.meta["filename"], {cifar.meta["key"]: classes})
    monkeypatch.setattr(cifar, "train_list", train_list)
    monkeypatch.setattr(cifar, "test_list", test_list)
    monkeypatch.setattr(cifar, "meta", {**cifar.meta, "filename": filename, "md5": md5})


def write_svhn(root: Path, train, test, monkeypatch) -> None:
    root.mkdir(exist_ok=True)
    split_list = {}
    for split, (images, labels) in (("train", train), ("test", test)):
        path = root / f"{split}_32x32.mat"
        # In these files the digit 0 has the label 10.
        scipy.io.savemat(path, {"X": images.transpose(2, 3, 1, 0), "y": np.where(labels == 0, 10, labels)[:, None]})
        split_list[split] = ["", path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    monkeypatch.setattr(datasets.SVHN, "split_list", split_list)


def encode(image: np.ndarray, form: str = "PNG") -> bytes:
    pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def write_parquet(path: Path, images, labels, image="img", label="label", struct=True, form="PNG") -> Path:
    encoded = [item if isinstance(item, bytes) else encode(item, form) for item in images]
    column = [{"bytes": item, "path": f"{i}.png"} for i, item in enumerate(encoded)] if struct else encoded
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({image: column, label: pa.array(labels, pa.int64())}), path)
    return path


def write_small_parquet(folder: Path, name: str, **options):
    train, test = small(name)
    write_parquet(folder / "train-00000-of-00001.parquet", *train, **options)
    write_parquet(folder / "test-00000-of-00001.parquet", *test, **options)
    return train, test


# --- the embedded data --------------------------------------------------------------------------------------


def test_the_embedded_data_need_no_root(monkeypatch):
    monkeypatch.delenv("SIMPRUNE_DATA", raising=False)
    dataset = data.load("fashion_mnist_mini")
    assert dataset.train_images.shape == (10_000, 1, 28, 28)
    assert dataset.test_images.shape == (2_000, 1, 28, 28)
    assert dataset.train_labels.bincount().tolist() == [1_000] * 10
    assert dataset.test_labels.bincount().tolist() == [200] * 10
    assert (dataset.channels, dataset.image_size, dataset.n_classes) == (1, (28, 28), 10)
    assert dataset.source == "embedded"


def test_the_embedded_file_is_small_and_ships_with_its_licence():
    assert data.EMBEDDED_FILE.stat().st_size <= 6_000_000
    licence = (data.EMBEDDED_FILE.parent / "LICENSE-fashion-mnist.txt").read_text()
    assert "MIT License" in licence and "Copyright (c) 2017 Zalando SE" in licence


def test_the_embedded_images_look_like_the_whole_dataset():
    dataset = data.load("fashion_mnist_mini")
    scaled = dataset.train_images.double() / 255
    assert scaled.mean().item() == pytest.approx(dataset.mean[0], abs=0.003)
    assert scaled.std().item() == pytest.approx(dataset.std[0], abs=0.003)


def test_the_script_makes_the_embedded_file_again():
    root = full_data_or_skip("FashionMNIST/raw")
    made = importlib.import_module("simprune.datasets.make_fashion_mnist_mini").make(root)
    with np.load(data.EMBEDDED_FILE) as shipped:
        assert set(shipped.files) == set(made)
        for name in made:
            assert shipped[name].dtype == made[name].dtype and np.array_equal(shipped[name], made[name])


def test_a_broken_embedded_file_is_named(monkeypatch, tmp_path):
    broken = tmp_path / "mini.npz"
    monkeypatch.setattr("simprune.data.readers.EMBEDDED_FILE", broken)
    assert f"{broken} is missing" in refusal("fashion_mnist_mini")
    broken.write_bytes(b"PK no archive")
    assert f"{broken} cannot be read" in refusal("fashion_mnist_mini")


# --- what is published --------------------------------------------------------------------------------------


def test_every_dataset_is_described_completely():
    for name, spec in data.DATASETS.items():
        assert spec.name == name and data.check_dataset(name) == name
        assert len(spec.mean) == len(spec.std) == spec.channels
        assert len(set(spec.classes)) == len(spec.classes) == (100 if name == "cifar100" else 10)
        assert spec.augmentation in data.AUGMENTATIONS
        assert spec.reference and spec.licence
    # CIFAR numbers its hundred classes in the order of the alphabet.
    assert list(data.DATASETS["cifar100"].classes) == sorted(data.DATASETS["cifar100"].classes)


def test_default_augmentation_cannot_change_a_label():
    chosen = {name: spec.augmentation for name, spec in data.DATASETS.items()}
    assert {chosen["mnist"], chosen["fashion_mnist"], chosen["fashion_mnist_mini"]} == {"none"}
    assert chosen["svhn"] == "crop"  # a mirrored digit is no digit
    assert chosen["cifar10"] == chosen["cifar100"] == "crop_flip"


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST/raw"), ("fashion_mnist", "FashionMNIST/raw")])
def test_the_full_data_have_the_published_sizes_and_statistics(name, folder):
    check_full_data(name, folder, "torchvision files", 6e-5)


def check_full_data(name, folder, source, tolerance):
    root = full_data_or_skip(folder)
    spec = data.DATASETS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = data.load(name, root)
    assert len(dataset.train_labels) == len(dataset.train_images) == spec.train_size
    assert len(dataset.test_labels) == len(dataset.test_images) == spec.test_size
    assert dataset.train_labels.bincount(minlength=10).min() >= 5_000
    assert dataset.source.startswith(source)
    mean, std = statistics(dataset.train_images.numpy())
    assert mean == pytest.approx(spec.mean, abs=tolerance)
    assert std == pytest.approx(spec.std, abs=tolerance)


# --- torchvision's files ------------------------------------------------------------------------------------


@smaller
@pytest.mark.parametrize("name, folder", [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_idx_files_are_read_as_written(name, folder, tmp_path):
    train, test = small(name)
    write_idx(tmp_path, folder, train, test)
    dataset = data.load(name, tmp_path)
    assert_holds(dataset, train, test)
    assert dataset.source == "torchvision files"
    assert dataset.mean == data.DATASETS[name].mean


@smaller
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_files_are_read_as_written(name, tmp_path, monkeypatch):
    train, test = small(name)
    write_cifar(tmp_path, name, train, test, monkeypatch)
    assert_holds(data.load(name, tmp_path), train, test)


@smaller
@pytest.mark.parametrize("folder", [".", "svhn"])
def test_svhn_files_are_read_as_written(folder, tmp_path, monkeypatch):
    train, test = small("svhn")
    write_svhn(tmp_path / folder, train, test, monkeypatch)
    assert_holds(data.load("svhn", tmp_path), train, test)


@smaller
def test_the_root_is_taken_from_the_environment(tmp_path, monkeypatch):
    train, test = small("mnist")
    write_idx(tmp_path, "MNIST", train, test)
    monkeypatch.setenv("SIMPRUNE_DATA", str(tmp_path))
    assert_holds(data.load("mnist"), train, test)


@smaller
def test_a_dataset_smaller_than_the_published_one_is_said_to_be(tmp_path):
    write_idx(tmp_path, "MNIST", *small("mnist"))
    with pytest.warns(UserWarning, match="20 train images; the published dataset has 60,000") as caught:
        data.load("mnist", tmp_path)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_truncated_idx_file_is_named(file, tmp_path):
    raw = write_idx(tmp_path, "MNIST", *small("mnist"))
    (raw / file).write_bytes((raw / file).read_bytes()[:-3])
    assert refusal("mnist", tmp_path).startswith(f"data: {raw / file} cannot be read")


@smaller
def test_idx_files_that_do_not_belong_together_are_refused(tmp_path):
    train, test = small("mnist")
    raw = write_idx(tmp_path, "MNIST", train, (test[0], test[1][:-1]))
    assert f"{raw} has 10 test images and 9 labels" in refusal("mnist", tmp_path)


def test_images_of_another_size_are_not_taken_for_the_dataset(tmp_path):
    write_idx(tmp_path, "MNIST", random_split(20, 1, 32, 10, 0), random_split(10, 1, 32, 10, 0))
    assert "32×32 pixels with 1 channel, where mnist has 28×28 pixels with 1 channel" in refusal("mnist", tmp_path)


def test_a_changed_cifar_file_is_named(tmp_path, monkeypatch):
    write_cifar(tmp_path, "cifar10", *small("cifar10"), monkeypatch)
    changed = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    message = refusal("cifar10", tmp_path)
    assert f"{changed} cannot be read (its checksum is not the published one)" in message
    assert "--download" in message


def test_a_changed_svhn_file_is_named(tmp_path, monkeypatch):
    write_svhn(tmp_path, *small("svhn"), monkeypatch)
    (tmp_path / "test_32x32.mat").write_bytes(b"")
    assert f"{tmp_path / 'test_32x32.mat'} cannot be read" in refusal("svhn", tmp_path)


# --- Parquet files ------------------------------------------------------------------------------------------


@smaller
@pytest.mark.parametrize(
    "name, folder, columns",
    [
        ("cifar10", "cifar10", {"image": "img", "label": "label"}),
        ("cifar10", "cifar10/plain_text", {"image": "img", "label": "label"}),
        ("cifar100", "cifar100", {"image": "img", "label": "fine_label"}),
        ("mnist", "mnist", {"image": "image", "label": "label"}),
        ("fashion_mnist", "fashion_mnist", {"image": "image", "struct": False}),
        ("svhn", "svhn/cropped_digits", {"image": "image", "label": "label"}),
        ("mnist", "mnist/data", {"image": "image"}),
        ("cifar100", "cifar100/default", {"image": "img", "label": "fine_label"}),
    ],
)
def test_parquet_files_are_read_as_written(name, folder, columns, tmp_path):
    train, test = write_small_parquet(tmp_path / folder, name, **columns)
    dataset = data.load(name, tmp_path)
    assert_holds(dataset, train, test)
    assert dataset.source == "parquet"


@smaller
@pytest.mark.parametrize(
    "layout",
    [
        "data/{}-00000-of-00001.parquet",
        "../datasets--someone--cifar10/snapshots/5a77092c/plain_text/{}-00000-of-00001.parquet",
        "data/{}-00000-of-00001-b42a775f407cee45.parquet",
        "data/{}.parquet",
        "{}/0000.parquet",
        "plain_text/{}/0000.parquet",
        "default/{}/0000.parquet",
        "plain_text/{}.parquet",
        "{}/part.parquet",
    ],
)
def test_parquet_files_are_found_in_every_layout_of_the_hub(layout, tmp_path):
    train, test = small("cifar10")
    for split, content in (("train", train), ("test", test)):
        write_parquet(tmp_path / "cifar10" / layout.format(split), *content)
    write_parquet(tmp_path / "cifar10" / "partial-train" / "0000.parquet", *test)
    assert_holds(data.load("cifar10", tmp_path), train, test)
    before = data.state_of_files("cifar10", tmp_path)
    write_parquet(tmp_path / "cifar10" / layout.format("test"), *train)
    assert data.state_of_files("cifar10", tmp_path) != before


@smaller
@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("train-0000{}-of-00003.parquet", "test-00000-of-00001.parquet"),
        ("data/train/000{}.parquet", "data/test/0000.parquet"),
        ("data/train-0000{}-of-00003-{}{}c0ffee.parquet", "data/test/0000.parquet"),
    ],
)
def test_shards_are_joined_in_order_and_a_missing_one_is_named(name, other, tmp_path):
    (images, labels), test = small("cifar10", n_train=30)
    shards = [tmp_path / "cifar10" / name.format(i, i, i) for i in range(3)]
    for i, shard in enumerate(shards):
        write_parquet(shard, images[10 * i : 10 * i + 10], labels[10 * i : 10 * i + 10])
    write_parquet(tmp_path / "cifar10" / other, *test)
    assert_holds(data.load("cifar10", tmp_path), (images, labels), test)
    shards[1].unlink()
    message = refusal("cifar10", tmp_path)
    assert re.search(r"[/\\](0001|train-00001-of-00003)\.parquet is missing", message)


@smaller
def test_a_dataset_of_parquet_files_takes_one_entry(tmp_path, monkeypatch):
    spec = replace(data.DATASETS["cifar10"], name="mine", files=(), torchvision="", hub="")
    monkeypatch.setitem(data.DATASETS, "mine", spec)
    for download in (False, True):
        message = refusal("mine", tmp_path, download=download)
        assert f"{tmp_path / 'mine'}/{{train,test}}-*.parquet are missing" in message
    train, test = write_small_parquet(tmp_path / "mine" / "data", "cifar10")
    assert_holds(data.load("mine", tmp_path), train, test)


@smaller
def test_images_compressed_with_loss_are_said_to_be(tmp_path):
    train, _ = write_small_parquet(tmp_path / "cifar10", "cifar10", form="JPEG")
    dataset = data.load("cifar10", tmp_path)
    assert dataset.source == "parquet (JPEG)"
    assert dataset.train_images.shape == train[0].shape


@smaller
def test_the_fingerprint_is_that_of_the_pixels_whatever_the_format(tmp_path):
    train, test = write_small_parquet(tmp_path / "hub" / "mnist", "mnist")
    write_idx(tmp_path / "idx", "MNIST", train, test)
    changed = (train[0].copy(), train[1])
    changed[0][3, 0, 5, 5] ^= 1
    write_idx(tmp_path / "changed", "MNIST", changed, test)
    hub, idx, other = (data.load("mnist", tmp_path / name).fingerprint for name in ("hub", "idx", "changed"))
    assert re.fullmatch("[0-9a-f]{16}", hub)
    assert hub == idx != other


def test_a_missing_parquet_split_is_named(tmp_path):
    write_parquet(tmp_path / "cifar10" / "train-00000-of-00001.parquet", *small("cifar10")[0])
    assert f"{tmp_path / 'cifar10'}/test-*.parquet is missing" in refusal("cifar10", tmp_path)


def test_a_truncated_parquet_file_is_named(tmp_path):
    write_small_parquet(tmp_path / "cifar10", "cifar10")
    path = tmp_path / "cifar10" / "test-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-10])
    assert f"{path} cannot be read" in refusal("cifar10", tmp_path)


@pytest.mark.parametrize(
    "images, labels, options, expected",
    [
        ([b"no image"], [0], {}, "cannot be read (row 0 is not an image)"),
        ([b""], [0], {}, "cannot be read (row 0 is not an image)"),
        ([np.zeros((3, 28, 28), np.uint8)], [0], {}, "row 0, is 28×28 pixels, where cifar10 has 32×32"),
        ([np.zeros((3, 32, 32), np.uint8)], [None], {}, "has rows without an image or a label"),
        ([np.zeros((3, 32, 32), np.uint8)], [0], {"label": "y"}, "has the columns img, y"),
        ([np.zeros((3, 32, 32), np.uint8)], [0], {"image": "x"}, "has the columns x, label"),
    ],
)
def test_unfit_parquet_rows_are_refused(images, labels, options, expected, tmp_path):
    write_small_parquet(tmp_path / "cifar10", "cifar10")
    path = write_parquet(tmp_path / "cifar10" / "test-00000-of-00001.parquet", images, labels, **options)
    message = refusal("cifar10", tmp_path)
    assert str(path) in message and expected in message


def test_labels_outside_the_classes_are_refused(tmp_path):
    (images, labels), test = small("cifar10")
    write_parquet(tmp_path / "cifar10" / "train-00000-of-00001.parquet", images, labels + 1)
    write_parquet(tmp_path / "cifar10" / "test-00000-of-00001.parquet", *test)
    assert "the train labels in" in refusal("cifar10", tmp_path)
    assert "run from 1 to 10, where cifar10 has 0 to 9" in refusal("cifar10", tmp_path)


# --- missing data and downloads -----------------------------------------------------------------------------


def test_an_unknown_name_is_answered_with_the_nearest():
    assert "did you mean 'cifar10'?" in refusal("cifar_10")
    assert "folder:PATH" in refusal("imagenet")


def test_without_a_root_the_ways_to_the_data_are_named(monkeypatch):
    monkeypatch.delenv("SIMPRUNE_DATA", raising=False)
    message = refusal("cifar10")
    for way in ("--data", "SIMPRUNE_DATA", "--download", "fashion_mnist_mini"):
        assert way in message


def test_a_root_that_is_no_folder_is_named(tmp_path):
    assert f"{tmp_path / 'nowhere'} is not a folder" in refusal("mnist", tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    assert f"{tmp_path / 'file'} is not a folder" in refusal("mnist", tmp_path / "file", download=True)


@pytest.mark.parametrize(
    "name, file",
    [
        ("mnist", "MNIST/raw/train-images-idx3-ubyte"),
        ("fashion_mnist", "FashionMNIST/raw/train-images-idx3-ubyte"),
        ("cifar10", "cifar-10-batches-py/data_batch_1"),
        ("cifar100", "cifar-100-python/train"),
        ("svhn", "svhn/train_32x32.mat"),
    ],
)
def test_missing_data_are_named_with_the_ways_to_get_them(name, file, tmp_path):
    message = refusal(name, tmp_path)
    assert f"{tmp_path / file} is missing" in message
    assert f"--download to fetch {name}" in message
    assert f"{tmp_path / name}/{{train,test}}-*.parquet" in message


def test_of_an_incomplete_folder_the_missing_file_is_named(tmp_path):
    raw = write_idx(tmp_path, "MNIST", *small("mnist"))
    (raw / "t10k-labels-idx1-ubyte").unlink()
    assert f"{raw / 't10k-labels-idx1-ubyte'} is missing" in refusal("mnist", tmp_path)


@smaller
def test_files_are_downloaded_only_where_asked(tmp_path, monkeypatch):
    train, test = small("mnist")
    root = tmp_path / "new"
    monkeypatch.setattr(datasets.MNIST, "download", lambda self: write_idx(Path(self.root), "MNIST", train, test))
    refusal("mnist", root)
    assert not root.exists()
    assert_holds(data.load("mnist", root, download=True), train, test)


@smaller
def test_svhn_is_downloaded_into_a_folder_of_its_own(tmp_path, monkeypatch):
    train, test = small("svhn")
    monkeypatch.setattr(datasets.SVHN, "download", lambda self: write_svhn(Path(self.root), train, test, monkeypatch))
    assert_holds(data.load("svhn", tmp_path, download=True), train, test)
    assert (tmp_path / "svhn" / "train_32x32.mat").exists()


def test_a_failed_download_says_why(tmp_path, monkeypatch):
    def fail(self):
        raise OSError("no route to host")

    monkeypatch.setattr(datasets.CIFAR10, "download", fail)
    message = refusal("cifar10", tmp_path, download=True)
    assert f"cifar10 could not be downloaded into {tmp_path} (no route to host)" in message


# --- the state of files ---------------------------------------------------------------------------------------


def test_the_state_of_files_is_that_of_what_is_in_them_whatever_their_times(tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in IDX_FILES:
        (folder / name).write_bytes(b"0123")
    before, file = data.state_of_files("mnist", tmp_path), folder / IDX_FILES[0]
    os.utime(file, (0, 0))
    assert data.state_of_files("mnist", tmp_path) == before
    file.write_bytes(b"0124")
    os.utime(file, (0, 0))
    assert data.state_of_files("mnist", tmp_path) != before


def test_files_that_are_not_there_have_no_state(tmp_path, monkeypatch):
    monkeypatch.delenv("SIMPRUNE_DATA", raising=False)
    for name in ("mnist", "svhn", f"folder:{tmp_path}"):
        with pytest.raises(InputError):
            data.state_of_files(name, tmp_path)
        with pytest.raises(InputError):
            data.state_of_files(name)
