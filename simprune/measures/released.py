"""CKA and NBS as the code released with the paper computes them: a defect, kept on purpose, to show what it does.

The centring of one released version takes the column means of a kernel away twice: the row means were meant the second
time, but a vector of means stands along the columns whatever they are means of. The kernel is no longer symmetric, and
its rows still hold their mean. Column-centred activations give kernels whose means are 0, and there nothing is wrong.
Of its NBS the sum over the singular values is missing, which leaves one number for each; the largest is taken for the
score.

The repository at commit 8f11f0a (marcozullich/pruned_layer_similarity) centres rightly; its NBS lacks the sum still.
None of this is in the registry of measures, and no result but those labelled "released" uses it.
"""

import torch
from torch import Tensor

from simprune.errors import InputError
from simprune.measures.core import Score, undefined
from simprune.representations import column_blocks

RELEASED = ("linear_cka", "nbs")
# What centring leaves of a constant representation: a share of the kernel this small is rounding.
ROUNDING = 1e-12
# Up to this many inputs all eigenvalues are computed to find the largest.
ALL_EIGENVALUES = 100


def linear_kernel(activations: Tensor, columns_first: bool = False) -> Tensor:
    """The kernel X X' of activations n x p or n x c x h x w, in float64; of centred columns with `columns_first`."""
    kernel = torch.zeros((len(activations), len(activations)), dtype=torch.float64, device=activations.device)
    for block in column_blocks(activations):
        if columns_first:
            block = block - torch.where(block.amin(0) == block.amax(0), block[0], block.mean(0))
        kernel.addmm_(block, block.T)
    return kernel


def released_centring(kernel: Tensor) -> Tensor:
    """K less its column means, less its column means once more, plus its mean: as released, not double-centred."""
    means = kernel.mean(0)
    return kernel - means - means + kernel.mean()


def released_cka(x: Tensor, y: Tensor) -> Score:
    """tr(KL) / (|K| |L|) of two kernels n x n, centred as released: in -1 ... 1, also of X with itself."""
    if _constant(x) or _constant(y):
        return undefined("constant representation")
    x, y = released_centring(x), released_centring(y)
    return Score(float((x * y.T).sum()) / float(x.norm() * y.norm()))


def released_nbs(x: Tensor, y: Tensor) -> Score:
    """The root of the largest eigenvalue of KL over sqrt(tr K tr L), of two kernels n x n centred as released.

    With kernels of column-centred X and Y this is the largest singular value of X'Y / (|X| |Y|), where NBS is the sum
    of all. Eigenvalues have their real part taken, and those below 0 count as 0, as released.
    """
    if _constant(x) or _constant(y):
        return undefined("constant representation")
    x, y = released_centring(x), released_centring(y)
    return Score((max(0.0, _largest_eigenvalue(x, y)) / float(x.trace() * y.trace())) ** 0.5)


def released_scores(X: Tensor, Y: Tensor, columns_first: bool = False) -> dict[str, Score]:
    """Both scores of two representations of the same n inputs, n x p or n x c x h x w each: id -> score.

    The view is `flatten`. `columns_first` centres the columns beforehand, which the released code leaves to its user.
    Raises InputError for other numbers of inputs.
    """
    if len(X) != len(Y):
        raise InputError(f"X and Y: {len(X)} and {len(Y)} are not the same inputs")
    kernels = linear_kernel(X, columns_first), linear_kernel(Y, columns_first)
    return {"linear_cka": released_cka(*kernels), "nbs": released_nbs(*kernels)}


def _constant(kernel: Tensor) -> bool:
    """Whether nothing but rounding is left of the kernel when it is centred."""
    return float(released_centring(kernel).norm()) <= ROUNDING * float(kernel.norm())


def _largest_eigenvalue(x: Tensor, y: Tensor) -> float:
    """The largest real part of the eigenvalues of a product of two matrices."""
    import numpy as np
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs

    if len(x) > ALL_EIGENVALUES:
        first, second = x.cpu().numpy(), y.cpu().numpy()
        product = LinearOperator(x.shape, matvec=lambda vector: first @ (second @ vector), dtype=np.float64)
        try:
            # The start is given: otherwise it would be drawn at random.
            start = second.diagonal() * np.linspace(1, 2, len(x))
            return float(eigs(product, k=1, which="LR", v0=start, return_eigenvectors=False)[0].real)
        except ArpackNoConvergence:  # the long way then
            pass
    return float(torch.linalg.eigvals(x @ y).real.max())
