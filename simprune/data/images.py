"""One's own images: a folder of them, and one of them in 8-bit grey or RGB.

Files are not trusted: what the formats read here hold is pictures only, and none is decoded whose size, known from its
first bytes, is beyond what can be used.
"""

import os
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import normalize

import numpy as np

from simprune.data.registry import LARGEST_SIDE, OwnImages
from simprune.errors import InputError, check_path

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
IMAGE_FORMATS = ("PNG", "JPEG", "PPM", "BMP", "TIFF", "WEBP")
LARGEST_PHOTO = 64_000_000  # pixels of an image that is to be scaled
OTHER_SPLIT = {"train": "test", "test": "train"}

Arrays = tuple[np.ndarray, np.ndarray]  # images uint8 (n × c × h × w), labels int64 (n)


def corrupt(path: object, error: object, remedy: str = "put a whole copy in its place") -> InputError:
    """The refusal of a file that can't be read."""
    reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
    return InputError(f"data: {path} cannot be read ({reason}): {remedy}")


def read_folder(own: OwnImages) -> tuple[Arrays, Arrays, tuple[str, ...]]:
    """Training and test images with their labels, and the classes, sorted by name; grey if all images are, else RGB.

    Warns of files that are left out or shown otherwise than they are. Raises `InputError` for what can't be used.
    """
    folder, listed, left_out = list_folder(own)
    for split, other in OTHER_SPLIT.items():
        only, twin = (sorted(set(listed[a]) - set(listed[b])) for a, b in ((split, other), (other, split)))
        if only:
            hint = f"; {twin[0]!r} is only in {other}/: one class has one name" if twin else ""
            raise InputError(f"data: class {only[0]!r} is in only one of train/ and test/ of {folder}{hint}")
    classes = tuple(sorted(listed["train"]))
    if len(classes) < 2:
        raise InputError(f"data: {folder}/train has one class, {classes[0]!r}, where at least two are needed")
    changed, first, images, labels = Counter(), None, {}, {}
    for split, files in listed.items():
        images[split], labels[split] = [], np.repeat(np.arange(len(classes)), [len(files[cls]) for cls in classes])
        for path in (path for cls in classes for path in files[cls]):
            image = read_image(path, own, changed)
            first = first or (path, image.shape)
            if image.shape[:2] != first[1][:2]:
                (height, width), (first_height, first_width) = image.shape[:2], first[1][:2]
                raise InputError(
                    f"data: {path} is {height}×{width} pixels, where {first[0]} is {first_height}×{first_width}: all "
                    f"images must have one size; {_offer(own, min(height, width, first_height, first_width))}"
                )
            images[split].append(image)
    _say(own, {split: len(used) for split, used in images.items()}, left_out, changed)
    grey = all(image.ndim == 2 for used in images.values() for image in used)
    return *((_stack(images[split], grey), labels[split]) for split in OTHER_SPLIT), classes


def _stack(images: list[np.ndarray], grey: bool) -> np.ndarray:
    if grey:
        return np.stack(images)[:, None]
    coloured = (np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image for image in images)
    return np.stack(list(coloured)).transpose(0, 3, 1, 2)


def _say(own: OwnImages, used: dict[str, int], left_out: Counter, changed: Counter) -> None:
    """Warn of files that were left out or changed: how many, and why."""
    if left_out or changed:
        said = [f"{used['train']:,} training and {used['test']:,} test images are used"]
        said += [f"left out: {_counts(left_out)}"] if left_out else []
        said += [_counts(changed)] if changed else []
        warnings.warn(f"{OwnImages(own.path, own.size, None)}: {'; '.join(said)}", stacklevel=1)


def _counts(counter: Counter) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in sorted(counter.items()))


def _offer(own: OwnImages, size: int) -> str:
    return f"'{OwnImages(own.path, size, None)}' scales the middle square of each to {size}×{size}"


# --- files --------------------------------------------------------------------------------------------------


def list_folder(own: OwnImages) -> tuple[Path, dict[str, dict[str, list[Path]]], Counter]:
    """The folder of one's own images, its files by split and class, and how many are left out for each reason.

    Names of classes and the order of files are those of Unicode's composed form, as not every system keeps it.
    """
    folder, left_out = check_path("dataset", own.path), Counter()
    try:
        beside = [path.name for path in _visible(folder) if path.is_dir() and path.name not in OTHER_SPLIT]
        left_out.update(f"folder {name}/ beside train/ and test/" for name in beside)
        for split in OTHER_SPLIT:
            if not (folder / split).is_dir():
                found = f"; found: {', '.join(f'{name}/' for name in beside[:5])}" if beside else ""
                raise InputError(
                    f"data: {folder / split} is not a folder: images go to train/<class>/ and test/<class>/{found}"
                )
        return folder, {split: _list_split(folder / split, left_out) for split in OTHER_SPLIT}, left_out
    except OSError as error:
        raise corrupt(error.filename or folder, error.strerror or error, "give the right to read it") from error


def _visible(folder: Path) -> list[Path]:
    """What is in a folder, hidden files apart, sorted by name; nothing if there is no folder."""
    found = (path for path in folder.iterdir() if path.name[0] != ".") if folder.is_dir() else ()
    return sorted(found, key=lambda path: (normalize("NFC", path.name), path.name))


def _list_split(folder: Path, left_out: Counter) -> dict[str, list[Path]]:
    listed = {}
    for directory in _visible(folder):
        if not directory.is_dir():
            left_out["outside the folders of classes"] += 1
            continue
        files, others = [], Counter()
        for path in _visible(directory):
            if path.suffix.lower() in IMAGE_ENDINGS:
                if not path.is_file():  # a folder, a broken link, a device: reading it may never end
                    raise InputError(f"data: {path} is not a file")
                files.append(path)
            elif path.is_dir():
                others["in subfolders of classes"] += sum(len(names) for _, _, names in os.walk(path))
            else:
                others[path.suffix.lower() or "without an ending"] += 1
        others = +others  # those that are not 0
        if not files:
            found = f"; found: {_counts(others)}" if others else ""
            raise InputError(
                f"data: {directory} has no images ({', '.join(IMAGE_ENDINGS)}){found}: put some there, or remove it"
            )
        left_out += others
        listed.setdefault(normalize("NFC", directory.name), []).extend(files)
    if not listed:
        raise InputError(f"data: {folder} is empty: put the images of each class into a folder of its own there")
    return listed


# --- one image ----------------------------------------------------------------------------------------------


def read_image(path: Path, own: OwnImages, changed: Counter) -> np.ndarray:
    """The pixels of an image as it is shown: upright, on white, scaled where that is asked for.

    h × w if it is grey, else h × w × 3. `changed` counts images that are shown otherwise than they are.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            width, height = image.size
            if not own.size and max(width, height) > LARGEST_SIDE:
                needed = f"the largest that can be used is {LARGEST_SIDE}×{LARGEST_SIDE}"
                raise InputError(f"data: {path} is {height}×{width} pixels, where {needed}; {_offer(own, 32)}")
            if width * height > LARGEST_PHOTO:
                raise InputError(f"data: {path} is {height}×{width} pixels, more than {LARGEST_PHOTO:,} in all")
            if _is_deep(image):
                raise InputError(
                    f"data: {path} has more than 8 bits a channel, where 8-bit grey or RGB is needed: bring its values "
                    f"to 0 … 255 and save it again"
                )
            # Of a photograph, MPO has a preview beside it.
            several = image.format != "MPO" and getattr(image, "is_animated", False)
            if own.size:
                image.draft(None, (2 * own.size, 2 * own.size))  # of a JPEG no more is decoded than is of use
            image = _in_plain_mode(ImageOps.exif_transpose(image), path, changed)
            if own.size:
                image = ImageOps.fit(image, (own.size, own.size), Image.Resampling.BICUBIC)
            if several:
                changed["with more pictures than the first, which is used"] += 1
            return np.asarray(image)
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise corrupt(path, error, "make it smaller") from error
    except Exception as error:  # Pillow's plugins raise what they like
        raise corrupt(path, f"not a whole image in one of {', '.join(IMAGE_FORMATS)}") from error


def _is_deep(image: "Image") -> bool:
    """Whether an image has more than 8 bits a channel; Pillow cuts those of colours down to 8 in silence."""
    layout = image.tile[0].args if image.tile else ""
    if image.format == "TIFF":
        return max(image.tag_v2.get(258, (1,))) > 8  # BitsPerSample
    if image.format == "PPM" and isinstance(layout, tuple):
        return layout[1] > 255
    return image.mode.startswith(("I", "F")) or (image.format == "PNG" and ";16" in layout)


def _in_plain_mode(image: "Image", path: Path, changed: Counter) -> "Image":
    """An image in mode L or RGB, on white where it is transparent."""
    from PIL import Image

    grey, palette = image.mode in ("1", "L", "LA", "La"), image.mode in ("P", "PA")
    if image.has_transparency_data:
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        if image.getextrema()[3][0] < 255:
            on_white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            if _is_constant(on_white) and not _is_constant(image):
                raise InputError(
                    f"data: {path} shows nothing on white, on which transparent images are laid: save it without "
                    f"transparency, on a ground of your choice"
                )
            changed["with transparency, laid on white"] += 1
            image = on_white
    image = image.convert("L" if grey else "RGB")
    if palette and (bands := image.split())[0] == bands[1] == bands[2]:
        return bands[0]
    return image


def _is_constant(image: "Image") -> bool:
    return all(low == high for low, high in image.getextrema())
