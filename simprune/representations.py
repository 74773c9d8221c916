"""Representations: activations of layers, their views as matrices, and their one decomposition.

A comparison needs of each representation only what `Representation` holds, so that the work on it is done once,
however many others it is compared with. All of it is in float64, on the device of the activations.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from simprune.activations import extract  # noqa: F401 (where users look for it)
from simprune.arrays import as_tensor
from simprune.errors import InputError, check_choice

VIEWS = ("flatten", "channels", "pooled")
# Of tokens also one alone: "token", the first, where most transformers have their class token, or "token[k]".
TOKEN = re.compile(r"token(?:\[(-?\d+)\])?")

EPS = torch.finfo(torch.float64).eps
# A pass over squares (Gram matrix, covariance) settles directions down to this share of the largest: to about 1e-9.
RESOLVED = 3e-4
# Numbers in one float64 block of a stream: 16 MB. Larger ones only leave the caches.
BLOCK = 2**21
# In units of the scale: a mean up to which the centred values keep their digits.
SMALL_MEAN = 4.0
# Rows that are copied from above the diagonal to below it at a time.
BAND = 256
# Kernels, distances and neighbours are n x n. Beyond this many rows they take a seeded draw of the rows.
DRAWN_POSITIONS = 2_000
DRAWN_INPUTS = 10_000


def as_activations(array: object, name: str) -> Tensor:
    """Return an array or tensor as a tensor of activations n x p or n x c x h x w of a float dtype.

    Tokens, n x t x d, become maps of d channels, t high and 1 wide: n x d x t x 1.
    Raises InputError, naming it `name`, for another number of dimensions, no columns, and what `as_tensor` refuses.
    NaN and infinite ones pass: `nonfinite` counts them.
    """
    tensor = as_tensor(array, name)
    if tensor.ndim not in (2, 3, 4):
        raise InputError(f"{name}: shape {tuple(tensor.shape)} is none of n x p, n x t x d (tokens), n x c x h x w")
    if math.prod(tensor.shape[1:]) == 0:
        raise InputError(f"{name}: shape {tuple(tensor.shape)} has no columns")
    if not tensor.is_floating_point():
        tensor = tensor.double()
    if tensor.device.type not in ("cpu", "cuda"):
        tensor = tensor.cpu()  # other devices have no float64
    return tokens_as_maps(tensor) if tensor.ndim == 3 else tensor


def tokens_as_maps(tokens: Tensor) -> Tensor:
    """n x t x d as n x d x t x 1: tokens are positions."""
    return tokens.movedim(1, 2).unsqueeze(-1)


def check_view(view: object) -> str:
    """Return the view if there is such a one; else raise InputError."""
    if isinstance(view, str) and TOKEN.fullmatch(view):
        return view
    return check_choice("view", view, (*VIEWS, "token"))


def nonfinite(tensor: Tensor) -> int:
    """Number of NaN and infinite values."""
    if bool(tensor.sum().isfinite()):  # which takes a tenth of the time; it may overflow, and then they are looked at
        return 0
    count = max(1, BLOCK * len(tensor) // max(1, tensor.numel()))
    return sum(int((~block.isfinite()).sum()) for block in tensor.split(count))


def view_matrix(activations: Tensor, view: str) -> Tensor:
    """Return activations n x p, n x t x d or n x c x h x w as the matrix that `view` makes of them.

    `flatten`: n x chw, `channels`: nhw x c (row = input, then position), `pooled`: n x c, the spatial mean in
    float64, `token[k]`: n x d, the token k, or from the end -k. A 2-D tensor has one position per input and is its
    own matrix in each view. Raises InputError for an unknown view, another number of dimensions and a token that is
    not there.
    """
    check_view(view)
    if activations.ndim not in (2, 3, 4):
        raise InputError(f"activations: {tuple(activations.shape)} is none of n x p, n x t x d, n x c x h x w")
    if activations.ndim == 2:
        return activations
    if view == "flatten":
        return activations.flatten(1)
    maps = tokens_as_maps(activations) if activations.ndim == 3 else activations
    if view == "channels":
        return maps.movedim(1, -1).flatten(0, 2)
    if view == "pooled":
        return maps.mean(dim=(2, 3), dtype=torch.float64)
    if maps.shape[3] > 1:
        raise InputError(f"view: maps of {maps.shape[2]} x {maps.shape[3]} positions have no tokens")
    chosen = int(TOKEN.fullmatch(view)[1] or 0)
    if not -maps.shape[2] <= chosen < maps.shape[2]:
        raise InputError(f"view: {view!r} is not one of {maps.shape[2]} tokens")
    return maps[:, :, chosen, 0]


def positions(activations: Tensor) -> int:
    """Number of spatial positions per input: h * w, or 1 for a 2-D tensor."""
    return math.prod(activations.shape[2:])


def column_blocks(activations: Tensor) -> Iterator[Tensor]:
    """Yield the flattened activations in float64 blocks n x b, whole columns (4-D: whole channels) in order.

    Each is a copy, in the place of the one before.
    """
    size = len(activations) * positions(activations)
    count = min(max(1, BLOCK // size), activations.shape[1])
    place = activations.new_empty(size * count, dtype=torch.float64)
    for start in range(0, activations.shape[1], count):
        block = activations[:, start : start + count].flatten(1)
        yield place[: block.numel()].view(block.shape).copy_(block)


def position_blocks(activations: Tensor, beside: Tensor | None = None) -> Iterator[Tensor]:
    """Yield the `channels` view in float64 blocks b x c, whole inputs in order; as many as fit `beside` as well."""
    largest = max(math.prod(tensor.shape[1:]) for tensor in (activations, beside) if tensor is not None)
    count = max(1, BLOCK // largest)
    for start in range(0, len(activations), count):
        # Channels by positions first: the copy then runs along memory.
        yield activations[start : start + count].movedim(1, 0).flatten(1).to(torch.float64).T


# -------------------------------------------------------------------------------------- decomposition


@dataclass(frozen=True)
class Sides:
    """What centring took away from a matrix with columns >= rows, as vectors over the rows.

    With a common level l and the column means l + m, the rows less l have the Gram matrix
    G = Kc + along 1' + 1 along' + spread and the sums `sums`. The uncentred rows have G + l (sums 1' + 1 sums') +
    columns * l^2, and the rows less their own means G - sums sums' / columns. Keeping the level apart saves the
    digits that a large mean common to all columns would cost.
    """

    along: Tensor  # Xc m
    sums: Tensor  # Xc 1 + m'1
    spread: float  # m'm
    level: float


@dataclass(frozen=True)
class Spectrum:
    """The thin SVD of Xc, cut at the numerical rank r: singular values above the first one times max(rows, columns)
    times the machine precision."""

    singular_values: Tensor  # r, descending
    left: Tensor | None  # rows x r; None of a streamed matrix, where it is Xc @ basis
    basis: Tensor | None = None  # columns x r, of a streamed matrix
    loadings: Tensor | None = None  # left' Xc where columns < rows; dead columns may be missing

    def shuffled(self, rows: Tensor) -> "Spectrum":
        """With the rows in another order."""
        return self if self.left is None else replace(self, left=self.left[rows])


@dataclass
class Representation:
    """A representation: everything that measures need of it, in float64.

    Xc (rows x columns) is the view's matrix, column-centred and divided by `scale`, a power of two that no measure
    sees and that keeps the squares of tiny and huge numbers finite. Of it there is the Gram matrix where columns >=
    rows, else Xc itself and its covariance; in a `channels` view of many positions, which is streamed and never
    stored, the covariance alone. The decomposition, `spectrum`, is made when it is first asked for.
    """

    view: str
    activations: Tensor  # as given, or the pooled means
    rows: int
    columns: int
    dead: int  # columns that are constant, exactly
    scale: float
    gram: Tensor | None = None  # Xc Xc' once it was made, until `forget_gram`
    sides: Sides | None = None  # where columns >= rows
    centred: Tensor | None = None  # Xc without its dead columns, where columns < rows, until it is decomposed
    covariance: Tensor | None = None  # Xc' Xc, where columns < rows, until it is decomposed
    centre: Tensor | None = None  # columns: the means of a streamed matrix / scale
    drawn: "Representation | None" = None  # some of the rows, where all are too many for rows x rows
    features: dict[tuple, object] = field(default_factory=dict)
    decomposed: Spectrum | None = None  # `spectrum`, once it was made

    @property
    def constant(self) -> bool:
        """Whether every column is constant, so that nothing is left to compare."""
        return self.dead == self.columns

    @property
    def streamed(self) -> bool:
        return self.centre is not None

    @property
    def spectrum(self) -> Spectrum:
        """The decomposition: one symmetric eigenproblem of size min(rows, columns), and passes where it is graded."""
        if self.decomposed is None:
            self.decomposed = _spectrum(self)
            self.centred = self.covariance = None
        return self.decomposed

    @property
    def singular_values(self) -> Tensor:
        return self.spectrum.singular_values

    @property
    def left(self) -> Tensor | None:
        return self.spectrum.left

    @property
    def basis(self) -> Tensor | None:
        return self.spectrum.basis

    @property
    def loadings(self) -> Tensor | None:
        return self.spectrum.loadings

    @property
    def rank(self) -> int:
        return len(self.singular_values)

    @property
    def matrix(self) -> Tensor:
        """The matrix as it came, n x p, or n x c x h x w to be flattened."""
        return view_matrix(self.activations, "channels") if self.view == "channels" else self.activations

    @property
    def variances(self) -> Tensor:
        """Squared singular values, r."""
        return self.singular_values**2

    @property
    def unresolved(self) -> int:
        """Number of directions too far below the largest for one pass over squares to give them all their digits."""
        return int((self.singular_values < RESOLVED * self.singular_values[0]).sum())

    @property
    def saturated(self) -> bool:
        """Whether the columns span every centred pattern over the rows, so that any other is a mixture of them."""
        return self.rank >= self.rows - 1

    @property
    def paired(self) -> "Representation":
        """The rows to take for work on pairs of rows: those drawn, or all."""
        return self.drawn or self

    def feature(self, build: Callable[..., object], *constants: object) -> object:
        """build(self, *constants), computed once."""
        key = (build, *constants)
        if key not in self.features:
            self.features[key] = build(self, *constants)
        return self.features[key]

    @property
    def factor(self) -> Tensor:
        """A matrix whose products of rows are those of Xc: Xc itself, or its principal coordinates."""
        return self.centred if self.centred is not None else self.left_vectors() * self.singular_values

    @property
    def total(self) -> float:
        """|Xc|^2, the sum of the variances of the principal directions."""
        if self.decomposed is not None:
            return float(self.variances.sum())
        return float((self.covariance if self.gram is None else self.gram).trace())

    @property
    def power(self) -> float:
        """|Xc Xc'|^2, the sum of the squared variances of the principal directions."""
        if self.decomposed is not None:
            return float((self.variances**2).sum())
        return float((self.covariance if self.gram is None else self.gram).norm() ** 2)

    def centred_gram(self) -> Tensor:
        """Xc Xc', rows x rows; kept until `forget_gram`."""
        if self.gram is None:
            self.gram = outer_gram(self.factor)
        return self.gram

    def forget_gram(self) -> None:
        """Give back the memory of the Gram matrix where it can be made again from what is left."""
        for representation in (self, self.paired):
            if representation.decomposed is not None or representation.centred is not None:
                representation.gram = None

    def forget_activations(self) -> None:
        """Give back the activations and keep their shape; what needs them can't be computed any more."""
        self.activations = self.activations.to("meta")

    def centred_columns(self) -> Iterator[Tensor]:
        """Yield Xc in blocks of whole columns; for a matrix that is not streamed."""
        alive = (self.matrix.amin(0) != self.matrix.amax(0)).flatten()
        return (centred for centred, _ in _centred_columns(self.matrix, self.scale, alive))

    def centred_rows(self, beside: Tensor | None = None) -> Iterator[Tensor]:
        """Yield a streamed Xc in blocks of whole rows."""
        return _centred_rows(self.activations, self.scale, self.centre, beside)

    def left_vectors(self) -> Tensor:
        """The left singular vectors, rows x r, also of a streamed matrix."""
        if self.left is not None:
            return self.left
        return torch.cat([block @ self.basis for block in self.centred_rows()])

    def shuffled(self, generator: torch.Generator) -> "Representation":
        """The representation with its inputs in a random order, so that it has nothing to do with any other.

        Positions stay with their input; drawn rows are put in a random order of their own.
        """
        order = torch.randperm(len(self.activations), generator=generator).to(self.activations.device)
        per_input = self.rows // len(order)
        rows = (order[:, None] * per_input + torch.arange(per_input, device=order.device)).flatten()
        return replace(
            self,
            activations=self.activations[order],
            gram=self.gram[rows[:, None], rows] if self.decomposed is None and self.gram is not None else None,
            sides=None,
            centred=None if self.centred is None else self.centred[rows],
            decomposed=None if self.decomposed is None else self.decomposed.shuffled(rows),
            drawn=None if self.drawn is None else self.drawn.shuffled(generator),
            features={
                build: made[rows] if isinstance(made, Tensor) else made.shuffled(rows)
                for build, made in self.features.items()
            },
        )


def decompose(activations: Tensor, view: str = "flatten", seed: int = 0) -> Representation:
    """One view of activations, n x p, n x t x d or n x c x h x w, finite, of any float dtype and device.

    Costs min(n, p)^2 max(n, p) operations for the Gram matrix or the covariance, and, where the decomposition is
    asked for, one symmetric eigenproblem of size min(n, p). Needs, on top of the activations, float64 blocks of 16 MB
    (at least one channel of all inputs) and a few matrices of that size, or n x p where p < n: to compare n = 5,000,
    p = 65,536 with all measures, 2.5 GB.
    Squares lose half of the digits, so directions far below the largest are found in further passes over what the
    larger ones leave. `seed` draws the rows for work on pairs of rows, where there are too many: of inputs, more
    than DRAWN_INPUTS.
    """
    check_view(view)
    activations = tokens_as_maps(activations) if activations.ndim == 3 else activations
    if activations.ndim == 4 and view not in ("flatten", "channels"):
        activations = view_matrix(activations, view)
    if view == "channels" and positions(activations) > 1:
        rows, columns = len(activations) * positions(activations), activations.shape[1]
        if rows > max(DRAWN_POSITIONS, columns):
            return _decompose_streamed(activations, seed)
        return _decompose_matrix(activations, view_matrix(activations, view), view, seed, DRAWN_POSITIONS)
    if view == "channels":
        activations = activations.flatten(1)  # a row is an input
    return _decompose_matrix(activations, activations, view, seed, DRAWN_INPUTS)


def _decompose_matrix(activations: Tensor, matrix: Tensor, view: str, seed: int, most: int) -> Representation:
    """Decompose a matrix given as n x p, or as n x c x h x w to be flattened; of more rows, `most` are drawn."""
    rows, columns = len(matrix), math.prod(matrix.shape[1:])
    low, high = matrix.amin(0).double(), matrix.amax(0).double()
    scale, alive = _scale(low, high), (low != high).flatten()
    if columns >= rows:
        level = float(((low + high) / (2 * scale)).mean())
        parts = _decompose_wide(matrix, scale, alive, level)
    else:
        parts = _decompose_narrow(matrix, scale, alive)
    drawn = None
    if rows > most:
        chosen = matrix[_draw(rows, most, seed).to(matrix.device)]
        drawn = _decompose_matrix(chosen, chosen, "flatten", seed, most)
    return Representation(
        view=view,
        activations=activations,
        rows=rows,
        columns=columns,
        dead=int((~alive).sum()),
        scale=scale,
        drawn=drawn,
        **parts,
    )


def _decompose_wide(matrix: Tensor, scale: float, alive: Tensor, level: float) -> dict[str, object]:
    """The Gram matrix, in one pass over the columns."""
    rows = len(matrix)
    gram = matrix.new_zeros((rows, rows), dtype=torch.float64)
    sides = gram.new_zeros((rows, 2))
    spread = total = 0.0
    for centred, means in _centred_columns(matrix, scale, alive):
        means = means - level
        sides.addmm_(centred, torch.stack([means, torch.ones_like(means)], 1))
        spread += float(means @ means)
        total += float(means.sum())
        _add_outer(gram, centred)
    _mirror(gram)
    return {"gram": gram, "sides": Sides(sides[:, 0].contiguous(), sides[:, 1] + total, spread, level)}


def _decompose_narrow(matrix: Tensor, scale: float, alive: Tensor) -> dict[str, object]:
    """The columns that are `alive`, centred, and their covariance; the others would cost passes and add nothing."""
    centred = matrix.new_empty((len(matrix), int(alive.sum())), dtype=torch.float64)
    seen = start = 0
    for block, _ in _centred_columns(matrix, scale, alive):
        kept = alive[seen : seen + block.shape[1]]
        seen += len(kept)
        end = start + int(kept.sum())
        centred[:, start:end] = block if end - start == len(kept) else block[:, kept]
        start = end
    return {"centred": centred, "covariance": outer_gram(centred.T)}


def _spectrum(representation: Representation) -> Spectrum:
    """The thin SVD from the Gram matrix or the covariance, and from passes over Xc if its rows are not gone."""
    rows, columns, centred = representation.rows, representation.columns, representation.centred
    covariance = representation.covariance
    if representation.streamed and representation.activations.is_meta:
        basis, singular_values = _whitening(lambda a, c: a.T @ covariance @ c, covariance, (columns * EPS) ** 0.5)
        return Spectrum(singular_values, None, basis, (basis * singular_values**2).T)
    if columns >= rows:
        gram = representation.centred_gram()
        left, singular_values = _left_vectors(gram, representation.centred_columns, columns * EPS)
        return Spectrum(singular_values, left)

    def moments(first: Tensor, second: Tensor) -> Tensor:
        blocks = representation.centred_rows() if centred is None else (centred,)
        return sum((block @ first).T @ (block @ second) for block in blocks)

    basis, singular_values = _whitening(moments, covariance, rows * EPS)
    loadings = (basis * singular_values**2).T
    if centred is None:
        return Spectrum(singular_values, None, basis, loadings)
    return Spectrum(singular_values, product(centred, basis), loadings=loadings)


def product(first: Tensor, second: Tensor) -> Tensor:
    """The matrix product; on a CPU by NumPy, whose BLAS is up to twice as fast as PyTorch's."""
    if first.device.type != "cpu":
        return first @ second
    return torch.from_numpy(first.numpy() @ second.numpy())


def outer_gram(factor: Tensor) -> Tensor:
    """A A' for a matrix A, n x k, at half of the cost of a general product."""
    gram = factor.new_zeros((len(factor), len(factor)))
    _add_outer(gram, factor)
    _mirror(gram)
    return gram


def _add_outer(gram: Tensor, factor: Tensor) -> None:
    """Add A A' to what is on and above the diagonal of a symmetric matrix."""
    if gram.device.type != "cpu":
        gram.addmm_(factor, factor.T)
    elif factor.numel():
        from scipy.linalg.blas import dsyrk  # takes a while to import

        # Columns first, as BLAS has them: the matrix itself is then its lower triangle.
        across = not factor.T.is_contiguous()
        columns = factor.contiguous().T if across else factor
        dsyrk(1.0, columns.numpy(), beta=1.0, c=gram.T.numpy(), trans=across, lower=True, overwrite_c=True)


def _mirror(gram: Tensor) -> None:
    """Copy what is above the diagonal to below it, after `_add_outer`."""
    for start in range(0, len(gram), BAND):
        end = min(start + BAND, len(gram))
        square = gram[start:end, start:end]
        square.copy_(square.triu() + square.triu(1).T)
        gram[end:, start:end] = gram[start:end, end:].T


def _decompose_streamed(activations: Tensor, seed: int) -> Representation:
    """The `channels` view, from covariances of channels alone."""
    inputs, columns = activations.shape[:2]
    rows = inputs * positions(activations)
    low, high = activations.amin((0, 2, 3)).double(), activations.amax((0, 2, 3)).double()
    scale = _scale(low, high)
    centre = low / scale
    # Rounding leaves the first means short of the digits of the centred values: the second pass finds them.
    for _ in range(2):
        total = sum(block.sum(0) for block in _centred_rows(activations, scale, centre))
        centre = torch.where(low == high, centre, centre + total / rows)
    drawn = activations.movedim(1, -1)
    chosen = _draw(rows, DRAWN_POSITIONS, seed).to(activations.device)
    drawn = drawn[chosen // positions(activations), *_grid(chosen, activations)]
    return Representation(
        view="channels",
        activations=activations,
        rows=rows,
        columns=columns,
        dead=int((low == high).sum()),
        scale=scale,
        covariance=sum(block.T @ block for block in _centred_rows(activations, scale, centre)),
        centre=centre,
        drawn=_decompose_matrix(drawn, drawn, "flatten", seed, DRAWN_POSITIONS),
    )


def _grid(chosen: Tensor, activations: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column in the map of each chosen row of the `channels` view."""
    height, width = activations.shape[2:]
    place = chosen % (height * width)
    return place // width, place % width


def _draw(rows: int, count: int, seed: int) -> Tensor:
    """A seeded draw of rows, in order; never a stride, which would alias with the size of the maps."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(rows, generator=generator)[:count].sort().values


def _scale(low: Tensor, high: Tensor) -> float:
    """The power of two at or below half the widest range of a column; 1 where all columns are constant."""
    widest = float((high / 2 - low / 2).max())
    return math.ldexp(1.0, math.frexp(widest)[1] - 1) if widest > 0 else 1.0


def _centred_columns(matrix: Tensor, scale: float, alive: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield blocks of whole columns of a matrix / scale, centred, each in the place of the one before, and their means.

    `alive`: which of all columns are not constant.
    """
    start = 0
    for block in column_blocks(matrix):
        varies = alive[start : start + block.shape[1]]
        start += block.shape[1]
        block.div_(scale)
        means = torch.where(varies, block.mean(0), block[0])
        block -= means
        if float(torch.where(varies, means, 0.0).abs().max()) > SMALL_MEAN:
            # Once more: at a large mean the first one is short of the digits of the centred values.
            block -= torch.where(varies, block.mean(0), 0.0)
        yield block, means


def _centred_rows(activations: Tensor, scale: float, centre: Tensor, beside: Tensor | None = None) -> Iterator[Tensor]:
    """Yield blocks of whole rows of the `channels` view / scale, centred."""
    for block in position_blocks(activations, beside):
        yield block / scale - centre


def _eigh(symmetric: Tensor) -> tuple[Tensor, Tensor]:
    """Roots of the eigenvalues, descending, and the eigenvectors of a positive semi-definite matrix."""
    try:
        values, vectors = torch.linalg.eigh(symmetric)
    except torch.linalg.LinAlgError:  # rare, where clusters of eigenvalues defeat the solver: the SVD is the same
        vectors, values, _ = torch.linalg.svd(symmetric)
        return values.sqrt(), vectors
    return values.flip(0).clamp(min=0).sqrt(), vectors.flip(1)


def _whitening(
    moments: Callable[[Tensor, Tensor], Tensor], covariance: Tensor, tolerance: float
) -> tuple[Tensor, Tensor]:
    """Return B (p x r) and the singular values s (r) of Xc, such that Xc B are its left singular vectors.

    `moments(A, C)` is (Xc A)'(Xc C), `covariance` is Xc'Xc. Each pass settles the directions within RESOLVED of
    the largest that is left; what they explain is taken out of the others before the next pass.
    """
    columns = len(covariance)
    basis = covariance.new_zeros((columns, 0))
    directions = torch.eye(columns, dtype=covariance.dtype, device=covariance.device)
    values = covariance.new_zeros(0)
    while directions.shape[1]:
        scales, rotation = _eigh(covariance)
        floor = tolerance * float(values[0] if len(values) else scales[0])
        settled = int((scales > max(floor, RESOLVED * float(scales[0]))).sum())
        if settled == 0:
            break
        basis = torch.cat([basis, directions @ (rotation[:, :settled] / scales[:settled])], 1)
        values = torch.cat([values, scales[:settled]])
        directions = directions @ rotation[:, settled:]
        directions = directions - basis @ moments(basis, directions)
        covariance = moments(directions, directions)
    order = values.argsort(descending=True)
    return basis[:, order], values[order]


def _left_vectors(gram: Tensor, blocks: Callable[[], Iterator[Tensor]], tolerance: float) -> tuple[Tensor, Tensor]:
    """Return the left singular vectors (n x r) and singular values (r) of Xc, from Xc Xc' and its column blocks.

    Where the Gram matrix has full rank, n - 1, it says all. Otherwise the directions that it doesn't resolve are
    looked at again, in passes like those of `_whitening`.
    """
    values, vectors = _eigh(gram)
    full = len(gram) - 1
    if bool(values[full - 1] ** 2 > tolerance * values[0] ** 2):
        return vectors[:, :full].contiguous(), values[:full]
    floor = tolerance * float(values[0])
    settled = int((values > RESOLVED * values[0]).sum())
    found, found_values = [vectors[:, :settled]], [values[:settled]]
    rest = vectors[:, settled:]
    while settled and rest.shape[1]:
        rest_gram = rest.new_zeros((rest.shape[1], rest.shape[1]))
        for block in blocks():
            projected = rest.T @ block
            rest_gram.addmm_(projected, projected.T)
        values, rotation = _eigh(rest_gram)
        rest = rest @ rotation
        settled = int((values > max(floor, RESOLVED * float(values[0]))).sum())
        found.append(rest[:, :settled])
        found_values.append(values[:settled])
        rest = rest[:, settled:]
    # Centred columns have no part along the constant direction: rounding alone can make a rank of n.
    values = torch.cat(found_values)
    order = values.argsort(descending=True)[:full]
    return torch.cat(found, 1)[:, order], values[order]
