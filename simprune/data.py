"""Datasets and probe inputs as tensors.

Every dataset is decoded once into uint8 tensors that stay on one device; normalisation and augmentation work
on whole batches there.
"""

import hashlib
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from simprune.errors import InputError, check_choice, check_path, shown

if TYPE_CHECKING:
    from PIL.Image import Image

AUGMENTATIONS = ("none", "crop", "crop_flip")
CROP_PADDING = 4
EMBEDDED_FILE = Path(__file__).parent / "datasets" / "fashion_mnist_mini.npz"
FOLDER_PREFIX = "folder:"
PROBE_SEED = 0
SUBSET_SEED = 0
# Files of images are not trusted: what these formats hold is pictures only, and none is decoded whose size, known
# from its first bytes, is beyond what the networks here can take.
IMAGE_FORMATS = ("PNG", "JPEG", "PPM", "BMP", "TIFF", "WEBP")
LARGEST_SIDE = 1024
LARGEST_ENCODED_PIXEL = 32  # bytes; a stored image takes far fewer for a pixel
LONGEST_FOLDER_NAME = 100  # it becomes part of the name of the results' folder


@dataclass(frozen=True)
class DatasetSpec:
    """What is published about a dataset.

    `mean` and `std` are those of all pixels of the training images, by channel, on the scale 0 to 1.
    `augmentation` is the strongest of `AUGMENTATIONS` that cannot change what an image shows.
    """

    name: str
    title: str
    channels: int
    image_size: int
    train_size: int
    test_size: int
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: str
    reference: str
    licence: str


_DIGITS = tuple("0123456789")
_GARMENTS = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_CIFAR10_CLASSES = tuple("airplane automobile bird cat deer dog frog horse ship truck".split())
_CIFAR100_CLASSES = tuple(
    """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
    camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
    dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
    leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
    otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road
    rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower
    sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
    willow_tree wolf woman worm""".split()
)
_FASHION_REFERENCE = (
    "Xiao, Rasul & Vollgraf 2017, Fashion-MNIST: a novel image dataset for benchmarking machine learning "
    "algorithms, arXiv:1708.07747"
)
_CIFAR_REFERENCE = "Krizhevsky 2009, Learning multiple layers of features from tiny images, technical report"

# Means and standard deviations are the usual published ones, to four digits: MNIST as in PyTorch's own MNIST
# example; the others computed in the same way from the training images of the original files.
DATASETS: dict[str, DatasetSpec] = {
    spec.name: spec
    for spec in (
        DatasetSpec(
            name="fashion_mnist_mini",
            title="Fashion-MNIST, a sixth",
            channels=1,
            image_size=28,
            train_size=10_000,
            test_size=2_000,
            classes=_GARMENTS,
            mean=(0.2860,),
            std=(0.3530,),
            augmentation="none",
            reference=_FASHION_REFERENCE,
            licence="MIT (Zalando SE)",
        ),
        DatasetSpec(
            name="mnist",
            title="MNIST",
            channels=1,
            image_size=28,
            train_size=60_000,
            test_size=10_000,
            classes=_DIGITS,
            mean=(0.1307,),
            std=(0.3081,),
            augmentation="none",
            reference="LeCun, Bottou, Bengio & Haffner 1998, Gradient-based learning applied to document "
            "recognition, Proceedings of the IEEE 86(11)",
            licence="CC BY-SA 3.0 (LeCun, Cortes, Burges)",
        ),
        DatasetSpec(
            name="fashion_mnist",
            title="Fashion-MNIST",
            channels=1,
            image_size=28,
            train_size=60_000,
            test_size=10_000,
            classes=_GARMENTS,
            mean=(0.2860,),
            std=(0.3530,),
            augmentation="none",
            reference=_FASHION_REFERENCE,
            licence="MIT (Zalando SE)",
        ),
        DatasetSpec(
            name="cifar10",
            title="CIFAR-10",
            channels=3,
            image_size=32,
            train_size=50_000,
            test_size=10_000,
            classes=_CIFAR10_CLASSES,
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.2470, 0.2435, 0.2616),
            augmentation="crop_flip",
            reference=_CIFAR_REFERENCE,
            licence="no licence stated by its authors",
        ),
        DatasetSpec(
            name="cifar100",
            title="CIFAR-100",
            channels=3,
            image_size=32,
            train_size=50_000,
            test_size=10_000,
            classes=_CIFAR100_CLASSES,
            mean=(0.5071, 0.4865, 0.4409),
            std=(0.2673, 0.2564, 0.2762),
            augmentation="crop_flip",
            reference=_CIFAR_REFERENCE,
            licence="no licence stated by its authors",
        ),
        DatasetSpec(
            name="svhn",
            title="SVHN",
            channels=3,
            image_size=32,
            train_size=73_257,
            test_size=26_032,
            classes=_DIGITS,
            mean=(0.4377, 0.4438, 0.4728),
            std=(0.1980, 0.2010, 0.1970),
            augmentation="crop",
            reference="Netzer, Wang, Coates, Bissacco, Wu & Ng 2011, Reading digits in natural images with "
            "unsupervised feature learning, NIPS workshop on deep learning",
            licence="for non-commercial use only",
        ),
    )
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Decoded images and labels of both splits, all on one device.

    Images are uint8, n × channels × height × width; labels are int64 indices into `classes`. `mean` and `std`
    are by channel on the scale 0 to 1. `fingerprint` identifies the full decoded data, also after `subset`.
    `source` says in short words where it came from: "embedded", "torchvision files", "parquet",
    "parquet (JPEG)" for images that were compressed with loss, or "folder".
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: str
    fingerprint: str
    source: str

    @property
    def channels(self) -> int:
        return self.train_images.shape[1]

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return tuple(self.train_images.shape[2:])

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    def to(self, device: torch.device | str) -> "Dataset":
        """Return the same dataset with its tensors on `device`."""
        names = ("train_images", "train_labels", "test_images", "test_labels")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def subset(self, train_size: int | None) -> "Dataset":
        """Return the dataset with `train_size` of its training images, every class in its share.

        The draw is always the same, and in the original order. `None` or the full size returns the dataset
        itself. Raises `InputError` for a size below the number of classes or above the training set.
        """
        total = len(self.train_labels)
        if train_size is None or train_size == total:
            return self
        _check_size("train_size", train_size, self.n_classes, total)
        chosen = stratified_draw(self.train_labels, train_size, SUBSET_SEED).to(self.train_labels.device)
        return replace(self, train_images=self.train_images[chosen], train_labels=self.train_labels[chosen])


def check_dataset(name: str) -> str:
    """Return `name` if it is one of `DATASETS` or "folder:PATH"; else raise `InputError`. Reads no file."""
    if isinstance(name, str) and name.startswith(FOLDER_PREFIX):
        path = name.removeprefix(FOLDER_PREFIX)
        if path.partition("#")[0] in ("", "PATH"):
            raise InputError(f"dataset: {name!r} needs the path of a folder with train/ and test/ in it")
        try:
            encoded = os.fsencode(path)
        except UnicodeEncodeError:
            encoded = b"\0"
        names = encoded.rstrip(b"/").split(b"/")
        if b"\0" in encoded or not path.isprintable():
            raise InputError(
                f"dataset: {shown(name)} is not a path: it has characters that no name of a folder should have"
            )
        if len(names[-1]) > LONGEST_FOLDER_NAME or max(map(len, names)) > 255 or len(encoded) > 4000:
            raise InputError(
                f"dataset: the path {shown(path)} is too long; its last name can have {LONGEST_FOLDER_NAME} bytes"
            )
        return name
    return check_choice("dataset", name, (*DATASETS, f"{FOLDER_PREFIX}PATH"))


def identify(name: str) -> str:
    """The full name of a dataset, for one's own images "folder:PATH#FINGERPRINT", which says what is in them.

    Images are read to know their fingerprint, unless it stands in the name already. Raises `InputError` where there is
    nothing to read. The path is tidied, not made absolute: "folder:./own/" is "folder:own".
    """
    check_dataset(name)
    path, fingerprint = _split_name(name)
    if path is None:
        return name
    return f"{FOLDER_PREFIX}{path}#{fingerprint or load(name).fingerprint}"


def _split_name(name: str) -> tuple[Path | None, str | None]:
    """The path of one's own images and their fingerprint, each None where the name does not say it."""
    if not name.startswith(FOLDER_PREFIX):
        return None, None
    text, fingerprint = re.fullmatch(r"(.*?)(?:#([0-9a-f]{16}))?", name.removeprefix(FOLDER_PREFIX)).groups()
    path = Path(text)
    return (path if path.name not in ("", "..") else path.resolve()), fingerprint


def content(name: str) -> str:
    """What a full name (see `identify`) says of the data themselves: for one's own images all but where they are."""
    path, fingerprint = _split_name(name)
    return name if path is None else f"{FOLDER_PREFIX}{fingerprint}"


def short_name(name: str) -> str:
    """The name of a dataset as a name of a file can hold it: of one's own images, the last name of their folder."""
    path, _ = _split_name(name)
    return name if path is None else "folder_" + (re.sub(r"[^\w.-]+", "_", path.name) or "images")


def load(name: str, root: str | Path | None = None, *, download: bool = False) -> Dataset:
    """Load a dataset of `DATASETS`, or one's own images as "folder:PATH".

    `root` is the folder that holds the data; `None` means the environment variable SIMPRUNE_DATA. In it are
    looked for, in this order, torchvision's files and the Parquet files of the Hugging Face Hub
    (<root>/<name>/{train,test}-*.parquet). With `download`, files that are not there are fetched into `root`.
    The embedded fashion_mnist_mini needs no root.

    A folder of images holds train/<class>/* and test/<class>/*, all images of one size, grey or RGB; its
    classes are sorted by name, its statistics those of its training images, and it has no augmentation. Where the name
    ends in "#" and a fingerprint, as an experiment has it, the images must be those.

    Raises `InputError` for an unknown name and for data that are missing, incomplete, corrupt or unfit.
    """
    check_dataset(name)
    if name.startswith(FOLDER_PREFIX):
        return _load_folder(name)
    if name == "fashion_mnist_mini":
        return _load_embedded(DATASETS[name])
    return _load_published(DATASETS[name], _data_root(name, root, download), download)


def state_of_files(name: str, root: str | Path | None = None) -> str:
    """Checksum of the paths of the files that `load` would read and of what is in them, decoding none.

    Where it is the same, so is the fingerprint. Their times of change do not count: they may stay the same when a file
    is replaced, or the clock be set back. Raises `InputError` where there is nothing to load.
    """
    check_dataset(name)
    if name.startswith(FOLDER_PREFIX):
        folder = check_path("dataset", _split_name(name)[0])
        files = [
            file for split in ("train", "test") for group in _list_images(folder / split).values() for file in group
        ]
    elif name == "fashion_mnist_mini":
        files = [EMBEDDED_FILE]
    else:
        spec, place = DATASETS[name], _data_root(name, root, False)
        torchvision_place = _torchvision_place(spec, place)
        if torchvision_place:
            files = [torchvision_place / file for file in _TORCHVISION_FILES[name]]
        else:
            shards = _find_parquet(spec, place)
            if not shards:
                raise InputError(f"data: {name} is not in {place}")
            files = [file for group in shards.values() for file in group]
    digest = hashlib.sha256()
    for file in files:
        try:
            with open(file, "rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise _corrupt(file, error.strerror or error) from error
        digest.update(f"{file.resolve()}\0{content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Turn uint8 images (n × c × h × w) into float32 on the same device.

    `mean` and `std` are by channel, for pixels on the scale 0 to 1.
    """
    scale, shift = _scale_and_shift(tuple(mean), tuple(std), images.device)
    return images.to(torch.float32).mul_(scale).sub_(shift)


@lru_cache(maxsize=16)
def _scale_and_shift(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device):
    # Kept on the device: copying them there for every batch would make an accelerator wait.
    mean64, std64 = torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
    scale, shift = 1 / (255 * std64), mean64 / std64
    return tuple(t.to(torch.float32).view(-1, 1, 1).to(device) for t in (scale, shift))


def augment(images: Tensor, augmentation: str, generator: torch.Generator) -> Tensor:
    """Change each uint8 image of a batch (n × c × h × w) at random, independently of the others.

    "crop" shifts by up to 4 pixels each way, with black entering at the borders; "crop_flip" also mirrors
    left and right in half of the cases; "none" returns the images themselves. Draws come from `generator`.
    """
    check_choice("augmentation", augmentation, AUGMENTATIONS)
    if augmentation == "none":
        return images
    n, channels, height, width = images.shape
    device = images.device
    draws = torch.randint(2 * CROP_PADDING + 1, (2, n, 1), generator=generator, device=generator.device)
    top, left = draws.to(device, non_blocking=True)
    rows = top + torch.arange(height, device=device)
    columns = left + torch.arange(width, device=device)
    if augmentation == "crop_flip":
        mirrored = torch.rand((n, 1), generator=generator, device=generator.device) < 0.5
        columns = torch.where(mirrored.to(device, non_blocking=True), columns.flip(1), columns)
    # One gather from the padded images, each flattened to one row of pixels a channel.
    pixels = rows[:, :, None] * (width + 2 * CROP_PADDING) + columns[:, None, :]
    pixels = pixels.view(n, 1, -1).expand(n, channels, -1)
    return F.pad(images, (CROP_PADDING,) * 4).flatten(2).gather(2, pixels).view(images.shape)


def probe_inputs(dataset: Dataset, size: int) -> tuple[Tensor, Tensor]:
    """Return the test images on which representations are taken, and their labels.

    The images are normalised (size × c × h × w, float32); the labels are int64. Every class has its share; the draw
    depends on nothing but the test labels and `size`, and keeps the original order, so that all networks of a study
    see the same images in the same order. Raises `InputError` for a size below 4 or above the test set.
    """
    _check_size("probe_size", size, 4, len(dataset.test_labels))
    chosen = stratified_draw(dataset.test_labels, size, PROBE_SEED).to(dataset.test_images.device)
    return normalise(dataset.test_images[chosen], dataset.mean, dataset.std), dataset.test_labels[chosen]


def stratified_draw(labels: Tensor, size: int, seed: int) -> Tensor:
    """Return the sorted indices (int64, CPU) of `size` items, each class in its share to within one item."""
    labels = labels.cpu().numpy()
    classes, counts = np.unique(labels, return_counts=True)
    exact = size * counts / len(labels)
    shares = np.floor(exact).astype(int)
    # What rounding down left over goes to the classes that lost most by it.
    shares[np.argsort(shares - exact, kind="stable")[: size - shares.sum()]] += 1
    # Sorting random keys, unlike a shuffle, rests on nothing but the generator's stream of floats.
    keys = np.random.default_rng(seed).random(len(labels))
    chosen = []
    for cls, share in zip(classes, shares, strict=True):
        members = np.flatnonzero(labels == cls)
        chosen.append(members[np.argsort(keys[members], kind="stable")[:share]])
    return torch.from_numpy(np.sort(np.concatenate(chosen)))


def _check_size(field: str, size: object, smallest: int, largest: int) -> None:
    whole = isinstance(size, Integral) and not isinstance(size, bool)
    if not whole or not smallest <= size <= largest:
        raise InputError(f"{field}: {shown(size)} is not a whole number from {smallest} to {largest}")


# --- putting a dataset together -----------------------------------------------------------------------------

Arrays = tuple[np.ndarray, np.ndarray]  # images uint8 (n × c × h × w), labels int64 (n)


def _from_spec(spec: DatasetSpec, train: Arrays, test: Arrays, source: str, where: Path) -> Dataset:
    shape = (spec.channels, spec.image_size, spec.image_size)
    for split, (images, labels), published in (
        ("train", train, spec.train_size),
        ("test", test, spec.test_size),
    ):
        if len(images) == 0 or len(images) != len(labels):
            raise InputError(f"data: {where} has {len(images)} {split} images and {len(labels)} labels")
        if images.shape[1:] != shape:
            raise InputError(
                f"data: the {split} images in {where} are {_shape_words(images.shape[1:])}, "
                f"where {spec.name} has {_shape_words(shape)}"
            )
        if labels.min() < 0 or labels.max() >= len(spec.classes):
            raise InputError(
                f"data: the {split} labels in {where} run from {labels.min()} to {labels.max()}, "
                f"where {spec.name} has 0 to {len(spec.classes) - 1}"
            )
        if len(images) != published:
            # A smaller copy may be meant (for a class, for a test), but must not pass for the whole.
            warnings.warn(
                f"{spec.name} in {where} has {len(images):,} {split} images; the published dataset has {published:,}",
                stacklevel=5,
            )
    return _dataset(spec.name, train, test, spec.classes, spec.mean, spec.std, spec.augmentation, source=source)


def _dataset(name, train: Arrays, test: Arrays, classes, mean, std, augmentation, *, source) -> Dataset:
    arrays = [np.ascontiguousarray(array) for array in (*train, *test)]
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array)
    tensors = [torch.from_numpy(array) for array in arrays]
    return Dataset(name, *tensors, classes, mean, std, augmentation, digest.hexdigest()[:16], source)


def _shape_words(shape: tuple[int, ...]) -> str:
    channels, height, width = shape
    return f"{height}×{width} pixels with {channels} channel{'s' * (channels > 1)}"


def _corrupt(path: Path, error: object, remedy: str = "put a whole copy in its place") -> InputError:
    reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
    return InputError(f"data: {path} cannot be read ({reason}): {remedy}")


# --- the embedded data --------------------------------------------------------------------------------------


def _load_embedded(spec: DatasetSpec) -> Dataset:
    if not EMBEDDED_FILE.exists():
        raise InputError(f"data: {EMBEDDED_FILE} is missing: install simprune again")
    try:
        with np.load(EMBEDDED_FILE, allow_pickle=False) as file:
            train, test = (
                (file[f"{split}_images"][:, None], file[f"{split}_labels"].astype(np.int64))
                for split in ("train", "test")
            )
    except Exception as error:  # a broken archive shows in a dozen ways
        raise _corrupt(EMBEDDED_FILE, error, "install simprune again") from error
    return _from_spec(spec, train, test, "embedded", EMBEDDED_FILE)


# --- published datasets, from a data root -------------------------------------------------------------------

_IDX_FILES = tuple(f"{split}-{part}-ubyte" for split in ("train", "t10k") for part in ("images-idx3", "labels-idx1"))
_TORCHVISION_CLASS = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "svhn": "SVHN",
}
_REFETCH = "delete it and add --download, or put a whole copy in its place"
# The files that torchvision reads, under its own root.
_TORCHVISION_FILES = {
    "mnist": tuple(f"MNIST/raw/{name}" for name in _IDX_FILES),
    "fashion_mnist": tuple(f"FashionMNIST/raw/{name}" for name in _IDX_FILES),
    "cifar10": tuple(
        f"cifar-10-batches-py/{name}"
        for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
    ),
    "cifar100": tuple(f"cifar-100-python/{name}" for name in ("train", "test", "meta")),
    "svhn": ("train_32x32.mat", "test_32x32.mat"),
}
# What a repository of the Hugging Face Hub calls the folder of its Parquet files.
_HUB_FOLDER = {
    "mnist": "mnist",
    "fashion_mnist": "fashion_mnist",
    "cifar10": "plain_text",
    "cifar100": "cifar100",
    "svhn": "cropped_digits",
}


def _data_root(name: str, root: str | Path | None, download: bool) -> Path:
    given = os.environ.get("SIMPRUNE_DATA", "") if root is None or (isinstance(root, str) and not root) else root
    if isinstance(given, str) and not given:
        raise InputError(
            f"data: {name} needs a data folder and none is given: name one with --data DIR or SIMPRUNE_DATA "
            f"(and --download to fetch the files into it), or use fashion_mnist_mini, which needs none"
        )
    path = check_path("data", given)
    if path.is_dir() or (download and not path.exists()):
        return path
    raise InputError(
        f"data: {path} is not a folder: name one that is with --data DIR or SIMPRUNE_DATA, "
        f"or add --download to make it and fetch {name} into it"
    )


def _torchvision_place(spec: DatasetSpec, root: Path) -> Path | None:
    """The folder under which all of torchvision's files lie."""
    # SVHN's files have no folder of their own in torchvision's layout; <root>/svhn is a tidier place.
    roots = (root, root / "svhn") if spec.name == "svhn" else (root,)
    files = _TORCHVISION_FILES[spec.name]
    return next((place for place in roots if all((place / file).exists() for file in files)), None)


def _load_published(spec: DatasetSpec, root: Path, download: bool) -> Dataset:
    place = _torchvision_place(spec, root)
    if place:
        return _load_torchvision(spec, place)
    shards = _find_parquet(spec, root)
    if shards:
        return _load_parquet(spec, shards)
    own = root / "svhn" if spec.name == "svhn" else root
    if download:
        _download(spec, own)
        return _load_torchvision(spec, own)
    # Where some of the files are there, the one that is missing is worth naming.
    files = _TORCHVISION_FILES[spec.name]
    place = next((p for p in (root, own) if any((p / file).exists() for file in files)), own)
    missing = next(place / file for file in files if not (place / file).exists())
    raise InputError(
        f"data: {missing} is missing: add --download to fetch {spec.name}, or put torchvision's files there, "
        f"or the Hugging Face Hub's at {root / spec.name}/{{train,test}}-*.parquet"
    )


def _download(spec: DatasetSpec, root: Path) -> None:
    from torchvision import datasets

    torchvision_class = getattr(datasets, _TORCHVISION_CLASS[spec.name])
    try:
        root.mkdir(parents=True, exist_ok=True)
        if spec.name == "svhn":
            for split in ("train", "test"):
                torchvision_class(root, split=split, download=True)
        else:
            torchvision_class(root, download=True)
    except Exception as error:  # no network, no rights, no space, a server's page in place of the file
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"data: {spec.name} could not be downloaded into {root} ({reason})") from error


def _load_torchvision(spec: DatasetSpec, root: Path) -> Dataset:
    if spec.name in ("mnist", "fashion_mnist"):
        train, test = _read_idx(spec, root)
    else:
        train, test = _read_checked(spec, root)
    where = (root / _TORCHVISION_FILES[spec.name][0]).parent
    return _from_spec(spec, train, test, "torchvision files", where)


def _read_idx(spec: DatasetSpec, root: Path) -> list[Arrays]:
    from torchvision.datasets.mnist import read_image_file, read_label_file

    read = []
    for file in _TORCHVISION_FILES[spec.name]:
        path = root / file
        images = spec.train_size if "train" in path.name else spec.test_size
        size = 16 + images * spec.image_size**2
        if path.stat().st_size > size:
            raise _corrupt(path, f"larger than the {size:,} bytes of the published file", _REFETCH)
        try:
            read.append((read_image_file if "images" in file else read_label_file)(str(path)).numpy())
        except Exception as error:  # the reader asserts, unpacks and reshapes what it finds
            raise _corrupt(path, "not a whole IDX file", _REFETCH) from error
    train_images, train_labels, test_images, test_labels = read
    return [(train_images[:, None], train_labels), (test_images[:, None], test_labels)]


def _read_checked(spec: DatasetSpec, root: Path) -> list[Arrays]:
    """Read CIFAR-10, CIFAR-100 or SVHN; torchvision compares their files with the published checksums."""
    from torchvision import datasets

    torchvision_class = getattr(datasets, _TORCHVISION_CLASS[spec.name])
    try:
        if spec.name == "svhn":
            splits = [torchvision_class(root, split=split) for split in ("train", "test")]
            return [(split.data, np.asarray(split.labels, dtype=np.int64)) for split in splits]
        splits = [torchvision_class(root, train=train) for train in (True, False)]
        return [(split.data.transpose(0, 3, 1, 2), np.asarray(split.targets, np.int64)) for split in splits]
    except Exception as error:  # torchvision says only that something is wrong somewhere
        bad = _first_bad_file(torchvision_class, root)
        if bad is None:
            raise _corrupt((root / _TORCHVISION_FILES[spec.name][0]).parent, error, _REFETCH) from error
        raise _corrupt(bad, "its checksum is not the published one", _REFETCH) from error


def _first_bad_file(torchvision_class: type, root: Path) -> Path | None:
    from torchvision.datasets.utils import check_integrity

    if hasattr(torchvision_class, "split_list"):
        listed = [torchvision_class.split_list[split][1:] for split in ("train", "test")]
    else:
        meta = torchvision_class.meta
        listed = [
            (f"{torchvision_class.base_folder}/{name}", md5)
            for name, md5 in (
                *torchvision_class.train_list,
                *torchvision_class.test_list,
                (meta["filename"], meta["md5"]),
            )
        ]
    return next((root / name for name, md5 in listed if not check_integrity(root / name, md5)), None)


# --- Parquet files of the Hugging Face Hub ------------------------------------------------------------------


def _find_parquet(spec: DatasetSpec, root: Path) -> dict[str, list[Path]] | None:
    for folder in (root / spec.name, root / spec.name / _HUB_FOLDER[spec.name]):
        shards = {split: sorted(folder.glob(f"{split}-*.parquet")) for split in ("train", "test")}
        if not any(shards.values()):
            continue
        for split, paths in shards.items():
            if not paths:
                raise InputError(f"data: {folder}/{split}-*.parquet is missing: put it beside the other split")
            _check_shards(paths)
        return shards
    return None


def _check_shards(paths: list[Path]) -> None:
    """Shards are called <split>-00002-of-00005.parquet: all five must be there."""
    numbered = [re.fullmatch(r"(.*-)(\d+)-of-(\d+)(.*)", path.name) for path in paths]
    for match in filter(None, numbered):
        stem, digits, total, ending = match.groups()
        for number in range(int(total)):
            expected = paths[0].parent / f"{stem}{number:0{len(digits)}d}-of-{total}{ending}"
            if expected not in paths:
                raise InputError(f"data: {expected} is missing: put it beside the other shards")


def _load_parquet(spec: DatasetSpec, shards: dict[str, list[Path]]) -> Dataset:
    lossy = False
    splits = []
    for paths in shards.values():
        parts = []
        for path in paths:
            encoded, labels = _read_parquet(path, spec)
            lossy = lossy or any(item.startswith(b"\xff\xd8") for item in encoded)
            parts.append((_decode_all(encoded, spec, path), labels))
        images, labels = zip(*parts, strict=True)
        splits.append((np.concatenate(images), np.concatenate(labels)))
    source = "parquet (JPEG)" if lossy else "parquet"
    return _from_spec(spec, *splits, source, shards["train"][0].parent)


def _read_parquet(path: Path, spec: DatasetSpec) -> tuple[list[bytes], np.ndarray]:
    """Return the encoded images and the labels of one file, reading no more than such a dataset can hold."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        image = next((name for name in ("img", "image") if name in names), None)
        label = next((name for name in ("label", "fine_label") if name in names), None)
        if image is None or label is None:
            raise InputError(
                f"data: {path} has the columns {', '.join(names)}, where img or image, and label or "
                f"fine_label, are needed"
            )
        encoded, labels, left = [], [], _largest_encoded(spec)
        if _claimed(file, (image, label)) > left:
            raise InputError(f"data: {path} claims more bytes than {spec.name} can have: put a whole copy in its place")
        for batch in file.iter_batches(batch_size=256, columns=[image, label]):
            images = batch.column(image)
            if pa.types.is_struct(images.type):
                images = pc.struct_field(images, "bytes")
            left -= images.nbytes
            encoded += images.cast(pa.large_binary()).to_pylist()
            labels += batch.column(label).cast(pa.int64()).to_pylist()
            if left < 0 or len(encoded) > max(spec.train_size, spec.test_size):
                raise InputError(f"data: {path} holds more than {spec.name} can have: put a whole copy in its place")
    except (pa.ArrowException, OSError, MemoryError, UnicodeError) as error:  # truncated, another format or column
        raise _corrupt(path, error) from error
    if None in encoded or None in labels:
        raise InputError(f"data: {path} has rows without an image or a label: put a whole copy in its place")
    return encoded, np.array(labels, dtype=np.int64)


def _largest_encoded(spec: DatasetSpec) -> int:
    """Bytes that the encoded images of one file can have at most: those of a whole split, each with room."""
    return max(spec.train_size, spec.test_size) * (spec.image_size**2 * LARGEST_ENCODED_PIXEL + 1000)


def _claimed(file, columns: tuple[str, ...]) -> int:
    """Bytes that the columns of a Parquet file have when they are unpacked, by its own word."""
    groups = (file.metadata.row_group(index) for index in range(file.metadata.num_row_groups))
    chunks = (group.column(index) for group in groups for index in range(group.num_columns))
    return sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns)


def _decode_all(encoded: list[bytes], spec: DatasetSpec, path: Path) -> np.ndarray:
    """Decode images into uint8, n × c × h × w."""
    side, mode = spec.image_size, "L" if spec.channels == 1 else "RGB"
    images = np.empty((len(encoded), side, side, spec.channels), dtype=np.uint8)

    for row, item in enumerate(encoded):  # threads gain nothing: images this small are mostly overhead
        try:
            image = _open_image(BytesIO(item), (side, side))
        except _OtherSize as other:
            raise InputError(
                f"data: {path}, row {row}, is {other.height}×{other.width} pixels, where {spec.name} has {side}×{side}"
            ) from None
        except Exception as error:  # Pillow's plugins raise what they like
            raise _corrupt(path, f"row {row} is not an image") from error
        images[row] = np.asarray(_in_mode(image, mode)).reshape(images.shape[1:])
    return images.transpose(0, 3, 1, 2)


class _OtherSize(Exception):
    """An image has another size than the one that is needed."""

    def __init__(self, size: tuple[int, int]):
        super().__init__(size)
        self.width, self.height = size


def _open_image(file: BytesIO | Path, size: tuple[int, int] | None = None) -> "Image":
    """Return the Pillow image in `file`, read to its end. Raises whatever Pillow raises.

    `size` (width, height) is the one that it must have, else at most `LARGEST_SIDE` each way: known, and refused with
    `_OtherSize`, before the pixels are decoded.
    """
    from PIL import Image

    with Image.open(file, formats=IMAGE_FORMATS) as image:
        if image.size != size if size else max(image.size) > LARGEST_SIDE:
            raise _OtherSize(image.size)
        image.load()
    return image


def _in_mode(image: "Image", mode: str) -> "Image":
    return image if image.mode == mode else image.convert(mode)


# --- folders of images --------------------------------------------------------------------------------------


def _load_folder(name: str) -> Dataset:
    path, fingerprint = _split_name(name)
    folder = check_path("dataset", path)
    listed = {split: _list_images(folder / split) for split in ("train", "test")}
    classes = tuple(sorted(listed["train"]))
    odd = sorted(set(listed["train"]) ^ set(listed["test"]))
    if odd:
        raise InputError(f"data: class {odd[0]!r} is in only one of train/ and test/ of {folder}")
    if len(classes) < 2:
        raise InputError(f"data: {folder}/train has one class, {classes[0]!r}, where at least two are needed")
    images = _decode_files(listed)
    everything = [*images["train"], *images["test"]]
    mode = "L" if all(image.mode in ("1", "L", "LA") for _, image in everything) else "RGB"
    train, test = (
        _stack(
            [_in_mode(image, mode) for _, image in images[split]],
            [len(files) for files in listed[split].values()],
        )
        for split in ("train", "test")
    )
    mean, std = _statistics(train[0])
    if min(std) == 0:
        raise InputError(f"data: the training images in {folder} have a channel that is the same everywhere")
    dataset = _dataset(name, train, test, classes, mean, std, "none", source="folder")
    if fingerprint not in (None, dataset.fingerprint):
        raise InputError(
            f"data: the images in {folder} are not those of this experiment any more (their fingerprint is "
            f"{dataset.fingerprint}, not {fingerprint}); make the experiment again from {FOLDER_PREFIX}{path}"
        )
    return dataset


def _list_images(folder: Path) -> dict[str, list[Path]]:
    """Return the image files of each class, classes and files sorted by name."""
    from torchvision.datasets.folder import IMG_EXTENSIONS

    if not folder.is_dir():
        raise InputError(f"data: {folder} is not a folder: images go to train/<class>/ and test/<class>/")
    listed = {}
    for directory in sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."):
        listed[directory.name] = sorted(
            path for path in directory.iterdir() if path.suffix.lower() in IMG_EXTENSIONS and path.name[0] != "."
        )
        odd = next((path for path in listed[directory.name] if not path.is_file()), None)
        if odd is not None:  # a folder, a broken link, a device: reading it may never end
            raise InputError(f"data: {odd} is not a file")
        if not listed[directory.name]:
            raise InputError(f"data: {directory} has no images ({', '.join(IMG_EXTENSIONS)})")
    if not listed:
        raise InputError(f"data: {folder} is empty: put the images of each class into a folder of its own there")
    return listed


def _decode_files(listed: dict[str, dict[str, list[Path]]]) -> dict[str, list[tuple[Path, "Image"]]]:
    """Decode the images of both splits, which must all have the size of the first."""
    files = [(split, path) for split, classes in listed.items() for paths in classes.values() for path in paths]
    decoded, first = {split: [] for split in listed}, None
    for split, path in files:
        try:
            image = _open_image(path, first[1].size if first else None)
        except _OtherSize as other:
            needed = f"the largest that can be used is {LARGEST_SIDE}×{LARGEST_SIDE}"
            if first:
                needed = f"{first[0]} is {first[1].height}×{first[1].width}: all images must have one size"
            raise InputError(f"data: {path} is {other.height}×{other.width} pixels, where {needed}") from None
        except Exception as error:  # Pillow's plugins raise what they like
            raise _corrupt(path, "not a whole image") from error
        if image.mode.startswith(("I", "F")):
            raise InputError(f"data: {path} has more than 8 bits a pixel, where 8-bit grey or RGB is needed")
        first = first or (path, image)
        decoded[split].append((path, image))
    return decoded


def _stack(images: list, class_sizes: list[int]) -> Arrays:
    stacked = np.stack([np.asarray(image) for image in images])
    stacked = stacked[:, None] if stacked.ndim == 3 else stacked.transpose(0, 3, 1, 2)
    return stacked, np.repeat(np.arange(len(class_sizes)), class_sizes)


def _statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel on the scale 0 to 1."""
    levels = np.arange(256) / 255
    means, stds = [], []
    for channel in range(images.shape[1]):
        shares = np.bincount(images[:, channel].ravel(), minlength=256) / images[:, channel].size
        means.append(float(shares @ levels))
        stds.append(float(np.sqrt(shares @ (levels - means[-1]) ** 2)))
    return tuple(means), tuple(stds)
