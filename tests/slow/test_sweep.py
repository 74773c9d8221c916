"""Sweeps with Snakemake, on this machine and on a Slurm cluster of one node, with jobs killed on the way.

Snakemake is found on the path, or where SNAKEMAKE says; elsewhere these tests are skipped.
"""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from slurm import cluster, reason_for_none

ROOT = Path(__file__).resolve().parents[2]
SNAKEMAKE = os.environ.get("SNAKEMAKE") or shutil.which("snakemake")
TABLE = """architecture,dataset,profile,seeds,retraining,levels,rate,epochs,train_size,probe_size,rewind_step
lenet5,fashion_mnist_mini,quick,0 1,lr_rewind weight_rewind,3,0.5,1,500,100,2
"""

pytestmark = pytest.mark.skipif(SNAKEMAKE is None, reason="snakemake is not installed (pip install .[sweep])")


@pytest.fixture
def sweep(tmp_path):
    """The command of a small sweep and its store; Snakemake keeps its own notes in the temporary folder."""
    (tmp_path / "studies.csv").write_text(TABLE)
    command = [SNAKEMAKE, "--snakefile", str(ROOT / "workflow" / "Snakefile"), "--directory", str(tmp_path)]
    config = {"studies": tmp_path / "studies.csv", "store": tmp_path / "store", "bin": Path(sys.executable).parent}
    command += ["--config", *(f"{name}={value}" for name, value in config.items())]
    return command, tmp_path / "store"


def start(command: list[str], *more: str) -> subprocess.Popen:
    return subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen) -> str:
    said, _ = process.communicate(timeout=900)
    return said


def summary(store: Path) -> list[dict[str, str]]:
    with open(store / "sweep" / "summary.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def running(store: Path) -> list[int]:
    """The processes that run an experiment into this store, once they have trained a network."""
    if not list(store.rglob("level-00.json")):
        return []
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):  # None where it may not be read
        arguments, environment = process.info["cmdline"] or [""], process.info["environ"] or {}
        if "run" in arguments[:4] and "python" in arguments[0] and environment.get("SIMPRUNE_STORE") == str(store):
            found.append(process.pid)
    return found


def kill_one(process: subprocess.Popen, store: Path) -> None:
    """Kill, without a chance to tidy up, one of the experiments that are running."""
    end = time.monotonic() + 300
    while time.monotonic() < end and process.poll() is None:
        for victim in running(store):
            os.kill(victim, signal.SIGKILL)
            return
        time.sleep(0.05)
    raise AssertionError(f"no run to kill: {finish(process)}")


def test_a_sweep_runs_on_this_machine_and_is_not_run_again(sweep):
    command, store = sweep
    said = finish(start(command, "-c2"))
    rows = summary(store)
    assert len(rows) == 4, said
    assert {(row["retraining"], row["seed"]) for row in rows} == {
        (mode, seed) for mode in ("lr_rewind", "weight_rewind") for seed in "01"
    }
    assert all(float(row["density"]) == pytest.approx(0.125, abs=1e-3) for row in rows)
    assert all(0 < float(row["linear_cka"]) < 1 for row in rows)
    assert "Nothing to be done" in finish(start(command, "-c2"))


def test_a_killed_job_is_retried_and_a_lost_result_is_noticed(sweep):
    command, store = sweep
    process = start(command, "-c2", "--retries", "2")
    kill_one(process, store)
    said = finish(process)
    assert process.returncode == 0 and len(summary(store)) == 4, said
    lost = next(store.glob("lenet5-*"))
    shutil.rmtree(lost)
    (store / "sweep" / "summary.csv").unlink()
    assert "its result is not whole" in finish(start(command, "-c2"))
    finish(start(command, "-c2"))
    assert len(summary(store)) == 4 and lost.exists()


@pytest.mark.skipif(reason_for_none() is not None, reason=str(reason_for_none()))
def test_a_sweep_on_slurm_completes_though_a_job_is_killed(sweep, tmp_path, capsys):
    command, store = sweep
    profile = ["--profile", str(ROOT / "workflow" / "profiles" / "slurm")]
    here = ["--slurm-no-account", "--slurm-status-command", "squeue", "--latency-wait", "5"]
    here += ["--slurm-init-seconds-before-status-checks", "5", "--seconds-between-status-checks", "3"]
    with cluster(tmp_path / "slurm"):
        clock = time.monotonic()
        process = start(command, *profile, *here)
        kill_one(process, store)
        said = finish(process)
        took = time.monotonic() - clock
    assert process.returncode == 0 and len(summary(store)) == 4, said
    assert "Trying to restart job" in said
    with capsys.disabled():
        print(f"\nSlurm: 4 runs, one of them killed, in {took:.0f} s")
