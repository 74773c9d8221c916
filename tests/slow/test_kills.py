"""Runs that are killed, stopped, starved of disk or started twice: all must end as the undisturbed one."""

import os
import random
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from runs import left_behind, run, same, start, tables

import simprune
from simprune.experiment import Experiment

KILLS = 25
STOPS = 10
TINY = Experiment(levels=2, rate=0.5, epochs=1, train_size=200, probe_size=50, measures=("linear_cka", "nbs"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The tables of an undisturbed run, and the seconds it took."""
    store = tmp_path_factory.mktemp("undisturbed")
    clock = time.monotonic()
    run(store)
    return tables(store), time.monotonic() - clock


def test_runs_killed_at_random_moments_end_bit_identical(undisturbed, tmp_path, capsys):
    expected, seconds = undisturbed
    draw = random.Random(7)
    found = {"nothing": 0, "some networks": 0, "all networks": 0, "everything": 0}
    for number in range(KILLS):
        store, wanted = tmp_path / str(number), number % 5
        process, waited = start(store), draw.random()
        while wanted and len(list(store.rglob("level-*.json"))) < wanted and process.poll() is None:
            time.sleep(0.01)
        time.sleep(waited * seconds / (5 if wanted else 1))  # the next network or the tables, or the whole run
        process.kill()
        process.communicate()
        networks = len(list(store.rglob("level-*.json")))
        done = bool(list(store.rglob("provenance.json")))
        found["everything" if done else ("nothing", "some networks", "all networks")[(networks + 2) // 3]] += 1
        said = run(store)
        assert same(tables(store), expected), f"kill {number}"
        assert "corrupt" not in said and not left_behind(store)
        assert done or said.count(": density ") == 4 - networks, said
    assert found["some networks"] >= 3
    with capsys.disabled():
        print(f"\n{KILLS} runs of {seconds:.0f} s killed, all resumed bit-identical; in the store was: {found}")


def test_a_run_killed_again_and_again_gets_there(undisturbed, tmp_path):
    expected, seconds = undisturbed
    draw = random.Random(8)
    for _ in range(6):
        process = start(tmp_path)
        time.sleep(seconds * (0.4 + 0.6 * draw.random()))
        process.kill()
        process.communicate()
    run(tmp_path)
    assert same(tables(tmp_path), expected) and not left_behind(tmp_path)


def in_a_child(task) -> int:
    """Do something in a copy of this process, so that nothing need be imported again; its exit status."""
    child = os.fork()
    if child == 0:
        try:
            task()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return status


def test_runs_killed_before_and_after_every_single_write_end_bit_identical(tmp_path, capsys):
    def tiny(store):
        simprune.run(TINY, store=store, device="cpu", progress=False)

    def killed_at(store, name, number, after):
        real, calls = getattr(os, name), []

        def fatal(*arguments, **options):
            calls.append(1)
            if len(calls) == number and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            done = real(*arguments, **options)
            if len(calls) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        setattr(os, name, fatal)
        tiny(store)

    assert in_a_child(lambda: tiny(tmp_path / "undisturbed")) == 0
    expected, kills = tables(tmp_path / "undisturbed"), 0
    for name in ("fsync", "replace"):
        for after in (False, True):
            for number in range(1, 100):
                store = tmp_path / f"{name}-{number}-{after}"
                if in_a_child(lambda: killed_at(store, name, number, after)) == 0:  # noqa: B023  (called at once)
                    break
                kills += 1
                assert in_a_child(lambda: tiny(store)) == 0  # noqa: B023
                assert same(tables(store), expected), store.name
                assert not left_behind(store), store.name
    assert kills >= 40
    with capsys.disabled():
        print(f"\n{kills} runs killed at a write, all resumed bit-identical")


def test_of_two_processes_on_one_experiment_one_works_and_the_other_waits(undisturbed, tmp_path):
    processes = [start(tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=600)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert "".join(said).count(": density ") == 4, said
    assert sum("waiting until it is done" in text for text in said) == 1, said
    assert sum("read from" in text for text in said) == 1
    assert same(tables(tmp_path), undisturbed[0]) and not left_behind(tmp_path)


def test_runs_that_share_the_dense_network_train_it_once(tmp_path):
    processes = [start(tmp_path, "--retraining", mode) for mode in ("lr_rewind", "finetune")]
    said = "".join(process.communicate(timeout=600)[1] for process in processes)
    assert [process.returncode for process in processes] == [0, 0], said
    assert said.count("level 0: density") == 1 and said.count(": density ") == 1 + 3 + 3, said


def test_a_waiting_process_takes_over_when_the_other_is_killed(undisturbed, tmp_path):
    first = start(tmp_path)
    while not list(tmp_path.rglob("level-00.json")):
        time.sleep(0.05)
    second = start(tmp_path)
    time.sleep(undisturbed[1] / 2)
    first.kill()
    first.communicate()
    _, said = second.communicate(timeout=600)
    assert second.returncode == 0, said
    assert same(tables(tmp_path), undisturbed[0]) and not left_behind(tmp_path)


def test_ctrl_c_at_random_moments_ends_within_seconds_in_one_line_and_the_next_run_goes_on(undisturbed, tmp_path):
    expected, seconds = undisturbed
    draw = random.Random(9)
    heard = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    for number in range(STOPS):
        store = tmp_path / str(number)
        process = start(store, preexec_fn=heard)
        # In the first instant nothing of simprune is there yet to hear it.
        time.sleep(seconds * (0.15 + 0.85 * (number + draw.random()) / STOPS))
        clock = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=60)
        assert time.monotonic() - clock < 5
        assert "Traceback" not in said, said
        if "scores" not in out:  # not done
            assert process.returncode == 130, said
            assert said.splitlines()[-1].startswith("simprune: interrupted; what was finished is kept"), said
        run(store)
        assert same(tables(store), expected) and not left_behind(store), f"stop {number}"


@contextmanager
def small_disk(place: Path, size: str):
    """A disk of a given size."""
    place.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("mounting a small disk needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_ends_a_run_in_one_sentence_and_with_room_it_goes_on(undisturbed, tmp_path):
    with small_disk(tmp_path / "disk", "1m") as disk:
        process = start(disk)
        _, said = process.communicate(timeout=600)
        assert process.returncode == 2 and said.count("\n") == 1 and "make room" in said, said
        assert not list(disk.iterdir())
        subprocess.run(["mount", "-o", "remount,size=5m", str(disk)], check=True)
        process = start(disk)
        while process.poll() is None and not list(disk.rglob("level-00.json")):
            time.sleep(0.02)
        with suppress(OSError), open(disk / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        _, said = process.communicate(timeout=600)
        assert process.returncode == 1 and "No space left on device" in said, said
        assert len([line for line in said.splitlines() if line.startswith("simprune:")]) == 1
        assert "Traceback" not in said and not left_behind(disk)
        assert list(disk.rglob("level-00.json"))
        subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
        said = run(disk)
        assert "level 0: density" not in said
        assert same(tables(disk), undisturbed[0])


def test_a_read_only_store_is_refused_at_once_and_its_results_are_read(undisturbed, tmp_path):
    with small_disk(tmp_path / "disk", "100m") as disk:
        run(disk)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert "read from" in run(disk)
        process = start(disk, "--seeds", "1")
        _, said = process.communicate(timeout=60)
        assert process.returncode == 2 and said.count("\n") == 1 and "can't be written" in said, said
