"""Arrays as people have them, as tensors: of NumPy, PyTorch, pandas, SciPy and what gives an `__array__`."""

import numpy as np
import torch
from torch import Tensor

from simprune.errors import InputError, shown


def as_tensor(array: object, name: str) -> Tensor:
    """Return an array as a tensor of real numbers, without a copy where its memory allows that.

    Sparse and quantized ones are filled and scaled; longdouble becomes float64, float8 float32. Raises InputError,
    naming it `name`, for what is no array of real numbers, and for one of which some values are missing or masked.
    """
    try:
        # Of other things NumPy would try to make an array, however long that takes: of range(10**9), for one.
        if isinstance(array, Tensor):
            return _checked(_dense(array, name), name)
        if _is_frame(array):
            return tensor_of(_of_frame(array, name))
        if hasattr(array, "toarray"):  # of SciPy's sparse ones
            array = array.toarray()
        if isinstance(array, list | tuple):
            array = _of_list(array, name)
        if isinstance(array, Tensor):
            return _checked(array, name)
        if not hasattr(array, "__array__"):
            raise TypeError
        if np.ma.is_masked(array):
            raise InputError(
                f"{name}: {np.ma.count_masked(array)} values are masked; fill them, or leave their inputs out"
            )
        array = np.asarray(array)
        if array.dtype.kind not in "fiubc":
            raise InputError(f"{name}: this {type(array).__name__} is not an array of numbers, but of {array.dtype}")
        if array.dtype.kind not in "fiu":
            raise InputError(f"{name}: values of type {array.dtype} are not real numbers")
        return tensor_of(array.astype(np.float64) if array.dtype.itemsize > 8 else array)
    except (TypeError, ValueError, RuntimeError, NotImplementedError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        hint = "; read it first, as with numpy.load" if isinstance(array, str) or hasattr(array, "__fspath__") else ""
        hint = "; give one of its arrays" if isinstance(array, dict) else hint
        raise InputError(f"{name}: this {type(array).__name__} is not an array of numbers{hint}") from None


def tensor_of(array: np.ndarray) -> Tensor:
    """The array as a tensor, without a copy where its memory allows that."""
    array = np.require(array, array.dtype.newbyteorder("="), "W")
    return torch.from_numpy(array if min(array.strides, default=0) >= 0 else array.copy())


def _dense(tensor: Tensor, name: str) -> Tensor:
    if tensor.is_meta:
        raise InputError(f"{name}: a tensor on the device meta has no values")
    if tensor.is_nested:
        raise InputError(f"{name}: a nested tensor has inputs of different sizes; pad them, or take their means")
    if type(tensor).__name__ == "MaskedTensor":
        raise InputError(f"{name}: some values of a masked tensor have no meaning; give its data, filled or left out")
    tensor = tensor.detach()
    tensor = tensor if tensor.layout is torch.strided else tensor.to_dense()
    tensor = tensor.dequantize() if tensor.is_quantized else tensor
    return tensor.float() if str(tensor.dtype).startswith("torch.float8") else tensor


def _checked(tensor: Tensor, name: str) -> Tensor:
    if tensor.is_complex() or tensor.dtype == torch.bool:
        raise InputError(f"{name}: values of type {tensor.dtype} are not real numbers")
    return tensor


def _of_list(values: list | tuple, name: str) -> np.ndarray | Tensor:
    """A list of rows, or of lists of numbers; not one of arrays that may be batches as well as inputs."""
    shapes = {tuple(value.shape) for value in values if hasattr(value, "shape")}
    if any(len(shape) > 1 for shape in shapes):
        raise InputError(
            f"{name}: {len(values)} arrays of shape {min(shapes)} may be batches or inputs; give one array, as of "
            "numpy.concatenate or numpy.stack"
        )
    if all(isinstance(value, Tensor) for value in values):
        return torch.stack([value.detach() for value in values])
    return np.asarray(values)


def _is_frame(value: object) -> bool:
    """Whether it is a DataFrame or a Series of pandas."""
    return hasattr(value, "iloc") and hasattr(value, "index")


def _of_frame(frame: object, name: str) -> np.ndarray:
    """The values of a DataFrame or Series, whatever types its columns have; missing ones are NaN."""
    from pandas.api.types import is_bool_dtype, is_integer_dtype, is_numeric_dtype

    columns = list(frame.items()) if frame.ndim == 2 else []
    for label, column in columns if frame.ndim == 2 else [(frame.name, frame)]:
        if not is_numeric_dtype(column.dtype) or is_bool_dtype(column.dtype) or column.dtype.kind == "c":
            raise InputError(f"{name}: column {shown(label)} holds values of type {column.dtype}, not real numbers")
    floats = any(not is_integer_dtype(column.dtype) for _, column in columns)
    for label, column in columns:
        if is_integer_dtype(column.dtype) and len(column) > 1 and column.is_unique:
            if floats or int(column.max()) - int(column.min()) == len(column) - 1:
                raise InputError(
                    f"{name}: column {shown(label)} numbers the rows, as an index does; drop it, or make it the index "
                    f"with set_index"
                )
    return frame.to_numpy(dtype=np.float64, na_value=np.nan)


def aligned(X: object, Y: object) -> tuple[object, str]:
    """Y with its rows in the order of X where both are frames with the same labels in another order; and a note.

    An index that only counts the rows from 0 says nothing of their order, unless the other is a permutation of it.
    Raises InputError for labels that are not the same, or not unique.
    """
    if not (_is_frame(X) and _is_frame(Y)) or len(X) != len(Y) or X.index.equals(Y.index):
        return Y, ""
    same = set(X.index) == set(Y.index)
    if not same and any(list(side.index) == list(range(len(side))) for side in (X, Y)):
        return Y, ""
    order = Y.index.get_indexer(X.index) if same and X.index.is_unique else None
    if order is None or (order < 0).any():
        only = [label for label in X.index if label not in Y.index]
        missing = f"; {shown(only[0])} is in X alone" if only else ""
        raise InputError(
            f"X and Y: their indexes do not name the same inputs{missing}; give frames with one index, or arrays, as "
            "of to_numpy(), if the rows correspond by position"
        )
    # As numbers: pandas does not reorder a frame in foreign byte order.
    return as_tensor(Y, "Y")[order], "rows of Y put in the order of the index of X"
