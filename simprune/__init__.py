"""How similar are representations of pruned and unpruned CNNs, and why does the answer depend on the measure?

`Experiment` says what to run, `run` gives its `Results`, `compare` scores two representations of one's own.
"""

import os
from importlib import import_module

# By default PyTorch's threads wait for each other by spinning. Where another process wants a processor too, that makes
# small tasks tens of times slower (measured: a 1000 × 1000 eigendecomposition on two busy processors, 0.2 s against
# 6.6 s); threads that sleep lose next to nothing. It is read when PyTorch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Loaded when first used, so that `import simprune` costs nothing (PEP 562).
_HOMES = {
    "Experiment": "simprune.experiment",
    "InputError": "simprune.errors",
    "MEASURES": "simprune.measures",
    "Results": "simprune.study",
    "compare": "simprune.comparison",
    "load": "simprune.study",
    "run": "simprune.study",
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
