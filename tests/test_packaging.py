"""One fact in one place: the pins, the version, the citation."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}


def split(requirement: str) -> tuple[str, str]:
    name, bounds = re.fullmatch(r"([A-Za-z0-9_-]+)(.*)", requirement).groups()
    return CONDA_NAMES.get(name, name), bounds.replace(" ", "")


def test_the_conda_environment_has_the_pins_of_the_package():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = dict(split(entry) for entry in environment["dependencies"] if isinstance(entry, str))
    pip = dict(split(entry) for entry in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["book"])
    assert conda.pop("python") == PROJECT["requires-python"]
    assert conda.pop("pip") == ""
    assert conda == pip


def test_torch_and_torchvision_have_lower_bounds_only_so_that_pip_finds_a_pair():
    bounds = dict(split(entry) for entry in PROJECT["dependencies"])
    assert bounds["pytorch"] == ">=2.9" and bounds["torchvision"] == ">=0.24"


def test_the_version_is_the_same_in_the_citation_and_the_changelog():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()
    assert citation["references"][0]["doi"] == "10.1007/978-3-030-66125-0_6"


def test_an_editable_installation_wins_over_a_folder_of_the_same_name_beside_a_script(tmp_path):
    """As where a script lies beside a clone of the project."""
    project, beside = tmp_path / "project", tmp_path / "work" / "simprune"
    for name in ("__init__.py", "data/__init__.py", "datasets/LICENSE-fashion-mnist.txt"):
        (project / "simprune" / name).parent.mkdir(parents=True, exist_ok=True)
        (project / "simprune" / name).touch()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project)
    beside.mkdir(parents=True)
    build = "import sys; from setuptools import build_meta; build_meta.build_editable(sys.argv.pop())"
    subprocess.run([sys.executable, "-c", build, tmp_path], cwd=project, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "work" / "script.py").write_text(
        f"import site; site.addsitedir({str(tmp_path / 'site')!r})\nimport simprune; print(simprune.__file__)"
    )
    # Without what is installed here.
    command = [sys.executable, "-E", "-S", beside.parent / "script.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip() == str(project / "simprune" / "__init__.py"), done.stderr


def test_an_installed_package_brings_its_results_and_images_along(tmp_path):
    """As where a class installs a wheel and opens a notebook in an empty folder: no git, no make, no checkout."""
    project, empty = tmp_path / "project", tmp_path / "empty"
    for name in ("simprune", "book/results"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "studies.csv", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv.pop())"
    subprocess.run([sys.executable, "-c", build, tmp_path], cwd=project, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 60e6
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    empty.mkdir()
    code = (
        "from simprune import data, notebook, places; "
        "assert places.project_file('studies.csv').is_relative_to(sys.argv[1]); "
        "assert notebook.studies() and len(data.load('fashion_mnist_mini').test_images)"
    )
    code = f"import sys; sys.path.insert(0, sys.argv[1]); {code}"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["SIMPRUNE_STORE"] = str(tmp_path / "store")
    subprocess.run([sys.executable, "-P", "-c", code, tmp_path / "site"], cwd=empty, env=environment, check=True)


def test_the_import_takes_no_seconds_and_brings_no_plotting():
    code = (
        "import sys, time; start = time.perf_counter(); import simprune; took = time.perf_counter() - start; "
        "heavy = {'torch', 'matplotlib', 'seaborn', 'torchvision', 'pandas'} & set(sys.modules); "
        "assert took < 2 and not heavy, (took, heavy)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_every_module_imports_only_modules_above_it_in_the_table_for_contributors():
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    order = re.findall(r"^\| `(\w+)(?:\.py|/)` \|", table.partition("## Rules")[0], flags=re.MULTILINE)
    modules = {
        path.stem for path in (ROOT / "simprune").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert sorted(order) == sorted(modules - {"__init__", "datasets"})
    for file in sorted((ROOT / "simprune").rglob("*.py")):
        module = file.relative_to(ROOT / "simprune").parts[0].removesuffix(".py")
        if module in ("__init__", "datasets"):
            continue
        found = re.findall(r"from simprune\.(\w+)|from simprune import ([\w, ]+)", file.read_text())
        names = {name.split(" as ")[0].strip() for a, b in found for name in [a, *b.split(",")] if name.strip()}
        for name in names & set(order):
            assert order.index(name) <= order.index(module), f"{module} imports {name}, which stands below it"
