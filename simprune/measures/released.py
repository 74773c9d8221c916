"""CKA as the code released with the paper computes it: a defect, kept on purpose, to show what it does.

The centring of one released version takes the column means of a kernel away twice: the row means were meant the second
time, but a vector of means stands along the columns whatever they are means of. The kernel is no longer symmetric, and
its rows still hold their mean. Column-centred activations give kernels whose means are 0, and there nothing is wrong.

The repository at commit 8f11f0a (marcozullich/pruned_layer_similarity) centres rightly.
This is not in the registry of measures, and no result but those labelled "released" uses it.
"""

import torch
from torch import Tensor

from simprune.measures.core import Score, undefined
from simprune.representations import column_blocks

# What centring leaves of a constant representation: a share of the kernel this small is rounding.
ROUNDING = 1e-12


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


def _constant(kernel: Tensor) -> bool:
    """Whether nothing but rounding is left of the kernel when it is centred."""
    return float(released_centring(kernel).norm()) <= ROUNDING * float(kernel.norm())
