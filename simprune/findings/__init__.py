"""What a run found, in numbers and in words: the tables under the figures and the sentences of their captions.

Every number that the book's prose names is computed here from the tables of a run, so that prose and tables
agree whatever the parameters. A mean is over seeds; a range from the least to the greatest follows it where
seeds differ.
"""

from simprune.analysis import (
    accuracies,
    one_of_each_family,
)
from simprune.findings.common import (
    INVARIANCE_WORDS,
    NO_VALUE,
    PER_CENT,
    REFERENCE_WORDS,
    REMARK,
    TextTable,
    accuracy_percent,
    counted,
    densities,
    duration,
    layers_in,
    listed,
    measures_in,
    named,
    nearest_level,
    over_seeds,
    percent,
    score_text,
    select,
    spread,
    title,
)
from simprune.findings.disagreement import (
    NOT_COMPUTED,
    load_studies,
    studies_sentence,
)
from simprune.findings.grounding import (
    CORRECTION_WORDS,
    TEST_TITLES,
    detection_summary,
    detection_table,
    guide,
    guide_in_words,
    guide_points,
    guide_sentences,
    known_answers,
    leaderboard_table,
    leaderboards,
    procedure_words,
    scoreboard,
    scoreboard_table,
)
from simprune.results import stored_seeds
