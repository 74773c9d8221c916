"""One function per figure of the book: each takes the results of an experiment and gives a matplotlib figure.

The grammar is the same everywhere. A measure has one colour and one marker, a similarity has one colour scale
from 0 to 1, layers run from left to right in network order, density runs from dense to sparse. Several seeds
are a mean and the range from the least to the greatest. A score whose status is not "ok" is hollow or
hatched, and a score without a value is a cross: nothing is left out in silence. The ground is white in both
themes of the book.
"""

from simprune.plots.common import CROSS, HOLLOW, KINDS, SIMILARITY_MAP, STYLES, WIDTH, Style
from simprune.plots.methods import SPECTRAL_POINTS, UNCHANGED, spectral_plane, toy_clouds, toy_scores
from simprune.plots.results import (
    layer_densities,
    layer_profiles,
    measure_agreement,
    performance,
    similarity_by_density,
    similarity_heatmaps,
)

__all__ = [
    "CROSS",
    "HOLLOW",
    "KINDS",
    "SIMILARITY_MAP",
    "SPECTRAL_POINTS",
    "STYLES",
    "UNCHANGED",
    "WIDTH",
    "Style",
    "layer_densities",
    "layer_profiles",
    "measure_agreement",
    "performance",
    "similarity_by_density",
    "similarity_heatmaps",
    "spectral_plane",
    "toy_clouds",
    "toy_scores",
]
