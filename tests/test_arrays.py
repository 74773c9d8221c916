"""Arrays as people have them: taken for what they are, put in order, or refused in one sentence."""

import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from torch.masked import masked_tensor

from simprune import InputError, compare
from simprune.arrays import as_tensor

# PyTorch warns that some layouts are new, and some old.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((30, 5)).round(2)
Y = X @ RANDOM.standard_normal((5, 4))
NAMES = [f"image {place}" for place in range(30)]
HALF = torch.tensor(X).half()


def frame(values=X, index=NAMES):
    return pd.DataFrame(values, index=index, columns=[f"unit {place}" for place in range(values.shape[1])])


SAME = {
    "sparse COO": lambda: torch.tensor(X).to_sparse(),
    "sparse CSR": lambda: torch.tensor(X).to_sparse_csr(),
    "sparse CSC": lambda: torch.tensor(X).to_sparse_csc(),
    "SciPy CSR": lambda: scipy.sparse.csr_matrix(X),
    "SciPy COO array": lambda: scipy.sparse.coo_array(X),
    "SciPy BSR array": lambda: scipy.sparse.bsr_array(X),
    "quantized": lambda: torch.quantize_per_tensor(torch.tensor(X).float(), 0.01, 0, torch.qint32),
    "longdouble": lambda: X.astype(np.longdouble),
    "big-endian": lambda: X.astype(">f8"),
    "rows that need a gradient": lambda: [torch.tensor(row, requires_grad=True) for row in X],
    "list of rows": lambda: list(X),
    "lists of numbers": lambda: X.tolist(),
    "tensor": lambda: torch.tensor(X),
    "masked array without a mask": lambda: np.ma.array(X),
    "inference tensor": lambda: torch.inference_mode()(lambda: torch.tensor(X) * 1)(),
    "frame": frame,
    "nullable frame": lambda: frame().astype("Float64"),
    "Arrow frame": lambda: frame().astype("double[pyarrow]"),
    "sparse frame": lambda: frame().astype(pd.SparseDtype("float64", 0.0)),
    "frame of several types": lambda: frame().astype({"unit 0": "Float64", "unit 3": "double[pyarrow]"}),
}


@pytest.mark.parametrize("kind", SAME)
def test_what_holds_the_same_numbers_gives_the_same_scores(kind):
    tolerance = 1e-6 if kind == "quantized" else 1e-12
    expected = compare(X, Y, ["linear_cka", "nbs"])
    assert compare(SAME[kind](), Y, ["linear_cka", "nbs"]).value.to_numpy() == pytest.approx(
        expected.value.to_numpy(), abs=tolerance
    )


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "uint16", "uint64"])
def test_every_type_of_numbers_is_taken_for_its_values(dtype):
    values = (torch.tensor(X).abs() * 10).round().to(getattr(torch, dtype))
    assert torch.equal(as_tensor(values, "X").double(), values.double())
    assert compare(values, Y, ["nbs"]).value["nbs"] == compare(values.double(), Y, ["nbs"]).value["nbs"]


def nested(layout):
    return torch.nested.nested_tensor([torch.randn(3 + place % 2, 6) for place in range(30)], layout=layout)


REFUSED = {
    "masked values": (lambda: np.ma.masked_less(X, -1), r"X: \d+ values are masked; fill them, or leave their inputs"),
    "masked NaN": (lambda: np.ma.masked_invalid(np.where(X > 1, np.nan, X)), "values are masked"),
    "masked tensor": (lambda: masked_tensor(torch.tensor(X), torch.tensor(X) > 0), "X: some values of a masked tensor"),
    "meta": (lambda: torch.empty(30, 5, device="meta"), "X: a tensor on the device meta has no values"),
    "nested": (lambda: nested(torch.strided), "X: a nested tensor has inputs of different sizes"),
    "jagged": (lambda: nested(torch.jagged), "X: a nested tensor has inputs of different sizes"),
    "list of batches": (lambda: [X[:15], X[15:]], r"X: 2 arrays of shape \(15, 5\) may be batches or inputs"),
    "tuple of tensors": (lambda: tuple(HALF.split(7)), r"X: 5 arrays of shape \(2, 5\) may be batches or inputs"),
    "list of frames": (lambda: [frame(), frame()], "X: 2 arrays of shape .* may be batches"),
    "rows of other lengths": (lambda: [row[: 3 + place % 2] for place, row in enumerate(X)], "X: this list is not an"),
    "dictionary": (lambda: {"layer": X}, "X: this dict is not an array of numbers; give one of its arrays"),
    "name of a file": (lambda: "x.npy", "X: this str is not an array of numbers; read it first"),
    "nothing": (lambda: None, "X: this NoneType is not an array of numbers"),
    "generator": (lambda: (row for row in X), "X: this generator is not an array of numbers"),
    "range": (lambda: range(10**12), "X: this range is not an array of numbers"),
    "text": (lambda: X.astype(str), "X: this ndarray is not an array of numbers, but of <U"),
    "time spans": (lambda: (X * 9).astype("m8[s]"), r"is not an array of numbers, but of timedelta64\[s\]"),
    "records": (lambda: np.zeros((30, 5), [("a", "f8")]), "X: this ndarray is not an array of numbers, but of .*'a'"),
    "objects": (lambda: X.astype(object), "X: this ndarray is not an array of numbers, but of object"),
    "truth values": (lambda: X > 0, "X: values of type bool are not real numbers"),
    "complex": (lambda: torch.zeros(30, 5, dtype=torch.complex128), "X: values of type torch.complex128 are not"),
    "text column": (lambda: frame().reset_index(), "X: column 'index' holds values of type .*, not real numbers"),
    "dates": (lambda: frame().assign(day=pd.Timestamp("2020-01-01")), "column 'day' holds values of type datetime"),
    "classes": (lambda: frame().astype({"unit 2": "category"}), "X: column 'unit 2' holds values of type category"),
    "object column": (lambda: frame().astype({"unit 1": object}), "X: column 'unit 1' holds values of type object"),
    "bool column": (lambda: frame().assign(kept=True), "X: column 'kept' holds values of type bool"),
    "lists in a Series": (lambda: pd.Series(list(X), name="unit"), "X: column 'unit' holds values of type object"),
    "missing values": (lambda: frame().astype("Float64").mask(X > 1), r"X: \d+ of 150 activations are NaN"),
    "index as a column": (lambda: frame(index=None).reset_index(), "X: column 'index' numbers the rows, .* set_index"),
    "shuffled ids": (lambda: frame().assign(id=range(70, 100)).sample(frac=1), "X: column 'id' numbers the rows"),
    "ids with gaps": (lambda: frame().assign(id=np.arange(30) * 17 % 31), "X: column 'id' numbers the rows"),
    "one column": (lambda: frame()["unit 1"], r"X: shape \(30,\) is none of"),
    "no columns": (lambda: frame()[[]], r"X: shape \(30, 0\) has no columns"),
    "an empty frame": (lambda: pd.DataFrame(), r"X: shape \(0, 0\) has no columns"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_array_of_activations_is_refused_in_one_sentence(kind):
    make, message = REFUSED[kind]
    with pytest.raises(InputError, match=message) as refusal:
        compare(make(), Y)
    assert "\n" not in str(refusal.value)


def test_activations_that_are_whole_numbers_are_no_index():
    counts = frame(np.arange(150).reshape(30, 5) % 7)
    assert compare(counts, Y, ["nbs"]).value["nbs"] == compare(counts.to_numpy(), Y, ["nbs"]).value["nbs"]


# Two frames ---------------------------------------------------------------------------------------------------------

INDEXES = {
    "names": NAMES,
    "numbers": list(range(30)),
    "dates": pd.date_range("2020-01-01", periods=30),
    "two levels": pd.MultiIndex.from_product([list("abc"), range(10)]),
}


@pytest.mark.parametrize("kind", INDEXES)
def test_rows_of_frames_are_matched_by_their_index_and_that_is_said(kind):
    x, y = frame(index=INDEXES[kind]), frame(Y, INDEXES[kind])
    expected = compare(X, Y, ["nbs", "rsa"])
    pd.testing.assert_frame_equal(compare(x, y, ["nbs", "rsa"]), expected)
    shuffled = compare(x, y.sample(frac=1, random_state=0), ["nbs", "rsa"])
    assert shuffled.value.to_numpy() == pytest.approx(expected.value.to_numpy())
    assert (shuffled.note == "rows of Y put in the order of the index of X").all()
    turned = np.random.default_rng(0).permutation(30)
    foreign = frame(Y[turned].astype(">f8"), pd.Index(INDEXES[kind])[turned])  # pandas itself can't order these
    assert compare(x, foreign, ["nbs"]).value["nbs"] == pytest.approx(expected.value["nbs"])


@pytest.mark.parametrize(
    "labels", [[f"photo {place}" for place in range(30)], [*NAMES[:29], "image 30"], NAMES[:15] * 2]
)
def test_frames_of_other_inputs_are_refused(labels):
    with pytest.raises(
        InputError, match="X and Y: their indexes do not name the same inputs; 'image .*' is in X alone"
    ):
        compare(frame(), frame(Y, labels))


def test_repeated_labels_say_no_order():
    labels = NAMES[:15] * 2
    assert compare(frame(index=labels), frame(Y, labels), ["nbs"]).note["nbs"] == ""
    with pytest.raises(InputError, match="do not name the same inputs; give frames with one index"):
        compare(frame(index=labels), frame(Y, sorted(labels)))


def test_a_frame_without_an_index_of_its_own_is_taken_by_position():
    for other in (Y, frame(Y, None), torch.tensor(Y)):
        assert compare(frame(), other, ["nbs"]).note["nbs"] == ""
    parts = frame(np.vstack([X, X]), None)
    assert compare(parts[:30], parts[30:], ["nbs"]).value["nbs"] == pytest.approx(1)


# Seeds --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [None, 1.5, "a", -1, 2**70, True, np.float64(3), [0]])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(InputError, match="^seed: "):
        compare(X, Y, ["nbs"], seed=seed)


@pytest.mark.parametrize("seed", [0, 2**63 - 1, np.int64(7), np.uint8(7)])
def test_a_seed_may_be_any_whole_number_of_64_bits(seed):
    maps = np.random.default_rng(0).standard_normal((60, 2, 6, 6))
    assert compare(maps, maps, ["rsa"], view="channels", seed=seed, permutations=1).value["rsa"] == pytest.approx(1)


@pytest.mark.parametrize("measures", [[], (), "", {}, np.array([]), range(10**12), itertools.count()])
def test_no_measures_are_no_comparison(measures):
    with pytest.raises(InputError, match="measures: "):
        compare(X, Y, measures)
