"""A small run in a process of its own, and what came of it."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

TABLES = ("performance", "similarity", "sparsity")
OPTIONS = "--levels 3 --rate 0.5 --epochs 1 --train-size 500 --probe-size 100".split()


def start(store: Path, *options: str, threads: int = 2, size=OPTIONS, **more) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "simprune", "run", "lenet5", "fashion_mnist_mini", *size, *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*command, "--store", str(store)], env=environment, **pipes, **more)


def run(store: Path, *options: str, threads: int = 2, size=OPTIONS) -> str:
    """Run to the end; what was said on stderr."""
    process = start(store, *options, threads=threads, size=size)
    _, said = process.communicate(timeout=1800)
    assert process.returncode == 0, said
    return said


def tables(store: Path, seed: int = 0) -> dict[str, pd.DataFrame]:
    """The tables of a seed without the seconds that things took."""
    (place,) = store.glob(f"*/seed-{seed}")
    found = {name: pd.read_parquet(place / f"{name}.parquet") for name in TABLES}
    return found | {"performance": found["performance"].drop(columns="seconds")}


def same(a: dict[str, pd.DataFrame], b: dict[str, pd.DataFrame]) -> bool:
    """Whether tables are bit-identical."""
    return all(a[name].equals(b[name]) for name in TABLES)


def left_behind(store: Path) -> list[Path]:
    """Half-written and set aside files."""
    return [file for file in store.rglob("*") if ".part-" in file.name or file.name.endswith(".corrupt")]
