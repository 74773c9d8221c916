import hashlib
import io
import json
import os
import stat
from pathlib import Path

import pandas as pd
import pytest
import torch

from simprune.errors import InputError
from simprune.experiment import RESULTS_SCHEMA, Experiment
from simprune.places import default_root
from simprune.store import Checkpoint, SeedResult, Store, write_bytes

EXPERIMENT = Experiment(levels=1)


def result(value=0.5, fingerprint="f" * 16):
    return SeedResult(
        performance=pd.DataFrame({"seed": [0], "level": [0], "density": [1.0], "test_accuracy": [value]}),
        similarity=pd.DataFrame(
            {"seed": [0], "reference": ["dense"], "view": ["flatten"], "measure": ["nbs"], "value": [value]}
        ),
        sparsity=pd.DataFrame({"seed": [0], "layer": ["fc1"], "density": [1.0]}),
        provenance={"data": {"fingerprint": fingerprint}, "duration": 1.5},
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "mine", shipped=tmp_path / "shipped")


def test_what_is_written_is_read_back(store):
    written = store.write_seed(EXPERIMENT, 0, result())
    (read,) = store.read_seed(EXPERIMENT, 0)
    pd.testing.assert_frame_equal(read.performance, result().performance)
    pd.testing.assert_frame_equal(read.similarity, result().similarity)
    assert read.provenance == written.provenance
    assert read.scores() == {("dense", "flatten", "nbs")}
    assert sorted(path.name for path in (written.directory / "seed-0").iterdir()) == [
        "performance.parquet",
        "provenance.json",
        "similarity.parquet",
        "sparsity.parquet",
    ]


def test_who_changes_a_table_that_was_read_changes_it_for_no_other_reader(store):
    store.write_seed(EXPERIMENT, 0, result())
    (first,) = store.read_seed(EXPERIMENT, 0)
    first.similarity["value"] = 0.0
    (second,) = store.read_seed(EXPERIMENT, 0)
    assert (second.similarity["value"] == 0.5).all()


def test_the_users_results_come_before_the_shipped_ones_which_are_only_read(store, tmp_path):
    Store(tmp_path / "shipped").write_seed(EXPERIMENT, 0, result(0.1))
    assert [r.performance["test_accuracy"][0] for r in store.read_seed(EXPERIMENT, 0)] == [0.1]
    store.write_seed(EXPERIMENT, 0, result(0.2))
    assert [r.performance["test_accuracy"][0] for r in store.read_seed(EXPERIMENT, 0)] == [0.2, 0.1]


@pytest.mark.parametrize("table", ["performance.parquet", "similarity.parquet", "sparsity.parquet", "provenance.json"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "emptied", "other"])
def test_a_half_written_or_damaged_result_is_ignored(store, table, damage):
    file = store.write_seed(EXPERIMENT, 0, result()).directory / "seed-0" / table
    data = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes({"truncated": data[:-9], "emptied": b"", "other": b"{}"}[damage])
    assert store.read_seed(EXPERIMENT, 0) == []


def test_a_result_of_another_schema_or_key_in_the_right_place_is_ignored(store):
    file = store.write_seed(EXPERIMENT, 0, result()).directory / "seed-0" / "provenance.json"
    good = json.loads(file.read_text())
    for change in ({"schema": RESULTS_SCHEMA - 1}, {"key": "0" * 12}):
        file.write_text(json.dumps(good | change))
        assert store.read_seed(EXPERIMENT, 0) == []
    file.write_text(json.dumps(good))
    assert len(store.read_seed(EXPERIMENT, 0)) == 1


def test_a_store_of_a_newer_version_is_refused(store):
    store.prepare(EXPERIMENT, 0)
    (store.root / "store.json").write_text(json.dumps({"schema": RESULTS_SCHEMA + 1}))
    with pytest.raises(InputError, match="was written by a newer simprune .*update simprune"):
        Store(store.root)


def test_a_store_that_is_a_file_or_can_not_be_written_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match="is a file, not a folder"):
        Store(file)
    with pytest.raises(InputError, match=r"can't be written .*choose another with --store"):
        Store(file / "below").prepare(EXPERIMENT, 0)


def test_the_store_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("SIMPRUNE_STORE", str(tmp_path))
    assert default_root() == tmp_path
    monkeypatch.delenv("SIMPRUNE_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_root() == tmp_path / "cache" / "simprune" / "results"


@pytest.mark.skipif(os.name != "posix", reason="how a home is found")
def test_without_a_home_directory_results_are_kept_in_the_current_folder(monkeypatch):
    def nobody(number):
        raise KeyError(number)

    for name in ("SIMPRUNE_STORE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert default_root() == Path("simprune-results") and Store().stored()
    with pytest.raises(InputError, match=r"store: '~/x' can't be used \(nobody has that home directory\)"):
        Store("~/x")


def test_networks_are_kept_by_what_decides_them_and_by_the_data(store):
    network = Checkpoint({"weight": torch.arange(3.0)}, {"performance": {"level": 0}})
    store.write_network(EXPERIMENT, 0, 0, "data", network)
    deeper = EXPERIMENT.replace(levels=5, rate=0.5)
    assert torch.equal(store.read_network(deeper, 0, 0, "data").state["weight"], torch.arange(3.0))
    assert store.read_network(EXPERIMENT, 0, 0, "other data") is None
    assert store.read_network(EXPERIMENT, 1, 0, "data") is None
    assert store.read_network(EXPERIMENT.replace(epochs=9), 0, 0, "data") is None


@pytest.mark.parametrize("suffix", [".pt", ".json"])
def test_a_damaged_network_is_ignored(store, suffix):
    store.write_network(EXPERIMENT, 0, 0, "data", Checkpoint({"weight": torch.ones(3)}, {}))
    (file,) = store.root.rglob(f"level-00{suffix}")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert store.read_network(EXPERIMENT, 0, 0, "data") is None


@pytest.mark.parametrize("change", [{"performance": {"test_accuracy": 0.95}}, {"sparsity": []}, {"more": 1}])
def test_what_was_measured_on_a_network_is_not_read_once_it_has_changed(store, change):
    facts = {"performance": {"test_accuracy": 0.85}, "sparsity": [{"layer": "fc1"}]}
    store.write_network(EXPERIMENT, 0, 0, "data", Checkpoint({"weight": torch.ones(3)}, facts))
    (file,) = store.root.rglob("level-00.json")
    whole = json.loads(file.read_text())
    file.write_text(json.dumps(whole | change))
    said = []
    assert store.read_network(EXPERIMENT, 0, 0, "data", said.append) is None
    assert len(said) == 1 and f"{file} is corrupt" in said[0]


class Fatal:
    """Unpickling this writes a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


@pytest.mark.parametrize("held", ["code", "list", "other things"])
def test_a_foreign_file_with_the_right_checksum_runs_no_code_and_is_set_aside(store, tmp_path, held):
    content = {"code": {"weight": Fatal(tmp_path / "ran")}, "list": [torch.ones(3)], "other things": {"weight": 1}}[
        held
    ]
    buffer = io.BytesIO()
    torch.save(content, buffer)
    store.write_network(EXPERIMENT, 0, 0, "data", Checkpoint({"weight": torch.ones(3)}, {}))
    (file,) = store.root.rglob("level-00.pt")
    file.write_bytes(buffer.getvalue())
    facts = {"fingerprint": "data", "sha256": hashlib.sha256(buffer.getvalue()).hexdigest()}
    facts["facts_sha256"] = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    file.with_suffix(".json").write_text(json.dumps(facts))
    said = []
    assert store.read_network(EXPERIMENT, 0, 0, "data", said.append) is None
    assert said == [
        f"store: {file} is corrupt (it holds no weights); it is set aside as level-00.pt.corrupt and made again"
    ]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["level-00.pt", "level-00.json", "similarity.parquet", "provenance.json"])
def test_a_folder_where_a_file_should_be_is_named_and_set_aside(store, name):
    store.write_network(EXPERIMENT, 0, 0, "data", Checkpoint({"weight": torch.ones(3)}, {}))
    store.write_seed(EXPERIMENT, 0, result())
    (file,) = store.root.rglob(name)
    file.unlink()
    file.mkdir()
    said = []
    store.read_network(EXPERIMENT, 0, 0, "data", said.append)
    store.read_seed(EXPERIMENT, 0, said.append)
    assert len(said) == 1 and f"{file} is corrupt" in said[0] and file.with_name(f"{name}.corrupt").is_dir()
    store.write_network(EXPERIMENT, 0, 0, "data", Checkpoint({"weight": torch.ones(3)}, {}))
    store.write_seed(EXPERIMENT, 0, result())
    assert store.read_network(EXPERIMENT, 0, 0, "data") and store.read_seed(EXPERIMENT, 0)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    file = tmp_path / "file"
    write_bytes(file, b"old")

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError):
        write_bytes(file, b"new")
    assert file.read_bytes() == b"old" and list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.name != "posix", reason="rights of groups")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_what_is_written_in_a_folder_of_a_group_may_be_written_by_the_group(tmp_path, umask):
    """Whatever the umask of who wrote it; and elsewhere by nobody else."""
    for name, mode in (("shared", 0o2770), ("own", 0o755)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
        store, before = Store(tmp_path / name, shipped=None), os.umask(umask)
        try:
            store.prepare(EXPERIMENT, 0)
            with store.writing(EXPERIMENT, 0, print), store.training(EXPERIMENT, 0, 0, print):
                store.write_seed(EXPERIMENT, 0, result())
                store.write_network(EXPERIMENT, 0, 0, "data", Checkpoint({"w": torch.ones(1)}, {}))
        finally:
            os.umask(before)
        written = [path for path in store.root.rglob("*") if path.parent.name != ".locks"]
        assert len(written) > 12
        for path in written:
            assert bool(path.stat().st_mode & stat.S_IWGRP) == (name == "shared")
            assert not path.stat().st_mode & stat.S_IWOTH


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="needs root, to be another user")
@pytest.mark.parametrize("place", [".", ".locks", ".locks/shared", "{name}", "{name}/seed-0", ".networks"])
def test_a_store_in_which_another_user_may_not_write_is_refused_before_work(tmp_path, place):
    """It is somebody else's: all of it, or a folder of it."""
    store = Store(tmp_path / "store", shipped=None)
    store.write_seed(EXPERIMENT, 0, result())
    store.prepare(EXPERIMENT, 0)
    (store.root / ".networks").mkdir()
    for path in (tmp_path, *tmp_path.parents, *tmp_path.rglob("*")):
        path.chmod(path.stat().st_mode | (0o777 if path.is_relative_to(tmp_path) else 0o055))
    refused = store.root / place.format(name=EXPERIMENT.name)
    refused.chmod(0o555)
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setuid(65534)
            store.prepare(EXPERIMENT, 0)
        except InputError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    assert f"store: '{refused}' can't be written (Permission denied); choose another" in os.read(read, 9999).decode()


def diagnostics(value):
    return pd.DataFrame({"seed": [0, 0], "measure": ["nbs", "rsa"], "value": [value, float("nan")]})


def test_diagnostics_are_read_back_while_the_networks_are_the_same(store):
    networks = store.write_seed(EXPERIMENT, 0, result()).networks
    for name, value in (("nulls", 0.1), ("spectral", 0.2)):
        store.write_diagnostics(EXPERIMENT, 0, networks, name, diagnostics(value), {"seconds": 1})
    read = store.read_diagnostics(EXPERIMENT, 0, networks)
    assert set(read) == {"nulls", "spectral"}
    pd.testing.assert_frame_equal(read["nulls"], diagnostics(0.1))
    assert store.read_diagnostics(EXPERIMENT, 0, result(0.6).networks) == {}
    assert store.read_diagnostics(EXPERIMENT, 1, networks) == {}


def test_the_networks_of_a_result_are_known_by_what_was_measured_and_not_by_how_long_it_took():
    one, other = result(0.5), result(0.5)
    other.performance["seconds"] = 9.0
    assert one.networks == other.networks != result(0.5000001).networks


def test_diagnostics_of_new_networks_leave_nothing_of_the_old_ones(store):
    for value, name in ((0.5, "nulls"), (0.6, "spectral")):
        networks = store.write_seed(EXPERIMENT, 0, result(value)).networks
        store.write_diagnostics(EXPERIMENT, 0, networks, name, diagnostics(value), {})
    assert set(store.read_diagnostics(EXPERIMENT, 0, networks)) == {"spectral"}
    assert store.read_diagnostics(EXPERIMENT, 0, result(0.5).networks) == {}


def test_shipped_diagnostics_are_read_beside_the_users(store, tmp_path):
    shipped, networks = Store(tmp_path / "shipped"), result().networks
    for place, name, value in ((shipped, "nulls", 0.1), (shipped, "spectral", 0.2), (store, "spectral", 0.3)):
        place.write_diagnostics(EXPERIMENT, 0, networks, name, diagnostics(value), {})
    read = store.read_diagnostics(EXPERIMENT, 0, networks)
    assert {name: table["value"][0] for name, table in read.items()} == {"nulls": 0.1, "spectral": 0.3}


@pytest.mark.parametrize("name", ["diagnostics-nulls.parquet", "diagnostics.json"])
@pytest.mark.parametrize("end", [-9, 0])
def test_damaged_diagnostics_are_named_and_set_aside_by_who_may_write_and_the_others_are_read(store, name, end):
    networks = result().networks
    for table in ("nulls", "spectral"):
        store.write_diagnostics(EXPERIMENT, 0, networks, table, diagnostics(0.1), {})
    file = store.directory(EXPERIMENT) / "seed-0" / name
    file.write_bytes(file.read_bytes()[:end])
    said, others = [], {"diagnostics-nulls.parquet": {"spectral"}, "diagnostics.json": set()}[name]
    assert set(store.read_diagnostics(EXPERIMENT, 0, networks)) == others and file.exists()
    for _ in range(2):  # damaged, then missing
        assert set(store.read_diagnostics(EXPERIMENT, 0, networks, said.append)) == others and not file.exists()
    assert len(said) == 1 and f"{file} is corrupt" in said[0] and file.with_name(f"{name}.corrupt").exists()


def test_diagnostics_of_another_schema_are_ignored(store, monkeypatch):
    store.write_diagnostics(EXPERIMENT, 0, result().networks, "nulls", diagnostics(0.1), {})
    monkeypatch.setattr("simprune.store.DIAGNOSTICS_SCHEMA", 0)
    assert store.read_diagnostics(EXPERIMENT, 0, result().networks) == {}


def test_stored_lists_experiments_with_the_seeds_that_are_there_and_skips_foreign_folders(store):
    for seed in (0, 3):
        store.write_seed(EXPERIMENT, seed, result())
    foreign = store.root / "foreign"
    foreign.mkdir()
    (foreign / "experiment.json").write_text('{"architecture": "unknown"}')
    stray = store.directory(EXPERIMENT) / "seed-old"
    stray.mkdir()
    (stray / "provenance.json").write_text("{}")
    held = EXPERIMENT.replace(seeds=(0, 3), measures=["nbs"])  # what is in the table of scores
    assert store.stored() == [(held, store.directory(EXPERIMENT))]
