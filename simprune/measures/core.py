"""What all measures share: their description, a score with its status, and a pair of representations."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from simprune.errors import InputError
from simprune.representations import Representation, as_activations, check_view, decompose, nonfinite, positions

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


@dataclass(frozen=True)
class Measure:
    """A similarity or distance, described; every flag is tested.

    Attributes:
        invariances: groups of maps of the columns of X or of Y, each alone, that leave the value as it is
        range: the least and the greatest possible value
        subject: what `score` takes: "representations" (a `Pair`), "outputs" (two tensors of logits n x classes, and the
            labels or None) or "weights" (two networks' weights and masks)
        prepare: what `score` derives from each representation's `paired` rows alone, and can be made beforehand
        needs_activations: whether `score` with this representation as X or Y goes back to its activations
    """

    id: str
    title: str
    family: str
    kind: Literal["similarity", "distance"]
    symmetric: bool
    range: tuple[float, float]
    invariances: frozenset[str]
    reference: str
    score: Callable[..., Score]
    subject: Literal["representations", "outputs", "weights"] = "representations"
    prepare: tuple[Callable[[Representation], object], ...] = ()
    needs_activations: Callable[[Representation], bool] = lambda representation: False
    needs_labels: bool = False

    @property
    def is_distance(self) -> bool:
        return self.kind == "distance"

    @property
    def best(self) -> float:
        """The value of a representation with itself."""
        return 0.0 if self.is_distance else 1.0


class Pair:
    """Two representations of the same inputs, and what several measures need of both, computed once."""

    def __init__(self, x: Representation, y: Representation):
        self.x, self.y = x, y

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
        if self.x.left is not None or self.y.left is not None:
            return self.x.left_vectors().T @ self.y.left_vectors()
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
        """tr(KL) = sum of W weighted with both spectra."""
        return float(self.x.variances @ self.squared @ self.y.variances)

    @cached_property
    def nuclear_norm(self) -> float:
        """Sum of the singular values of T = Xc' Yc in principal axes, S_x M S_y.

        Of a large T they are roots of the eigenvalues of T T', at a third of the cost. T is graded, its rows
        falling with S_x, and so they keep nearly all digits; the worst case is an error of 1e-8 of the largest in
        each one that is exactly 0.
        """
        T = self.weighted_overlap(1.0)
        if min(T.shape) <= SMALL:
            return float(torch.linalg.svdvals(T).sum())
        square = T @ T.T if T.shape[0] <= T.shape[1] else T.T @ T
        return float(torch.linalg.eigvalsh(square).clamp(min=0).sqrt().sum())

    def weighted_overlap(self, alpha: float) -> Tensor:
        """M_alpha = S_x^alpha M S_y^alpha."""
        return self.x.singular_values[:, None] ** alpha * self.overlap * self.y.singular_values**alpha

    def features(self, build: Callable[[Representation], object]) -> tuple:
        """What `build` makes of X and of Y, on the rows for work on pairs of rows."""
        return self.x.paired.feature(build), self.y.paired.feature(build)

    @property
    def draw_note(self) -> str:
        """Which rows were taken for work on pairs of rows, where not all were."""
        drawn = self.x.drawn
        return "" if drawn is None else f"on {drawn.rows} of {self.rows} rows"


def pair_of(X: object, Y: object, view: str = "flatten", seed: int = 0) -> Pair:
    """Decompose two arrays or tensors of activations, n first, 2-D to 4-D, as a pair on the device of X.

    Raises InputError for activations that can't be used, other numbers of inputs or of positions in the `channels`
    view, fewer than 4 inputs, and an unknown view.
    """
    check_view(view)
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
            "compares"
        )
    return Pair(decompose(x, view, seed), decompose(y.to(x.device), view, seed))


def score_of(measure: Measure, pair: Pair) -> Score:
    """The score of a pair of representations; where there is none, nan and a note that says why."""
    if pair.x.rank == 0 or pair.y.rank == 0:
        return undefined("constant representation")
    try:
        score = measure.score(pair)
    except torch.linalg.LinAlgError:
        return undefined("the decomposition did not converge")
    if score.value != score.value and score.status != "undefined":
        return undefined("not a number")
    return score


def rank_notes(pair: Pair) -> Iterator[str]:
    """Which of the two has a rank below what its columns and rows allow, and how many dead columns."""
    for name, side in (("X", pair.x), ("Y", pair.y)):
        if side.rank < min(side.columns, side.rows - 1):
            dead = f", {side.dead} of {side.columns} columns dead" if side.dead else ""
            yield f"rank {side.rank} in {name}{dead}"
        elif side.dead:
            yield f"{side.dead} of {side.columns} columns dead in {name}"
