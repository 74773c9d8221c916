"""How fast networks are compared: simprune's engine against the per-pair routes, and what it needs as sizes grow.

    python benchmarks/measures.py [SECTION ...] [--full] [--rounds 3] [--json FILE]

Sections, all by default: `spectrum` (a LeNet-5 pruning run against its dense network, ours and the others'), `pair`
(two 2,000 × 512 arrays, and the import), `peers` (one measure of two arrays or networks, ours and the peers'), `sizes`
(the decomposition as inputs and features grow), `memory` (the decomposition of 5,000 × 65,536). `--full` adds 2,000
inputs to `spectrum`, n to 10,000 and p to 65,536 to `sizes`, and a whole comparison to `memory`. Sections that a JSON
file already holds and that are not run again are kept.

Ours and the others run in turn in one process; ratios are medians of those of single rounds, so that a machine whose
speed drifts does not decide. Peers that are not installed (benchmarks/requirements.txt) are left out and named.
"""

import argparse
import contextlib
import functools
import io
import json
import math
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import scipy.optimize
import scipy.stats

import simprune
from simprune import compare_networks, comparison, data, models, pruning, representations, training
from simprune.activations import default_layers
from simprune.measures import STUDY

import torch  # isort: skip
import torchvision  # isort: skip
from torch.utils.data import DataLoader, TensorDataset  # isort: skip

SEED = 0
LAYERS = ("conv1_relu", "conv2_relu", "fc1_relu", "fc2_relu", "logits")
LEVELS = 16
SAMPLED_LEVEL = 8  # the level on which the slow routes are timed, to be scaled to all
IDS = [name for name in STUDY if simprune.MEASURES[name].subject == "representations"]
PEERS = ("pytorch-cka", "torch-cka", "ckatorch", "rsatoolbox", "netrep", "dcor")


def seconds(call, *arguments) -> float:
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def processor_seconds() -> float:
    """Of all threads and of processes that have ended: unlike seconds, other programs hardly change them."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


# ------------------------------------------------------------------------------------ textbook route


class Piece:
    """A property of a `Side`, computed once; the side notes what it took, and which pieces a measure asked for."""

    def __init__(self, build):
        self.build, self.name = build, build.__name__

    def __get__(self, side, owner=None):
        if self.name not in side.made:
            asked, side.asked = side.asked, {self.name}
            before, start = sum(side.seconds.values()), time.perf_counter()
            side.made[self.name] = self.build(side)
            nested = sum(side.seconds.values()) - before
            side.seconds[self.name] = time.perf_counter() - start - nested
            side.needs[self.name], side.asked = side.asked, asked
        side.asked |= side.needs[self.name]
        return side.made[self.name]


class Side:
    """One representation as a textbook takes it: NumPy in float64, from the matrix itself."""

    def __init__(self, activations: torch.Tensor):
        self.made, self.seconds, self.needs, self.asked = {}, {}, {}, set()
        self.activations = activations.numpy().astype(np.float64)
        self.matrix = self.activations.reshape(len(activations), -1)

    @Piece
    def centred(self):
        return self.matrix - self.matrix.mean(0)

    @Piece
    def svd(self):
        left, values, _ = np.linalg.svd(self.centred, full_matrices=False)
        kept = values > values[0] * max(self.centred.shape) * np.finfo(float).eps
        return left[:, kept], values[kept]

    @Piece
    def gram(self):
        return self.centred @ self.centred.T

    @Piece
    def distances(self):
        squares = np.diag(self.gram)[:, None] + np.diag(self.gram) - 2 * self.gram
        np.fill_diagonal(squares, 0)
        return np.sqrt(squares.clip(min=0))

    @Piece
    def cosines(self):
        lengths = np.linalg.norm(self.matrix, axis=1, keepdims=True)
        rows = self.matrix / np.where(lengths == 0, 1, lengths)
        return rows @ rows.T

    @Piece
    def neighbours(self):
        others = self.cosines - 4 * np.eye(len(self.cosines))
        nearest = np.argpartition(-others, 10, axis=1)[:, :10]
        chosen = np.zeros(others.shape, dtype=bool)
        np.put_along_axis(chosen, nearest, True, axis=1)
        return chosen

    @Piece
    def units(self):
        columns = np.moveaxis(self.activations, 1, -1).reshape(-1, self.activations.shape[1])
        columns = columns - columns.mean(0)
        lengths = np.linalg.norm(columns, axis=0)
        return columns / np.where(lengths == 0, 1, lengths)


def overlap(x, y):
    return x.svd[0].T @ y.svd[0]


def canonical(x, y):
    return np.linalg.svd(overlap(x, y), compute_uv=False)


def svcca(x, y):
    left = []
    for values, vectors in ((side.svd[1], side.svd[0]) for side in (x, y)):
        explained = np.cumsum(values**2) / (values**2).sum()
        left.append(vectors[:, : np.searchsorted(explained, 0.99) + 1])
    return np.linalg.svd(left[0].T @ left[1], compute_uv=False).mean()


def pwcca(x, y):
    rotation, correlations, _ = np.linalg.svd(overlap(x, y), full_matrices=False)
    weights = np.abs((x.svd[0] @ rotation).T @ x.centred).sum(1)
    return weights @ correlations / weights.sum()


def alignment(first, second):
    first, second = (kernel - kernel.mean(0) for kernel in (first, second))
    first, second = (kernel - kernel.mean(1, keepdims=True) for kernel in (first, second))
    return (first * second).sum() / (np.linalg.norm(first) * np.linalg.norm(second))


def debiased_linear_cka(x, y):
    def hsic(first, second):
        rows = len(first)
        sums, others = first.sum(1), second.sum(1)
        traces = sums.sum() * others.sum() / ((rows - 1) * (rows - 2))
        return (first * second).sum() + traces - 2 / (rows - 2) * sums @ others

    first, second = (side.gram - np.diag(np.diag(side.gram)) for side in (x, y))
    return hsic(first, second) / math.sqrt(hsic(first, first) * hsic(second, second))


def gaussian(side):
    width = 0.5 * np.median(side.distances[np.triu_indices(len(side.distances), 1)])
    return np.exp(-(side.distances**2) / (2 * width**2))


def nbs(x, y):
    """From the SVDs: with more features than inputs that is far less work than the nuclear norm of p x q."""
    weighted = x.svd[1][:, None] * overlap(x, y) * y.svd[1]
    return np.linalg.svd(weighted, compute_uv=False).sum() / (np.linalg.norm(x.svd[1]) * np.linalg.norm(y.svd[1]))


def rsa(x, y):
    kept = (np.ptp(x.matrix, axis=1) > 0) & (np.ptp(y.matrix, axis=1) > 0)
    pairs = np.triu_indices(kept.sum(), 1)
    return scipy.stats.spearmanr(*(1 - np.corrcoef(side.matrix[kept])[pairs] for side in (x, y))).statistic


def gulp(x, y):
    first, second = (side.svd[1] ** 2 / (side.svd[1] ** 2).sum() for side in (x, y))
    first, second = first / (first + 1e-2), second / (second + 1e-2)
    return math.sqrt(max(0, (first**2).sum() + (second**2).sum() - 2 * first @ overlap(x, y) ** 2 @ second))


def jaccard_knn(x, y):
    return ((x.neighbours & y.neighbours).sum(1) / (x.neighbours | y.neighbours).sum(1)).mean()


def second_order_cosine(x, y):
    union = x.neighbours | y.neighbours
    first, second = x.cosines * union, y.cosines * union
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return ((first * second).sum(1) / np.where(lengths == 0, 1, lengths)).mean()


def permutation_matching(x, y):
    correlations = x.units.T @ y.units
    return correlations[scipy.optimize.linear_sum_assignment(correlations, maximize=True)].mean()


TEXTBOOK = {
    "mean_cca": lambda x, y: canonical(x, y).mean(),
    "mean_squared_cca": lambda x, y: (canonical(x, y) ** 2).mean(),
    "svcca": svcca,
    "pwcca": pwcca,
    "eigenspace_overlap": lambda x, y: (overlap(x, y) ** 2).sum() / max(len(x.svd[1]), len(y.svd[1])),
    "linear_cka": lambda x, y: alignment(x.gram, y.gram),
    "debiased_linear_cka": debiased_linear_cka,
    "rbf_cka": lambda x, y: alignment(gaussian(x), gaussian(y)),
    "nbs": nbs,
    "procrustes_distance": lambda x, y: math.sqrt(max(0, 2 - 2 * nbs(x, y))),
    "angular_procrustes": lambda x, y: math.acos(min(1, nbs(x, y))),
    "rsa": rsa,
    "distance_correlation": lambda x, y: math.sqrt(alignment(x.distances, y.distances)),
    "linear_regression_r2": lambda x, y: np.linalg.norm(y.svd[0].T @ x.centred) ** 2 / np.linalg.norm(x.centred) ** 2,
    "gulp": gulp,
    "jaccard_knn": jaccard_knn,
    "second_order_cosine": second_order_cosine,
    "permutation_matching": permutation_matching,
    "unit_correlation": lambda x, y: (x.units * y.units).sum(0).mean(),
}


# ------------------------------------------------------------------------------------------ spectrum


def pruning_run(inputs: int) -> list[dict[str, torch.Tensor]]:
    """Activations of a dense LeNet-5, trained for an epoch, and of 16 pruned ones, each retrained for some steps."""
    dataset = data.load("fashion_mnist_mini")
    images = data.probe_inputs(dataset, inputs)[0]
    network = pruning.attach_masks(
        models.build("lenet5", channels=dataset.channels, image_size=dataset.image_size, classes=dataset.n_classes)
    )
    recipe = training.Recipe(1, 128, 0.05, 0.9, 5e-4, "cosine", "none")
    training.train(network, dataset, recipe, order_seed=SEED, augmentation_seed=SEED)
    run = [representations.extract(network, images, LAYERS)]
    for level in range(1, LEVELS + 1):
        target = pruning.nominal_density(0.2, level)
        pruning.prune_to(network, target, criterion="magnitude", scope="global", seed=SEED)
        training.train(
            network,
            dataset,
            recipe,
            order_seed=level,
            augmentation_seed=level,
            last_step=10,
            constant_learning_rate=0.01,
        )
        run.append(representations.extract(network, images, LAYERS))
    return run


def ours(dense: dict, levels: list[dict], measures: list[str]) -> tuple[float, float, object]:
    """Seconds for the references, and for the levels, and the scores of the last one."""
    start = time.perf_counter()
    run = comparison.RunComparison({"dense": comparison.Snapshot(dense, {}, {})}, measures=measures)
    decomposed = time.perf_counter()
    for level in levels:
        table = run.level(comparison.Snapshot(level, {}, {}))
    return decomposed - start, time.perf_counter() - decomposed, table


def spectrum(rounds: int, inputs: int) -> dict:
    """A whole pruning run with all measures: ours, timed in full, and the per-pair routes, timed on one level."""
    dense, *levels = pruning_run(inputs)
    sampled = levels[SAMPLED_LEVEL - 1]
    pairs = [(dense[layer], sampled[layer]) for layer in LAYERS]
    few = {layer: dense[layer][:100] for layer in LAYERS}
    ours(few, [few], IDS)  # imports and threads
    table = ours(dense, [sampled], IDS)[2].set_index(["measure", "layer"]).value
    differences: dict[str, float] = {}

    def differ(name: str, measure: str, values: list[float]) -> None:
        found = [abs(value - table[measure, layer]) for layer, value in zip(LAYERS, values, strict=True)]
        differences[f"{name}: {measure}"] = float(np.nanmax(found))

    def by_textbook() -> tuple[dict[str, float], float]:
        """Seconds of each measure alone, and of all together where they share the pieces of their pair.

        Each piece (SVD, Gram matrix, distances ...) is made once; a measure alone takes its own time and that of all
        pieces that it asks for.
        """
        alone, together = dict.fromkeys(IDS, 0.0), 0.0
        scores = {measure: [] for measure in IDS}
        for pair_of_layer in pairs:
            start = time.perf_counter()
            sides = [Side(activations) for activations in pair_of_layer]
            for measure in IDS:
                for side in sides:
                    side.asked = set()
                before = sum(sum(side.seconds.values()) for side in sides)
                begun = time.perf_counter()
                scores[measure].append(TEXTBOOK[measure](*sides))
                taken = time.perf_counter() - begun
                made = sum(sum(side.seconds.values()) for side in sides) - before
                pieces = sum(side.seconds[name] for side in sides for name in side.asked)
                alone[measure] += taken - made + pieces
            together += time.perf_counter() - start
        for measure, values in scores.items():
            differ("textbook", measure, values)
        return alone, together

    names = ("ours", "ours_processor", "textbook", "textbook_shared", "textbook_shared_processor")
    times: dict[str, list] = {name: [] for name in names}
    for number in range(rounds):
        spent = processor_seconds()
        own = sum(ours(dense, levels, IDS)[:2])
        times["ours_processor"].append(processor_seconds() - spent)
        spent = processor_seconds()
        textbook, shared = by_textbook()
        times["textbook_shared_processor"].append(LEVELS * (processor_seconds() - spent))
        textbook, shared = {measure: LEVELS * taken for measure, taken in textbook.items()}, LEVELS * shared
        times["ours"].append(own)
        times["textbook"].append(sum(textbook.values()))
        times["textbook_shared"].append(shared)
        print(f"  round {number + 1}: ours {own:.1f} s, textbook {sum(textbook.values()):.0f} s", flush=True)

    def ratio(name: str, to: str = "ours") -> float:
        return median(other / own for other, own in zip(times[name], times[to], strict=True))

    return {
        "inputs": inputs,
        "pairs": len(LAYERS) * LEVELS,
        "pairs_timed_of_the_others": len(pairs),
        "measures": len(IDS),
        "seconds": {name: median(values) for name, values in times.items()},
        "ratio_textbook_each_measure_alone": ratio("textbook"),
        "ratio_textbook_shared_within_a_pair": ratio("textbook_shared"),
        "ratio_textbook_shared_within_a_pair_processor": ratio("textbook_shared_processor", "ours_processor"),
        "largest_difference": {name: float(f"{value:.1e}") for name, value in differences.items()},
    }


# ---------------------------------------------------------------------------------------------- pair


def pair(rounds: int) -> dict:
    """Two arrays of 2,000 × 512 in this process and by the command line, and the import."""
    generator = np.random.default_rng(SEED)
    X, Y = (generator.standard_normal((2000, 512), dtype=np.float32) for _ in range(2))
    Y += X

    def command(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)

    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, array in (("x", X), ("y", Y)):
            paths.append(str(Path(folder) / f"{name}.npy"))
            np.save(paths[-1], array)
        comparison.compare(X[:100], Y[:100])
        calls = {
            "compare": lambda: comparison.compare(X, Y),
            "command_line": lambda: command("-m", "simprune", "compare", *paths),
            "import": lambda: command("-c", "import simprune"),
            "import_with_compare": lambda: command("-c", "from simprune import compare"),
            "bare_python": lambda: command("-c", "pass"),
        }
        taken: dict[str, list] = {name: [] for name in calls}
        for _ in range(rounds):
            for name, call in calls.items():
                spent = processor_seconds()
                taken[name].append((seconds(call), processor_seconds() - spent))
    return {
        name: dict(zip(("seconds", "processor_seconds"), map(median, zip(*values, strict=True)), strict=True))
        for name, values in taken.items()
    }


# --------------------------------------------------------------------------------------------- peers


def in_float64(activations: torch.Tensor) -> np.ndarray:
    return activations.flatten(1).numpy().astype(np.float64)


def plain_cka(x: torch.Tensor, y: torch.Tensor) -> float:
    """Linear CKA of the features in NumPy and float64: what its formula costs."""
    x, y = (side - side.mean(0) for side in map(in_float64, (x, y)))
    return np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def array_peers() -> dict[str, tuple[str, object]]:
    """Peer -> (measure, how it scores two tensors of activations), of the peers that are installed."""

    def pytorch_cka():
        from cka import cka_from_features

        return {"pytorch-cka": ("debiased_linear_cka", lambda x, y: cka_from_features(x.flatten(1), y.flatten(1)))}

    def ckatorch():
        from ckatorch.core import cka_base

        return {"ckatorch": ("debiased_linear_cka", lambda x, y: cka_base(x.flatten(1), y.flatten(1), unbiased=True))}

    def rsatoolbox():
        from rsatoolbox.data import Dataset
        from rsatoolbox.rdm import calc_rdm, compare

        def by(dissimilarity, method):
            def score(x, y):
                sides = (calc_rdm(Dataset(in_float64(side)), method=dissimilarity) for side in (x, y))
                return compare(*sides, method=method).item()

            return score

        # With squared Euclidean distances its whitened cosine is linear CKA, and its Bures similarity is NBS.
        return {
            "rsatoolbox": ("rsa", by("correlation", "spearman")),
            "rsatoolbox, cosine_cov": ("linear_cka", by("euclidean", "cosine_cov")),
            "rsatoolbox, bures": ("nbs", by("euclidean", "bures")),
        }

    def netrep():
        from netrep.metrics import LinearMetric

        return {"netrep": ("angular_procrustes", lambda x, y: LinearMetric().fit_score(in_float64(x), in_float64(y)))}

    def dcor():
        import dcor

        return {"dcor": ("distance_correlation", lambda x, y: dcor.distance_correlation(in_float64(x), in_float64(y)))}

    return _installed(pytorch_cka, ckatorch, rsatoolbox, netrep, dcor) | {"a plain product": ("linear_cka", plain_cka)}


def network_peers(a, b, layers: list[str]) -> dict[str, object]:
    """Peer -> how it scores all pairs of layers of two networks on what a loader gives."""

    def pytorch_cka():
        from cka import compute_cka

        return {"pytorch-cka": lambda loader: compute_cka(a, b, loader, layers=layers, progress=False)[0]}

    def torch_cka():
        from torch_cka import CKA

        def score(loader):
            with torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):
                scores = CKA(a, b, model1_layers=layers, model2_layers=layers)
                scores.compare(loader)
            for module in (*a.modules(), *b.modules()):
                module._forward_hooks.clear()  # it leaves its own
            return scores.export()["CKA"]

        return {"torch-cka": score}

    return _installed(pytorch_cka, torch_cka)


def _installed(*peers) -> dict:
    routes = {}
    for peer in peers:
        try:
            routes |= peer()
        except ImportError as error:
            print(f"{peer.__name__} is left out: {error}")
    return routes


def in_turn(rounds: int, own, other) -> dict[str, float]:
    """Processor seconds of both, and the median ratio of rounds: above 1 ours is faster."""
    own(), other()
    taken = []
    for _ in range(rounds):
        start = processor_seconds()
        own()
        between = processor_seconds()
        other()
        taken.append((between - start, processor_seconds() - between))
    names = ("ours_processor_seconds", "peer_processor_seconds")
    return dict(zip(names, map(median, zip(*taken, strict=True)), strict=True)) | {
        "ratio": median(theirs / ours for ours, theirs in taken)
    }


def peers(rounds: int) -> dict:
    """One measure, ours and a peer's in turn, on activations of LeNet-5 and of two ResNet-18, and on those networks."""
    dense, *levels = pruning_run(2000)
    pruned, routes, rows, hard = levels[SAMPLED_LEVEL - 1], array_peers(), [], []
    images = torch.nn.functional.interpolate(data.load("fashion_mnist_mini").train_images / 255, size=32)
    images = images.expand(-1, 3, -1, -1)
    networks = []
    for seed in (SEED, SEED + 1):
        torch.manual_seed(seed)
        networks.append(torchvision.models.resnet18())
    wide = [representations.extract(network, images, "layer2.0")["layer2.0"].flatten(1) for network in networks]
    arrays = {("layer2.0", 10_000): wide}
    for layer, inputs in (("conv1_relu", 500), ("conv1_relu", 1000), ("conv2_relu", 1000), ("fc1_relu", 2000)):
        arrays[layer, inputs] = dense[layer][:inputs], pruned[layer][:inputs]
    for (layer, inputs), (x, y) in arrays.items():
        columns = x[0].numel()
        for peer, (measure, score) in routes.items():
            # What takes others many minutes or all memory: a full SVD p x p, differences of all rows, pairs of 10,000.
            heavy = columns > 2000 and (peer == "netrep" or (peer == "dcor" and inputs > 500))
            if heavy or (inputs == 10_000) != (peer == "a plain product"):
                continue
            own = functools.partial(comparison.compare, x, y, [measure])
            row = {"measure": measure, "of": f"{layer}, {inputs} x {columns}", "peer": peer}
            row |= in_turn(rounds, own, functools.partial(score, x, y))
            rows.append(row | {"difference": apart(own().value.item(), score(x, y))})
            print(f"  {rows[-1]}", flush=True)
    x, y = (side["fc1_relu"][:500] for side in (dense, pruned))
    dead = torch.cat([x, torch.full_like(x, 3.3)], 1)
    for change, changed in {"mean + 1e4": x + 1e4, "x 1e9": x * 1e9, "x 1e-9": x * 1e-9, "dead units": dead}.items():
        for peer, (measure, score) in routes.items():
            if measure != "rsa":  # it sees a mean that is not 0
                exact = comparison.compare(x.double(), y, [measure]).value.item()
                found = comparison.compare(changed, y, [measure]).value.item(), score(changed, y)
                hard.append({"measure": measure, "change": change, "peer": peer})
                hard[-1] |= dict(zip(("error_of_ours", "error_of_peer"), (apart(v, exact) for v in found), strict=True))
    layers = default_layers(networks[0])
    for batch_size in (100, 500):
        loader = DataLoader(TensorDataset(images[:500], torch.zeros(500)), batch_size=batch_size)
        own = functools.partial(compare_networks, *networks, loader, layers, layers)
        for peer, score in network_peers(*networks, layers).items():
            row = {"measure": "debiased_linear_cka", "of": f"two ResNet-18, 500 images, batches of {batch_size}"}
            row |= {"peer": peer} | in_turn(rounds, own, functools.partial(score, loader))
            rows.append(
                row | {"difference": float(f"{np.abs(own().matrix().to_numpy() - score(loader).numpy()).max():.1e}")}
            )
            print(f"  {rows[-1]}", flush=True)
    return {"peers": rows, "hard_for_numerics": hard}


def apart(value: float, other: float) -> float:
    return float(f"{abs(float(value) - float(other)):.1e}")


# ------------------------------------------------------------------------------------ sizes, memory


def memory(field: str) -> int:
    """Bytes of this process by the Linux kernel: VmRSS now, VmHWM at most. Another process's peak is not in it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def gemm_rate(size: int = 2000) -> float:
    """Operations per second of a float64 matrix product, the best of three."""
    square = torch.ones(size, size, dtype=torch.float64)
    return 2 * size**3 / min(seconds(torch.mm, square, square) for _ in range(3))


def activations_of(inputs: int, features: int, seed: int) -> torch.Tensor:
    """Gaussian activations in float32; 65,536 features are 64 maps of 32 × 32, as after a first VGG block."""
    generator = torch.Generator().manual_seed(seed)
    shape = (inputs, 64, 32, 32) if features == 65536 else (inputs, features)
    return torch.randn(shape, generator=generator)


def decomposition(inputs: int, features: int, rounds: int) -> dict:
    """Seconds of a decomposition, the eigenproblem's part, the Gram's share of GEMM peak, and memory; run it alone."""
    eigenproblem = torch.linalg.eigh
    spent = []

    def timed(*arguments):
        start = time.perf_counter()
        result = eigenproblem(*arguments)
        spent.append(time.perf_counter() - start)
        return result

    torch.linalg.eigh = timed
    activations = activations_of(inputs, features, SEED)
    _ = representations.decompose(torch.randn(100, 50)).spectrum
    gemm_rate()
    before = memory("VmRSS")
    taken = []
    for _ in range(rounds):
        rate = gemm_rate()
        spent.clear()
        total = seconds(lambda: representations.decompose(activations).spectrum)
        rate = max(rate, gemm_rate())
        small, large = sorted((inputs, features))
        taken.append((total, sum(spent), 2 * small**2 * large / (total - sum(spent)) / rate, rate))
    total, eigen, share, rate = (median(column) for column in zip(*taken, strict=True))
    result = {"n": inputs, "p": features, "seconds": total, "eigenproblem_seconds": eigen}
    if features >= inputs:
        result["gram_share_of_gemm"] = share
    gigabytes = (memory("VmHWM") - before) / 1e9
    return result | {"gemm_gigaflops": round(rate / 1e9, 1), "peak_gigabytes": round(gigabytes, 3)}


def whole_comparison(inputs: int, features: int) -> dict:
    """Seconds and memory of all measures on two representations; run it alone."""
    X = activations_of(inputs, features, SEED)
    Y = activations_of(inputs, features, SEED + 1).add_(X)
    comparison.compare(torch.randn(100, 50), torch.randn(100, 50))
    before = memory("VmRSS")
    total = seconds(comparison.compare, X, Y)
    gigabytes = (memory("VmHWM") - before) / 1e9
    return {"n": inputs, "p": features, "seconds": round(total, 1), "peak_gigabytes": round(gigabytes, 3)}


def in_process_of_its_own(function, *arguments):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def growth(rows: list[dict], along: str, fixed: str, field: str = "seconds") -> dict[str, float]:
    """Exponents of the growth of `field` along n (or p), for each p (or n): slopes in log-log."""
    exponents = {}
    for value in sorted({row[fixed] for row in rows}):
        line = [row for row in rows if row[fixed] == value and row[field] > 0]
        if len(line) > 1:
            slope = np.polyfit(np.log([row[along] for row in line]), np.log([row[field] for row in line]), 1)[0]
            exponents[f"{fixed}={value}"] = round(float(slope), 2)
    return exponents


def sizes(rounds: int, full: bool) -> dict:
    """Decompositions of synthetic activations, each in a process of its own."""
    rows = []
    for inputs in (500, 1000, 2000, *((5000, 10000) if full else ())):
        for features in (100, 1000, 4704, *((65536,) if full else ())):
            rows.append(in_process_of_its_own(decomposition, inputs, features, rounds))
            print(f"  {rows[-1]}", flush=True)
    return {
        "decompositions": rows,
        "growth_of_seconds_with_n": growth(rows, "n", "p"),
        "growth_of_seconds_with_p": growth(rows, "p", "n"),
        "growth_of_memory_with_n": growth(rows, "n", "p", "peak_gigabytes"),
    }


# ------------------------------------------------------------------------------------------- report


def median(values) -> float:
    return float(f"{statistics.median(values):.3g}")


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def flat(result: object, name: str = "") -> list[tuple[str, object]]:
    """The lines of a table: nested names joined, rows of a list kept whole."""
    if isinstance(result, dict):
        return [line for key, value in result.items() for line in flat(value, f"{name} {key}".strip())]
    if isinstance(result, list) and result and isinstance(result[0], dict):
        return [(name, ", ".join(f"{key} {value}" for key, value in row.items())) for row in result]
    return [(name, result)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    sections = ("spectrum", "pair", "peers", "sizes", "memory")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(sections)}; default: all")
    parser.add_argument("--full", action="store_true", help="large sizes too, for hours")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(sections):
        parser.error(f"SECTION: {', '.join(sorted(unknown))} is none of {', '.join(sections)}")
    calls = {
        "spectrum": {"spectrum_1000": lambda: spectrum(options.rounds, 1000)}
        | ({"spectrum_2000": lambda: spectrum(1, 2000)} if options.full else {}),
        "pair": {"pair": lambda: pair(options.rounds)},
        "peers": {"peers": lambda: peers(options.rounds)},
        "sizes": {"sizes": lambda: sizes(options.rounds, options.full)},
        "memory": {"memory_decomposition": lambda: in_process_of_its_own(decomposition, 5000, 65536, 1)}
        | ({"memory_comparison": lambda: in_process_of_its_own(whole_comparison, 5000, 65536)} if options.full else {}),
    }
    results = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    for section in options.sections or sections:
        for name, call in calls[section].items():
            print(name, flush=True)
            load = os.getloadavg()[0]
            result = call()
            result["machine"] = {
                "processors": os.cpu_count(),
                "threads": torch.get_num_threads(),
                "load_before_and_after": [round(load, 1), round(os.getloadavg()[0], 1)],
                "python": platform.python_version(),
            } | {package: installed(package) for package in ("simprune", "torch", "numpy", *PEERS)}
            for line, value in flat(result):
                print(f"  {line:58} {value}", flush=True)
            results[name] = result
            if options.json:
                options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
