"""A Slurm cluster of one node on this machine, for tests: Debian's slurm-wlm and munge, no accounting, no cgroups.

Snakemake's plugin takes the `SLURM_*` variables out of the environment, so that the configuration has to lie where
Slurm looks by itself. A configuration that is there already is somebody's, and used as it is.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIGURATION = Path("/etc/slurm/slurm.conf")
PROGRAMS = ("sbatch", "squeue", "sinfo", "slurmctld", "slurmd", "munged")
SOCKET = Path("/run/munge/munge.socket.2")


def reason_for_none() -> str | None:
    """Why no cluster can be had here; None where one can."""
    if shutil.which("sinfo") and _answers():
        return None
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        return f"{missing[0]} is not installed (Debian: apt-get install slurm-wlm munge)"
    if os.geteuid() != 0:
        return "a cluster of one's own needs root, and none answers here"
    if CONFIGURATION.exists():
        return f"{CONFIGURATION} is there, but its cluster does not answer"
    return None


@contextmanager
def cluster(place: Path, cores: int = 4) -> Iterator[None]:
    """The cluster that answers here, or one that is started in `place` and stopped at the end."""
    if _answers():
        yield
        return
    started = []
    try:
        if not SOCKET.exists():
            for folder in ("/run/munge", "/var/lib/munge", "/var/log/munge"):
                subprocess.run(["install", "-d", "-o", "munge", "-g", "munge", "-m", "0755", folder], check=True)
            started.append(_start("munge", ["runuser", "-u", "munge", "--", "munged", "--foreground"], place))
            _until(SOCKET.exists, "munged")
        CONFIGURATION.write_text(_configuration(place, cores))
        started.append(_start("slurmctld", ["slurmctld", "-D", "-i"], place))
        started.append(_start("slurmd", ["slurmd", "-D"], place))
        _until(_answers, "slurmd")
        yield
    finally:
        subprocess.run(["scancel", "--user=root", "--quiet"], check=False)
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(timeout=30)
        CONFIGURATION.unlink(missing_ok=True)


def _configuration(place: Path, cores: int) -> str:
    name = socket.gethostname().split(".")[0]
    return f"""
ClusterName=test
SlurmctldHost={name}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldLogFile={place}/slurmctld-daemon.log
SlurmdLogFile={place}/slurmd-daemon.log
MinJobAge=300
NodeName={name} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=16000 State=UNKNOWN
PartitionName=test Nodes={name} Default=YES MaxTime=60 State=UP
"""


def _start(name: str, command: list[str], place: Path) -> subprocess.Popen:
    place.mkdir(parents=True, exist_ok=True)
    with open(place / f"{name}.log", "w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def _answers() -> bool:
    """Whether a cluster takes jobs here."""
    try:
        done = subprocess.run(["sinfo", "--noheader", "--format=%t"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and bool({"idle", "mix", "alloc"} & set(done.stdout.split()))


def _until(condition, what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not start in {seconds:.0f} s")
        time.sleep(0.5)
