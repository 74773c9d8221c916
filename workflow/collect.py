"""Write the summary of a sweep: one line per run, read through the store that all of them wrote to.

A run that says it is done but whose result is not whole in the store is named, and its note removed, so that the next
call of Snakemake makes it again.
"""

import csv
import sys
from pathlib import Path

import pandas as pd

from simprune import Experiment, InputError, load

FIELDS = ("architecture", "dataset", "profile", "retraining", "criterion", "rate", "levels")


def line(note: Path) -> dict:
    """What came of one run: the last network's figures, and what the job took where that was measured."""
    directory = Path(note.read_text().splitlines()[-1])
    seed = int(note.stem.rsplit("seed_", 1)[1])
    experiment = Experiment.from_json((directory / "experiment.json").read_text()).replace(seeds=(seed,))
    # Scores of other runs of the same networks may lie beside those of this one; any will do here.
    results = load(experiment, store=directory.parent)
    last = results.performance.iloc[-1]
    return {
        **{field: getattr(experiment, field) for field in FIELDS},
        "seed": seed,
        "density": f"{last['density']:.4f}",
        "dense_accuracy": f"{results.performance['test_accuracy'].iloc[0]:.4f}",
        "test_accuracy": f"{last['test_accuracy']:.4f}",
        **_similarity(results.similarity),
        "seconds": results.provenance["duration"],
        "peak_memory_mb": _measured(note, "max_rss"),
        "results": directory.name,
    }


def _similarity(scores: pd.DataFrame) -> dict[str, str]:
    """By measure, how similar the last network is to the dense one: the mean over layers, in the first view."""
    view, last = scores["view"].iloc[0], scores["level"].max()
    chosen = scores[(scores["reference"] == "dense") & (scores["view"] == view) & (scores["level"] == last)]
    means = chosen.groupby("measure", sort=False)["value"].mean()
    return {"view": view, **{measure: f"{value:.4f}" for measure, value in means.items()}}


def _measured(note: Path, column: str) -> str:
    """A figure of Snakemake's own measurement of a job; empty if it took none."""
    file = note.parent.parent / "benchmarks" / f"{note.stem}.tsv"
    rows = list(csv.DictReader(file.open(), delimiter="\t")) if file.exists() else []
    return rows[0].get(column, "") if rows else ""


def main(sweep: Path, output: Path) -> int:
    """Write `output` from the notes under `sweep`; 1 if a run is not there, whole."""
    lines, broken = [], []
    for note in sorted((sweep / "runs").glob("*.txt")):
        try:
            lines.append(line(note))
        except (InputError, OSError, IndexError, ValueError, TypeError) as error:
            broken.append(note)
            print(f"{note.stem}: its result is not whole ({error})", file=sys.stderr)
    for note in broken:
        note.unlink()
    if broken:
        print(f"{len(broken)} runs have to be made again: call Snakemake once more", file=sys.stderr)
        return 1
    with output.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(dict.fromkeys(field for each in lines for field in each)))
        writer.writeheader()
        writer.writerows(lines)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
