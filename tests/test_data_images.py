"""Folders of images as people have them: what is read is what is shown, and what is left out is said."""

import os
import re
import struct
import unicodedata
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from simprune import data
from simprune.errors import InputError

SPLITS = ("train", "test")
random = np.random.default_rng(0)


def pixels(*shape: int) -> np.ndarray:
    return random.integers(0, 256, shape, dtype=np.uint8)


def put(file: Path, image: np.ndarray | Image.Image | bytes, **options) -> Path:
    """Write an image, or what is given as one; return its file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(image, bytes):
        file.write_bytes(image)
    else:
        (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, **options)
    return file


def put_all(folder: Path, make, ending="png", classes=("ant", "zebra"), count=2, **options) -> Path:
    """A folder of images, each made by `make()`."""
    for split in SPLITS:
        for cls in classes:
            for number in range(count):
                put(folder / split / cls / f"{number}.{ending}", make(), **options)
    return folder


def load(folder: Path, options: str = "") -> data.Dataset:
    """What is loaded with nothing to say."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return data.load(f"folder:{folder}{options}")


def load_said(folder: Path, options: str = "") -> tuple[data.Dataset, str]:
    """What is loaded, and what is said of it."""
    with pytest.warns(UserWarning) as caught:
        dataset = data.load(f"folder:{folder}{options}")
    assert len(caught) == 1
    return dataset, str(caught[0].message)


def refusal(folder: Path, options: str = "") -> str:
    """The message with which loading is refused: one sentence on one line."""
    with pytest.raises(InputError) as caught:
        data.load(f"folder:{folder}{options}")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def image_folder(tmp_path):
    """Two classes of 9×7 RGB images, two a class in each split."""
    return put_all(tmp_path / "own", lambda: pixels(9, 7, 3))


# --- folders and classes ------------------------------------------------------------------------------------


def test_a_folder_of_images_is_read_by_class_in_order_of_name(image_folder):
    put(image_folder / "train" / "ant" / "2.png", pixels(9, 7, 3))
    dataset = load(image_folder)
    assert dataset.classes == ("ant", "zebra")
    assert dataset.train_labels.tolist() == [0, 0, 0, 1, 1]
    assert dataset.test_labels.tolist() == [0, 0, 1, 1]
    assert dataset.test_labels.dtype == torch.int64
    assert (dataset.channels, dataset.image_size, dataset.n_classes) == (3, (9, 7), 2)
    assert (dataset.augmentation, dataset.source) == ("none", "folder")
    first = np.asarray(Image.open(image_folder / "train" / "ant" / "0.png"))
    assert np.array_equal(dataset.train_images[0].permute(1, 2, 0).numpy(), first)


def test_statistics_of_a_folder_are_those_of_its_training_images(image_folder):
    dataset = load(image_folder)
    scaled = dataset.train_images.double() / 255
    assert dataset.mean == pytest.approx(scaled.mean((0, 2, 3)).tolist())
    assert dataset.std == pytest.approx(scaled.std((0, 2, 3), correction=0).tolist())
    normalised = data.normalise(dataset.train_images, dataset.mean, dataset.std)
    assert normalised.mean((0, 2, 3)).abs().max() < 1e-6


def test_classes_of_both_splits_must_agree(image_folder):
    put(image_folder / "train" / "bee" / "0.png", pixels(9, 7, 3))
    assert "class 'bee' is in only one of train/ and test/" in refusal(image_folder)


@pytest.mark.parametrize("other", ["Zebra", "zebra\xa0", "zebras", "zebra\u200b"])
def test_a_class_of_two_names_is_named_by_both(other, image_folder):
    (image_folder / "test" / "zebra").rename(image_folder / "test" / other)
    message = refusal(image_folder)
    assert "class 'zebra' is in only one of train/ and test/" in message
    assert f"{other!r} is only in test/: one class has one name" in message


@pytest.mark.parametrize("name", ["café", "Ångström", "한국어", "tiếng Việt", "ﬁn", "q̣̇"])
def test_composed_and_decomposed_names_are_one_class(name, tmp_path):
    folder = put_all(tmp_path / "own", lambda: pixels(8, 8), classes=("x",))
    forms = [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
    for number, (split, form) in enumerate((split, form) for split in SPLITS for form in forms):
        put(folder / split / form / f"{number}.png", pixels(8, 8))
    dataset = load(folder)
    assert dataset.classes == tuple(sorted(["x", forms[0]]))
    assert dataset.train_labels.bincount().tolist() == dataset.test_labels.bincount().tolist() == [2, 2]


def test_images_are_the_same_in_whatever_form_a_system_keeps_their_names(tmp_path):
    images = [pixels(8, 8) for _ in range(8)]
    found = set()
    for form in ("NFC", "NFD"):
        for number, image in enumerate(images):
            name = unicodedata.normalize(form, ("éa", "ez", "ëb", "f")[number % 4])
            put(tmp_path / form / SPLITS[number // 4] / name / f"{name}.png", image)
            put(tmp_path / form / SPLITS[number // 4] / name / "eb.png", 255 - image)
        found.add(load(tmp_path / form).fingerprint)
    assert len(found) == 1


def test_an_empty_class_is_named_with_what_is_there(image_folder):
    (image_folder / "train" / "bee").mkdir()
    assert f"{image_folder / 'train' / 'bee'} has no images (.jpg" in refusal(image_folder)
    put(image_folder / "train" / "bee" / "0.avif", b"")
    put(image_folder / "train" / "bee" / "1.HEIC", b"")
    put(image_folder / "train" / "bee" / "more" / "0.png", b"")
    assert "; found: 1 .avif, 1 .heic, 1 in subfolders of classes: put" in refusal(image_folder)


def test_an_empty_or_missing_folder_is_named(tmp_path):
    assert f"{tmp_path / 'train'} is not a folder" in refusal(tmp_path)
    (tmp_path / "train").mkdir()
    (tmp_path / "Test").mkdir()
    assert refusal(tmp_path).endswith("images go to train/<class>/ and test/<class>/; found: Test/")
    (tmp_path / "test").mkdir()
    assert f"{tmp_path / 'train'} is empty" in refusal(tmp_path)


def test_a_folder_that_may_not_be_read_is_named(image_folder, monkeypatch):
    real = Path.iterdir

    def iterdir(path):
        if path.name == "zebra":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert f"{image_folder / 'train' / 'zebra'} cannot be read (Permission denied)" in refusal(image_folder)


def test_one_class_is_refused(tmp_path):
    assert "has one class, 'only'" in refusal(put_all(tmp_path, lambda: pixels(8, 8), classes=("only",)))


def test_constant_training_images_are_refused(tmp_path):
    folder = put_all(tmp_path, lambda: np.zeros((8, 8), np.uint8))
    assert "a channel that is the same everywhere" in refusal(folder)


@pytest.mark.parametrize("name", ["folder:", "folder:PATH", "folder::size=32", "folder:#0123456789abcdef"])
def test_a_folder_needs_a_path(name):
    with pytest.raises(InputError, match=f"dataset: '{name}' needs the path of a folder"):
        data.load(name)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "broken link"])
def test_what_is_called_an_image_and_is_no_file_is_refused_and_not_read(kind, image_folder):
    odd = image_folder / "test" / "zebra" / "9.png"
    if kind == "pipe" and not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    {
        "pipe": lambda: os.mkfifo(odd),
        "device": lambda: odd.symlink_to("/dev/zero"),
        "folder": odd.mkdir,
        "broken link": lambda: odd.symlink_to("nowhere"),
    }[kind]()
    for read in (data.load, data.state_of_files):
        with pytest.raises(InputError, match=re.escape(f"data: {odd} is not a file")):
            read(f"folder:{image_folder}")


# --- what is left out is said -------------------------------------------------------------------------------


def test_of_files_that_are_left_out_it_is_said_how_many_and_why(image_folder):
    for number in range(3):
        put(image_folder / "train" / "ant" / f"{number}.gif", pixels(9, 7, 3))
    put(image_folder / "test" / "zebra" / "0.jfif", b"")
    put(image_folder / "test" / "zebra" / "README", b"")
    put(image_folder / "test" / "zebra" / "more" / "deep" / "0.png", pixels(9, 7, 3))
    put(image_folder / "test" / "more" / "0.png", pixels(9, 7, 3)).rename(image_folder / "test" / "0.png")
    (image_folder / "test" / "more").rmdir()
    put(image_folder / "val" / "ant" / "0.png", pixels(9, 7, 3))
    for hidden in (".thumbnails/0.png", "train/.DS_Store", "train/ant/._0.png", "train/zebra/.ipynb_checkpoints/0.png"):
        put(image_folder / hidden, pixels(9, 7, 3).tobytes())
    dataset, said = load_said(image_folder)
    assert len(dataset.train_images) == len(dataset.test_images) == 4
    assert said == (
        f"folder:{image_folder}: 4 training and 4 test images are used; left out: 3 .gif, 1 .jfif, "
        f"1 folder val/ beside train/ and test/, 1 in subfolders of classes, 1 outside the folders of classes, "
        f"1 without an ending"
    )


@pytest.mark.parametrize(("ending", "form"), [("tif", "TIFF"), ("png", "PNG"), ("webp", "WEBP")])
def test_of_several_pictures_in_a_file_the_first_is_used_and_that_is_said(ending, form, image_folder):
    first, *others = (Image.fromarray(pixels(9, 7, 3)) for _ in range(3))
    file = image_folder / "test" / "zebra" / f"9.{ending}"
    put(file, first, save_all=True, append_images=others, lossless=True)
    dataset, said = load_said(image_folder)
    assert np.array_equal(dataset.test_images[-1].permute(1, 2, 0), first)
    assert said.endswith("; 1 with more pictures than the first, which is used")


def test_the_preview_beside_a_photograph_is_nothing_to_speak_of(image_folder):
    photograph, preview = (Image.fromarray(pixels(9, 7, 3)) for _ in range(2))
    put(image_folder / "test" / "ant" / "9.jpg", photograph, format="MPO", save_all=True, append_images=[preview])
    assert len(load(image_folder).test_images) == 5


# --- what an image shows ------------------------------------------------------------------------------------


def test_a_grey_folder_has_one_channel_and_a_mixed_one_three(tmp_path):
    grey = pixels(8, 8)
    folder = put_all(tmp_path, lambda: grey)
    assert load(folder).train_images.shape == (4, 1, 8, 8)
    put(folder / "test" / "zebra" / "9.bmp", pixels(8, 8, 3))
    mixed = load(folder)
    assert mixed.train_images.shape == (4, 3, 8, 8)
    assert np.array_equal(mixed.train_images[0].numpy(), np.repeat(grey[None], 3, axis=0))


def test_a_palette_of_greys_is_grey(tmp_path):
    palette = Image.fromarray(pixels(8, 8), "P")
    palette.putpalette([level for level in range(255, -1, -1) for _ in range(3)])
    dataset = load(put_all(tmp_path, lambda: palette))
    assert dataset.channels == 1 and np.array_equal(dataset.train_images[0, 0], 255 - np.asarray(palette))


def square_in_alpha(mode: str, colour: str = "black") -> Image.Image:
    """A square that is the visible part of an image of one colour."""
    alpha = np.zeros((8, 8), np.uint8)
    alpha[2:5, 3:6] = 255
    image = Image.new("RGB", (8, 8), colour)
    image.putalpha(Image.fromarray(alpha))
    return image.convert(mode)


@pytest.mark.parametrize("mode, ending", [("RGBA", "png"), ("LA", "png"), ("RGBA", "tif"), ("RGBA", "webp")])
def test_a_shape_that_is_held_in_alpha_is_seen_on_white(mode, ending, tmp_path):
    dataset, said = load_said(put_all(tmp_path, lambda: square_in_alpha(mode), ending, lossless=True))
    expected = np.full((8, 8), 255)
    expected[2:5, 3:6] = 0
    assert np.array_equal(dataset.train_images[0, 0], expected)
    assert dataset.channels == (1 if mode == "LA" else 3)
    assert said.endswith("4 training and 4 test images are used; 8 with transparency, laid on white")


def test_partly_transparent_colours_are_mixed_with_white(tmp_path):
    colours = np.concatenate([pixels(8, 8, 3), pixels(8, 8, 1)], axis=2)
    dataset, _ = load_said(put_all(tmp_path, lambda: Image.fromarray(colours)))
    alpha = colours[..., 3:] / 255
    mixed = alpha * colours[..., :3] + (1 - alpha) * 255
    assert np.abs(dataset.train_images[0].permute(1, 2, 0).numpy() - mixed).max() <= 1


@pytest.mark.parametrize("mode", ["RGB", "P", "L", "1"])
def test_a_colour_that_stands_for_transparency_becomes_white(mode, tmp_path):
    levels = np.kron([[0, 1], [1, 2]], np.ones((4, 4))).astype(np.uint8)
    image = Image.fromarray(levels, "P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    folder = put_all(tmp_path, lambda: pixels(8, 8))
    first = folder / "train" / "ant" / "0.png"
    put(first, image if mode == "P" else image.convert(mode), transparency=(0, 0, 0) if mode == "RGB" else 0)
    dataset, said = load_said(folder)
    shown = dataset.train_images[0, :, [0, 0, 7], [0, 7, 7]]  # what was black, red and blue
    assert said.endswith("; 1 with transparency, laid on white")
    if mode in ("RGB", "P"):
        assert shown.T.tolist() == [[255, 255, 255], [255, 0, 0], [0, 0, 255]]
    else:
        assert shown[0, 0] == 255 and (mode == "1" or shown[0].tolist() == [255, 76, 29])


def test_an_opaque_alpha_channel_changes_nothing(tmp_path):
    image = pixels(8, 8, 3)
    opaque = Image.fromarray(image)
    opaque.putalpha(255)
    assert np.array_equal(load(put_all(tmp_path, lambda: opaque)).train_images[0].permute(1, 2, 0), image)


def test_a_white_shape_that_white_would_swallow_is_refused(image_folder):
    odd = put(image_folder / "train" / "ant" / "0.png", square_in_alpha("RGBA", "white"))
    assert f"{odd} shows nothing on white" in refusal(image_folder)


def test_an_empty_image_may_be_empty(tmp_path):
    folder = put_all(tmp_path, lambda: pixels(8, 8))
    put(folder / "train" / "ant" / "0.png", Image.new("RGBA", (8, 8)))
    assert load_said(folder)[0].train_images[0].min() == 255


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_images_are_turned_as_their_exif_data_say(ending, tmp_path):
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :12], upright[8:, 12:] = 255, 128  # no two of the eight ways of holding it are alike
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }
    for orientation, image in stored.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        for split in SPLITS:
            file = tmp_path / split / "ab"[orientation % 2] / f"{orientation}.{ending}"
            put(file, np.ascontiguousarray(image), exif=exif, **({"lossless": True} if ending == "webp" else {}))
    images = load(tmp_path).train_images
    assert images.shape == (8, 3, 16, 24)
    assert (images.permute(0, 2, 3, 1).int() - torch.tensor(upright).int()).abs().max() < 20  # JPEG has losses


# --- depth --------------------------------------------------------------------------------------------------


def deep_png(image: np.ndarray) -> bytes:
    """A PNG file of 16 bits a channel: grey, grey and alpha, RGB or RGBA."""
    height, width, channels = image.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in image)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def deep_tiff(image: np.ndarray) -> bytes:
    """A TIFF file of 16 bits a channel, grey or RGB."""
    height, width, channels = image.shape
    content = image.astype("<u2").tobytes()
    depths = struct.pack(f"<{channels}H", *[16] * channels)
    end = 8 + len(content)
    place = struct.pack("<I", end) if channels > 1 else struct.pack("<HH", 16, 0)
    short = {256: width, 257: height, 259: 1, 262: 2 if channels > 1 else 1, 277: channels, 278: height}
    tags = {tag: struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in short.items()}
    tags[258] = struct.pack("<HHI", 258, 3, channels) + place
    tags |= {tag: struct.pack("<HHII", tag, 4, 1, value) for tag, value in ((273, 8), (279, len(content)))}
    directory = struct.pack("<H", len(tags)) + b"".join(tags[tag] for tag in sorted(tags)) + bytes(4)
    return b"II*\0" + struct.pack("<I", end + len(depths)) + content + depths + directory


def deep_ppm(image: np.ndarray) -> bytes:
    height, width, channels = image.shape
    return f"P{6 if channels > 1 else 5} {width} {height} 65535\n".encode() + image.astype(">u2").tobytes()


@pytest.mark.parametrize("largest", [255, 4095, 65535])
@pytest.mark.parametrize(
    ("write", "ending", "channels"),
    [(deep_png, "png", n) for n in (1, 2, 3, 4)]
    + [(write, ending, n) for write, ending in ((deep_tiff, "tif"), (deep_ppm, "ppm")) for n in (1, 3)],
)
def test_more_than_8_bits_are_refused_in_colour_as_in_grey(write, ending, channels, largest, image_folder):
    image = random.integers(0, largest + 1, (9, 7, channels))
    odd = put(image_folder / "train" / "ant" / f"0.{ending}", write(image))
    (image_folder / "train" / "ant" / "0.png").unlink() if ending != "png" else None
    assert f"{odd} has more than 8 bits a channel, where 8-bit grey or RGB is needed" in refusal(image_folder)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_whole_and_real_numbers_are_no_pixels(mode, image_folder):
    odd = put(image_folder / "train" / "ant" / "9.tif", Image.new(mode, (7, 9)))
    assert f"{odd} has more than 8 bits a channel" in refusal(image_folder)


def test_fewer_than_8_bits_are_brought_to_the_whole_range(tmp_path):
    levels = random.integers(0, 16, (8, 8), dtype=np.uint8)
    folder = put_all(tmp_path, lambda: b"P5 8 8 15\n" + levels.tobytes(), "pgm")
    assert np.array_equal(load(folder).train_images[0, 0], levels * 17)
    put_all(tmp_path, lambda: Image.fromarray(levels > 7), "pgm.png")
    assert set(load(folder).train_images[1].unique().tolist()) == {0, 255}


# --- sizes --------------------------------------------------------------------------------------------------


def test_an_image_of_another_size_is_named_with_the_way_to_scale(image_folder):
    odd = put(image_folder / "test" / "ant" / "0.png", pixels(9, 8, 3))
    message = refusal(image_folder)
    first = image_folder / "train" / "ant" / "0.png"
    assert f"{odd} is 9×8 pixels, where {first} is 9×7: all images must have one size" in message
    offered = message.partition("'folder:")[2].partition("'")[0]
    assert offered == f"{image_folder}:size=7"
    assert data.load(f"folder:{offered}").image_size == (7, 7)


def test_the_middle_square_of_each_image_is_scaled(tmp_path):
    wide = np.zeros((40, 100, 3), np.uint8)
    wide[:, 30:50], wide[:, 50:70] = 200, 100  # its middle square has two halves
    tall = np.ascontiguousarray(wide.transpose(1, 0, 2))
    for number, image in enumerate((wide, tall, wide[::2, ::2], np.kron(tall, np.ones((30, 30, 1), np.uint8)))):
        for split in SPLITS:
            put(tmp_path / split / "ab"[number % 2] / f"{number}.png", np.ascontiguousarray(image))
    assert "all images must have one size" in refusal(tmp_path)
    dataset = load(tmp_path, ":size=10")
    assert dataset.image_size == (10, 10) and len(dataset.train_images) == 4
    for image, halves in zip(dataset.train_images, (2, 2, 1, 1), strict=True):
        means = [half.float().mean().item() for half in image.split(5, dim=halves)]
        assert means == pytest.approx([200, 100], abs=8)


def test_photographs_are_scaled_as_they_are_held(tmp_path):
    smooth = np.add.outer(np.arange(600), np.arange(800))[..., None] * np.array([0.18, 0.1, 0.05])
    exif = Image.Exif()
    exif[0x0112] = 3
    put_all(tmp_path, lambda: smooth[::-1, ::-1].astype(np.uint8), "jpg", exif=exif, quality=95)
    small = load(tmp_path, ":size=20").train_images[0].permute(1, 2, 0).double().numpy()
    means = smooth[:, 100:700].reshape(20, 30, 20, 30, 3).mean((1, 3))
    assert np.abs(small - means).max() < 4


@pytest.mark.parametrize("size", ["0", "1025", "-1", "32x32", "", "1e2", "٣٢", "9" * 5000])
def test_a_size_that_is_none_is_refused(size, image_folder):
    assert "is not a whole number from 1 to 1024" in refusal(image_folder, f":size={size}")


def test_the_size_is_part_of_what_the_data_are(image_folder):
    plain, small, smaller = (data.identify(f"folder:{image_folder}{size}") for size in ("", ":size=7", ":size=06"))
    assert small.startswith(f"folder:{image_folder}:size=7#") and smaller.startswith(f"folder:{image_folder}:size=6#")
    assert len({data.content(name) for name in (plain, small, smaller)}) == 3
    assert len({data.state_of_files(name) for name in (plain, small, smaller)}) == 3
    assert data.load(small).image_size == (7, 7) and data.identify(small) == small
    assert {data.short_name(name) for name in (plain, small, smaller)} == {"folder_own"}


@pytest.mark.parametrize("options", ["", ":size=8"])
def test_an_image_that_claims_to_be_enormous_is_refused_unread(options, image_folder):
    enormous = deep_png(np.zeros((1, 1, 1)))
    for width, height in ((60_000, 60_000), (10_000, 10_000), (2**31 - 1, 1)):
        header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        claims = enormous[:12] + header + struct.pack(">I", zlib.crc32(header)) + enormous[33:]
        odd = put(image_folder / "train" / "ant" / "0.png", claims)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert str(odd) in refusal(image_folder, options)


def test_a_file_that_is_no_image_is_named(image_folder):
    bad = image_folder / "train" / "ant" / "bad.png"
    bad.write_bytes((image_folder / "train" / "ant" / "0.png").read_bytes()[:60])
    assert f"{bad} cannot be read" in refusal(image_folder)
    put(bad, pixels(9, 7, 3), format="GIF")
    assert f"{bad} cannot be read (not a whole image in one of PNG, JPEG" in refusal(image_folder)
