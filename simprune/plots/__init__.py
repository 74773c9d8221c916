"""One function per figure of the book: each takes the results of an experiment and gives a matplotlib figure.

The grammar is the same everywhere. A measure has one colour and one marker, a similarity has one colour scale
up to 1, layers run from left to right in network order, density runs from dense to sparse. Several seeds
are a mean and the range from the least to the greatest. A score whose status is not "ok" is hollow or
hatched, and a score without a value is a cross: nothing is left out in silence. The ground is white in both
themes of the book.
"""

from simprune.plots.common import COMPANY_STYLES, CROSS, HOLLOW, KINDS, SIMILARITY_MAP, STYLES, WIDTH
from simprune.plots.disagreement import (
    PART_WORDS,
    agreement_halves,
    calibration_dots,
    conclusions_map,
    control_dots,
    convergence_lines,
    guide_chart,
    ladder_lines,
    merit_map,
    source_bars,
    source_layers,
    svcca_profiles,
    turns_map,
)
from simprune.plots.effects import footprint, paths, sign_agreement, verdicts
from simprune.plots.explorer import explorer, spectral_layers, stored_studies
from simprune.plots.live import live_cloud, live_plane
from simprune.plots.methods import UNCHANGED, spectral_plane, toy_clouds, toy_scores
from simprune.plots.networks import layer_heatmap, score_dots
from simprune.plots.results import (
    company_by_density,
    company_profiles,
    layer_densities,
    layer_profiles,
    measure_agreement,
    performance,
    similarity_heatmaps,
)
from simprune.plots.retraining import accuracy_of_ways, nearness_of_ways
from simprune.plots.studies import studies_accuracy, studies_agreement
