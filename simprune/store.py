"""Results on disk, addressed by their content.

    <store>/<architecture>-<dataset>-<profile>-<key>/experiment.json
    <store>/<architecture>-<dataset>-<profile>-<key>/seed-<k>/{performance,similarity,sparsity}.parquet
    <store>/<architecture>-<dataset>-<profile>-<key>/seed-<k>/provenance.json      written last: without it, nothing
    <store>/<architecture>-<dataset>-<profile>-<key>/seed-<k>/diagnostics-<name>.parquet
    <store>/<architecture>-<dataset>-<profile>-<key>/seed-<k>/diagnostics.json     which of them are whole, of what
    <store>/store.json                                                              the layout's version
    <store>/fingerprints.json                                                       which files hold which data
    <store>/.networks/<network key>/seed-<k>/level-<l>.{pt,json}                    weights; never committed
    <store>/.networks/<network key>/seed-<k>/training-<l>.{pt,json}                 a level whose training goes on
    <store>/.locks/*                                                                who is writing what

The user's store is read and written; the results that come with the project are only read. Every file is written
under another name and then renamed, so that a reader sees a whole file or none. Who writes holds a lock, and sets aside
what is not as it was written: it is called `<name>.corrupt` from then on, and said to be.
"""

import dataclasses
import errno
import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from simprune.comparison import REFERENCES, split_status
from simprune.diagnostics import DIAGNOSTICS_SCHEMA
from simprune.errors import InputError, check_path
from simprune.experiment import RESULTS_SCHEMA, Experiment
from simprune.locks import group_rights, locked, make_folder
from simprune.measures import MEASURES
from simprune.models import know_by_results
from simprune.places import default_root, project_file
from simprune.representations import VIEWS

SHIPPED = project_file("book/results")
TABLES = ("performance", "similarity", "sparsity")
TEMPORARY = ".part-"  # in the name of every file that is being written

Say = Callable[[str], None]


class WriteError(OSError):
    """A file of the store can't be written; the message says which, why and what to do."""

    def __str__(self) -> str:
        return (
            f"{self.filename} can't be written ({self.strerror}); what was finished is kept: make room, or give the "
            f"right to write there, and run the same command again"
        )


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

    @property
    def networks(self) -> str:
        """`networks_checksum` of the networks that the tables are of."""
        return networks_checksum(self.performance)


def networks_checksum(performance: pd.DataFrame) -> str:
    """Checksum of what was measured on networks, times apart: other networks have another."""
    measured = performance.drop(columns="seconds", errors="ignore").to_dict("list")
    return hashlib.sha256(json.dumps(measured).encode()).hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """One network of a run: its state dict (masks included) and what was measured on it."""

    state: dict[str, torch.Tensor]
    facts: dict[str, Any]


class Store:
    """A folder of results that may be written, before a folder of results that are only read."""

    def __init__(self, root: str | os.PathLike | None = None, shipped: Path | None = SHIPPED):
        self.root = check_path("store", default_root() if root is None else root)
        self.shipped = shipped
        if self.root.exists() and not self.root.is_dir():
            raise InputError(f"store: {str(self.root)!r} is a file, not a folder")
        schema = _store_schema(self.root)
        if schema > RESULTS_SCHEMA:
            raise InputError(
                f"store: {str(self.root)!r} was written by a newer simprune (results schema {schema}, this one knows "
                f"{RESULTS_SCHEMA}); update simprune or choose another store"
            )

    def prepare(self, experiment: Experiment, seed: int) -> None:
        """Make the user's store ready for the results of one seed; raise `InputError` if they can't be written."""
        try:
            directory, locks = self.directory(experiment), self.root / ".locks"
            networks = [self._network_file(experiment, seed, level).parent for level in (0, 1)]
            written = [locks / "shared", locks / f"{experiment.key}-seed-{seed}", directory, directory / f"seed-{seed}"]
            if _store_schema(self.root) != RESULTS_SCHEMA:
                self._write_shared(self.root / "store.json", json.dumps({"schema": RESULTS_SCHEMA}) + "\n")
            for path in (self.root, *written, *networks):
                there = next(place for place in (path, *path.parents) if place.exists())
                if not os.access(there, os.W_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(there))
        except OSError as error:
            place, reason = error.filename or str(self.root), error.strerror or error
            raise InputError(
                f"store: {str(place)!r} can't be written ({reason}); choose another with --store, or have whoever owns "
                f"it give you the right"
            ) from None

    # Locks ----------------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self, experiment: Experiment, seed: int, say: Say) -> Iterator[None]:
        """The right to write the tables of one seed; waits for a process that has it, and says so."""
        with self._lock(f"{experiment.key}-seed-{seed}", f"the results of seed {seed}", say):
            remove_leftovers(self.directory(experiment) / f"seed-{seed}", say)
            yield

    @contextmanager
    def training(self, experiment: Experiment, seed: int, level: int, say: Say) -> Iterator[None]:
        """The right to write the networks of one seed that share the key of this level: the dense one, or the others.

        Who holds the right to pruned networks may wait for that to dense ones, and never the other way round.
        """
        folder = self._network_file(experiment, seed, level).parent
        with self._lock(f"{folder.parent.name}-seed-{seed}", f"the networks of seed {seed}", say):
            remove_leftovers(folder, say)
            yield

    def _lock(self, name: str, what: str, say: Say) -> AbstractContextManager[None]:
        return locked(
            self.root / ".locks" / name,
            lambda holder: say(f"{what} are being made by {holder}; waiting until it is done (Ctrl-C ends this one)"),
        )

    def _write_shared(self, file: Path, text: str | Callable[[], str]) -> None:
        """Write a file that runs of several experiments or seeds write; its text may depend on what is there."""
        with locked(self.root / ".locks" / "shared"):
            remove_leftovers(file.parent)
            write_text(file, text if isinstance(text, str) else text())

    # Results --------------------------------------------------------------------------------------------------------

    def directory(self, experiment: Experiment) -> Path:
        """Where the results of an experiment are written."""
        return _place(self.root, experiment)

    def read_seed(self, experiment: Experiment, seed: int, mend: Say | None = None) -> list[SeedResult]:
        """What is stored of one seed: from the user's store, then from the shipped results; [] if nothing whole.

        `mend`, for who has the right to write it: sets aside what is corrupt, and is told so.
        """
        found = []
        for root in (self.root, self.shipped):
            if root is not None:
                place = _place(root, experiment) / f"seed-{seed}"
                result = _whole(_read_seed, place, experiment, mend=mend if root is self.root else None)
                if result is not None:
                    found.append(result)
        return found

    def write_seed(self, experiment: Experiment, seed: int, result: SeedResult) -> SeedResult:
        """Write the tables of one seed, replacing what was there; return them with their place."""
        directory = self.directory(experiment)
        self._write_description(experiment, seed, result)
        target = directory / f"seed-{seed}"
        make_folder(target)
        (target / "provenance.json").unlink(missing_ok=True)  # from here on the old tables no longer count
        sums = {}
        for table in TABLES:
            data = _parquet(getattr(result, table))
            write_bytes(target / f"{table}.parquet", data)
            sums[table] = hashlib.sha256(data).hexdigest()
        provenance = {**result.provenance, "schema": RESULTS_SCHEMA, "key": experiment.key, "sha256": sums}
        write_text(target / "provenance.json", json.dumps(provenance, indent=1) + "\n")
        return dataclasses.replace(result, provenance=provenance, directory=directory)

    def mend_description(self, experiment: Experiment, result: SeedResult, say: Say) -> None:
        """Write `experiment.json` of a result again where it is not as it was written; the tables do without it."""
        file = self.directory(experiment) / "experiment.json"
        try:
            if Experiment(**_with_known_scores(_read_json(file))).key == experiment.key:
                return
        except (ValueError, TypeError, KeyError):  # not there, not an experiment
            pass
        try:
            if file.exists():
                _set_aside(_Corrupt(file, "it is not that of this experiment"), say)
            self._write_description(experiment, experiment.seeds[0], result)
        except OSError:  # a store that may only be read
            pass

    def _write_description(self, experiment: Experiment, seed: int, result: SeedResult) -> None:
        """Write what is in a table of scores, which may be more than what was asked for last."""
        file, held = self.directory(experiment) / "experiment.json", experiment.replace(seeds=(seed,))
        for field, known in (("reference", REFERENCES), ("view", VIEWS), ("measure", MEASURES)):
            there = set(result.similarity[field])
            names = tuple(name for name in known if name in there)
            held = held.replace(**{f"{field}s": names}) if names else held
        self._write_shared(file, held.to_json() + "\n")

    def read_diagnostics(
        self, experiment: Experiment, seed: int, networks: str, mend: Say | None = None
    ) -> dict[str, pd.DataFrame]:
        """The stored diagnostics of one seed that were made of these networks (`SeedResult.networks`), by name.

        `mend`, for who has the right to write it: sets aside what is corrupt, and is told so.
        """
        found = {}
        for root in (self.shipped, self.root):  # the user's are taken before the shipped ones
            if root is not None:
                place = _place(root, experiment) / f"seed-{seed}"
                own = mend if root is self.root else None
                found |= _whole(_read_diagnostics, place, experiment, networks, own, mend=own) or {}
        return found

    def write_diagnostics(
        self,
        experiment: Experiment,
        seed: int,
        networks: str,
        name: str,
        table: pd.DataFrame,
        provenance: dict[str, Any],
    ) -> None:
        """Write one table of diagnostics of these networks, beside the others of the same networks.

        The list of tables with their checksums comes last. From it go those of other networks.
        """
        place = self.directory(experiment) / f"seed-{seed}"
        listed = _diagnostics_listed(place, experiment, networks)
        data = _parquet(table)
        write_bytes(place / f"diagnostics-{name}.parquet", data)
        listed[name] = {**provenance, "rows": len(table), "sha256": hashlib.sha256(data).hexdigest()}
        heading = {"schema": DIAGNOSTICS_SCHEMA, "key": experiment.key, "networks": networks}
        write_text(place / "diagnostics.json", json.dumps({**heading, "tables": listed}, indent=1) + "\n")

    def stored(self) -> list[tuple[Experiment, Path]]:
        """Every experiment with results, the user's first; `seeds` are those that are there, whole or not."""
        found = []
        for root in (self.root, self.shipped):
            for file in sorted(root.glob("*/experiment.json")) if root is not None and root.is_dir() else []:
                try:
                    names = [place.parent.name for place in file.parent.glob("seed-*/provenance.json")]
                    seeds = tuple(int(name[5:]) for name in names if re.fullmatch(r"seed-\d+", name))
                    fields = _with_known_scores(_read_json(file))
                    if seeds and file.parent.name.startswith(f"{fields['architecture']}-"):
                        know_by_results(fields["architecture"])
                    experiment = Experiment(**fields)
                    if seeds and file.parent.name.endswith(f"-{experiment.key}"):
                        found.append((experiment.replace(seeds=seeds), file.parent))
                except (ValueError, TypeError, KeyError):  # written by another version, or not by simprune
                    continue
        return found

    # Data -----------------------------------------------------------------------------------------------------------

    def fingerprint(self, state_of_files: str) -> str | None:
        """The fingerprint of data whose files are in this state, if it was remembered."""
        known = _read_json(self.root / "fingerprints.json").get(state_of_files)
        return known if isinstance(known, str) else None

    def remember_fingerprint(self, state_of_files: str, fingerprint: str) -> None:
        """Remember the fingerprint of data, so that it need not be decoded only to be recognised."""
        file = self.root / "fingerprints.json"
        if _read_json(file).get(state_of_files) != fingerprint:
            self._write_shared(file, lambda: json.dumps({**_read_json(file), state_of_files: fingerprint}, indent=1))

    # Networks -------------------------------------------------------------------------------------------------------

    def _network_file(self, experiment: Experiment, seed: int, level: int, kind: str = "level") -> Path:
        key = experiment.network_key(level)
        return self.root / ".networks" / key / f"seed-{seed}" / f"{kind}-{level:02d}.pt"

    def networks_size(self, experiment: Experiment) -> int:
        """Bytes of the networks of an experiment that are there."""
        folders = {self._network_file(experiment, seed, level).parent for seed in experiment.seeds for level in (0, 1)}
        return sum(file.stat().st_size for folder in folders for file in folder.glob("level-*"))

    def read_network(
        self, experiment: Experiment, seed: int, level: int, fingerprint: str, mend: Say | None = None
    ) -> Checkpoint | None:
        """The network of one level, trained on the data with this fingerprint; None if it is not there, whole.

        `mend`, for who has the right to write it: sets aside what is corrupt, and is told so.
        """
        return _whole(_read_network, self._network_file(experiment, seed, level), fingerprint, mend=mend)

    def write_network(
        self, experiment: Experiment, seed: int, level: int, fingerprint: str, checkpoint: Checkpoint
    ) -> Checkpoint:
        """Write the network of one level, and remove where its training stood."""
        written = _write_network(self._network_file(experiment, seed, level), fingerprint, checkpoint)
        for suffix in (".json", ".pt"):
            self._network_file(experiment, seed, level, "training").with_suffix(suffix).unlink(missing_ok=True)
        return written

    def read_position(self, experiment: Experiment, seed: int, level: int, fingerprint: str) -> Checkpoint | None:
        """Where the training of one level stands; None if it is not there, whole."""
        return _whole(_read_network, self._network_file(experiment, seed, level, "training"), fingerprint)

    def write_position(
        self, experiment: Experiment, seed: int, level: int, fingerprint: str, checkpoint: Checkpoint
    ) -> None:
        """Write where the training of one level stands."""
        _write_network(self._network_file(experiment, seed, level, "training"), fingerprint, checkpoint)


def _place(root: Path, experiment: Experiment) -> Path:
    """The folder of an experiment's results: found by its key, since one's own images may have had another name."""
    named = root / experiment.name
    return named if named.exists() else next(iter(sorted(root.glob(f"*-{experiment.key}"))), named)


class _Corrupt(Exception):
    """A file that is there is not what was written there, and why that is known."""

    def __init__(self, file: Path, why: str):
        super().__init__(f"{file}: {why}")
        self.file, self.why = file, why


def _set_aside(corrupt: _Corrupt, say: Say) -> None:
    """Rename a corrupt file, so that it is not met again, and say so."""
    aside = corrupt.file.with_name(f"{corrupt.file.name}.corrupt")
    try:
        os.replace(corrupt.file, aside)
    except OSError:
        return
    say(f"store: {corrupt.file} is corrupt ({corrupt.why}); it is set aside as {aside.name} and made again")


def _whole(read: Callable[..., Any], *arguments: Any, mend: Say | None = None) -> Any:
    """What `read` gives; None where it meets a corrupt file, which `mend` sets aside and is told."""
    try:
        return read(*arguments)
    except _Corrupt as corrupt:
        if mend is not None:
            _set_aside(corrupt, mend)
        return None


def _read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file; {} if there is none, whole."""
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _read_bytes(file: Path) -> bytes | None:
    """What is in a file; None if there is none."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:  # a folder, a bad sector
        raise _Corrupt(file, f"it can't be read: {error.strerror or error}") from error


def _facts_checksum(facts: dict[str, Any]) -> str:
    """Checksum of what is said of a network, itself apart."""
    rest = {name: value for name, value in facts.items() if name != "facts_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _write_network(file: Path, fingerprint: str, checkpoint: Checkpoint) -> Checkpoint:
    """Write weights and what is known of them; the file with the checksums comes last."""
    buffer = io.BytesIO()
    torch.save(checkpoint.state, buffer)
    sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
    facts = {**checkpoint.facts, "fingerprint": fingerprint, "sha256": sha256}
    facts["facts_sha256"] = _facts_checksum(facts)
    file.with_suffix(".json").unlink(missing_ok=True)
    write_bytes(file, buffer.getvalue())
    write_text(file.with_suffix(".json"), json.dumps(facts, indent=1) + "\n")
    return Checkpoint(checkpoint.state, facts)


def _read_network(file: Path, fingerprint: str) -> Checkpoint | None:
    described = file.with_suffix(".json")
    facts = _read_json(described)
    if not facts and described.exists():
        raise _Corrupt(described, "it is not a JSON object")
    if facts and facts.get("facts_sha256") != _facts_checksum(facts):
        raise _Corrupt(described, "its checksum is not the one in it")
    data = _read_bytes(file)
    if data is None:
        return None
    if facts.get("fingerprint") != fingerprint:
        return None
    if facts.get("sha256") != hashlib.sha256(data).hexdigest():
        raise _Corrupt(file, f"its checksum is not the one in {described.name}")
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what it likes; weights_only keeps it from running anything
        raise _Corrupt(file, "it holds no weights") from error
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise _Corrupt(file, "it holds no weights")
    return Checkpoint(state, facts)


def _with_known_scores(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of an experiment without measures, views and references that this simprune does not know."""
    known = {"measures": MEASURES, "views": VIEWS, "references": REFERENCES}
    return fields | {
        field: [name for name in fields[field] if name in names] or [*names] for field, names in known.items()
    }


def _store_schema(root: Path) -> int:
    """The results schema that a store was last written with; 0 for one that is new or says nothing."""
    schema = _read_json(root / "store.json").get("schema")
    return schema if isinstance(schema, int) else 0


def _read_seed(place: Path, experiment: Experiment) -> SeedResult | None:
    described = place / "provenance.json"
    provenance = _read_json(described)
    if not provenance:
        if described.exists():
            raise _Corrupt(described, "it is not a JSON object")
        return None
    if (provenance.get("schema"), provenance.get("key")) != (RESULTS_SCHEMA, experiment.key):
        raise _Corrupt(described, "it belongs to another experiment")
    sums, made_from = provenance.get("sha256"), provenance.get("data")
    if not isinstance(sums, dict) or not isinstance(made_from, dict) or "fingerprint" not in made_from:
        raise _Corrupt(described, "it does not say what the tables are made of")
    if not isinstance(provenance.get("duration"), int | float):
        raise _Corrupt(described, "it does not say how long the run took")
    tables = {}
    for table in TABLES:
        read = _read_table(place / f"{table}.parquet", sums.get(table), described)
        if read is None:
            return None
        tables[table] = read
    return SeedResult(**tables, provenance=provenance, directory=place.parent)


def _read_table(file: Path, checksum: object, described: Path) -> pd.DataFrame | None:
    """The table in a file with this checksum, which is written in `described`; None if there is none."""
    data = _read_bytes(file)
    if data is None:
        return None
    if hashlib.sha256(data).hexdigest() != checksum:
        raise _Corrupt(file, f"its checksum is not the one in {described.name}")
    try:
        return _parsed(data).copy()
    except Exception as error:  # the reader raises what it likes
        raise _Corrupt(file, "it is not a Parquet table") from error


@lru_cache(maxsize=256)  # a page asks for a run's tables several times: which seeds there are, then their scores
def _parsed(data: bytes) -> pd.DataFrame:
    return split_status(pd.read_parquet(io.BytesIO(data)))


def _diagnostics_listed(place: Path, experiment: Experiment, networks: str) -> dict[str, dict[str, Any]]:
    """The tables of diagnostics that are listed as made of these networks: name -> provenance and checksum."""
    listed = _read_json(place / "diagnostics.json")
    if [listed.get(field) for field in ("schema", "key", "networks")] != [DIAGNOSTICS_SCHEMA, experiment.key, networks]:
        return {}
    tables = listed.get("tables")
    return tables if isinstance(tables, dict) else {}


def _read_diagnostics(place: Path, experiment: Experiment, networks: str, mend: Say | None) -> dict[str, pd.DataFrame]:
    """Those of the listed tables that are there, whole."""
    described, tables = place / "diagnostics.json", {}
    if described.exists() and not _read_json(described):
        raise _Corrupt(described, "it is not a JSON object")
    for name, facts in _diagnostics_listed(place, experiment, networks).items():
        if not name.isidentifier() or not isinstance(facts, dict):  # not written by simprune
            continue
        file = place / f"diagnostics-{name}.parquet"
        table = _whole(_read_table, file, facts.get("sha256"), described, mend=mend)
        tables |= {name: table} if table is not None else {}
    return tables


def _parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False, compression="zstd")
    return buffer.getvalue()


def remove_leftovers(folder: Path, say: Say | None = None) -> None:
    """Remove the files that writers who were killed left half-written in a folder. For who may write there."""
    left = list(folder.glob(f".*{TEMPORARY}*"))
    for file in left:
        file.unlink(missing_ok=True)
    if left and say is not None:
        files = "1 half-written file" if len(left) == 1 else f"{len(left)} half-written files"
        say(f"store: {files} of a run that was stopped {'is' if len(left) == 1 else 'are'} removed from {folder}")


def write_bytes(file: Path, data: bytes) -> None:
    """Write a file so that others see it whole or not at all. Raises `WriteError` where that can't be done."""
    temporary = None
    try:
        make_folder(file.parent)
        handle, temporary = tempfile.mkstemp(prefix=f".{file.name}{TEMPORARY}", dir=file.parent)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644 | group_rights(file) & 0o060)
        os.replace(temporary, file)
    except BaseException as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise WriteError(error.errno, error.strerror or str(error), str(file)) from error
        raise


def write_text(file: Path, text: str) -> None:
    """`write_bytes` for text, in UTF-8."""
    write_bytes(file, text.encode())
