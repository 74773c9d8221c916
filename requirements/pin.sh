#!/usr/bin/env bash
# Write requirements/ci.txt: the packages that the tests last passed with in .venv, and what they need, each with the
# checksums of its files, for Python 3.11 and later on Linux, macOS and Windows. Needs uv.
# PyTorch is in requirements/torch.txt, by version alone: its builds without CUDA, a tenth of the size, come from an index
# of their own and are other files on each system.
set -eu
cd "$(dirname "$0")/.."
python=.venv/bin/python
{
  echo "# Written by requirements/pin.sh: what the tests last passed with but for PyTorch, and the checksums of its files."
  uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
    --python-version "$($python -c "import platform; print(platform.python_version())")" --extra book --extra dev \
    --constraint <($python -m pip freeze --exclude-editable | grep '==') pyproject.toml |
    awk '/^[a-z]/ { kept = !/^(torch|torchvision|triton|nvidia-[^=]*|cuda-[^=]*)==/ } kept'
} >requirements/ci.txt.new
mv requirements/ci.txt.new requirements/ci.txt
{
  echo "# Written by requirements/pin.sh; installed without what it needs, which is in ci.txt."
  $python -m pip freeze | grep -E '^torch(vision)?=='
} >requirements/torch.txt
