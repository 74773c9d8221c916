import re
import subprocess
import sys
from pathlib import Path

import pytest

import simprune
from simprune import resources
from simprune.errors import InputError
from simprune.experiment import Experiment

MNIST = {"channels": 1, "image_size": (28, 28), "classes": 10, "images": 12_000}
SMALL = Experiment(levels=1, rate=0.5, epochs=1, train_size=100, probe_size=50, measures=("linear_cka",))


def estimate(**fields):
    return resources.estimate(Experiment(**fields), **MNIST)


@pytest.mark.parametrize(
    ("more", "less", "what"),
    [
        ({"probe_size": 2000}, {"probe_size": 500}, "memory"),
        ({"views": ("flatten", "channels")}, {"views": ("flatten",)}, "memory"),
        ({"references": ("dense", "previous")}, {"references": ("dense",)}, "memory"),
        ({"batch_size": 1000}, {"batch_size": 100}, "memory"),
        ({"levels": 10}, {"levels": 5}, "disk"),
        ({"seeds": (0, 1)}, {"seeds": (0,)}, "disk"),
        ({"references": ("sibling",)}, {"references": ("dense",)}, "disk"),
    ],
)
def test_what_takes_more_is_estimated_to_take_more(more, less, what):
    rest = {"architecture": "vgg", "probe_size": 1000} if what == "memory" and "batch_size" not in more else {}
    rest |= {"architecture": "vgg", "probe_size": 10} if "batch_size" in more else {}
    assert getattr(estimate(**(rest | more)), what) > getattr(estimate(**(rest | less)), what)


def test_the_disk_that_a_run_takes_is_the_estimated_one(tmp_path):
    simprune.run(SMALL, store=tmp_path, device="cpu", progress=False)
    taken = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
    assert resources.estimate(SMALL, **MNIST).disk == pytest.approx(taken, rel=0.15)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory of a process is measured on Linux")
def test_the_memory_that_a_run_takes_is_below_the_estimated_one_and_not_far(tmp_path):
    run = ["run", "lenet5", "fashion_mnist_mini", "--store", str(tmp_path)]
    run += "--levels 1 --rate 0.5 --epochs 1 --train-size 100 --probe-size 50 --no-progress".split()
    code = f"from simprune.cli import main\ntry: main({run})\nfinally: print(open('/proc/self/status').read())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300).stdout
    taken = int(re.search(r"VmHWM:\s+(\d+) kB", said).group(1)) * 1024
    assert taken < estimate(probe_size=50).memory < 2 * taken


def test_what_can_not_work_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "total_memory", lambda: 1e6)
    with pytest.raises(InputError, match=r"probe_size: .* needs at least \d+ MB of memory.*fewer probe inputs"):
        simprune.run(SMALL, store=tmp_path / "store", device="cpu", progress=False)
    monkeypatch.undo()
    monkeypatch.setattr(resources, "free_disk", lambda place: 1e5)
    with pytest.raises(InputError, match=r"store: .* take about 1 MB, and .* has 1 MB left; make room"):
        simprune.run(SMALL, store=tmp_path / "store", device="cpu", progress=False)
    assert not (tmp_path / "store").exists()


def test_what_may_not_fit_is_said_and_tried():
    said = []
    big = resources.Estimate(memory=1e15, least_memory=1, disk=1)
    resources.check(big, Path("."), said.append)
    assert len(said) == 1 and "1000000.0 GB of memory" in said[0] and "--probe-size" in said[0]
    resources.check(resources.Estimate(1, 1, 1), Path("."), said.append)
    assert len(said) == 1


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("0::/slurm/job_7/step\n", {"slurm/job_7/memory.max": "4000000", "slurm/memory.max": "max"}, 4e6),
        ("0::/\n", {"memory.max": "5000000"}, 5e6),
        ("0::/a\n", {"memory.max": "5000000", "a/memory.max": "7000000"}, 5e6),
        ("4:cpu:/a\n5:memory:/a/b\n", {"memory/a/memory.limit_in_bytes": "6000000"}, 6e6),
        ("nonsense", {}, None),
    ],
)
def test_the_limits_of_the_group_that_a_job_runs_in_count(own, files, limit, tmp_path, monkeypatch):
    machine = resources.total_memory()
    for name, content in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(f"{content}\n")
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(resources, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(resources, "OWN_GROUPS", tmp_path / "own")
    assert resources.total_memory() == (limit or machine)


def test_what_the_machine_has_is_known_here():
    assert resources.total_memory() >= resources.available_memory() > 1e6
    assert resources.free_disk(Path("nowhere/yet")) > 0
