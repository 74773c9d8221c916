"""Ways of pruning and retraining beside each other: their accuracy, and how near they stay to the dense network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from simprune.analysis import effects
from simprune.analysis.effects import PLACE
from simprune.analysis.published import FULLY_CONNECTED
from simprune.analysis.summaries import accuracies, over_seeds
from simprune.retraining import RETRAINING

if TYPE_CHECKING:
    from simprune.results import Results

Runs = Mapping[str, "Results"]

# Below this density LR rewinding was more accurate than fine-tuning on CIFAR-10 (Renda et al. 2020).
RENDA_FINETUNE = 0.4
SIBLING = "sibling"
COUNTS = ["nearer", "farther", "mixed", "tied"]


@dataclass(frozen=True)
class Way:
    """A way of pruning and retraining: its name, and how its experiment differs from the study's own."""

    title: str
    changes: Mapping[str, str]


# "pruned" is the study's own way: the smallest weights go, and the learning rate is rewound.
WAYS: dict[str, Way] = {
    "pruned" if mode == "lr_rewind" else mode: Way(RETRAINING[mode].title, {"retraining": mode})
    for mode in sorted(RETRAINING, key=lambda mode: RETRAINING[mode].donor)
} | {"random": Way("random pruning", {"criterion": "random"}), "twin": Way("trained on", {"criterion": "none"})}


def way_accuracies(runs: Runs) -> pd.DataFrame:
    """Test accuracy, 0 … 1, by (way, level), as in `over_seeds`; `runs` has the names of `WAYS`."""
    return pd.concat({name: accuracies(results) for name, results in runs.items()}, names=["way"])


def gaps(runs: Runs, way: str, column: str = "test_accuracy", below: float = 1.0) -> pd.DataFrame:
    """A way's accuracy less that of "pruned" with the same seed, by level, as in `over_seeds`.

    Only levels with less than the density `below`; no rows where the way is not in `runs` or shares no seed. `column`:
    another accuracy of the table of performance.
    """
    base = runs["pruned"].performance
    theirs = runs[way].performance if way in runs else base[:0]
    both = base.merge(theirs[["seed", "level", column]], on=["seed", "level"], suffixes=("", "_theirs"))
    both = both[both["density"] < below]
    return over_seeds(both.assign(gap=both[f"{column}_theirs"] - both[column]), "level", "gap")


def from_dense(results: "Results") -> pd.DataFrame:
    """Test accuracy less that of the dense network of the same seed, by level, as in `over_seeds`."""
    table = results.performance
    dense = table[table["level"] == 0].set_index("seed")["test_accuracy"]
    return over_seeds(table.assign(gap=table["test_accuracy"] - table["seed"].map(dense)), "level", "gap")


def differences(positions: pd.DataFrame, other: str = SIBLING) -> pd.DataFrame:
    """How much nearer to the dense network each network is than `other`; "sibling" stands for another seed.

    `positions`: of `effects.positions`. Rows as in `effects.effects`, each named after its network, so that
    `effects.verdicts` counts what measures say. Only seeds that both have.
    """
    if other == SIBLING:
        table = positions.assign(difference=positions["position"], size=positions["position"])
    else:
        keys = ["seed", *PLACE, "measure"]
        chosen = positions["network"] == other
        base, table = positions[chosen].set_index(keys), positions[~chosen].set_index(keys)
        table = table[table.index.isin(base.index)]
        less = base.loc[table.index, ["nearness", "position"]].to_numpy()
        gap = table[["nearness", "position"]] - less
        table = table.assign(difference=gap["nearness"], size=gap["position"]).reset_index()
    table = table.dropna(subset=["difference"]).rename(columns={"network": "effect"})
    return table[["effect", "seed", *PLACE, "measure", "difference", "size"]]


def by_measures(positions: pd.DataFrame, way: str, other: str = SIBLING) -> pd.DataFrame:
    """How many measures put a way's network nearer to the dense one than another's, and farther from it, by layer.

    `positions` of one level and view. Columns as in `effects.verdicts`; no rows where one of the two is not there.
    """
    table = differences(positions[positions["network"].isin([way, other])], other)
    table = table[table["effect"] == way]
    counts = effects.verdicts(table).set_index("layer") if len(table) else pd.DataFrame(columns=COUNTS)
    return counts[COUNTS]


def in_every_layer(counts: pd.DataFrame, more: str, less: str) -> bool | None:
    """Whether in every layer more measures say one thing than the opposite; None where no layer is there."""
    return bool((counts[more] > counts[less]).all()) if len(counts) else None


def is_convolutional(layer: str) -> bool:
    """Whether a layer has positions: it is neither fully connected nor what stands between."""
    return not layer.startswith((*FULLY_CONNECTED, "avgpool"))
