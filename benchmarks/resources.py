"""What a run takes, measured, beside what is estimated before it starts: time, peak memory, disk.

    python benchmarks/resources.py lenet5 fashion_mnist_mini --profile quick [--csv book/resources.csv]

The run is made in a fresh process with an empty store. Its time is that of all processors together, which other
programs on the machine disturb less than that on the clock. The row replaces that of the same study and profile in
the file.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from simprune import data, resources
from simprune.experiment import Experiment

COLUMNS = ["study", "profile", "threads", "processor minutes", "peak memory", "estimated", "networks", "tables"]


def measured(arguments: list[str], store: Path) -> tuple[float, float]:
    """Seconds of all processors and peak bytes of memory of one run."""
    command = [sys.executable, "-m", "simprune", "run", *arguments, "--store", str(store), "--no-progress"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("the run failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def size(files) -> float:
    return sum(file.stat().st_size for file in files)


def record(row: dict, csv: Path | None) -> None:
    """Print a row and, if there is a file, put it there."""
    table = pd.DataFrame([row])[COLUMNS]
    print(table.to_string(index=False))
    if csv:
        if csv.exists():
            table = pd.concat([pd.read_csv(csv, dtype=str), table.astype(str)])
        table.drop_duplicates(["study", "profile"], keep="last").to_csv(csv, index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("architecture")
    parser.add_argument("dataset")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--data")
    parser.add_argument("--csv", type=Path, help="file for the table")
    options = parser.parse_args()
    dataset = data.load(options.dataset, options.data)
    estimated = resources.estimate(
        Experiment(options.architecture, options.dataset, profile=options.profile),
        channels=dataset.channels,
        image_size=dataset.image_size,
        classes=dataset.n_classes,
        images=len(dataset.train_images) + len(dataset.test_images),
    )
    arguments = [options.architecture, options.dataset, "--profile", options.profile]
    arguments += ["--data", options.data] if options.data else []
    with tempfile.TemporaryDirectory() as place:
        seconds, memory = measured(arguments, Path(place))
        row = {
            "study": f"{options.architecture} {options.dataset}",
            "profile": options.profile,
            "threads": os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0))),
            "processor minutes": f"{seconds / 60:.1f}",
            "peak memory": resources.amount(memory),
            "estimated": resources.amount(estimated.memory),
            "networks": resources.amount(size(Path(place).rglob("level-*"))),
            "tables": resources.amount(size(Path(place).rglob("*.parquet"))),
        }
    record(row, options.csv)


if __name__ == "__main__":
    main()
