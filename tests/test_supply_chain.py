"""What is installed is pinned, licensed, and all there is: nothing is fetched at run time."""

import re
import socket
import tomllib
from pathlib import Path

import pytest
import yaml

import simprune

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS, TORCH = ((ROOT / "requirements" / f"{name}.txt").read_text() for name in ("ci", "torch"))
WORKFLOWS = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").iterdir()}


def names(requirements: list[str]) -> set[str]:
    return {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement).group(0)).lower() for requirement in requirements}


def test_every_package_that_is_asked_for_is_pinned_for_the_tests():
    asked = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["book"] + PROJECT["optional-dependencies"]["dev"]
    assert names(asked) <= names(re.findall(r"^\S+==", PINS + TORCH, re.MULTILINE))


def test_every_pin_has_checksums_and_no_registry_is_named():
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", PINS, flags=re.MULTILINE).strip())
    assert len(entries) > 100
    for entry in entries:
        assert re.fullmatch(r"[\w.-]+==\S+( ; [^\\]+)? \\\n( +--hash=sha256:[0-9a-f]{64}( \\\n)?)+", entry), entry
    assert "://" not in PINS and "--index" not in PINS


def test_pytorch_is_pinned_by_version_and_comes_without_cuda():
    assert re.findall(r"^(\w+)==[\d.]+$", TORCH, re.MULTILINE) == ["torch", "torchvision"]
    assert not re.search(r"^(torch|nvidia|cuda|triton)", PINS, re.MULTILINE)
    for name in ("test", "book", "weekly"):
        assert "download.pytorch.org/whl/cpu" in WORKFLOWS[name]


def test_every_action_is_pinned_by_the_hash_of_a_commit_and_says_its_version():
    for text in WORKFLOWS.values():
        uses = re.findall(r"uses: (.*)", text)
        assert uses
        for line in uses:
            assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_what_is_being_put_on_the_web_is_not_cancelled_by_the_next_push():
    book = yaml.safe_load(WORKFLOWS["book"])
    assert "concurrency" not in book  # of the whole workflow, which would take the deployment with it
    assert book["jobs"]["deploy"]["concurrency"] == {"group": "pages", "cancel-in-progress": False}


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


def test_a_run_uses_no_network(no_network, tmp_path, command):
    small = {"levels": 1, "rate": 0.5, "epochs": 1, "train_size": 100, "probe_size": 50}
    results = simprune.run(simprune.Experiment(**small), store=tmp_path, device="cpu", progress=False)
    assert len(results.performance) == 2
    status, out, _ = command("list", "--store", tmp_path)
    assert status == 0 and "lenet5" in out
