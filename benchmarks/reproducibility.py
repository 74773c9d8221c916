"""How far the numbers of one experiment differ between numbers of threads, devices and seeds.

    python benchmarks/reproducibility.py [--csv book/reproducibility.csv]

The quick experiment is run in fresh processes: twice with one thread, with two threads, on an accelerator where there
is one, and with one more seed, as the scale to read the others by. Each difference is to the first run, over all
levels, layers, references and measures.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch


def tables(store: Path, seed: int, threads: int, device: str) -> dict[str, pd.DataFrame]:
    """The tables of the quick experiment, run in a fresh process."""
    command = [sys.executable, "-m", "simprune", "run", "lenet5", "fashion_mnist_mini", "--profile", "quick"]
    command += ["--seeds", str(seed), "--device", device, "--store", str(store), "--no-progress"]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return {name: pd.read_parquet(next(store.rglob(f"{name}.parquet"))) for name in ("performance", "similarity")}


def differences(found: dict[str, pd.DataFrame], first: dict[str, pd.DataFrame]) -> dict[str, float]:
    """Largest difference of test accuracy, and mean and largest of the scores."""
    accuracy = (found["performance"]["test_accuracy"] - first["performance"]["test_accuracy"]).abs()
    scores = np.abs(found["similarity"]["value"].to_numpy() - first["similarity"]["value"].to_numpy())
    if (np.isnan(scores) & ~(first["similarity"]["value"].isna().to_numpy())).any():
        raise SystemExit("a score is missing in one run and there in the other")
    return {
        "test accuracy, largest": accuracy.max(),
        "scores, mean": np.nanmean(scores),
        "scores, largest": np.nanmax(scores),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--csv", type=Path, help="file for the table")
    options = parser.parse_args()
    cases = [
        ("one thread, again", "nothing: equal to the last bit", 0, 1, "cpu"),
        ("two threads", "sums in another order", 0, 2, "cpu"),
        ("another seed", "other weights, order of images and sibling", 1, 1, "cpu"),
    ]
    if torch.cuda.is_available():
        cases.insert(2, ("an accelerator", "mixed precision, other kernels", 0, 1, "cuda"))
    rows = []
    with tempfile.TemporaryDirectory() as place:
        first = tables(Path(place, "first"), 0, 1, "cpu")
        for number, (case, source, *arguments) in enumerate(cases):
            found = differences(tables(Path(place, str(number)), *arguments), first)
            rows.append({"beside one thread": case, "what differs": source} | found)
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    if options.csv:
        table.to_csv(options.csv, index=False, float_format="%.2g")


if __name__ == "__main__":
    main()
