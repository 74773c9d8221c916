"""How similar are representations of pruned and unpruned CNNs, and why does the answer depend on the measure?

`Experiment` says what to run, `run` gives its `Results`, `compare` scores two representations of one's own.
"""

import os
from importlib import import_module

# PyTorch's threads wait for each other by spinning, by default for so long that they stop each other where another
# process wants a processor too. Measured on two processors: LeNet-5 trains at 16,000 images a second either way when
# they are free; with a busy process on each, at 400 by default and at 5,000 with this short spin. It is read when
# PyTorch is first imported.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# Loaded when first used, so that `import simprune` costs nothing (PEP 562).
_HOMES = {
    "Experiment": "simprune.experiment",
    "InputError": "simprune.errors",
    "MEASURES": "simprune.measures",
    "Results": "simprune.results",
    "compare": "simprune.comparison",
    "compare_networks": "simprune.networks",
    "load": "simprune.results",
    "run": "simprune.study",
    "shipped": "simprune.results",
    "spectral_similarity": "simprune.measures",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str):
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("simprune")
        except PackageNotFoundError:  # used from a checkout, not installed
            return "not installed"
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'simprune' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
