"""What all measures share: their description, a score with its status, and a pair of representations."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from simprune.arrays import aligned
from simprune.errors import InputError, check_choice, shown
from simprune.representations import (
    Representation,
    as_activations,
    check_view,
    decompose,
    nonfinite,
    outer_gram,
    positions,
    product,
)

INVARIANCES = ("permutation", "orthogonal", "isotropic_scaling", "invertible_linear", "translation", "affine")

FEWEST_INPUTS = 4
# Matrices up to this size are decomposed the exact way; it costs little.
SMALL = 512

# What several measures are blind to.
UNIT_SCALE = frozenset({"isotropic_scaling", "translation"})
SHAPE = frozenset({"permutation", "orthogonal", "isotropic_scaling", "translation"})
SUBSPACE = frozenset(INVARIANCES)


class Score(NamedTuple):
    """A value, how to read it, and what else to know about it.

    Attributes:
        status: "ok"; "degenerate": numbers of inputs and units alone dictate the value; "undefined": it is nan
        note: why it is not ok, and remarks; joined by "; "
    """

    value: float
    status: Literal["ok", "degenerate", "undefined"] = "ok"
    note: str = ""


def undefined(reason: str) -> Score:
    """The score of a pair that has none, and why."""
    return Score(float("nan"), "undefined", reason)


def noted(*notes: str) -> str:
    """Several notes as one; empty ones are left out."""
    return "; ".join(note for note in notes if note)


class Option(NamedTuple):
    """A free constant of a measure: the convention, and `check(field, value)`, which gives a valid value back."""

    default: object
    check: Callable[[str, object], object]


@dataclass(frozen=True)
class Measure:
    """A similarity or distance, described; every flag is tested.

    Attributes:
        invariances: groups of maps of the columns of X or of Y, each alone, that leave the value as it is
        range: the least and the greatest possible value
        subject: what `score` takes: "representations" (a `Pair`), "outputs" (two tensors of logits n x classes, and the
            labels or None) or "weights" (two networks' weights and masks)
        options: free constants of `score` by name
        given: those that were chosen, see `with_options`
        prepare: what `score` derives from each representation's `paired` rows alone, and can be made beforehand: a
            function of the representation, and the names of the options that it takes too
        from_sums: whether `score` needs of rows no more than `PairSums`
        decomposes: whether `score` needs the decompositions, and not products or activations alone
        needs_activations: whether `score` with this representation as X or Y goes back to its activations
    """

    id: str
    title: str
    family: str
    invariances: frozenset[str]
    reference: str
    score: Callable[..., Score]
    kind: Literal["similarity", "distance"] = "similarity"
    symmetric: bool = True
    range: tuple[float, float] = (0.0, 1.0)
    subject: Literal["representations", "outputs", "weights"] = "representations"
    options: Mapping[str, Option] = field(default_factory=dict)
    given: Mapping[str, object] = field(default_factory=dict)
    prepare: tuple[tuple, ...] = ()
    from_sums: bool = False
    decomposes: bool = True
    needs_activations: Callable[[Representation], bool] = lambda representation: False

    @property
    def is_distance(self) -> bool:
        return self.kind == "distance"

    @property
    def best(self) -> float:
        """The value of a representation with itself."""
        return 0.0 if self.is_distance else 1.0

    @property
    def constants(self) -> dict[str, object]:
        """The value of each option."""
        return {name: self.given.get(name, option.default) for name, option in self.options.items()}

    def with_options(self, values: Mapping[str, object]) -> "Measure":
        """The measure with other constants, which its scores note. Raises InputError for unknown or bad ones."""
        if not isinstance(values, Mapping):
            raise InputError(f"options: {shown(values)} is not a dictionary of options of {self.id}")
        if values and not self.options:
            raise InputError(f"options: {self.id} has none")
        return replace(
            self,
            given={
                name: self.options[check_choice(f"options of {self.id}", name, self.options)].check(name, value)
                for name, value in values.items()
            },
        )

    def features(self, representation: Representation) -> None:
        """Make what `score` derives from one representation alone, to be found there later."""
        for build, *names in self.prepare:
            representation.paired.feature(build, *(self.constants[name] for name in names))


@dataclass(frozen=True)
class PairSums:
    """What is left of two representations whose rows are gone.

    Attributes:
        products: Xc' Yc
        diagonals: of the diagonals k and l of Xc Xc' and Yc Yc' the sums of k l, k k, l l, k and l
    """

    products: Tensor
    diagonals: tuple[float, float, float, float, float]


class Pair:
    """Two representations of the same inputs, and what several measures need of both, computed once."""

    sums: PairSums | None = None

    def __init__(self, x: Representation, y: Representation, note: str = ""):
        self.x, self.y, self.note = x, y, note  # the note is of every score

    @property
    def rows(self) -> int:
        return self.x.rows

    @property
    def wide(self) -> bool:
        """Whether one of the two has as many columns as rows."""
        return max(self.x.columns, self.y.columns) >= self.rows

    @cached_property
    def overlap(self) -> Tensor:
        """M = U_x' U_y, r_x x r_y: its singular values are the canonical correlations."""
        if self.sums is not None:
            return self.x.basis.T @ self.sums.products @ self.y.basis
        if self.x.left is not None or self.y.left is not None:
            return product(self.x.left_vectors().T, self.y.left_vectors())
        x, y = self.x, self.y
        blocks = zip(x.centred_rows(y.activations), y.centred_rows(x.activations), strict=True)
        return sum((x_block @ x.basis).T @ (y_block @ y.basis) for x_block, y_block in blocks)

    @cached_property
    def squared(self) -> Tensor:
        """W = M * M, entry by entry."""
        return self.overlap**2

    @cached_property
    def canonical(self) -> tuple[Tensor, Tensor]:
        """The min(r_x, r_y) greatest singular values of M, and their left singular vectors, r_x x min(r_x, r_y).

        The vectors are those of M M', which costs a third of the SVD; the values are lengths, not roots of
        eigenvalues, and so keep their digits.
        """
        count = min(self.overlap.shape)
        vectors = torch.linalg.eigh(self.overlap @ self.overlap.T).eigenvectors.flip(1)[:, :count]
        return (vectors.T @ self.overlap).norm(dim=1), vectors

    @cached_property
    def shared_variance(self) -> float:
        """tr(KL): the sum of W weighted with both spectra; where one is not made, from a product of what there is."""
        x, y = self.x, self.y
        if self.sums is not None:
            return float(self.sums.products.norm() ** 2)
        if x.streamed and y.streamed and None in (x.decomposed, y.decomposed):
            blocks = zip(x.centred_rows(y.activations), y.centred_rows(x.activations), strict=True)
            return float(sum(x_block.T @ y_block for x_block, y_block in blocks).norm() ** 2)
        if x.streamed or y.streamed or None not in (x.decomposed, y.decomposed):
            return float(x.variances @ self.squared @ y.variances)
        if x.gram is None and y.gram is None:
            return float(product(x.factor.T, y.factor).norm() ** 2)
        if x.gram is not None and y.gram is not None:
            return float(x.gram.flatten() @ y.gram.flatten())
        gram, factor = (y.gram, x.factor) if x.gram is None else (x.gram, y.factor)
        return float((product(gram, factor) * factor).sum())

    @cached_property
    def nuclear_norm(self) -> float:
        """Sum of the singular values of Xc' Yc, which are those of A' B for any A A' = Xc Xc' and B B' = Yc Yc'."""
        x, y = self.x, self.y
        if self.sums is not None:
            return nuclear_norm(self.sums.products)
        if x.centred is not None and y.centred is not None:
            return float(torch.linalg.svdvals(product(x.centred.T, y.centred)).sum())
        if None in (x.decomposed, y.decomposed) and not (x.streamed or y.streamed) and x.activations.is_cpu:
            return nuclear_norm(product(_any_factor(x).T, _any_factor(y)))
        return nuclear_norm(x.singular_values[:, None] * self.overlap * y.singular_values)

    def features(self, build: Callable[..., object], *constants: object) -> tuple:
        """What `build` makes of X and of Y, on the rows for work on pairs of rows."""
        return self.x.paired.feature(build, *constants), self.y.paired.feature(build, *constants)

    @property
    def draw_note(self) -> str:
        """Which rows were taken for work on pairs of rows, where not all were."""
        drawn = self.x.drawn
        return "" if drawn is None else f"on {drawn.rows} of {self.rows} rows"


def _any_factor(side: Representation) -> Tensor:
    """A with A A' = Xc Xc': of a wide matrix that is not decomposed a Cholesky factor, which costs a tenth of that.

    Squares lose half of the digits: a direction may be off by 1e-8 of the largest. It matters where the one's small
    directions are the other's large ones, and is some 1e-14 elsewhere.
    """
    if side.decomposed is not None or side.centred is not None:
        return side.factor
    from scipy.linalg.lapack import dpstrf  # takes a while to import

    factor, order, rank, _ = dpstrf(side.centred_gram().numpy(), lower=True)
    rows = torch.from_numpy(factor).tril_()[:, :rank]
    return torch.empty_like(rows).index_copy_(0, torch.from_numpy(order).long() - 1, rows)


def nuclear_norm(T: Tensor) -> float:
    """Sum of the singular values.

    Of a large T they are roots of the eigenvalues of T T', at a third of the cost. Where T is graded, its rows falling
    with S_x, they keep nearly all digits; the worst case is an error of 1e-8 of the largest in each one that is
    exactly 0.
    """
    if min(T.shape) <= SMALL:
        return float(torch.linalg.svdvals(T).sum())
    square = outer_gram(T if T.shape[0] <= T.shape[1] else T.T)
    return float(torch.linalg.eigvalsh(square).clamp(min=0).sqrt().sum())


def pair_of(X: object, Y: object, view: str = "flatten", seed: int = 0) -> Pair:
    """Decompose two arrays or tensors of activations, n first, 2-D to 4-D, as a pair on the device of X.

    Raises InputError for activations that can't be used, other numbers of inputs or of positions in the `channels`
    view, fewer than 4 inputs, and an unknown view.
    """
    check_view(view)
    Y, note = aligned(X, Y)
    x, y = as_activations(X, "X"), as_activations(Y, "Y")
    if len(x) != len(y):
        raise InputError(
            f"X and Y: shapes {tuple(x.shape)} and {tuple(y.shape)} are not activations on the same n inputs"
        )
    if len(x) < FEWEST_INPUTS:
        raise InputError(f"X and Y: {len(x)} inputs are too few; at least {FEWEST_INPUTS} are needed")
    for name, tensor in (("X", x), ("Y", y)):
        if wrong := nonfinite(tensor):
            raise InputError(f"{name}: {wrong} of {tensor.numel()} activations are NaN or infinite")
    if view == "channels" and positions(x) != positions(y):
        raise InputError(
            f"X and Y: shapes {tuple(x.shape)} and {tuple(y.shape)} have other positions, which the view 'channels' "
            "compares; use the view 'pooled', or compare_networks (of files: two folders), which pools to the coarser "
            "grid"
        )
    return Pair(decompose(x, view, seed), decompose(y.to(x.device), view, seed), note)


def score_of(measure: Measure, pair: Pair) -> Score:
    """The score of a pair of representations; where there is none, nan and a note that says why."""
    if pair.x.constant or pair.y.constant:
        return undefined("constant representation")
    try:
        score = measure.score(pair, **measure.constants)
    except torch.linalg.LinAlgError:
        return undefined("the decomposition did not converge")
    if score.value != score.value and score.status != "undefined":
        return undefined("not a number")
    given = (f"{name} = {value}" for name, value in measure.given.items())
    return score._replace(note=noted(*given, score.note, pair.note))


def rank_notes(pair: Pair) -> Iterator[str]:
    """Which of the two has a rank below what its columns and rows allow, and how many dead columns."""
    for name, side in (("X", pair.x), ("Y", pair.y)):
        if side.rank < min(side.columns, side.rows - 1):
            dead = f", {side.dead} of {side.columns} columns dead" if side.dead else ""
            yield f"rank {side.rank} in {name}{dead}"
        elif side.dead:
            yield f"{side.dead} of {side.columns} columns dead in {name}"
