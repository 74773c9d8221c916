"""Results as they are read."""

from types import SimpleNamespace

import numpy as np
import pytest

from simprune import data, findings
from simprune.results import fingerprint_at_hand, other_data
from simprune.store import Store


@pytest.fixture
def other_mnist(tmp_path):
    """A data root with a few images that are not MNIST's, under its name."""
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for split in ("train", "t10k"):
        sizes = b"".join(size.to_bytes(4, "big") for size in (20, 28, 28))
        pixels = np.arange(20 * 28 * 28, dtype=np.uint8).tobytes()
        (raw / f"{split}-images-idx3-ubyte").write_bytes((0x803).to_bytes(4, "big") + sizes + pixels)
        (raw / f"{split}-labels-idx1-ubyte").write_bytes((0x801).to_bytes(4, "big") + sizes[:4] + bytes(range(10)) * 2)
    return tmp_path / "data"


def made_from(dataset, fingerprint):
    provenance = {"data": {"fingerprint": fingerprint, "source": "elsewhere"}}
    experiment = SimpleNamespace(dataset=dataset, architecture="lenet5")
    return SimpleNamespace(experiment=experiment, provenance=provenance)


def test_other_data_than_those_of_the_results_are_named_in_one_line(other_mnist, tmp_path, monkeypatch):
    here = data.load("mnist", other_mnist).fingerprint
    results = made_from("mnist", "11de40ec28a7c150")
    assert other_data(results, store=tmp_path, root=other_mnist) == here
    assert other_data(made_from("mnist", here), store=tmp_path, root=other_mnist) is None
    assert other_data(results, store=tmp_path, root=tmp_path / "nothing") is None
    monkeypatch.setenv("SIMPRUNE_DATA", str(other_mnist))
    line = findings.data_sentence(results, tmp_path)
    assert here in line and "11de40ec28a7c150" in line and "MNIST" in line and "\n" not in line
    assert findings.data_sentence(made_from("mnist", here), tmp_path) == ""


def test_data_are_decoded_once_to_be_recognised(other_mnist, tmp_path, monkeypatch):
    first = fingerprint_at_hand("mnist", Store(tmp_path), other_mnist)
    monkeypatch.setattr(data, "load", lambda *_, **__: pytest.fail("decoded again"))
    assert fingerprint_at_hand("mnist", Store(tmp_path), other_mnist) == first
