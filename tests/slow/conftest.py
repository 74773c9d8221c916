"""The slow lane: minutes to an hour, run by `make test-slow`. CONTRIBUTING.md lists what is in it."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]


def pytest_ignore_collect(collection_path, config):
    """Leave these tests out, unless this folder or a file in it was asked for."""
    asked = [Path(config.invocation_params.dir, argument.split("::")[0]).resolve() for argument in config.args]
    return None if any(HERE == path or HERE in path.parents for path in asked) else True
