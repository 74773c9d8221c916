"""Datasets from files: the embedded one, torchvision's files, Parquet files, folders of one's own images."""

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from simprune.data.batches import AUGMENTATIONS, Dataset
from simprune.data.images import IMAGE_FORMATS, Arrays, corrupt, list_folder, read_folder
from simprune.data.registry import DATASETS, DatasetSpec, OwnImages, check_dataset, own_images
from simprune.errors import InputError, check_path

EMBEDDED_FILE = Path(__file__).parents[1] / "datasets" / "fashion_mnist_mini.npz"
LARGEST_ENCODED_PIXEL = 32  # bytes; a stored image takes far fewer for a pixel
# Part of the state of one's own images: raise it when a change of the code changes what is read from a file.
OWN_IMAGES_READING = 2


def load(name: str, root: str | Path | None = None, *, download: bool = False) -> Dataset:
    """Load a dataset of `DATASETS`, or one's own images as "folder:PATH".

    `root` is the folder that holds the data; `None` means the environment variable SIMPRUNE_DATA. In it are
    looked for, in this order, torchvision's files and the Parquet files of the Hugging Face Hub (under <root>/<name>,
    as its repositories lay them out). With `download`, files that are not there are fetched into `root`.
    The embedded fashion_mnist_mini needs no root.

    A folder of images holds `train/<class>/*` and `test/<class>/*`, all images of one size, or any where the name ends
    in ":size=N": then the middle square of each is scaled to N × N. They become grey if all are, else RGB, upright as
    their EXIF data say, and on white where they are transparent. Classes are sorted by name, the statistics are
    those of the training images, and there is no augmentation. Where the name ends in "#" and a fingerprint, as that of
    an experiment does, the images must be those. A warning says which files are left out.

    Raises `InputError` for an unknown name and for data that are missing, incomplete, corrupt or unfit.
    """
    read, _ = _source(name, root, download)
    return read()


def state_of_files(name: str, root: str | Path | None = None) -> str:
    """Checksum of the paths of the files that `load` would read and of what is in them, decoding none.

    Where it is the same, so is the fingerprint. Their times of change do not count: they may stay the same when a file
    is replaced, or the clock be set back. Raises `InputError` where there is nothing to load.
    """
    _, files = _source(name, root)
    own = own_images(name)
    digest = hashlib.sha256(f"{OWN_IMAGES_READING} {own.size}\n".encode() if own else b"")
    for file in files:
        try:
            with open(file, "rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise corrupt(file, error.strerror or error) from error
        digest.update(f"{file.resolve()}\0{content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def identify(name: str) -> str:
    """The full name of a dataset, for one's own images "folder:PATH#FINGERPRINT", which says what is in them.

    Images are read to know their fingerprint, unless it stands in the name already. Raises `InputError` where there is
    nothing to read.
    """
    own = own_images(check_dataset(name))
    return str(replace(own, fingerprint=own.fingerprint or load(name).fingerprint)) if own else name


def _source(name: str, root: str | Path | None, download: bool = False) -> tuple[Callable[[], Dataset], list[Path]]:
    """What reads a dataset, and the files that it reads."""
    own = own_images(check_dataset(name))
    if own:
        _, listed, _ = list_folder(own)
        return partial(_load_own, own), [
            file for split in listed.values() for files in split.values() for file in files
        ]
    spec = DATASETS[name]
    if name == "fashion_mnist_mini":
        return partial(_load_embedded, spec), [EMBEDDED_FILE]
    place = _data_root(name, root, download)
    found = _torchvision_place(spec, place)
    shards = None if found else _find_parquet(spec, place)
    if shards:
        return partial(_load_parquet, spec, shards), [file for files in shards.values() for file in files]
    if not found and download and spec.files:
        found = _download(spec, place)
    if not found:
        raise _missing(spec, place)
    return partial(_load_torchvision, spec, found), [found / file for file in spec.files]


# --- putting a dataset together -----------------------------------------------------------------------------


def _from_spec(spec: DatasetSpec, train: Arrays, test: Arrays, source: str, where: Path) -> Dataset:
    shape = (spec.channels, spec.image_size, spec.image_size)
    for split, (images, labels), published in (("train", train, spec.train_size), ("test", test, spec.test_size)):
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
                stacklevel=4,
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


# --- one's own images ---------------------------------------------------------------------------------------


def _load_own(own: OwnImages) -> Dataset:
    train, test, classes = read_folder(own)
    mean, std = statistics(train[0])
    if min(std) == 0:
        raise InputError(f"data: the training images in {own.path} have a channel that is the same everywhere")
    dataset = _dataset(str(own), train, test, classes, mean, std, AUGMENTATIONS[0], source="folder")
    if own.fingerprint not in (None, dataset.fingerprint):
        raise InputError(
            f"data: the images in {own.path} are not those of this experiment any more (their fingerprint is "
            f"{dataset.fingerprint}, not {own.fingerprint}); make the experiment again from "
            f"{replace(own, fingerprint=None)}"
        )
    return dataset


def statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 images (n × c × h × w), on the scale 0 to 1."""
    levels = np.arange(256) / 255
    means, stds = [], []
    for channel in range(images.shape[1]):
        shares = np.bincount(images[:, channel].ravel(), minlength=256) / images[:, channel].size
        means.append(float(shares @ levels))
        stds.append(float(np.sqrt(shares @ (levels - means[-1]) ** 2)))
    return tuple(means), tuple(stds)


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
        raise corrupt(EMBEDDED_FILE, error, "install simprune again") from error
    return _from_spec(spec, train, test, "embedded", EMBEDDED_FILE)


# --- published datasets, from a data root -------------------------------------------------------------------

_REFETCH = "delete it and add --download, or put a whole copy in its place"


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


def _torchvision_roots(spec: DatasetSpec, root: Path) -> tuple[Path, ...]:
    # SVHN's files have no folder of their own in torchvision's layout; <root>/svhn is a tidier place.
    return (root, root / "svhn") if spec.name == "svhn" else (root,)


def _torchvision_place(spec: DatasetSpec, root: Path) -> Path | None:
    """The folder under which all of torchvision's files lie."""
    places = _torchvision_roots(spec, root) if spec.files else ()
    return next((place for place in places if all((place / file).exists() for file in spec.files)), None)


def _missing(spec: DatasetSpec, root: Path) -> InputError:
    hub = f"{root / spec.name}/{{train,test}}-*.parquet"
    if not spec.files:
        return InputError(f"data: {hub} are missing: put the files of the Hugging Face Hub there")
    # Where some of the files are there, the one that is missing is worth naming.
    places = _torchvision_roots(spec, root)
    place = next((p for p in places if any((p / file).exists() for file in spec.files)), places[-1])
    missing = next(place / file for file in spec.files if not (place / file).exists())
    return InputError(
        f"data: {missing} is missing: add --download to fetch {spec.name}, or put torchvision's files there, "
        f"or the Hugging Face Hub's at {hub}"
    )


def _download(spec: DatasetSpec, root: Path) -> Path:
    """Fetch torchvision's files; return the folder under which they lie."""
    place = _torchvision_roots(spec, root)[-1]
    try:
        place.mkdir(parents=True, exist_ok=True)
        for _ in _torchvision_splits(spec, place, download=True):
            if _torchvision_place(spec, place):  # most classes fetch both splits at once
                break
    except Exception as error:  # no network, no rights, no space, a server's page in place of the file
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"data: {spec.name} could not be downloaded into {place} ({reason})") from error
    return place


def _torchvision_splits(spec: DatasetSpec, place: Path, **options) -> Iterator:
    """Torchvision's dataset of the training images, then that of the test images."""
    from torchvision import datasets

    for split in ("train", "test"):
        which = {"split": split} if spec.torchvision == "SVHN" else {"train": split == "train"}
        yield getattr(datasets, spec.torchvision)(place, **which, **options)


def _load_torchvision(spec: DatasetSpec, place: Path) -> Dataset:
    read = _read_idx if spec.files[0].endswith("-ubyte") else _read_checked
    return _from_spec(spec, *read(spec, place), "torchvision files", (place / spec.files[0]).parent)


def _read_idx(spec: DatasetSpec, place: Path) -> list[Arrays]:
    from torchvision.datasets.mnist import read_image_file, read_label_file

    read = []
    for path in (place / file for file in spec.files):
        size = 16 + (spec.train_size if "train" in path.name else spec.test_size) * spec.image_size**2
        if path.stat().st_size > size:
            raise corrupt(path, f"larger than the {size:,} bytes of the published file", _REFETCH)
        try:
            read.append((read_image_file if "images" in path.name else read_label_file)(str(path)).numpy())
        except Exception as error:  # the reader asserts, unpacks and reshapes what it finds
            raise corrupt(path, "not a whole IDX file", _REFETCH) from error
    train_images, train_labels, test_images, test_labels = read
    return [(train_images[:, None], train_labels), (test_images[:, None], test_labels)]


def _read_checked(spec: DatasetSpec, place: Path) -> list[Arrays]:
    """Read CIFAR-10, CIFAR-100 or SVHN; torchvision compares their files with the published checksums."""
    try:
        splits = _torchvision_splits(spec, place)
        if spec.torchvision == "SVHN":
            return [(split.data, np.asarray(split.labels, dtype=np.int64)) for split in splits]
        return [(split.data.transpose(0, 3, 1, 2), np.asarray(split.targets, np.int64)) for split in splits]
    except Exception as error:  # torchvision says only that something is wrong somewhere
        bad = _first_bad_file(spec, place)
        if bad is None:
            raise corrupt((place / spec.files[0]).parent, error, _REFETCH) from error
        raise corrupt(bad, "its checksum is not the published one", _REFETCH) from error


def _first_bad_file(spec: DatasetSpec, place: Path) -> Path | None:
    from torchvision import datasets
    from torchvision.datasets.utils import check_integrity

    known = getattr(datasets, spec.torchvision)
    if spec.torchvision == "SVHN":
        listed = [known.split_list[split][1:] for split in ("train", "test")]
    else:
        listed = [*known.train_list, *known.test_list, (known.meta["filename"], known.meta["md5"])]
        place = place / known.base_folder
    return next((place / name for name, md5 in listed if not check_integrity(place / name, md5)), None)


# --- Parquet files of the Hugging Face Hub ------------------------------------------------------------------


def _find_parquet(spec: DatasetSpec, root: Path) -> dict[str, list[Path]] | None:
    """The files of both splits, as repositories of the Hub and its cache lay them out.

    <folder>/train-00000-of-00001.parquet, <folder>/train.parquet or <folder>/train/0000.parquet, where the folder is
    that of the dataset or one in it, called after the configuration, "default" or "data".
    """
    homes = (root / spec.name, *sorted(root.glob(f"datasets--*--{spec.name}/snapshots/*")))
    for folder in (home / name for home in homes for name in dict.fromkeys(("", spec.hub, "data", "default"))):
        shards = {
            split: sorted(folder.glob(f"{split}-*.parquet"))
            or sorted(folder.glob(f"{split}.parquet"))
            or sorted((folder / split).glob("*.parquet"))
            for split in ("train", "test")
        }
        if not any(shards.values()):
            continue
        for split, paths in shards.items():
            if not paths:
                raise InputError(f"data: {folder}/{split}-*.parquet is missing: put it beside the other split")
            _check_shards(paths)
        return shards
    return None


def _check_shards(paths: list[Path]) -> None:
    """Of shards called <split>-00002-of-00005.parquet all five must be there; of 0002.parquet all before."""
    there = [path.name for path in paths]
    for path in paths:
        match = re.fullmatch(r"(.*?-)?(\d+)-of-(\d+)[.-].*", path.name) or re.fullmatch(
            r"()(\d+)()\.parquet", path.name
        )
        if match:
            stem, digits, total = match.groups(default="")
            for number in range(int(total or digits)):
                start = f"{stem}{number:0{len(digits)}d}" + f"-of-{total}" * bool(total)
                if not any(name.startswith((f"{start}.", f"{start}-")) for name in there):
                    raise InputError(f"data: {path.parent / start}.parquet is missing: put it beside the other shards")


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
        raise corrupt(path, error) from error
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
    from PIL import Image

    side, mode = spec.image_size, "L" if spec.channels == 1 else "RGB"
    images = np.empty((len(encoded), side, side, spec.channels), dtype=np.uint8)
    for row, item in enumerate(encoded):  # threads gain nothing: images this small are mostly overhead
        try:
            with Image.open(BytesIO(item), formats=IMAGE_FORMATS) as image:
                width, height = image.size
                if (width, height) == (side, side):  # else it is not decoded
                    images[row] = np.asarray(image.convert(mode)).reshape(images.shape[1:])
        except Exception as error:  # Pillow's plugins raise what they like
            raise corrupt(path, f"row {row} is not an image") from error
        if (width, height) != (side, side):
            raise InputError(
                f"data: {path}, row {row}, is {height}×{width} pixels, where {spec.name} has {side}×{side}"
            )
    return images.transpose(0, 3, 1, 2)
