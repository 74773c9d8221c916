"""How much measures disagree about the same representations, and where the disagreement comes from.

`scores` puts every measure on one footing, `agreement` compares the orders that measures give, `conclusions` the
answers that they lead to, and `shares` splits the spread of their scores over its sources.
"""

from simprune.disagreement.agreement import (
    FEWEST_SEEDS,
    agreement_between_studies,
    agreement_over_inputs,
    clustered,
    median_agreement,
    rank_agreement,
    study_agreement,
)
from simprune.disagreement.conclusions import NEVER, QUESTIONS, SCALES, conclusions, distinct_answers
from simprune.disagreement.scores import (
    COPIES,
    CORRECTIONS,
    PAPER_MEASURES,
    as_similarity,
    dense_scores,
    diagnostic,
    is_ok,
    procedures,
    ranked,
    verdicts,
)
from simprune.disagreement.shares import (
    GENUINE,
    IMPLEMENTATIONS,
    LADDER,
    RESIDUAL,
    SOURCES,
    attributed_shares,
    convergence,
    designed_scores,
    ladder,
    overall_shares,
    source_shares,
    spectral_shares,
    variance_shares,
)

__all__ = [
    "COPIES",
    "CORRECTIONS",
    "FEWEST_SEEDS",
    "GENUINE",
    "IMPLEMENTATIONS",
    "LADDER",
    "NEVER",
    "PAPER_MEASURES",
    "QUESTIONS",
    "RESIDUAL",
    "SCALES",
    "SOURCES",
    "agreement_between_studies",
    "agreement_over_inputs",
    "as_similarity",
    "attributed_shares",
    "clustered",
    "conclusions",
    "convergence",
    "dense_scores",
    "designed_scores",
    "diagnostic",
    "distinct_answers",
    "is_ok",
    "ladder",
    "median_agreement",
    "overall_shares",
    "procedures",
    "rank_agreement",
    "ranked",
    "source_shares",
    "spectral_shares",
    "study_agreement",
    "variance_shares",
    "verdicts",
]
