"""Names of datasets: what is published under each, and what a name of one's own images says."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from simprune.errors import InputError, check_choice, shown

FOLDER_PREFIX = "folder:"
LARGEST_SIDE = 1024  # pixels of an image's width or height
LONGEST_SHORT_NAME = 100  # bytes; it becomes part of the name of the results' folder


@dataclass(frozen=True)
class DatasetSpec:
    """What is published about a dataset, and where its files lie under a data root.

    `mean` and `std` are those of all pixels of the training images, by channel, on the scale 0 to 1.
    `augmentation` is the strongest of `AUGMENTATIONS` that cannot change what an image shows. `torchvision` is its
    class there, if it has one, and `files` what that class reads. `hub` is the folder of the Parquet files in its
    repository on the Hugging Face Hub.
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
    torchvision: str = ""
    files: tuple[str, ...] = ()
    hub: str = ""


_IDX_FILES = tuple(f"{split}-{part}-ubyte" for split in ("train", "t10k") for part in ("images-idx3", "labels-idx1"))

# Means and standard deviations are the usual published ones, to four digits: MNIST as in PyTorch's own MNIST
# example; the others computed in the same way from the training images of the original files.
_MNIST = DatasetSpec(
    name="mnist",
    title="MNIST",
    channels=1,
    image_size=28,
    train_size=60_000,
    test_size=10_000,
    classes=tuple("0123456789"),
    mean=(0.1307,),
    std=(0.3081,),
    augmentation="none",
    reference="LeCun, Bottou, Bengio & Haffner 1998, Gradient-based learning applied to document recognition, "
    "Proceedings of the IEEE 86(11)",
    licence="CC BY-SA 3.0 (LeCun, Cortes, Burges)",
    torchvision="MNIST",
    files=tuple(f"MNIST/raw/{name}" for name in _IDX_FILES),
    hub="mnist",
)
_FASHION_MNIST = replace(
    _MNIST,
    name="fashion_mnist",
    title="Fashion-MNIST",
    classes=tuple("T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(",")),
    mean=(0.2860,),
    std=(0.3530,),
    reference="Xiao, Rasul & Vollgraf 2017, Fashion-MNIST: a novel image dataset for benchmarking machine learning "
    "algorithms, arXiv:1708.07747",
    licence="MIT (Zalando SE)",
    torchvision="FashionMNIST",
    files=tuple(f"FashionMNIST/raw/{name}" for name in _IDX_FILES),
    hub="fashion_mnist",
)
_FASHION_MNIST_MINI = replace(
    _FASHION_MNIST,
    name="fashion_mnist_mini",
    title="Fashion-MNIST, a sixth",
    train_size=10_000,
    test_size=2_000,
    torchvision="",
    files=(),
    hub="",
)
_CIFAR10 = DatasetSpec(
    name="cifar10",
    title="CIFAR-10",
    channels=3,
    image_size=32,
    train_size=50_000,
    test_size=10_000,
    classes=tuple("airplane automobile bird cat deer dog frog horse ship truck".split()),
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    augmentation="crop_flip",
    reference="Krizhevsky 2009, Learning multiple layers of features from tiny images, technical report",
    licence="no licence stated by its authors",
    torchvision="CIFAR10",
    files=tuple(
        f"cifar-10-batches-py/{name}"
        for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
    ),
    hub="plain_text",
)
_CIFAR100 = replace(
    _CIFAR10,
    name="cifar100",
    title="CIFAR-100",
    classes=tuple(
        """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
        camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
        dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
        leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
        otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road
        rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower
        sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
        willow_tree wolf woman worm""".split()
    ),
    mean=(0.5071, 0.4865, 0.4409),
    std=(0.2673, 0.2564, 0.2762),
    torchvision="CIFAR100",
    files=tuple(f"cifar-100-python/{name}" for name in ("train", "test", "meta")),
    hub="cifar100",
)
_SVHN = DatasetSpec(
    name="svhn",
    title="SVHN",
    channels=3,
    image_size=32,
    train_size=73_257,
    test_size=26_032,
    classes=tuple("0123456789"),
    mean=(0.4377, 0.4438, 0.4728),
    std=(0.1980, 0.2010, 0.1970),
    augmentation="crop",
    reference="Netzer, Wang, Coates, Bissacco, Wu & Ng 2011, Reading digits in natural images with unsupervised "
    "feature learning, NIPS workshop on deep learning",
    licence="for non-commercial use only",
    torchvision="SVHN",
    files=("train_32x32.mat", "test_32x32.mat"),
    hub="cropped_digits",
)
DATASETS: dict[str, DatasetSpec] = {
    spec.name: spec for spec in (_FASHION_MNIST_MINI, _MNIST, _FASHION_MNIST, _CIFAR10, _CIFAR100, _SVHN)
}


# --- names of one's own images ------------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnImages:
    """What a name "folder:PATH:size=N#FINGERPRINT" says; all but the path may be left out."""

    path: Path
    size: int | None
    fingerprint: str | None

    def __str__(self) -> str:
        size = f":size={self.size}" if self.size else ""
        return f"{FOLDER_PREFIX}{self.path}{size}{f'#{self.fingerprint}' if self.fingerprint else ''}"


def own_images(name: str) -> OwnImages | None:
    """What a name that `check_dataset` accepts says of one's own images; None for a published dataset.

    The path is tidied, not made absolute: "folder:./own/" is "folder:own". Only "." and ".." are, which name no folder.
    """
    if not name.startswith(FOLDER_PREFIX):
        return None
    text, size, fingerprint = _parts(name)
    path = Path(text)
    return OwnImages(path if path.name not in ("", "..") else path.resolve(), size and int(size), fingerprint)


def _parts(name: str) -> tuple[str, str | None, str | None]:
    pattern = r"(.*?)(?::size=([^:/]*?))?(?:#([0-9a-f]{16}))?"
    return re.fullmatch(pattern, name.removeprefix(FOLDER_PREFIX), re.DOTALL).groups()


def content(name: str) -> str:
    """What the full name of a dataset (see `identify`) says of what is in it, and not where that is."""
    own = own_images(name)
    return f"{FOLDER_PREFIX}{own.fingerprint}" if own else name


def short_name(name: str) -> str:
    """The name of a dataset as a name of a file can hold it: of one's own images, the last name of their folder."""
    own = own_images(name)
    if own is None:
        return name
    letters = re.sub(r"[^\w.-]+", "_", own.path.name).encode()[:LONGEST_SHORT_NAME].decode(errors="ignore")
    return f"folder_{letters or 'images'}"


def check_dataset(name: str) -> str:
    """Return `name` if it is one of `DATASETS` or "folder:PATH"; else raise `InputError`. Reads no file."""
    if not isinstance(name, str) or not name.startswith(FOLDER_PREFIX):
        return check_choice("dataset", name, (*DATASETS, f"{FOLDER_PREFIX}PATH"))
    path, size, _ = _parts(name)
    if path in ("", "PATH"):
        raise InputError(f"dataset: {name!r} needs the path of a folder with train/ and test/ in it")
    if size is not None and not (re.fullmatch("[0-9]{1,9}", size) and 1 <= int(size) <= LARGEST_SIDE):
        raise InputError(f"dataset: the size in {shown(name)} is not a whole number from 1 to {LARGEST_SIDE}")
    if not path.isprintable():
        raise InputError(
            f"dataset: {shown(name)} is not a path: it has characters that no name of a folder should have"
        )
    return name
