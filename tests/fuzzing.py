"""Random input for the public interfaces, and what may come of it: a result, or one clear sentence.

Each `check_*` takes an empty folder and one random input. `INTERFACES`, at the end, is the table of them:
`tests/test_fuzz.py` gives each a seeded sample, the slow lane many.
"""

import io
import json
import os
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torchvision.datasets  # noqa: F401  (before any clock runs)
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from test_pruning import Attention
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import simprune
import simprune.book  # here, so that no command line waits for it
from simprune import data, studies, study
from simprune.cli import main
from simprune.comparison import REFERENCES, compare
from simprune.data import DATASETS, Dataset
from simprune.errors import InputError
from simprune.experiment import PROFILES, Experiment
from simprune.measures import MEASURES
from simprune.models import ARCHITECTURES
from simprune.networks import compare_networks
from simprune.notebook import CHECKS, check_parameters
from simprune.pruning import CRITERIA, SCOPES
from simprune.representations import VIEWS
from simprune.retraining import RETRAINING
from simprune.store import Checkpoint, SeedResult, Store
from simprune.training import SCHEDULES

SECONDS = 2


@contextmanager
def refused_or_done():
    """What is not a result is an `InputError` of one sentence, and both come soon; warnings are no matter."""
    clock = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except InputError as error:
            sentence(str(error))
    # Of this process alone: the machine may be busy with others.
    assert time.process_time() - clock < SECONDS


def sentence(text: str) -> None:
    """The text is a sentence that starts with the field that is wrong."""
    assert text.strip() and "\n" not in text.strip() and "Traceback" not in text, text
    assert len(text) < 2000, text


# Values of any kind -------------------------------------------------------------------------------------------------

ODD = [None, True, float("nan"), float("inf"), -1, 0, 1, 10**30, -(10**30), 0.5, 1e-320, "", "all", "0", "\0", "ß"]
ODD += ["\udcff", b"bytes", (), [], {}, {1, 2}, [[]], np.int64(3), np.float32(0.2), np.array([1, 2]), torch.tensor(1)]
ODD += [Fraction(1, 3), 1j, object(), print, range(3), range(10**9), "x" * 10_000, [None], ["nbs", None], [0.5]]
ODD += ["folder:", "folder:\0", "folder:" + "a" * 5000, "folder:.", "folder:/", "folder:nowhere\nnowhere", ["\ud800"]]
ODD += ["--", "-1", [10**30]]
NAMES = [*ARCHITECTURES, *DATASETS, *PROFILES, *CRITERIA, *SCOPES, *RETRAINING, *SCHEDULES, *VIEWS, *REFERENCES]
NAMES += [*list(MEASURES)[:6], *data.AUGMENTATIONS]
anything = st.one_of(
    st.sampled_from(ODD),
    st.sampled_from(NAMES),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.lists(st.one_of(st.sampled_from(NAMES), st.integers(), st.text(max_size=5)), max_size=4),
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda children: st.one_of(
        st.lists(children, max_size=3), st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = {
    "architecture": st.sampled_from(list(ARCHITECTURES)),
    "dataset": st.sampled_from(list(DATASETS)),
    "profile": st.sampled_from(list(PROFILES)),
    "seeds": st.lists(st.integers(0, 2**31), min_size=1, max_size=3),
    "criterion": st.sampled_from(list(CRITERIA)),
    "scope": st.sampled_from(list(SCOPES)),
    "retraining": st.sampled_from(list(RETRAINING)),
    "rewind_step": st.integers(0, 1000),
    "one_shot": st.booleans(),
    "keep_output": st.booleans(),
    "rate": st.floats(0, 1),
    "levels": st.integers(0, 10**12),
    "width": st.floats(0, 20),
    "epochs": st.integers(0, 10**6),
    "train_size": st.integers(0, 10**6),
    "batch_size": st.integers(0, 10**6),
    "learning_rate": st.floats(0, 2),
    "momentum": st.floats(0, 1),
    "weight_decay": st.floats(0, 1),
    "schedule": st.sampled_from(SCHEDULES),
    "augmentation": st.sampled_from(data.AUGMENTATIONS),
    "probe_size": st.integers(0, 10**5),
    "views": st.lists(st.sampled_from(VIEWS), max_size=3),
    "measures": st.lists(st.sampled_from(list(MEASURES)), max_size=3),
    "references": st.lists(st.sampled_from(REFERENCES), max_size=3),
}
experiments = st.fixed_dictionaries({}, optional={name: st.one_of(value, anything) for name, value in FIELDS.items()})
likely_experiments = st.fixed_dictionaries({}, optional=FIELDS)


def check_experiment(place: Path, fields: dict) -> None:
    """An experiment, or a refusal; an experiment has a name that is one folder's, and survives its JSON."""
    with refused_or_done():
        experiment = Experiment(**fields)
        assert Experiment.from_json(experiment.to_json()) == experiment
        assert "/" not in experiment.name and "\0" not in experiment.name and len(os.fsencode(experiment.name)) < 240
        experiment.network_key(0), experiment.network_key(1)


@st.composite
def texts(draw):
    """The JSON of an experiment with other values, other names or other text in it."""
    fields = json.loads(Experiment().to_json()) | draw(st.dictionaries(st.sampled_from(list(FIELDS)), json_values))
    if draw(st.booleans()):
        fields |= draw(st.dictionaries(st.text(max_size=8), json_values, max_size=2))
    text = json.dumps(fields)
    cut = draw(st.one_of(st.just(len(text)), st.integers(0, len(text))))
    return draw(st.sampled_from([text[:cut], json.dumps(draw(json_values)), "[" * 10**5, "9" * 5000, "", "\0"]))


def check_json(place: Path, text: str) -> None:
    """An experiment from text, or a refusal."""
    with refused_or_done():
        assert isinstance(Experiment.from_json(text), Experiment)


# Arrays -------------------------------------------------------------------------------------------------------------

DTYPES = ["f2", "f4", "f8", ">f8", "i1", "i8", "u2", "u8", "?", "c8", "M8[s]", "U3", "O"]
EXTREMES = [0, 1, -1, 1e-300, 1e300, 1e-45, np.nan, np.inf, -np.inf, 255, 2**62]


@st.composite
def arrays(draw):
    """Arrays of every kind and shape, some of them no activations at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(anything)
    shape = draw(st.lists(st.integers(0, 12), min_size=0, max_size=5).map(tuple))
    if draw(st.booleans()):
        shape = (draw(st.integers(2, 12)), draw(st.integers(1, 8)))
    values = np.random.default_rng(draw(st.integers(0, 2**32))).standard_normal(shape)
    if draw(st.integers(0, 3)) == 0 and values.size:
        extremes = draw(st.lists(st.sampled_from(EXTREMES), min_size=1, max_size=3))
        values = (
            np.resize(np.array(extremes), shape) if draw(st.booleans()) else np.where(values > 0.5, extremes[0], values)
        )
    if draw(st.integers(0, 3)) == 0:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                values = values.astype(draw(st.sampled_from(DTYPES)))
            except (ValueError, TypeError, OverflowError):
                pass
    if draw(st.integers(0, 5)) == 0 and values.ndim > 1:
        values = values.swapaxes(0, 1)[::-1]
    if draw(st.integers(0, 5)) == 0:
        try:
            return torch.as_tensor(np.array(values))
        except (TypeError, ValueError):
            return values.tolist()
    if draw(st.integers(0, 3)) == 0 and values.ndim == 2:
        return draw(frames(values))
    return values


@st.composite
def frames(draw, values):
    """A DataFrame of a matrix: with an index or none, rows in any order, columns of several types."""
    frame = pd.DataFrame(values)
    labels = draw(st.sampled_from(["none", "names", "repeated", "numbers", "dates"]))
    if labels != "none":
        rows = np.arange(len(frame)) // (2 if labels == "repeated" else 1)
        frame.index = (
            pd.to_datetime(rows, unit="D") if labels == "dates" else rows if labels == "numbers" else rows.astype(str)
        )
    if draw(st.booleans()) and values.dtype.isnative:  # pandas orders no others
        frame = frame.sample(frac=1, random_state=draw(st.integers(0, 99)))
    if draw(st.integers(0, 2)) == 0:
        frame = frame.reset_index()
    if draw(st.integers(0, 2)) == 0:
        try:
            frame = frame.astype(
                draw(st.sampled_from(["Float64", "float32[pyarrow]", "Int64", "category", "string", object]))
            )
        except (TypeError, ValueError, OverflowError, NotImplementedError):
            pass
    return frame


comparisons = st.fixed_dictionaries(
    {"X": arrays(), "Y": arrays()},
    optional={
        "view": st.one_of(st.sampled_from(VIEWS), anything),
        "measures": st.one_of(st.lists(st.sampled_from(list(MEASURES)), max_size=4), anything),
        "seed": st.one_of(st.integers(0, 2**40), anything),
    },
)


def check_comparison(place: Path, arguments: dict) -> None:
    """A table with a value or a reason in every row, or a refusal."""
    with refused_or_done():
        table = compare(**arguments)
        assert list(table.columns) == ["value", "status", "note"]
        assert table["value"].notna().eq(table["status"] != "undefined").all()


numbers = st.one_of(st.floats(), st.integers(-3, 10**3), st.floats(0, 4), anything)
spectral = st.fixed_dictionaries(
    {"X": arrays(), "Y": arrays(), "alpha": numbers, "p": numbers},
    optional={"view": st.one_of(st.sampled_from(VIEWS), anything)},
)


def check_spectral(place: Path, arguments: dict) -> None:
    """A similarity between 0 and 1, or a refusal."""
    with refused_or_done():
        assert -1e-6 <= simprune.spectral_similarity(**arguments) <= 1 + 1e-6


# Files of arrays ----------------------------------------------------------------------------------------------------


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _claiming(shape: str) -> bytes:
    """A file whose header claims an array that is not there."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + b"\0" * 64


@st.composite
def damaged(draw, whole: bytes):
    """A file that was whole: cut, changed here and there, prolonged, replaced."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(0, 4))):
        if content:
            content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        content = content[: draw(st.integers(0, len(content)))]
    return bytes(content) + draw(st.sampled_from([b"", b"\0" * 100, b"PK\x03\x04", b"\x80\x04."]))


CLAIMS = ["(1000000000000, 8)", "(10, 100000000000)", "(-1, 4)", "(4,)", "()", "(0, 0)", "('a',)", "(" * 90 + ")" * 90]
npy_files = st.one_of(
    damaged(_npy(np.random.default_rng(0).standard_normal((20, 4)))),
    st.sampled_from([_claiming(shape) for shape in CLAIMS]),
    st.binary(max_size=200),
    st.sampled_from(["directory", "missing", "device"]),
)


def check_npy_file(place: Path, content: bytes | str) -> None:
    """`simprune compare` on two such files."""
    file = place / "x.npy"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        file = {"directory": place, "missing": place / "none.npy", "device": Path("/dev/zero")}[content]
    check_command_line(place, ["compare", str(file), str(file), "--measures", "linear_cka"])


# The command line ---------------------------------------------------------------------------------------------------

OPTIONS = """--profile --seeds --levels --rate --criterion --scope --retraining --rewind-step --one-shot --keep-output
--epochs --width --train-size --batch-size --learning-rate --momentum --weight-decay --schedule --augmentation
--probe-size --views --measures --references --data --store --device --resume --no-resume --progress --no-progress
--diagnostics --help --debugger -x --view --seed --root""".split()
COMMANDS = ("run", "list", "compare", "book")
WORDS = """run list compare book lenet5 fashion_mnist_mini mnist X.npy 0,1 a,b , 1e9 -5 nan inf 99999999999999999999 0.3
5 folder:x ß [bold] %s -- / /dev/null /dev/null/below [/bold] nbs flatten,pooled""".split()
WORDS += ["", " ", "\x1b[31m", "folder:\x07", "x" * 3000]
words = st.one_of(
    st.sampled_from(WORDS), st.sampled_from(NAMES), st.text(max_size=12).filter(lambda word: "\0" not in word)
)
pairs = st.one_of(
    st.tuples(st.sampled_from(OPTIONS), words),
    st.sampled_from(OPTIONS).map(lambda option: (option,)),
    words.map(lambda word: (word,)),
)
command_lines = st.builds(
    lambda start, rest: [*start, *(word for pair in rest for word in pair)],
    st.sampled_from(
        [["run", "lenet5", "fashion_mnist_mini"], ["run", "lenet5", "mnist"], *([word] for word in COMMANDS), []]
    ),
    st.lists(pairs, max_size=5),
).filter(lambda arguments: "--debug" not in arguments and not _outside(arguments))


def _outside(words: list[str]) -> bool:
    """Whether a command may write a store outside of the folder that it runs in."""
    stores = [word.strip() for option, word in pairwise(words) if option == "--store"]
    return any(store.startswith(("/", "..")) and not store.startswith("/dev/null") for store in stores)


class Trained(Exception):
    """A run was accepted and would train now."""


# Accepted runs stop where they would start to work.
no_training = partial(mock.patch.object, study._Run, "make", side_effect=Trained)


def check_command_line(place: Path, arguments: list[str]) -> None:
    """Status 0, or 2 with a line or two and nothing written; status 1 only where work had begun."""
    store = Path(os.environ["SIMPRUNE_STORE"])
    before = [sorted(folder.rglob("*")) for folder in (store, place)]
    out, errors, status = io.StringIO(), io.StringIO(), 0
    clock = time.process_time()
    with chdir(place), no_training(), redirect_stdout(out), redirect_stderr(errors), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            main(arguments)
        except SystemExit as exit:
            status = exit.code or 0
    assert time.process_time() - clock < SECONDS
    said = errors.getvalue()
    assert "Traceback" not in said
    if status == 1:
        assert "Trained" in said, said
    else:
        assert status in (0, 2), said
        assert [sorted(folder.rglob("*")) for folder in (store, place)] == before
    if status == 2:
        assert said.startswith("simprune: ") and said.strip().count("\n") <= 1, said


# Calls of run and load ---------------------------------------------------------------------------------------------

# Relative, so that what is accepted is written in the folder of the test.
folders = st.one_of(
    anything.filter(lambda value: not isinstance(value, str) or not value.startswith(("/", ".."))),
    st.sampled_from([None, ".", "new", "new/below", "file", "file/below", Path("new"), "/dev/null", "/dev/null/below"]),
)
flags = st.sampled_from([None, True, False])
calls = st.fixed_dictionaries(
    {"experiment": st.one_of(st.sampled_from([Experiment(), Experiment(dataset="mnist")]), anything)},
    optional={
        "data": folders,
        "store": folders,
        "device": st.one_of(st.sampled_from(study.DEVICES), anything),
        "resume": flags,
        "progress": flags,
        "diagnostics": flags,
    },
)


def check_call(place: Path, arguments: dict) -> None:
    """A run that would train now, or a refusal with nothing written; nothing to load, and a refusal."""
    (place / "file").touch()
    with chdir(place), no_training(), redirect_stderr(io.StringIO()):
        with refused_or_done():
            try:
                simprune.run(**arguments)
            except InputError:
                assert [file.name for file in place.iterdir()] == ["file"]
                raise
            except Trained:
                pass
        with refused_or_done():
            loaded = simprune.load(arguments["experiment"], store=arguments.get("store"))
            assert loaded.experiment == arguments["experiment"]


# Tables of studies --------------------------------------------------------------------------------------------------

cells = st.one_of(
    st.sampled_from([*NAMES, "0", "0 1 2", "", " ", "-1", '"', "'a b'", "--levels 3", "\0", "#", "a,b", "\n", "\r"]),
    st.text(max_size=5),
)
tables = st.builds(
    lambda heading, rows, more: "\n".join([heading, *(",".join(row) for row in rows)]).encode(errors="replace") + more,
    st.one_of(st.just("architecture,dataset,profile,seeds,retraining,criterion,options"), st.text(max_size=30)),
    st.lists(st.lists(cells, min_size=6, max_size=8), max_size=4),
    st.one_of(st.just(b""), st.binary(max_size=20)),
)


def check_table(place: Path, content: bytes) -> None:
    """Studies with names of files, or a `ValueError` of one sentence."""
    (place / "studies.csv").write_bytes(content)
    try:
        table = studies.read(place / "studies.csv")
    except ValueError as error:
        sentence(str(error))
    else:
        assert table
        for row in table:
            assert "/" not in row.name and "\0" not in row.name and all(row.arguments(row.seeds))


# The store ----------------------------------------------------------------------------------------------------------

EXPERIMENT = Experiment(levels=1, measures=("nbs",))
MEASURED = {"performance": {"level": 0, "test_accuracy": 0.5}, "sparsity": []}


def fill(store: Store) -> list[Path]:
    """Store a result, its diagnostics and a network; their files."""
    performance = pd.DataFrame({"seed": [0], "level": [0], "density": [1.0], "seconds": [1.0]})
    similarity = pd.DataFrame(
        {"seed": [0], "reference": ["dense"], "view": ["flatten"], "measure": ["nbs"], "value": [1.0]}
    )
    provenance = {"data": {"fingerprint": "f" * 16, "source": "embedded"}, "duration": 1.0}
    store.prepare(EXPERIMENT, 0)
    store.write_seed(EXPERIMENT, 0, SeedResult(performance, similarity, performance, provenance))
    store.write_diagnostics(EXPERIMENT, 0, "networks", "nulls", similarity, {"seconds": 1.0})
    store.write_network(EXPERIMENT, 0, 0, "f" * 16, Checkpoint({"weight": torch.ones(3)}, MEASURED))
    store.remember_fingerprint("files", "f" * 16)
    return sorted(file for file in store.root.rglob("*") if file.is_file() and ".locks" not in file.parts)


FILES = 11  # that `fill` writes


@st.composite
def damages(draw):
    """Which file is damaged, and what is in it then: of its own bytes, other JSON, or anything."""
    kind = draw(st.sampled_from(["cut", "bytes", "json", "fields", "swap", "binary", "directory"]))
    detail = draw(
        {
            "cut": st.floats(0, 1),
            "bytes": st.lists(
                st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4
            ),
            "json": json_values,
            "fields": st.tuples(st.integers(0, 9), json_values),
            "swap": st.integers(0, FILES - 1),
            "binary": st.binary(max_size=80),
            "directory": st.none(),
        }[kind]
    )
    return draw(st.integers(0, FILES - 1)), kind, detail


def damage(files: list[Path], number: int, kind: str, detail) -> None:
    file = files[number]
    content = file.read_bytes()
    if kind == "cut":
        content = content[: int(len(content) * detail)]
    elif kind == "bytes":
        changed = bytearray(content)
        for where, byte in detail:
            changed[int(where * len(changed))] = byte
        content = bytes(changed)
    elif kind == "json":
        content = json.dumps(detail).encode()
    elif kind == "fields" and file.suffix == ".json":
        fields = json.loads(content)
        fields[sorted(fields)[detail[0] % len(fields)]] = detail[1]
        content = json.dumps(fields).encode()
    elif kind == "swap":
        content = files[detail].read_bytes()
    elif kind == "binary":
        content = detail
    if kind == "directory":
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes(content)


def check_store(place: Path, damaged: tuple) -> None:
    """A damaged store is read as what is whole in it, or refused; and can be written again."""
    number, kind, detail = damaged
    store = Store(place, shipped=None)
    files = fill(store)
    assert len(files) == FILES
    before = store.read_seed(EXPERIMENT, 0)[0]
    damage(files, number, kind, detail)
    said = []
    with refused_or_done():
        store = Store(place, shipped=None)
        for mend in (None, said.append):
            for result in store.read_seed(EXPERIMENT, 0, mend):
                assert result.performance.equals(before.performance) and result.similarity.equals(before.similarity)
                assert isinstance(result.provenance["data"]["fingerprint"], object)
            checkpoint = store.read_network(EXPERIMENT, 0, 0, "f" * 16, mend)
            if checkpoint is not None:
                assert torch.equal(checkpoint.state["weight"], torch.ones(3))
                assert MEASURED.items() <= checkpoint.facts.items()
            for table in store.read_diagnostics(EXPERIMENT, 0, "networks", mend).values():
                assert table.equals(before.similarity)
        assert store.fingerprint("files") is None or isinstance(store.fingerprint("files"), str)
        for experiment, _ in store.stored():
            assert experiment.name == EXPERIMENT.name
        for text in said:
            sentence(text)
        if kind != "directory" or said:
            fill(store)
            assert len(store.read_seed(EXPERIMENT, 0)) == 1
            assert store.read_network(EXPERIMENT, 0, 0, "f" * 16) is not None
            assert set(store.read_diagnostics(EXPERIMENT, 0, "networks")) == {"nulls"}


# Data files ---------------------------------------------------------------------------------------------------------


def _picture(form: str, mode: str = "L", size: tuple[int, int] = (28, 28), **options) -> bytes:
    """A picture of noise, in whatever mode."""
    stream, noise = io.BytesIO(), np.random.default_rng(len(mode)).integers(0, 256, (*size[::-1], 4), dtype=np.uint8)
    Image.fromarray(noise, "RGBA").convert(mode).save(stream, form, **options)
    return stream.getvalue()


PNG = _picture("PNG", "1")  # of few bytes, so that damage hits its header too


def _with_size(png: bytes, width: int, height: int) -> bytes:
    """A PNG whose header claims another size, with the right checksum."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + png[24:29]
    return png[:16] + header + zlib.crc32(b"IHDR" + header).to_bytes(4, "big") + png[33:]


def _parquet(rows: int = 4, **columns) -> bytes:
    stream = io.BytesIO()
    table = {"image": [{"bytes": PNG, "path": None}] * rows, "label": list(range(rows))} | columns
    pq.write_table(pa.table(table), stream)
    return stream.getvalue()


def _idx(dimensions: list[int], count: int, kind: int = 8) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in dimensions)
    return bytes([0, 0, kind, len(dimensions)]) + sizes + bytes(count)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EndComments\n(x) print\n%%EOF\n"
IMAGES = [*(_picture("PNG", mode) for mode in ("L", "RGB", "RGBA")), _picture("PNG", size=(5, 5))]
IMAGES += [EPS, b"", b"\x89PNG\r\n\x1a\n"]
IMAGES += [_with_size(PNG, *size) for size in ((60_000, 60_000), (2**31 - 1, 1), (28, 29), (0, 0))]
image_files = st.one_of(st.sampled_from(IMAGES), damaged(PNG), st.binary(max_size=60))
PARQUETS = [_parquet(), _parquet(label=[0, 1, 2, 99]), _parquet(label=[0.5] * 4), _parquet(label=["a"] * 4)]
PARQUETS += [_parquet(image=[PNG] * 4), _parquet(image=[1, 2, 3, 4]), _parquet(image=[PNG, None] * 2)]
PARQUETS += [_parquet(image=[{"bytes": image}] * 4) for image in IMAGES] + [_parquet(0), _parquet(label=[-1] * 4)]
PARQUETS += [_parquet(image=[["a"]] * 4), _parquet(label=[2**62] * 4), _parquet(image=[b"\0" * 10**7] * 4)]
parquet_files = st.one_of(st.sampled_from(PARQUETS), damaged(_parquet()), st.binary(max_size=60))
IDX = [_idx([3, 28, 28], 3 * 784), _idx([2**31 - 1, 28, 28], 10), _idx([2**32 - 1] * 3, 0), _idx([3, 28], 84)]
IDX += [_idx([3], 3), _idx([0, 28, 28], 0), _idx([3, 28, 28], 10)]
IDX += [_idx([3, 28, 28], 3 * 784 * 8, 14), _idx([3, 28, 28], 3 * 784, 99)]
idx_files = st.one_of(st.sampled_from(IDX), damaged(_idx([3, 28, 28], 3 * 784)), damaged(_idx([3], 3)))


def _load(name: str, root: Path | None = None) -> None:
    with refused_or_done():
        dataset = data.load(name, root)
        assert isinstance(dataset, Dataset) and len(dataset.train_images) == len(dataset.train_labels) > 0
        assert data.state_of_files(name, root)


def _turned(form: str) -> bytes:
    """A picture with EXIF data that say to turn it, and one more behind it where the format has room for it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    more = {} if form == "JPEG" else {"save_all": True, "append_images": [Image.new("RGB", (28, 20))]}
    return _picture(form, "RGB", (28, 20), exif=exif, **more)


PICTURES = [_picture("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")]
PICTURES += [_picture("TIFF", mode) for mode in ("CMYK", "LAB", "YCbCr", "F", "I", "RGBA", "LA")]
PICTURES += [_picture("JPEG", mode, (90, 40)) for mode in ("L", "CMYK")] + [_picture("GIF"), _picture("PPM", "1")]
PICTURES += [_turned(form) for form in ("JPEG", "PNG", "TIFF", "WEBP")]
PICTURES += [_picture("PNG")[:-30], b"P5 28 28 65535\n" + bytes(2 * 784), b"P6 1 1 4095\n" + bytes(6)]
CLASSES = [*"aaabbb", "a/more", "", ".hidden", "caf\u00e9", "cafe\u0301", "A", "b ", "\udce9"]
OWN_FILES = ["0.png", "1.jpg", "2.TIFF", "3.txt", "4.gif", "5.webp", "six", "._7.png", "e\u0301.pgm"]
extra_files = st.tuples(
    st.sampled_from(["train", "test", "val"]),
    st.sampled_from(CLASSES),
    st.sampled_from(OWN_FILES),
    st.one_of(st.sampled_from(PICTURES), image_files, *(damaged(picture) for picture in PICTURES[-7:-3])),
)
folders_of_images = st.tuples(
    st.sampled_from([_picture("PNG"), _picture("PNG", "RGBA"), _turned("JPEG"), b""]),
    st.lists(extra_files, max_size=4),
    st.sampled_from(["", "", "", ":size=8", ":size=1024", ":size=0", "#0123456789abcdef"]),
)


def check_folder(place: Path, given: tuple) -> None:
    """One's own images in two classes, and what else may lie there."""
    common, extra, options = given
    usual = [(split, label, "0.png", common) for split in ("train", "test") for label in "ab" if common]
    for split, label, name, content in usual + extra:
        file = place / split / label / name
        with suppress(OSError):  # not every system has such names
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    _load(f"folder:{place}{options}")
    with refused_or_done():
        experiment = Experiment(dataset=f"folder:{place}{options}")
        assert experiment.replace(seeds=1).dataset == data.identify(experiment.dataset) == experiment.dataset


def check_parquet(place: Path, given: tuple) -> None:
    """Parquet files of the Hub's layout."""
    train, test = given
    (place / "mnist").mkdir(parents=True, exist_ok=True)
    for split, content in (("train", train), ("test", test)):
        (place / "mnist" / f"{split}-00000-of-00001.parquet").write_bytes(content)
    _load("mnist", place)


files_of_torchvision = st.tuples(
    st.sampled_from(["mnist", "cifar10", "cifar100", "svhn"]), st.lists(idx_files, min_size=1, max_size=4)
)


def check_torchvision(place: Path, given: tuple) -> None:
    """Files of torchvision's layout."""
    name, contents = given
    for number, file in enumerate(DATASETS[name].files):
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).write_bytes(contents[number % len(contents)])
    _load(name, place)


# All of them --------------------------------------------------------------------------------------------------------


class Interface(NamedTuple):
    """The inputs of a public interface, what is checked of each, and how many the sample takes."""

    inputs: st.SearchStrategy
    check: Callable
    sample: int = 25


class Gives(nn.Module):
    """A module that gives what a function makes of the mean over places, n x 1, of its input."""

    def __init__(self, make):
        super().__init__()
        self.inner, self.make = nn.Linear(1, 3), make

    def forward(self, x):
        return self.make(self.inner(x.flatten(1).mean(1, keepdim=True)))


def _raises(x):
    raise ValueError("of the user's own")


GIVEN = [
    lambda x: (x, x[:, :1]),
    lambda x: {"logits": x, "none": None},
    lambda x: None,
    lambda x: x[0],
    lambda x: x.T,
    lambda x: x.sum(),
    lambda x: x * float("nan"),
    lambda x: x * float("inf"),
    lambda x: x.long(),
    lambda x: x + 1j,
    lambda x: x.to_sparse(),
    lambda x: x[:, None, None, None, None],
    lambda x: [x] * 3,
    lambda x: "text",
    lambda x: x.new_zeros(len(x), 0),
    lambda x: x.new_ones(len(x), 3),
    lambda x: x.repeat(2, 1),
    _raises,
]
NETWORKS = [
    lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 3)),
    lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    lambda: nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False), nn.Flatten(), nn.Linear(64, 3)),
    lambda: nn.Sequential(nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(64, 3)), nn.Softmax(1)),
    lambda: nn.Sequential(nn.Flatten(2), nn.LSTM(64, 5, batch_first=True)),
    lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(4)),
    lambda: nn.Sequential(*[nn.Flatten(), *[nn.Linear(64, 64)] * 2]),
    lambda: nn.Linear(8, 8).double(),
    lambda: nn.Linear(8, 8).half(),
    lambda: nn.Linear(8, 8, device="meta"),
    lambda: nn.Linear(7, 3),
    lambda: torch.jit.script(nn.Sequential(nn.Linear(8, 8))),
    nn.Identity,
    nn.Sequential,
    Attention,
    *(lambda make=make: Gives(make) for make in GIVEN),
]


# Made of images, as many as are asked for, and of their numbers.
INPUTS = [
    lambda x, y: x,
    lambda x, y: x.numpy(),
    lambda x, y: x.double(),
    lambda x, y: (255 * x).byte(),
    lambda x, y: x * float("nan"),
    lambda x, y: x.flatten(),
    lambda x, y: [x, x],
    lambda x, y: list(x.numpy()),
    lambda x, y: {"x": x},
    lambda x, y: {"input": x, "other": x},
    lambda x, y: TensorDataset(x, y),
    lambda x, y: DataLoader(TensorDataset(x, y), batch_size=3, shuffle=len(x) > 0),
    lambda x, y: DataLoader(x, batch_size=5, drop_last=True),
    lambda x, y: DataLoader([{"x": one} for one in x], batch_size=4),
    lambda x, y: DataLoader(y, batch_size=4),
    lambda x, y: (x[start : start + 3] for start in range(0, len(x), 3)),
    lambda x, y: iter(()),
    lambda x, y: iter(["text", "text"]),
    lambda x, y: x.to_sparse(),
    lambda x, y: pd.DataFrame(x.flatten(1).numpy()),
]


def _inputs(make: Callable, count: int):
    return make(torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(count))


layer_names = st.sampled_from(
    ["0", "1", "*", "?", "inner", "attention", "", "2.0", "conv", nn.Linear, nn.Conv2d, nn.Module]
)
selections = st.one_of(st.none(), layer_names, st.lists(layer_names, max_size=3), anything)
comparisons_of_networks = st.fixed_dictionaries(
    {
        "networks": st.tuples(st.sampled_from(NETWORKS), st.one_of(st.none(), st.sampled_from(NETWORKS))),
        "inputs": st.one_of(
            st.builds(partial, st.just(_inputs), st.sampled_from(INPUTS), st.sampled_from([0, 1, 3, 12, 30])), anything
        ),
    },
    optional={
        "layers": selections,
        "other_layers": selections,
        "measures": st.one_of(st.sampled_from(["nbs", "rsa", ["linear_cka", "mean_cca"], ["mask_overlap"]]), anything),
        "view": st.one_of(st.sampled_from([*VIEWS, "token[1]", "token[9]"]), anything),
        "names": st.one_of(st.just(("one", "other")), anything),
        "seed": st.one_of(st.integers(0, 9), anything),
    },
)


def check_networks(place: Path, given: dict) -> None:
    """A table with a value or a reason in every row, or a refusal; the networks are as they were."""
    options = {name: value for name, value in given.items() if name not in ("networks", "inputs")}
    first, second = given["networks"]
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        networks = [first()]
        networks.append(networks[0] if second is None else second())
        inputs = given["inputs"]() if isinstance(given["inputs"], partial) else given["inputs"]
        with refused_or_done():
            try:
                table = compare_networks(*networks, inputs, **options).table
            except ValueError as error:
                assert isinstance(error, InputError) or "of the user's own" in str(error)
                raise InputError(str(error)) from None
            assert table["value"].notna().eq(table["status"] != "undefined").all()
    for network in networks:
        assert all(module.training and not module._forward_hooks for module in network.modules())


def check_page_parameter(place: Path, given: tuple) -> None:
    """A parameter of a page is taken or refused; what is taken an experiment would take."""
    with refused_or_done():
        check_parameters(**{given[0]: given[1]})


page_parameters = st.tuples(
    st.sampled_from(list(CHECKS)),
    st.one_of(
        anything,
        st.dictionaries(st.one_of(st.sampled_from(list(FIELDS)), st.text(max_size=5)), anything, max_size=3),
        st.lists(st.lists(st.sampled_from(NAMES), max_size=4), max_size=3),
    ),
)


INTERFACES = {
    "experiments": Interface(st.one_of(experiments, likely_experiments), check_experiment, 60),
    "experiments as text": Interface(texts(), check_json),
    "arrays to compare": Interface(comparisons, check_comparison, 60),
    "arrays and exponents": Interface(spectral, check_spectral),
    "files of arrays": Interface(npy_files, check_npy_file),
    "command lines": Interface(command_lines, check_command_line),
    "calls of run and load": Interface(calls, check_call),
    "tables of studies": Interface(tables, check_table),
    "damaged stores": Interface(damages(), check_store),
    "folders of images": Interface(folders_of_images, check_folder, 40),
    "parquet files": Interface(st.tuples(parquet_files, parquet_files), check_parquet),
    "files of torchvision": Interface(files_of_torchvision, check_torchvision),
    "networks and inputs": Interface(comparisons_of_networks, check_networks, 60),
    "parameters of pages": Interface(page_parameters, check_page_parameter),
}


def give(interface: Interface, number: int, derandomize: bool) -> None:
    """Give an interface that many random inputs; with `derandomize` the same at every call."""

    @settings(
        max_examples=number,
        deadline=None,
        derandomize=derandomize,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(interface.inputs)
    def one(given):
        with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
            interface.check(Path(place), given)

    one()
