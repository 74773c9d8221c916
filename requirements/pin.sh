#!/usr/bin/env bash
# Write requirements/ci.txt: the packages that the tests last passed with in .venv, and what they need, each with the
# checksums of its files. Needs uv. They are those of the Python Package Index, on Linux with Python 3.11; the CPU-only
# builds of PyTorch that other indexes offer are other files with other checksums, and are refused.
set -eu
cd "$(dirname "$0")/.."
{
  sed -n '/^# Write/,/^# builds/p' requirements/pin.sh | sed '1s/.*/# Written by requirements\/pin.sh: the packages that the tests last passed with, and what they need, each with the/'
  uv pip compile --quiet --generate-hashes --no-header --no-annotate --no-emit-index-url \
    --python-version "$(.venv/bin/python -c "import platform; print(platform.python_version())")" \
    --python-platform x86_64-manylinux_2_28 --extra book --extra dev \
    --constraint <(.venv/bin/python -m pip freeze --exclude-editable | grep '==') pyproject.toml
} >requirements/ci.txt.new
mv requirements/ci.txt.new requirements/ci.txt
