"""What is installed is pinned, licensed, and all there is: nothing is fetched at run time."""

import re
import socket
import tomllib
from pathlib import Path

import pytest

import simprune
from simprune.cli import main

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = (ROOT / "requirements" / "ci.txt").read_text()


def names(requirements: list[str]) -> set[str]:
    return {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement).group(0)).lower() for requirement in requirements}


def test_every_package_that_is_asked_for_is_pinned_for_the_tests():
    asked = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["book"] + PROJECT["optional-dependencies"]["dev"]
    assert names(asked) <= names(re.findall(r"^\S+==", PINS, re.MULTILINE))


def test_every_pin_has_checksums_and_no_registry_is_named():
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", PINS, flags=re.MULTILINE).strip())
    assert len(entries) > 100
    for entry in entries:
        assert re.fullmatch(r"[\w.-]+==\S+( ; [^\\]+)? \\\n( +--hash=sha256:[0-9a-f]{64}( \\\n)?)+", entry), entry
    assert "://" not in PINS and "--index" not in PINS


def test_the_licence_of_every_package_that_is_asked_for_is_listed():
    listed = re.findall(
        r"^\| ([\w.-]+) \| \S+ \| (.+) \|$", (ROOT / "requirements" / "licences.md").read_text(), re.MULTILINE
    )
    asked = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["book"]
    assert names(asked) <= {name for name, licence in listed if licence not in ("not stated", "UNKNOWN")}


@pytest.fixture
def no_network(monkeypatch):
    """Any attempt to open a connection or to look up a name fails the test."""

    def refuse(*arguments, **options):
        raise AssertionError(f"the network was used: {arguments}")

    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "create_connection", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)


def test_a_run_uses_no_network(no_network, tmp_path, capsys):
    small = {"levels": 1, "rate": 0.5, "epochs": 1, "train_size": 100, "probe_size": 50}
    results = simprune.run(simprune.Experiment(**small), store=tmp_path, device="cpu", progress=False)
    assert len(results.performance) == 2
    with pytest.raises(SystemExit) as exit:
        main(["list", "--store", str(tmp_path)])
    assert not exit.value.code and "lenet5" in capsys.readouterr().out
