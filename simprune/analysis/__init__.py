"""Numbers and tidy tables from results; no sentence, no figure.

`scores` puts every measure on one footing, `agreement` compares the orders that measures give, `conclusions` the
answers that they lead to, `sources` splits the spread of their scores over its sources, `known_answers` holds tests of
measures whose right answer is known, `retraining` sets the ways of pruning and retraining side by side and `across` the
studies, `summaries` chooses scores and sums them up, and `claims` what is said of them.
"""

from simprune.analysis.across import Across, across_studies, fall_density, first_to_turn, least_similar, pair_agreement
from simprune.analysis.agreement import (
    agreement_between_studies,
    agreement_by_scale,
    agreement_over_inputs,
    clustered,
    mean_agreement,
    pairs_in,
    rank_agreement,
    study_agreement,
)
from simprune.analysis.claims import Claim
from simprune.analysis.conclusions import (
    NEVER,
    QUESTIONS,
    SCALES,
    conclusions,
    distinct_answers,
    least_layer_answers,
    least_layers,
)
from simprune.analysis.controls import (
    CONTROLS,
    by_layer,
    company,
    company_at,
    nearer_than_sibling,
)
from simprune.analysis.one_study import (
    CHANGED,
    DIP,
    accuracy_by_level,
    accuracy_lasts,
    dips,
    gained_by_training_on,
    layer_densities,
    least_similar_layers,
    profile,
    similarity_by_density,
    spread,
    statuses,
    unfinished_gain,
    widest,
)
from simprune.analysis.retraining import (
    RENDA_FINETUNE,
    WAYS,
    by_measures,
    from_dense,
    gaps,
    in_every_layer,
    is_convolutional,
    way_accuracies,
)
from simprune.analysis.scores import (
    PAPER_MEASURES,
    as_similarity,
    calibration,
    dense_scores,
    diagnostic,
    is_ok,
    procedures,
    stated,
)
from simprune.analysis.sources import (
    COMMON_VIEWS,
    GENUINE,
    INTERACTIONS,
    LADDER,
    RESIDUAL,
    SPECTRAL_POINTS,
    cca_is_ok,
    convergence,
    ladder,
    layers_with_positions,
    overall_shares,
    seed_intervals,
    source_shares,
    spectral_maps,
    spectral_marks,
    spectral_shares,
    variance_shares,
)
from simprune.analysis.summaries import (
    Range,
    accuracies,
    densities,
    layers_in,
    measures_in,
    nearest_level,
    one_of_each_family,
    over_seeds,
    ranges,
    select,
)
