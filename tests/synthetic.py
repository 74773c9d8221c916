"""Results that were made up, for tests of figures, tables and sentences: no network is trained."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
from PIL import Image

from simprune.experiment import Experiment
from simprune.store import SeedResult, Store

LAYERS = ("conv1_relu", "pool1", "conv2_relu", "pool2", "fc1_relu", "fc2_relu", "logits")
PRUNABLE = {"conv1": 150, "conv2": 2400, "fc1": 48_000, "fc2": 10_080, "logits": 840}
FIRST_MEASURES = ("mean_cca", "svcca", "pwcca", "linear_cka", "nbs")
DEGENERATE = "degenerate"


def results(seeds=(0, 1, 2), levels=12, rate=0.2, measures=FIRST_MEASURES, views=("flatten",)):
    """Made-up results with the columns of real ones.

    Values fall with level, most in the middle layers and most for the last measure. mean_cca is degenerate in
    the first two layers, and the logits have no value at all at the last level.
    """
    measures, steps = tuple(measures), max(levels, 1)
    performance, similarity, sparsity = [], [], []
    for seed, level in itertools.product(seeds, range(levels + 1)):
        noise = np.random.default_rng([seed, level])
        density = (1 - rate) ** level
        accuracy = 0.9 - 0.004 * level - 0.002 * noise.random()
        performance.append(
            {
                "seed": seed,
                "level": level,
                "density": density,
                "sparsity": 1 - density,
                "train_loss": 0.2,
                "train_accuracy": accuracy + 0.02,
                "test_loss": 0.3,
                "test_accuracy": accuracy,
                "seconds": 1.0,
            }
        )
        for layer, size in PRUNABLE.items():
            kept = round(size * density)
            sparsity.append(
                {
                    "seed": seed,
                    "level": level,
                    "layer": layer,
                    "weights": size,
                    "kept": kept,
                    "density": kept / size,
                }
            )
        for (index, layer), view, (rank, measure) in itertools.product(enumerate(LAYERS), views, enumerate(measures)):
            dip = 1 - abs(index - 3) / 4
            value = 1 - (level / steps) * (0.1 + 0.5 * dip * (rank + 1) / len(measures)) - 0.01 * noise.random()
            status, note = "ok", "2 of 16 columns dead in X" if layer == "conv2_relu" else ""
            if measure == "mean_cca" and index < 2:
                status, note = DEGENERATE, "p >= n"
            if layer == "logits" and level == levels > 0:
                value, status, note = np.nan, "undefined", "X is constant"
            similarity.append(
                {
                    "seed": seed,
                    "level": level,
                    "density": density,
                    "layer": layer,
                    "layer_index": index,
                    "reference": "dense",
                    "view": view,
                    "measure": measure,
                    "value": 1.0 if level == 0 else value,
                    "status": status,
                    "note": note,
                }
            )
    told = {"seeds": tuple(seeds), "levels": levels, "rate": rate, "views": tuple(views), "measures": measures}
    experiment = SimpleNamespace(**vars(Experiment("lenet5", "fashion_mnist", profile="paper")) | told)
    return SimpleNamespace(
        experiment=experiment,
        performance=pd.DataFrame(performance),
        similarity=pd.DataFrame(similarity),
        sparsity=pd.DataFrame(sparsity),
        provenance={
            "simprune": "0.1.0",
            "git_commit": None,
            "python": "3.12.0",
            "packages": {"torch": "2.9.0"},
            "device": "cpu (x86_64)",
            "data": {"fingerprint": "0123456789abcdef", "source": "embedded"},
            "start": "2025-01-01T00:00:00+00:00",
            "duration": 1234.5,
        },
        directory=None,
        diagnostics={},
    )


# What a made-up network scores against its controls, less what it scores against the dense network.
CONTROLS = {"previous": -0.02, "sibling": 0.25, "untrained": 0.5}


def with_controls(results):
    """The same results with scores against all references: all levels are as far from a sibling, or the untrained."""
    dense = results.similarity
    at_start = dense["level"].map({0: 1.0}).fillna(dense["value"])
    tables = [dense]
    for reference, less in CONTROLS.items():
        value = (at_start if reference == "previous" else 1.0) - less
        tables.append(dense.assign(reference=reference, value=np.minimum(value, 1.0)))
    results.similarity = pd.concat(tables, ignore_index=True)
    return results


def equal(a, b) -> bool:
    """Whether the tables of two results are bit-identical, but for the seconds it took."""
    tables = [(x.performance.drop(columns="seconds"), x.similarity, x.sparsity) for x in (a, b)]
    return all(x.equals(y) for x, y in zip(*tables, strict=True))


def as_distance(measure):
    """A registered measure, passed off as a distance."""
    return replace(measure, kind="distance")


def sentence(text):
    """A text with plain spaces."""
    return text.replace("\u00a0", " ")


def set_score(results, value, **where):
    """Give every score that is described a value."""
    table = results.similarity
    chosen = np.logical_and.reduce([table[column] == wanted for column, wanted in where.items()])
    assert chosen.any()
    table.loc[chosen, "value"] = value


def write_incomplete(folder):
    """Store two seeds of an experiment, one of them with every score; give the experiment and the folder."""
    experiment = Experiment("lenet5", "fashion_mnist_mini", levels=2, measures=["nbs", "linear_cka"])
    made_up = results(seeds=(0,), levels=2, measures=("nbs", "linear_cka"))
    for seed, measures in ((4, ["nbs", "linear_cka"]), (7, ["nbs"])):
        similarity = made_up.similarity[made_up.similarity["measure"].isin(measures)]
        tables = (table.assign(seed=seed) for table in (made_up.performance, similarity, made_up.sparsity))
        tables = SeedResult(*tables, {**made_up.provenance})
        Store(folder).write_seed(experiment, seed, tables)
    return experiment, folder


def draw_images(
    folder, seed: int, side: int = 8, count: int = 8, ending: str = "png", channels: int = 1, classes=("a", "b")
) -> None:
    """A folder of random images in two classes, half of them for the test; other ones for each seed."""
    for number in range(count):
        file = folder / ("train", "test")[number % 2] / classes[number // 2 % 2] / f"{number}.{ending}"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng([seed, number]).integers(0, 256, (side, side, channels), dtype=np.uint8)
        Image.fromarray(pixels.squeeze()).save(file)
