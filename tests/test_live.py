"""The pictures that are dragged: what their script computes is what the package computes."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import simprune
from simprune import plots
from simprune.measures import MEASURES, spectral_map
from simprune.measures.core import pair_of
from simprune.measures.regression import dealt
from simprune.plots.live import DRAWN

SCRIPT = Path(__file__).resolve().parent.parent / "book/_static/measures.js"
STILL = {"still": plots.toy_clouds({"one": np.eye(4)[:, :2]}), "description": "Two <clouds>"}

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine to run scripts")


def run(expression, **given):
    """The value of a JavaScript expression over the functions `m` and what is `given`; there is no infinity in JSON."""
    code = f"const m = require({json.dumps(str(SCRIPT))}), given = JSON.parse(require('fs').readFileSync(0));"
    code += f"console.log(JSON.stringify({expression}))"
    given = json.dumps(given, default=np.ndarray.tolist)
    done = subprocess.run(["node", "-e", code], input=given, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def pairs():
    random = np.random.default_rng(3)
    for units in (2, 3, 5):
        X = random.normal(size=(60, units)) * np.linspace(1, 0.2, units) + 0.3
        yield f"{units} units", X, X @ random.normal(size=(units, units)) + 0.4 * random.normal(size=X.shape)
    X = random.normal(size=(61, 2)) + 0.5
    yield "one direction lost", X, X * [1, 0]
    yield "nothing in common", X, X[random.permutation(len(X))]
    yield "only moved", X, X + 2


@needs_node
@pytest.mark.parametrize("name, X, Y", list(pairs()), ids=lambda value: value if isinstance(value, str) else "")
def test_the_script_computes_the_scores_of_the_package(name, X, Y):
    found = run("m.scores(given.X, given.Y, given.deal)", X=X, Y=Y, deal=dealt(len(X)).numpy())
    expected = simprune.compare(X, Y, list(DRAWN))["value"]
    assert set(found) == set(DRAWN)
    for measure, value in expected.items():
        assert found[measure] == pytest.approx(value, abs=1e-6), measure


@needs_node
def test_the_script_computes_the_family_of_the_package():
    random = np.random.default_rng(0)
    X, Y = random.normal(size=(80, 6)) * np.geomspace(1, 0.1, 6), random.normal(size=(80, 9))
    Y[:, :3] += X[:, :3]
    alphas, ps = [0.0, 0.4, 1.0, 1.5], [1.0, 1.7, 2.0, 8.0, np.inf]
    pair = pair_of(X, Y)
    sides = {"x": pair.x.singular_values.numpy(), "M": pair.overlap.numpy(), "y": pair.y.singular_values.numpy()}
    powers = [None if np.isinf(p) else p for p in ps]
    call = "given.alphas.map(a => m.spectral(given.x, given.M, given.y, a, given.ps.map(p => p ?? Infinity)))"
    found = run(call, alphas=alphas, ps=powers, **sides)
    np.testing.assert_allclose(found, spectral_map(X, Y, alphas, ps).to_numpy(), atol=1e-6)


@needs_node
def test_a_state_of_the_dials_is_the_change_that_it_says():
    cloud = np.random.default_rng(1).normal(size=(10, 2))
    draws = plots.live_cloud(cloud, **STILL).data
    still = {"turn": 0, "first": 1, "second": 1, "right": 0, "up": 0, "noise": 0, "mixed": 0, "swap": 0}

    def moved(**dials):
        call = "m.moved(given.cloud, given.draws, given.state)"
        return np.array(run(call, cloud=cloud, draws=draws, state=still | dials))

    np.testing.assert_allclose(moved(), cloud)
    np.testing.assert_allclose(moved(turn=90), cloud[:, ::-1] * [-1, 1], atol=1e-12)
    np.testing.assert_allclose(moved(swap=1, first=0.5, right=1, up=-2), cloud[:, ::-1] * [0.5, 1] + [1, -2])
    np.testing.assert_allclose(moved(noise=0.3), cloud + 0.3 * cloud.std() * np.array(draws["noise"]))
    mixed = moved(mixed=1)
    assert sorted(mixed.tolist()) == sorted(cloud.tolist()) and not (mixed == cloud).all(1).any()
    assert (moved(mixed=0.5) == cloud).all(1).sum() == 5


def test_the_picture_knows_the_measures_of_representations():
    known = {name for name, measure in MEASURES.items() if measure.subject == "representations"}
    assert set(DRAWN) <= known
    sent = plots.live_cloud(np.eye(9, 2), **STILL).data
    listed = {measure["id"]: measure for measure in sent["measures"]}
    assert set(listed) == set(DRAWN)
    assert listed["procrustes_distance"]["greatest"] == pytest.approx(2**0.5) and listed["nbs"]["best"] == 1


def test_where_no_script_runs_there_is_a_still_figure_with_its_description():
    X = np.random.default_rng(0).normal(size=(20, 3))
    for picture in (plots.live_cloud(X[:, :2], **STILL), plots.live_plane({"a </script>": (X, X)}, **STILL)):
        text = picture._repr_html_()
        assert '<img alt="Two &lt;clouds&gt;" src="data:image/svg+xml;base64,' in text
        assert text.count("</script>") == 3  # the data and the two scripts
        assert len(text) < 400_000
