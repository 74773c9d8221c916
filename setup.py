"""What pyproject.toml cannot say: a built package brings along the results and the table of studies."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PROJECT = ("book/results", "studies.csv")  # as simprune.places looks for them


class BuildWithResults(build_py):
    def run(self):
        super().run()
        for name in () if self.editable_mode else PROJECT:
            target = Path(self.build_lib, "simprune", "project", name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if Path(name).is_dir():
                shutil.copytree(name, target, dirs_exist_ok=True)
            else:
                shutil.copy(name, target)


setup(cmdclass={"build_py": BuildWithResults})
