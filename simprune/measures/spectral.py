"""The spectral family: a plane on which CKA, NBS and CCA are points.

With M_alpha = S_x^alpha U_x' U_y S_y^alpha and Schatten norms |.|_p,
s(alpha, p) = |M_alpha|_p / sqrt(|S_x^(2 alpha)|_p |S_y^(2 alpha)|_p).
alpha says how much the variance of a direction counts, p whether a few well-aligned directions are enough.
(1, 2) is the root of linear CKA, (1, 1) NBS, (0, 1) the sum of the canonical correlations / sqrt(r_x r_y).
"""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from simprune.errors import InputError, check_number
from simprune.measures.core import Pair, pair_of


def spectral_similarity(X: object, Y: object, alpha: float, p: float, view: str = "flatten") -> float:
    """Return s(alpha, p) of two representations, in 0 ... 1.

    `X`, `Y` are arrays or tensors, n first, 2-D or 4-D; `alpha` is at least 0, `p` at least 1 and may be infinite.
    Raises InputError for other values, for input that `simprune.compare` refuses, and for a constant
    representation, which has no similarity.
    """
    return float(spectral_map(X, Y, [alpha], [p], view).iloc[0, 0])


def spectral_map(
    X: object, Y: object, alphas: Sequence[float], ps: Sequence[float], view: str = "flatten"
) -> pd.DataFrame:
    """Return s(alpha, p) for each of `alphas` (index) and `ps` (columns); see `spectral_similarity`."""
    exponents = [check_number("alpha", alpha, "[0, inf)") for alpha in alphas]
    norms = [check_number("p", p, "[1, inf]") for p in ps]
    pair = pair_of(X, Y, view)
    for name, side in (("X", pair.x), ("Y", pair.y)):
        if side.rank == 0:
            raise InputError(f"{name}: the representation is constant, so that it has no similarity")
    table = [spectral_values(pair, alpha, norms) for alpha in exponents]
    return pd.DataFrame(table, pd.Index(alphas, name="alpha"), pd.Index(ps, name="p"))


def spectral_values(pair: Pair, alpha: float, ps: Sequence[float]) -> list[float]:
    """s(alpha, p) for each of `ps`: all from one set of singular values."""
    # Relative to the first singular value, so that powers stay finite.
    x, y = ((side.singular_values / side.singular_values[0]) ** alpha for side in (pair.x, pair.y))
    values = torch.linalg.svdvals(x[:, None] * pair.overlap * y)
    return [_norm(values, p) / (_norm(x**2, p) * _norm(y**2, p)) ** 0.5 for p in ps]


def _norm(values: Tensor, p: float) -> float:
    return float(torch.linalg.vector_norm(values, p))
