"""Results on disk, addressed by their content.

    <store>/<architecture>-<dataset>-<profile>-<key>/experiment.json
    <store>/<architecture>-<dataset>-<profile>-<key>/seed-<k>/{performance,similarity,sparsity}.parquet
    <store>/<architecture>-<dataset>-<profile>-<key>/seed-<k>/provenance.json      written last: without it, nothing
    <store>/store.json                                                              the layout's version
    <store>/fingerprints.json                                                       which files hold which data
    <store>/.networks/<network key>/seed-<k>/level-<l>.{pt,json}                    weights; never committed

The user's store is read and written; the results that come with the project are only read. Every file is written
under another name and then renamed, so that a reader sees a whole file or none.
"""

import dataclasses
import hashlib
import io
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from simprune.errors import InputError
from simprune.experiment import RESULTS_SCHEMA, Experiment

SHIPPED = Path(__file__).resolve().parent.parent / "book" / "results"
TABLES = ("performance", "similarity", "sparsity")


def default_root() -> Path:
    """The user's store: `SIMPRUNE_STORE`, or a folder under the user's cache folder."""
    if os.environ.get("SIMPRUNE_STORE"):
        return Path(os.environ["SIMPRUNE_STORE"])
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "simprune" / "results"


@dataclass(frozen=True)
class SeedResult:
    """The tables of one seed, where they came from, and how they were made."""

    performance: pd.DataFrame
    similarity: pd.DataFrame
    sparsity: pd.DataFrame
    provenance: dict[str, Any]
    directory: Path | None = None

    def scores(self) -> set[tuple[str, str, str]]:
        """The (reference, view, measure) triples that the similarity table holds."""
        columns = self.similarity[["reference", "view", "measure"]].drop_duplicates()
        return set(columns.itertuples(index=False, name=None))


@dataclass(frozen=True)
class Checkpoint:
    """One network of a run: its state dict (masks included) and what was measured on it."""

    state: dict[str, torch.Tensor]
    facts: dict[str, Any]


class Store:
    """A folder of results that may be written, before a folder of results that are only read."""

    def __init__(self, root: str | os.PathLike | None = None, shipped: Path | None = SHIPPED):
        self.root = Path(root) if root is not None else default_root()
        self.shipped = shipped
        if self.root.exists() and not self.root.is_dir():
            raise InputError(f"store: {str(self.root)!r} is a file, not a folder")
        schema = _store_schema(self.root)
        if schema > RESULTS_SCHEMA:
            raise InputError(
                f"store: {str(self.root)!r} was written by a newer simprune (results schema {schema}, this one knows "
                f"{RESULTS_SCHEMA}); update simprune or choose another store"
            )

    def prepare(self) -> None:
        """Make the user's store ready to be written; raise `InputError` if it can't be."""
        try:
            if _store_schema(self.root) != RESULTS_SCHEMA:
                write_text(self.root / "store.json", json.dumps({"schema": RESULTS_SCHEMA}) + "\n")
            if not os.access(self.root, os.W_OK):
                raise PermissionError("it is read-only")
        except OSError as error:
            reason = error.strerror or error
            raise InputError(
                f"store: {str(self.root)!r} can't be written ({reason}); choose another with --store"
            ) from None

    # Results --------------------------------------------------------------------------------------------------------

    def directory(self, experiment: Experiment) -> Path:
        """Where the results of an experiment are written."""
        return self.root / experiment.name

    def read_seed(self, experiment: Experiment, seed: int) -> list[SeedResult]:
        """What is stored of one seed: from the user's store, then from the shipped results; [] if nothing whole."""
        found = []
        for root in (self.root, self.shipped):
            if root is not None:
                result = _read_seed(root / experiment.name, experiment, seed)
                if result is not None:
                    found.append(result)
        return found

    def write_seed(self, experiment: Experiment, seed: int, result: SeedResult) -> SeedResult:
        """Write the tables of one seed, replacing what was there; return them with their place."""
        directory = self.directory(experiment)
        write_text(directory / "experiment.json", experiment.replace(seeds=(seed,)).to_json() + "\n")
        target = directory / f"seed-{seed}"
        target.mkdir(parents=True, exist_ok=True)
        (target / "provenance.json").unlink(missing_ok=True)  # from here on the old tables no longer count
        sums = {}
        for table in TABLES:
            buffer = io.BytesIO()
            getattr(result, table).to_parquet(buffer, index=False, compression="zstd")
            write_bytes(target / f"{table}.parquet", buffer.getvalue())
            sums[table] = hashlib.sha256(buffer.getvalue()).hexdigest()
        provenance = {**result.provenance, "schema": RESULTS_SCHEMA, "key": experiment.key, "sha256": sums}
        write_text(target / "provenance.json", json.dumps(provenance, indent=1) + "\n")
        return dataclasses.replace(result, provenance=provenance, directory=directory)

    def stored(self) -> list[tuple[Experiment, Path]]:
        """Every experiment with results, the user's first; `seeds` are those that are there, whole or not."""
        found = []
        for root in (self.root, self.shipped):
            for file in sorted(root.glob("*/experiment.json")) if root is not None and root.is_dir() else []:
                seeds = tuple(
                    int(place.parent.name.removeprefix("seed-")) for place in file.parent.glob("seed-*/provenance.json")
                )
                try:
                    experiment = Experiment.from_json(file.read_text())
                except (ValueError, TypeError, OSError):  # written by another version, or not by simprune
                    continue
                if seeds and experiment.name == file.parent.name:
                    found.append((experiment.replace(seeds=seeds), file.parent))
        return found

    # Data -----------------------------------------------------------------------------------------------------------

    def fingerprint(self, state_of_files: str) -> str | None:
        """The fingerprint of data whose files are in this state, if it was remembered."""
        return _read_json(self.root / "fingerprints.json").get(state_of_files)

    def remember_fingerprint(self, state_of_files: str, fingerprint: str) -> None:
        """Remember the fingerprint of data, so that it need not be decoded only to be recognised."""
        known = _read_json(self.root / "fingerprints.json")
        if known.get(state_of_files) != fingerprint:
            write_text(self.root / "fingerprints.json", json.dumps({**known, state_of_files: fingerprint}, indent=1))

    # Networks -------------------------------------------------------------------------------------------------------

    def _network_file(self, experiment: Experiment, seed: int, level: int) -> Path:
        key = experiment.network_key(level)
        return self.root / ".networks" / key / f"seed-{seed}" / f"level-{level:02d}.pt"

    def read_network(self, experiment: Experiment, seed: int, level: int, fingerprint: str) -> Checkpoint | None:
        """The network of one level, trained on the data with this fingerprint; None if it is not there, whole."""
        file = self._network_file(experiment, seed, level)
        facts = _read_json(file.with_suffix(".json"))
        try:
            data = file.read_bytes()
        except OSError:
            return None
        if facts.get("fingerprint") != fingerprint or facts.get("sha256") != hashlib.sha256(data).hexdigest():
            return None
        return Checkpoint(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True), facts)

    def write_network(
        self, experiment: Experiment, seed: int, level: int, fingerprint: str, checkpoint: Checkpoint
    ) -> Checkpoint:
        """Write the network of one level; the file with its checksum comes last."""
        file = self._network_file(experiment, seed, level)
        buffer = io.BytesIO()
        torch.save(checkpoint.state, buffer)
        facts = {
            **checkpoint.facts,
            "fingerprint": fingerprint,
            "sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
        }
        file.with_suffix(".json").unlink(missing_ok=True)
        write_bytes(file, buffer.getvalue())
        write_text(file.with_suffix(".json"), json.dumps(facts, indent=1) + "\n")
        return Checkpoint(checkpoint.state, facts)


def _read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file; {} if there is none, whole."""
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _store_schema(root: Path) -> int:
    """The results schema that a store was last written with; 0 for one that is new or says nothing."""
    schema = _read_json(root / "store.json").get("schema")
    return schema if isinstance(schema, int) else 0


def _read_seed(directory: Path, experiment: Experiment, seed: int) -> SeedResult | None:
    place = directory / f"seed-{seed}"
    provenance = _read_json(place / "provenance.json")
    if (provenance.get("schema"), provenance.get("key")) != (RESULTS_SCHEMA, experiment.key):
        return None
    tables = {}
    for table in TABLES:
        try:
            data = (place / f"{table}.parquet").read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest() != provenance.get("sha256", {}).get(table):
            return None
        tables[table] = pd.read_parquet(io.BytesIO(data))
    return SeedResult(**tables, provenance=provenance, directory=directory)


def write_bytes(file: Path, data: bytes) -> None:
    """Write a file so that others see it whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_text(file: Path, text: str) -> None:
    """`write_bytes` for text, in UTF-8."""
    write_bytes(file, text.encode())
