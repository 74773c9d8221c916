"""What crashes, damage and other processes leave behind, and what the next run makes of it."""

import datetime
import errno
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from functools import partial

import pytest
import torch
from synthetic import draw_images, equal

import simprune
from simprune import data, study
from simprune import store as store_module
from simprune.experiment import Experiment
from simprune.locks import locked
from simprune.store import Checkpoint, Store, WriteError

pytestmark = pytest.mark.usefixtures("few_images")
TINY = Experiment(levels=1, rate=0.5, epochs=1, train_size=100, batch_size=50, probe_size=50, measures=("linear_cka",))


def run(store, **options):
    return simprune.run(TINY, store=store, device="cpu", progress=False, **options)


@pytest.fixture(scope="module")
def undisturbed(few_images, tmp_path_factory):
    return run(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def stored(tmp_path, undisturbed):
    """A store with the undisturbed run."""
    shutil.copytree(undisturbed.directory.parent, tmp_path / "store")
    return tmp_path / "store"


@pytest.mark.parametrize("name", ["level-00.pt", "level-01.pt", "level-01.json"])
def test_a_corrupt_network_is_named_set_aside_and_made_again(name, stored, undisturbed, capsys):
    (file,) = stored.rglob(name)
    file.write_bytes(file.read_bytes()[:-9])
    for table in stored.rglob("*.parquet"):
        table.unlink()
    assert equal(run(stored), undisturbed)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"{file} is corrupt" in said and f"{name}.corrupt" in said
    assert file.with_name(f"{name}.corrupt").exists() and file.exists()
    assert not [line for line in capsys.readouterr().err.splitlines() if "corrupt" in line]


@pytest.mark.parametrize("name", ["similarity.parquet", "provenance.json"])
def test_a_corrupt_table_is_named_set_aside_and_made_again_without_training(
    name, stored, undisturbed, capsys, monkeypatch
):
    monkeypatch.setattr("simprune.study.train", lambda *a, **k: pytest.fail("trained"))
    file = stored / undisturbed.directory.name / "seed-0" / name
    file.write_bytes(b"{" + file.read_bytes())
    assert equal(run(stored), undisturbed)
    assert f"{file} is corrupt" in capsys.readouterr().err


def test_a_result_of_another_experiment_in_its_place_is_set_aside(stored, undisturbed, capsys):
    file = stored / undisturbed.directory.name / "seed-0" / "provenance.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"key": "0" * 12}))
    assert equal(run(stored), undisturbed)
    assert "it belongs to another experiment" in capsys.readouterr().err


def test_reading_sets_nothing_aside(stored, undisturbed):
    (file,) = stored.rglob("similarity.parquet")
    file.write_bytes(b"")
    before = sorted(stored.rglob("*"))
    with pytest.raises(simprune.InputError, match="no stored result"):
        simprune.load(TINY, store=stored)
    assert sorted(stored.rglob("*")) == before


def test_a_network_with_other_shapes_is_not_taken_for_one_of_the_experiment(stored, undisturbed):
    fingerprint = data.load(TINY.dataset).fingerprint
    facts = Store(stored).read_network(TINY, 0, 0, fingerprint).facts
    Store(stored).write_network(TINY, 0, 0, fingerprint, Checkpoint({"weight": torch.ones(3)}, facts))
    for table in stored.rglob("*.parquet"):
        table.unlink()
    assert equal(run(stored), undisturbed)


@pytest.mark.parametrize("content", [b"", b"{", b'{"architecture": "vgg"}', b"\xff"])
def test_a_damaged_description_of_a_result_is_named_and_written_again(content, stored, undisturbed, capsys):
    file = stored / undisturbed.directory.name / "experiment.json"
    file.write_bytes(content)
    assert equal(run(stored), undisturbed)
    assert f"{file} is corrupt (it is not that of this experiment)" in capsys.readouterr().err
    assert [experiment.name for experiment, _ in Store(stored, shipped=None).stored()] == [TINY.name]
    assert equal(run(stored), undisturbed) and not capsys.readouterr().err


def test_a_description_with_a_measure_that_is_not_registered_here_is_left_as_it_is(stored, undisturbed, capsys):
    file = stored / undisturbed.directory.name / "experiment.json"
    described = json.loads(file.read_text())
    file.write_text(json.dumps({**described, "measures": [*described["measures"], "my_own"]}))
    before = file.read_bytes()
    assert equal(run(stored), undisturbed)
    assert file.read_bytes() == before and not capsys.readouterr().err


def test_files_that_a_killed_run_left_half_written_are_removed(stored, undisturbed):
    left = [file.with_name(f".{file.name}{store_module.TEMPORARY}abc") for file in stored.rglob("*.pt")]
    left.append(stored / f".store.json{store_module.TEMPORARY}x")
    left.append(stored / undisturbed.directory.name / "seed-0" / f".similarity.parquet{store_module.TEMPORARY}x")
    for file in left:
        file.write_bytes(b"half")
    for file in [*stored.rglob("*.parquet"), *stored.rglob("level-*.json"), stored / "store.json"]:
        file.unlink()
    assert equal(run(stored), undisturbed)
    assert not [file for file in left if file.exists()]


def test_a_run_killed_within_a_level_goes_on_within_it_and_ends_bit_identical(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("simprune.training.SAVE_EVERY", 0)
    longer = TINY.replace(epochs=4, retraining="held")
    real, left = study.train, []
    expected = simprune.run(longer, store=tmp_path / "undisturbed", device="cpu", progress=False)

    def killed(*arguments, on_epoch, **options):
        def stop_after_three(epoch):
            on_epoch(epoch)
            if epoch == 2:
                raise KeyboardInterrupt

        return real(*arguments, on_epoch=stop_after_three, **options)

    for _ in range(3):  # in the dense network, in the donor of the masks, in the run itself
        monkeypatch.setattr(study, "train", killed)
        with pytest.raises(KeyboardInterrupt):
            simprune.run(longer, store=tmp_path / "store", device="cpu", progress=False)
        left.append(len(list((tmp_path / "store").rglob("training-*.pt"))))
        monkeypatch.setattr(study, "train", real)
        with monkeypatch.context() as patch:  # the level that was stopped is finished, and the next one not begun
            patch.setattr(study._Run, "_make_level", once(study._Run._make_level))
            with suppress(KeyboardInterrupt):
                simprune.run(longer, store=tmp_path / "store", device="cpu")
        assert "goes on after epoch 3 of 4" in capsys.readouterr().err
    assert left == [1, 1, 1]
    assert equal(simprune.run(longer, store=tmp_path / "store", device="cpu", progress=False), expected)
    assert not list((tmp_path / "store").rglob("training-*"))


def once(function):
    """The function, which is interrupted when it is called again."""
    calls = []

    def wrapped(*arguments, **options):
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return function(*arguments, **options)

    return wrapped


@pytest.mark.parametrize("damage", ["cut", "other network"])
def test_where_training_stood_is_not_used_if_it_is_damaged_or_of_another_network(damage, tmp_path, monkeypatch):
    monkeypatch.setattr("simprune.training.SAVE_EVERY", 0)
    longer = TINY.replace(epochs=3)
    expected = simprune.run(longer, store=tmp_path / "undisturbed", device="cpu", progress=False)
    simprune.run(longer, store=tmp_path / "store", device="cpu", progress=False)
    place, fingerprint = Store(tmp_path / "store"), expected.provenance["data"]["fingerprint"]
    network = place.read_network(longer, 0, 1, fingerprint)
    stood = {"step": 2, "arithmetic": [False, False], "processor": "?", "seconds": 1.0, "parent": "another"}
    place.write_position(longer, 0, 1, fingerprint, Checkpoint(network.state, stood))
    if damage == "cut":
        (file,) = (tmp_path / "store").rglob("training-01.pt")
        file.write_bytes(file.read_bytes()[:-9])
    for file in [*(tmp_path / "store").rglob("level-01.*"), *(tmp_path / "store").rglob("*.parquet")]:
        file.unlink()
    assert equal(simprune.run(longer, store=tmp_path / "store", device="cpu", progress=False), expected)


def test_a_clock_that_jumped_changes_nothing(stored, undisturbed, capsys):
    for number, file in enumerate(stored.rglob("*")):
        os.utime(file, (0, 0) if number % 2 else (2**33, 2**33))
    assert equal(simprune.run(TINY, store=stored, device="cpu"), undisturbed)
    assert "read from" in capsys.readouterr().err


def test_a_clock_that_stands_still_hides_no_change_of_the_data(tmp_path, capsys):
    """Files of other images may have the size and the times of the files before them."""

    def own(seed):
        draw_images(tmp_path / "own", seed, side=28, count=16, ending="bmp")
        for file in (tmp_path / "own").rglob("*.bmp"):
            os.utime(file, (10**9, 10**9))
        images = f"folder:{tmp_path / 'own'}"
        return TINY.replace(dataset=images, train_size="all", batch_size=8, probe_size=8)

    earlier, store = own(0), tmp_path / "store"
    before = simprune.run(earlier, store=store, device="cpu", progress=False)
    after = simprune.run(own(100), store=store, device="cpu", progress=False)
    assert after.provenance["data"] != before.provenance["data"] and not equal(after, before)
    with pytest.raises(simprune.InputError, match="are not those of this experiment any more"):
        simprune.run(earlier, store=store, device="cpu", progress=False)
    assert equal(simprune.load(earlier, store=store), before)


def test_a_clock_that_runs_backwards_changes_nothing(tmp_path, undisturbed, monkeypatch):
    """Every look at a clock that can be set gives an earlier time than the one before."""

    class Backwards(datetime.datetime):
        looks = 0

        @classmethod
        def now(cls, tz=None):
            cls.looks += 1
            return datetime.datetime(2000, 1, 1, tzinfo=tz) - datetime.timedelta(days=cls.looks)

    monkeypatch.setattr("simprune.study.datetime.datetime", Backwards)
    monkeypatch.setattr(time, "time", iter(range(10**9, 0, -1000)).__next__)
    assert equal(run(tmp_path), undisturbed) and equal(run(tmp_path), undisturbed)


def test_a_run_says_what_it_found_of_one_that_was_killed(stored, undisturbed, capsys):
    for file in [*stored.rglob("*.parquet"), *stored.rglob("level-01.*")]:
        file.unlink()
    (stored / undisturbed.directory.name / "seed-0" / f".similarity.parquet{store_module.TEMPORARY}x").write_bytes(
        b"half"
    )
    assert equal(simprune.run(TINY, store=stored, device="cpu"), undisturbed)
    said = capsys.readouterr().err
    assert "seed 0: level 0 of 1 is in the store, the rest is trained\n" in said
    assert "1 half-written file of a run that was stopped is removed" in said
    for file in stored.rglob("*.parquet"):
        file.unlink()
    assert equal(simprune.run(TINY, store=stored, device="cpu"), undisturbed)
    assert "seed 0: levels 0 to 1 of 1 are in the store, nothing is trained\n" in capsys.readouterr().err


@pytest.mark.parametrize("writes", [1, 4, 9])
def test_a_full_disk_stops_a_run_in_one_sentence_and_with_room_it_goes_on(writes, tmp_path, undisturbed, monkeypatch):
    real, calls = os.fsync, []

    def full(handle):
        calls.append(1)
        if len(calls) >= writes:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        (WriteError, simprune.InputError), match=r"can't be written \(No space left on device\)"
    ) as error:
        run(tmp_path)
    assert "\n" not in str(error.value)
    assert not [file for file in tmp_path.rglob("*") if store_module.TEMPORARY in file.name]
    monkeypatch.undo()
    assert equal(run(tmp_path), undisturbed)


# Locks --------------------------------------------------------------------------------------------------------------


def _hold(file, held, leave):
    with locked(file):
        held.set()
        leave.wait(60)


@contextmanager
def holding(file):
    """The process that holds a lock, and the event on which it leaves it; at the end it is killed."""
    context = multiprocessing.get_context("fork")
    held, leave = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(file, held, leave))
    holder.start()
    assert held.wait(60)
    yield holder, leave
    holder.kill()
    holder.join()


def test_a_lock_is_waited_for_with_a_word_and_taken_over_from_a_killed_process(tmp_path):
    file, said = tmp_path / "lock", []

    def waiting(who):
        said.append(who)
        holder.kill()

    with holding(file) as (holder, _), locked(file, waiting):
        assert len(said) == 1 and said[0].startswith(f"process {holder.pid} on ")
    with locked(file, said.append):
        pass
    assert len(said) == 1


def test_a_second_run_waits_for_the_first_and_reads_what_it_made(stored, undisturbed, tmp_path, monkeypatch):
    """The first run is stood in for by a process that holds its lock and puts its result there."""
    aside = tmp_path / "aside"
    place = stored / undisturbed.directory.name
    place.rename(aside)
    said = []

    def warn(self, text):
        said.append(text)
        aside.rename(place)
        leave.set()

    monkeypatch.setattr("simprune.study._Study.warn", warn)
    monkeypatch.setattr("simprune.study.train", lambda *a, **k: pytest.fail("trained"))
    with holding(stored / ".locks" / f"{TINY.key}-seed-0") as (holder, leave):
        assert equal(run(stored), undisturbed)
    assert said == [
        f"the results of seed 0 are being made by process {holder.pid} on {os.uname().nodename}; "
        f"waiting until it is done (Ctrl-C ends this one)"
    ]


def test_locks_are_done_without_where_the_file_system_has_none(tmp_path, monkeypatch):
    def unsupported(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", unsupported)
    with locked(tmp_path / "lock", pytest.fail):
        pass


def test_an_error_while_waiting_is_not_taken_for_a_file_system_without_locks(tmp_path):
    def waiting(who):
        raise BrokenPipeError("nobody reads what is said")

    with holding(tmp_path / "lock"), pytest.raises(BrokenPipeError), locked(tmp_path / "lock", waiting):
        pytest.fail("two hold one lock")


# A real process -----------------------------------------------------------------------------------------------------


def test_ctrl_c_in_training_ends_within_seconds_with_status_130_and_keeps_what_is_finished(tmp_path):
    run = "run lenet5 fashion_mnist_mini --levels 1 --epochs 2000 --train-size 100 --probe-size 50"
    command = [sys.executable, "-m", "simprune", *run.split(), "--store", str(tmp_path)]
    # A shell that runs the tests in the background has them, and all that they start, ignore Ctrl-C.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, preexec_fn=heed, **pipes)
    locks = tmp_path / ".locks"
    while process.poll() is None and not list(locks.glob("*-seed-0")):
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    clock = time.monotonic()
    try:
        _, said = process.communicate(timeout=5)
    except subprocess.TimeoutExpired:  # Python loses an interrupt that falls into a destructor: one presses again
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert time.monotonic() - clock < 10
    assert process.returncode == 130, said
    assert said == "simprune: interrupted; what was finished is kept, run the same command to go on\n"
