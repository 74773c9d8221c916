"""Pictures that the reader drags: a cloud of points under every measure, and the plane of the spectral family.

Python prepares the data; scripts that come with the book (`book/_static/measures.js`, `live.js`) compute and draw.
Where no script runs, and in print, a still figure stands in the place of the picture.
"""

import base64
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from simprune.analysis import SPECTRAL_POINTS
from simprune.measures import MEASURES
from simprune.measures.core import pair_of
from simprune.measures.regression import dealt
from simprune.plots.common import STYLES
from simprune.plots.methods import UNCHANGED

# Where the scripts lie, seen from a page of book/executed.
STATIC = "../../_static"
DIGITS = 6
# The measures that measures.js knows.
DRAWN = (
    *("mean_cca", "mean_squared_cca", "svcca", "pwcca", "eigenspace_overlap", "linear_cka", "debiased_linear_cka"),
    *("rbf_cka", "nbs", "procrustes_distance", "angular_procrustes", "shape_metric", "rsa", "distance_correlation"),
    *("linear_regression_r2", "ridge_r2", "gulp", "jaccard_knn", "mutual_knn", "second_order_cosine"),
    *("permutation_matching", "soft_matching", "unit_correlation"),
)


@dataclass(frozen=True)
class Live:
    """A picture that the reader drags where the book's scripts run; elsewhere its still figure."""

    kind: str
    data: dict[str, Any]
    still: Figure
    description: str

    def _repr_html_(self) -> str:
        picture = io.BytesIO()
        self.still.savefig(picture, format="svg", metadata={"Date": None})
        # "</" would end the script element.
        data = json.dumps(self.data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
        return (
            f'<div class="live" id="live-{self.kind}">\n<div class="live-still"><img alt="{escape(self.description)}" '
            f'src="data:image/svg+xml;base64,{base64.b64encode(picture.getvalue()).decode()}"></div>\n'
            f'<script type="application/json">{data}</script>\n'
            + "".join(f'<script defer src="{STATIC}/{name}.js"></script>\n' for name in ("measures", "live"))
            + "</div>"
        )


def live_cloud(cloud: np.ndarray, *, still: Figure, description: str, seed: int = 0) -> Live:
    """A cloud, n × 2, to be turned, stretched, moved, noised and mixed up, with every measure's score of the change.

    `seed` draws the noise and the order in which inputs are mixed up; `still` and its `description` are shown where no
    script runs.
    """
    random = np.random.default_rng(seed)
    columns = cloud.shape[1]
    data = {
        "cloud": _rounded(cloud),
        "noise": _rounded(random.standard_normal(cloud.shape)),
        "order": random.permutation(len(cloud)).tolist(),
        "deal": dealt(len(cloud)).tolist(),
        "unchanged": UNCHANGED,
        "measures": [
            {
                "id": name,
                "title": MEASURES[name].title,
                "family": MEASURES[name].family,
                "distance": MEASURES[name].is_distance,
                "best": MEASURES[name].best,
                # GULP has no greatest value of its own: each of the 2p directions adds less than 1 to its square.
                "greatest": MEASURES[name].range[1] if math.isfinite(MEASURES[name].range[1]) else (2 * columns) ** 0.5,
            }
            for name in MEASURES
            if name in DRAWN
        ],
    }
    return Live("cloud", data, still, description)


def live_plane(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]], *, still: Figure, description: str) -> Live:
    """The plane of the spectral family for pairs of representations by name, with a point to drag and the spectra."""
    drawn = []
    for name, (X, Y) in pairs.items():
        pair = pair_of(X, Y)
        spectra = {"x": _rounded(pair.x.singular_values.numpy()), "y": _rounded(pair.y.singular_values.numpy())}
        drawn.append({"name": name, **spectra, "overlap": _rounded(pair.overlap.numpy())})
    points = [
        {
            "title": f"√{MEASURES[name].title}" if name == "linear_cka" else MEASURES[name].title,
            "alpha": alpha,
            "inverse": 1 / p,
            "colour": STYLES[name].colour,
        }
        for name, (alpha, p) in SPECTRAL_POINTS.items()
    ]
    return Live("plane", {"pairs": drawn, "points": points}, still, description)


def _rounded(values: np.ndarray) -> list:
    return np.round(np.asarray(values, float), DIGITS).tolist()
