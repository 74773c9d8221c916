"""Similarity measures: one file per family, and their registry.

`MEASURES` describes and holds them by id; `simprune.compare` computes them. A measure takes a `Pair` of decomposed
representations, or logits, or weights, and gives a `Score`.
"""

from simprune.measures.chance import chance_corrected
from simprune.measures.core import INVARIANCES, Measure, Option, Pair, Score
from simprune.measures.kernels import MinibatchCKA
from simprune.measures.registry import MEASURES, STUDY
from simprune.measures.spectral import spectral_map, spectral_similarity

__all__ = [
    "INVARIANCES",
    "MEASURES",
    "STUDY",
    "Measure",
    "MinibatchCKA",
    "Option",
    "Pair",
    "Score",
    "chance_corrected",
    "spectral_map",
    "spectral_similarity",
]
