"""Tables and sentences of the pages on why measures disagree and which to trust.

Sentences that hold numbers over several studies name each study's own number. Where the tables that a number needs
were not computed, the sentence says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from simprune import analysis
from simprune.analysis import QUESTIONS, SOURCES, diagnostic
from simprune.errors import InputError
from simprune.experiment import Experiment
from simprune.findings.common import (
    NO_VALUE,
    PER_CENT,
    counted,
    listed,
    named,
    nearest_level,
    percent,
    score_text,
    title,
)
from simprune.findings.studies import study_title
from simprune.measures import MEASURES
from simprune.results import load, stored_seeds

if TYPE_CHECKING:
    from simprune.results import Results

Studies = Mapping[str, "Results"]

SCALE_WORDS = {"value": "as it is", "sibling": "against siblings"}
IMPLEMENTATION = "implementation"
# The parts of the analysis of variance, in the order of figures and tables.
SHARE_WORDS = {
    analysis.GENUINE: SOURCES[analysis.GENUINE],
    "view": SOURCES["view"],
    "correction": SOURCES["correction"],
    analysis.INTERACTIONS: "two of them together",
    analysis.RESIDUAL: "all three (residual)",
}
MAIN_WORDS = {
    analysis.GENUINE: "the measure itself",
    "view": "the view",
    "correction": "the finite number of inputs",
}
# The views whose variables are channels: so few that each of the five measures has a score.
COMMON_VIEWS = ("channels", "pooled")
SAME = 1e-6  # scores that differ by less are one
NOT_COMPUTED = "The tables that this needs were not computed for the studies at hand."


# Studies ----------------------------------------------------------------------------------------------------


def load_studies(wanted: Iterable[Sequence], store: str | PathLike | None = None) -> dict[str, "Results"]:
    """The stored results of some studies, by their names in words; what is not stored is left out.

    `wanted` lists studies as [architecture, dataset, profile, seed, …], without seeds: all that are stored. Tables of
    diagnostics that only some of the seeds have are kept for these. Of two profiles of one study the first is taken.
    Raises `InputError` if none is stored.
    """
    found = {}
    for architecture, dataset, profile, *seeds in wanted:
        experiment = Experiment(architecture, dataset, profile=profile)
        if study_title(experiment) in found:
            continue
        stored = [seed for seed in stored_seeds(experiment, store) if not seeds or seed in seeds]
        if stored:
            found[study_title(experiment)] = load(experiment.replace(seeds=stored), store=store)
    if not found:
        raise InputError("studies: none of them is stored; compute one with simprune.run")
    return found


def studies_sentence(studies: Studies, wanted: Iterable[Sequence] = ()) -> str:
    """Which studies a page is about, with how many seeds, and which of those wanted are not stored."""
    each = [f"{name} ({counted(len(results.experiment.seeds), 'seed')})" for name, results in studies.items()]
    text = f"This page is about {counted(len(studies), 'study').replace('studys', 'studies')}: {listed(each)}."
    names = [study_title(Experiment(*study[:2], profile=study[2])) for study in wanted]
    absent = list(dict.fromkeys(name for name in names if name not in studies))
    without = [name for name, results in studies.items() if not results.diagnostics]
    if absent:
        text += f" Not stored, and left out: {listed(absent)}."
    if without:
        text += f" Tables beyond the scores themselves were not computed for {listed(without)}."
    for name, results in studies.items():
        held = {seed for table in results.diagnostics.values() for seed in table["seed"].unique()}
        if held and len(held) < len(results.experiment.seeds):
            text += f" Tables beyond the scores were computed for {counted(len(held), 'seed')} only of {name}."
    return text


def share_text(share: float) -> str:
    """A share in whole per cent, with a decimal where it is below one per cent and not rounding."""
    if pd.isna(share):
        return NO_VALUE
    form = ".1f" if 5e-4 <= abs(share) < 0.0095 else ".0f"
    return f"{100 * share + 0.0:{form}}{PER_CENT}".replace("-0\u00a0%", "0\u00a0%").replace("-", "−")


def _number(value: float, form: str = ".2f") -> str:
    return NO_VALUE if pd.isna(value) else f"{value:{form}}".replace("-", "−")


# How much ---------------------------------------------------------------------------------------------------


def mean_agreement(studies: Studies, view: str = "flatten", method: str = "kendall") -> pd.DataFrame:
    """The mean over studies of their agreement matrices, clustered; NaN where no study has a τ."""
    matrices = analysis.study_agreement(studies, view, method)
    first, *_ = matrices.values()
    stack = np.array([matrix.to_numpy() for matrix in matrices.values()])
    return analysis.clustered(analysis.mean_matrix(stack, list(first)))


def mean_agreement_table(studies: Studies, view: str = "flatten") -> pd.DataFrame:
    """Kendall's τ (below the diagonal) and Spearman's ρ (above) between measures, mean over studies, as text."""
    tau = mean_agreement(studies, view)
    rho = mean_agreement(studies, view, "spearman").loc[tau.index, tau.columns]
    upper = np.triu(np.ones(tau.shape, bool), 1)
    return tau.mask(upper, rho).map(_number).rename(index=title, columns=title)


def agreement_interval_table(studies: Studies, view: str = "flatten") -> pd.DataFrame:
    """The median τ of each study with its intervals over seeds and over probe inputs, as text."""
    rows = {}
    for name, results in studies.items():
        seeds, inputs = analysis.median_agreement(results, view), analysis.agreement_over_inputs(results, view)
        rows[name] = {
            "median τ": _number(seeds["median"]),
            "pairs of measures": f"{seeds['pairs']:.0f}",
            "bootstrap over seeds": _range(seeds["low"], seeds["high"]),
            "half of the inputs, few levels": NO_VALUE if inputs is None else _range(inputs["low"], inputs["high"]),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns="study")


def _range(low: float, high: float) -> str:
    return NO_VALUE if pd.isna(low) else f"{_number(low)} to {_number(high)}"


def conclusions_table(studies: Studies, view: str = "flatten", density: float = 0.1) -> pd.DataFrame:
    """Every measure's answers, study by study and on both scales, with their support by seeds and by inputs, as text.

    An answer is followed by the share of resamples of seeds, and of draws of inputs, that give it again.
    """
    parts = {}
    for name, results in studies.items():
        for scale in _scales(results):
            table = analysis.conclusions(results, view, density, scale)
            columns = {QUESTIONS[question]: _answers(table, question) for question in QUESTIONS}
            columns["layers with a score"] = table["layers"].astype(str)
            parts[name, SCALE_WORDS[scale]] = pd.DataFrame(columns).rename(index=title)
    return pd.concat(parts, names=["study", "scale", "measure"])


def _scales(results: "Results") -> list[str]:
    siblings = "sibling" in set(results.similarity["reference"])
    return [scale for scale in analysis.SCALES if scale == "value" or siblings]


def _answers(table: pd.DataFrame, question: str) -> list[str]:
    cells = []
    for _, row in table.iterrows():
        answer = row[question]
        if answer is None or (isinstance(answer, float) and np.isnan(answer)):
            cells.append(NO_VALUE)
            continue
        support = [
            f"{words} {percent(row[f'{question}_{kind}'])}"
            for kind, words in (("seeds", "seeds"), ("inputs", "inputs"))
            if pd.notna(row[f"{question}_{kind}"])
        ]
        text = percent(answer) if isinstance(answer, float) else str(answer)
        cells.append(f"{text} ({', '.join(support)})" if support else text)
    return cells


def distinct_table(studies: Studies, view: str = "flatten", density: float = 0.1) -> pd.DataFrame:
    """How many different answers the measures give to each question, study by study and on both scales, as text."""
    rows = {}
    for name, results in studies.items():
        for scale in _scales(results):
            found = analysis.distinct_answers(analysis.conclusions(results, view, density, scale))
            for question, row in found.iterrows():
                rows[QUESTIONS[question], name, SCALE_WORDS[scale]] = {
                    "different answers": str(row["distinct"]),
                    "commonest": _commonest(row["commonest"]),
                    "given by": NO_VALUE if pd.isna(row["share"]) else percent(row["share"]),
                    "measures that answer": str(row["answering"]),
                }
    table = pd.DataFrame.from_dict(rows, orient="index").sort_index(level=0, sort_remaining=False)
    return table.rename_axis(["question", "study", "scale"])


def _commonest(answer: str | None) -> str:
    if answer is None:
        return NO_VALUE
    try:
        return percent(float(answer))
    except ValueError:
        return answer


def how_much(studies: Studies, view: str = "flatten", density: float = 0.1) -> dict[str, str]:
    """The sentences of the page on how much measures disagree, by name; those of figures by that of their function."""
    agreement = mean_agreement(studies, view)
    pairs = analysis.pairs_in(agreement)
    first = next(iter(studies.values()))
    distinct = {
        scale: {
            name: analysis.distinct_answers(analysis.conclusions(results, view, density, scale))
            for name, results in studies.items()
            if scale in _scales(results)
        }
        for scale in analysis.SCALES
    }
    own = [table.loc["least_layer"] for table in distinct["value"].values()]
    most = max(row["distinct"] for row in own)
    return {
        "headline": (
            f"Two measures put layers and levels in orders that agree with a median Kendall's τ of "
            f"{_number(pairs.median())}; asked for the least similar layer at a density of about {percent(density)}, "
            f"{counted(own[0]['answering'], 'measure')} give {_up_to(most, len(studies))}"
            f"{_against_siblings(distinct['sibling'])}."
        ),
        "mean_agreement": (
            f"Over {counted(len(agreement), 'measure')} and {_studies(len(studies))}, τ runs from "
            f"{_number(pairs.iloc[0])} ({listed(map(named, pairs.index[0]))}) to {_number(pairs.iloc[-1])} "
            f"({listed(map(named, pairs.index[-1]))})."
        ),
        "conclusions_map": _map_sentence(first, view, density),
        "intervals": _intervals(studies, view),
        "between": _between(studies, view),
    }


def _studies(number: int) -> str:
    return "one study" if number == 1 else f"{number} studies"


def _up_to(answers: int, studies: int) -> str:
    words = "one answer" if answers == 1 else f"{answers} different answers"
    return words if studies == 1 or answers == 1 else f"up to {words}"


def _against_siblings(distinct: Mapping[str, pd.DataFrame]) -> str:
    if not distinct:
        return ""
    most = max(table.loc["least_layer", "distinct"] for table in distinct.values())
    return f", and {_up_to(most, len(distinct))} once each is read on the scale of its own siblings"


def _map_sentence(results: "Results", view: str, density: float) -> str:
    parts = []
    for scale in _scales(results):
        found = analysis.distinct_answers(analysis.conclusions(results, view, density, scale))
        layer, fall = found.loc["least_layer"], found.loc["falls_at"]
        parts.append(
            f"{SCALE_WORDS[scale]}, the measures name {counted(layer['distinct'], 'layer')} as least similar "
            f"({layer['commonest']} by {percent(layer['share'])} of them) and "
            f"{_dates(fall['distinct'])} at which similarity falls"
        )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _dates(number: int) -> str:
    return "one density" if number == 1 else f"{number} different densities (or never)"


def _intervals(studies: Studies, view: str) -> str:
    few = [name for name, results in studies.items() if len(results.experiment.seeds) < analysis.FEWEST_SEEDS]
    parts = []
    for name, results in studies.items():
        found = analysis.median_agreement(results, view)
        if pd.notna(found["low"]):
            text = f"the median τ of {name} is {_number(found['median'])}"
            parts.append(f"{text}, and {_range(found['low'], found['high'])} in a bootstrap over seeds")
        inputs = analysis.agreement_over_inputs(results, view)
        if inputs is not None:
            parts.append(
                f"with {inputs['inputs']:,.0f} of the {results.experiment.probe_size:,} inputs, drawn at random, the "
                f"median τ of {name}, over the levels that were drawn, spreads by "
                f"{_number(inputs['high'] - inputs['low'])}"
            )
    if few:
        parts.append(f"with fewer than three seeds, no bootstrap over seeds can be made for {listed(few)}")
    text = "; ".join(parts) or "no two measures can be compared seed by seed"
    return f"{text[0].upper()}{text[1:]}."


def _between(studies: Studies, view: str) -> str:
    if len(studies) < 2:
        return "There is one study only: whether others would show the same pattern can't be said."
    table = analysis.agreement_between_studies(analysis.study_agreement(studies, view))
    pairs = analysis.pairs_in(table)
    if pairs.empty:
        return "The studies share too few measures with a τ to say whether they show the same pattern."
    return (
        "Studies show the same pattern so far as measures that agree in the one agree in the other: Spearman's ρ "
        f"between the agreement matrices of two studies runs from {_number(pairs.iloc[0])} "
        f"({listed(pairs.index[0])}) to {_number(pairs.iloc[-1])} ({listed(pairs.index[-1])})."
    )


# Where from -------------------------------------------------------------------------------------------------


def source_table(studies: Studies, by_layer: bool = False, views: Sequence[str] | None = COMMON_VIEWS) -> pd.DataFrame:
    """Share of each part in the spread of the scores of `PAPER_MEASURES`: columns study, what, [layer_index, layer],
    source, share, low, high.

    The scores are by the right formulas; the parts are `SHARE_WORDS`, those of an analysis of variance. `what` is
    "values" or "ranks"; low and high are `seed_intervals`. `views`: those that are compared (None: all; all as well
    where a study does not have them).
    """
    by = ["layer_index", "layer"] if by_layer else []
    parts = []
    for name, results in studies.items():
        for what in ("values", "ranks"):
            shares, _ = _right_shares(results, what == "ranks", views)
            parts.append(analysis.seed_intervals(shares, by).assign(study=name, what=what))
    found = pd.concat(parts, ignore_index=True)
    order = found["source"].map(list(SHARE_WORDS).index)
    found = found.assign(order=order).sort_values("order", kind="stable", ignore_index=True)
    return found[["study", "what", *by, "source", "share", "low", "high"]]


def _right_shares(
    results: "Results", ranks: bool = False, views: Sequence[str] | None = COMMON_VIEWS
) -> tuple[pd.DataFrame, list[str]]:
    """`source_shares` of scores by the right formulas, in some views if the results have them."""
    views = views if views is not None and set(views) <= set(results.similarity["view"]) else None
    return analysis.source_shares(results, ranks=ranks, right_only=True, views=views)


def source_text(studies: Studies, by_layer: bool = False, views: Sequence[str] | None = COMMON_VIEWS) -> pd.DataFrame:
    """`source_table` as text: one row for each study (and layer) and for values and ranks, a column for each part."""
    table = source_table(studies, by_layer, views)
    keys = ["study", "what", *(["layer_index", "layer"] if by_layer else [])]
    text = [
        share_text(row.share)
        if pd.isna(row.low)
        else f"{share_text(row.share)} ({share_text(row.low)} to {share_text(row.high)})"
        for row in table.itertuples()
    ]
    wide = table.assign(text=text).pivot(index=keys, columns="source", values="text").fillna(NO_VALUE)
    wide = wide[[part for part in SHARE_WORDS if part in wide]].rename(columns=SHARE_WORDS)
    if by_layer:
        wide = wide.droplevel("layer_index")
    return wide.rename_axis(columns=None)


def variance_text(studies: Studies) -> pd.DataFrame:
    """The whole analysis of variance: main effects, each interaction of a pair and the residual, as text."""
    columns = {}
    for name, results in studies.items():
        for what in ("values", "ranks"):
            shares, _ = _right_shares(results, what == "ranks")
            table = analysis.overall_shares(shares).set_index("source")
            columns[name, what] = table["share"].map(share_text)
            left = f"{table['left_out'].iloc[0]:.1f} of {table[['left_out', 'compared']].iloc[0].sum():.0f}"
            columns[name, what]["measures left out, on average"] = left
    return pd.DataFrame(columns).fillna(NO_VALUE).rename_axis(index="term")


def released_shares(studies: Studies) -> pd.DataFrame:
    """What the released centring would add: rows study and values or ranks, with the table `released` at hand.

    Of scores half of which are by the released code: `attributed`, the share of their spread that is covered by what
    the defect adds to each score (`attributed_shares`), and `main` and `with_interactions`, the share of the factor
    implementation in an analysis of variance, alone and with its interactions.
    """
    rows = {}
    for name, results in studies.items():
        for what in ("values", "ranks"):
            attributed, factors = analysis.attributed_shares(results, ranks=what == "ranks")
            if IMPLEMENTATION not in factors:
                continue
            variance, _ = analysis.source_shares(results, ranks=what == "ranks")
            variance = analysis.overall_shares(variance).set_index("source").loc[IMPLEMENTATION]
            covered = analysis.overall_shares(attributed).set_index("source").loc[IMPLEMENTATION, "share"]
            rows[name, what] = {
                "attributed": covered,
                "main": variance["share"],
                "with_interactions": variance["with_interactions"],
            }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["attributed", "main", "with_interactions"])


def released_shares_text(studies: Studies) -> pd.DataFrame:
    """`released_shares` as text."""
    table = released_shares(studies)
    if table.empty:
        return _not_computed()
    names = {
        "attributed": "covered by what the defect adds",
        "main": "analysis of variance: main effect",
        "with_interactions": "… with its interactions",
    }
    return table.map(share_text).rename(columns=names).rename_axis(index=["study", "of"])


def released_scores(results: "Results", density: float = 0.1) -> pd.DataFrame | None:
    """CKA and NBS right and as released, and SVCCA, by layer at the level nearest to a density; None if not computed.

    Index: layer; columns: linear_cka, linear_cka_released, nbs, nbs_released, svcca; means over seeds.
    """
    released = diagnostic(results, "released")
    if released is None:
        return None
    level = nearest_level(results, density)
    right = analysis.dense_scores(results.similarity)
    right = right[(right["level"] == level) & (right["view"] == "flatten")]
    columns = right[right["measure"].isin(("linear_cka", "nbs", "svcca"))]
    table = columns.groupby(["layer_index", "measure"])["value"].mean().unstack()
    raw = released[(released["level"] == level) & (released["centring"] == "raw")]
    faulty = raw.groupby(["layer_index", "measure"])["value"].mean().unstack().add_suffix("_released")
    layers = right.drop_duplicates("layer_index").set_index("layer_index")["layer"]
    order = ["linear_cka", "linear_cka_released", "nbs", "nbs_released", "svcca"]
    return table.join(faulty).reindex(columns=order).rename(index=layers)


def released_text(results: "Results", density: float = 0.1) -> pd.DataFrame:
    """`released_scores` as text."""
    table = released_scores(results, density)
    if table is None:
        return _not_computed()
    names = {"linear_cka": "linear CKA", "nbs": "NBS", "svcca": "SVCCA"}
    names |= {f"{name}_released": f"{words}, as released" for name, words in names.items()}
    return table.rename(columns=names).map(lambda value: _number(value, ".3f")).rename_axis(index=None, columns="layer")


def _not_computed() -> pd.DataFrame:
    return pd.DataFrame({"": [NOT_COMPUTED]}, index=[""])


def convergence_text(results: "Results") -> pd.DataFrame:
    """Mean score over layers by measure (rows) and number of probe inputs (columns), as text; see `convergence`."""
    table = analysis.convergence(results)
    if table is None:
        return _not_computed()
    means = analysis.convergence_means(table)
    text = means.pivot(index="measure", columns="inputs", values="mean").map(lambda value: _number(value, ".3f"))
    order = [name for name in MEASURES if name in text.index]
    return text.loc[order].rename(index=title).rename_axis(index=None, columns="inputs")


def ladder_text(results: "Results", density: float = 0.1) -> pd.DataFrame:
    """Scores along the invariance ladder at the level nearest to a density, as text."""
    table = analysis.ladder(results, nearest_level(results, density))
    return table.map(lambda value: _number(value, ".3f")).rename(columns=title).rename_axis(index=None, columns="layer")


def where_from(studies: Studies, density: float = 0.1) -> dict[str, str]:
    """The sentences of the page on the sources of disagreement; those of figures by the name of their function."""
    table = source_table(studies)
    first = next(iter(studies.values()))
    return {
        "answer": _source_answer(table),
        "headline": _source_headline(table),
        "three_views": _three_views_sentence(studies),
        "source_bars": _source_caption(table),
        "source_layers": _source_layers(first),
        "positions": _positions_sentence(studies),
        "released_shares": _released_shares_sentence(studies),
        "released_lines": _released_sentence(first, density),
        "convergence_lines": _convergence_sentence(first),
        "ladder_lines": _ladder_sentence(first, density),
        "spectral": _spectral_sentence(studies),
        "parts": _parts_sentence(studies),
    }


def _shares_in(table: pd.DataFrame, study: str, what: str) -> pd.Series:
    return table[(table["study"] == study) & (table["what"] == what)].set_index("source")["share"]


def _over_studies(shares: Iterable[float]) -> str:
    """The share, or the least and the greatest over studies."""
    texts = list(dict.fromkeys(share_text(share) for share in sorted(shares)))
    return texts[0] if len(texts) == 1 else f"{texts[0]} to {texts[-1]}"


def _source_headline(table: pd.DataFrame) -> str:
    """Which share each part has, over all studies, in words."""
    return f"Of the disagreement of the paper's five measures {_parts_in_words(table)}."


def _parts_in_words(table: pd.DataFrame) -> str:
    sentences = []
    for what, words in (("values", "how similar a layer is"), ("ranks", "which layers and levels are less similar")):
        chosen = table[table["what"] == what].groupby("source", sort=False)["share"]
        parts = {source: _over_studies(shares) for source, shares in chosen}
        said = [f"{parts[source]} lies in {said}" for source, said in MAIN_WORDS.items() if source in parts]
        if analysis.INTERACTIONS in parts:
            said.append(f"{parts[analysis.INTERACTIONS]} in two of these together")
        sentences.append(f"about {words}, {listed(said)}")
    return "; ".join(sentences)


def _three_views_sentence(studies: Studies) -> str:
    """What changes where flattened activations are a third view, and which measures then have no score."""
    parts = []
    for name, results in studies.items():
        shares, _ = _right_shares(results, views=None)
        compared = shares.groupby("layer_index")["compared"].max()
        few = compared[compared < len(analysis.PAPER_MEASURES)]
        if len(few):
            most = "one measure has" if few.max() == 1 else f"at most {few.max():.0f} of the five measures have"
            parts.append(f"in {len(few)} of the {len(compared)} layers of {name} {most} a score in every view")
    if not parts:
        return "With flattened activations as a third view, all five measures still have a score in every layer."
    return (
        f"With flattened activations as a third view, {'; '.join(parts)}. There, “the measure” is only the difference "
        f"between those that are left: "
        f"{_parts_in_words(source_table(studies, views=None))}."
    )


def _source_answer(table: pd.DataFrame) -> str:
    """Which single source has the largest share, and in which studies: the headline in short."""

    def where(names: Iterable[str]) -> str:
        return f"for {listed(names)}"

    said = MAIN_WORDS | {"view": f"{MAIN_WORDS['view']}, the way in which activations become a matrix,"}
    parts = {}
    for what in ("values", "ranks"):
        shares = table[(table["what"] == what) & table["source"].isin(MAIN_WORDS)]
        largest = shares.loc[shares.groupby("study", sort=False)["share"].idxmax()]
        by_source = largest.groupby("source", sort=False)
        parts[what] = listed(
            f"in {said[source]} {where(rows['study']) if len(by_source) > 1 else 'in every study'} "
            f"({_over_studies(rows['share'])})"
            for source, rows in by_source
        )
        said |= {"view": MAIN_WORDS["view"]} if "view" in set(largest["source"]) else {}
    return (
        f"Of the disagreement of the paper's five measures about how similar a layer is, the largest part lies "
        f"{parts['values']}; of that about which layers and levels are less similar, {parts['ranks']}."
    )


def _source_caption(table: pd.DataFrame) -> str:
    parts = []
    for what in ("values", "ranks"):
        largest = {study: _shares_in(table, study, what) for study in table["study"].unique()}
        names = {shares.idxmax() for shares in largest.values()}
        if len(names) == 1:
            [name] = names
            most = _over_studies(shares.max() for shares in largest.values())
            parts.append(f"{SHARE_WORDS[name]} for {what} ({most})")
        else:
            parts += [
                f"{SHARE_WORDS[shares.idxmax()]} for {what} of {study} ({share_text(shares.max())})"
                for study, shares in largest.items()
            ]
    return f"The largest part is {listed(parts)}."


def _source_layers(results: "Results") -> str:
    table = source_table({"": results}, by_layer=True)
    table = table[table["what"] == "values"]
    view = table[table["source"] == "view"]
    parts = []
    if len(view):
        most = view.loc[view["share"].idxmax()]
        parts.append(f"the view alone accounts for most in {most['layer']} ({share_text(most['share'])})")
    genuine = table[table["source"] == analysis.GENUINE]
    high, low = genuine.loc[genuine["share"].idxmax()], genuine.loc[genuine["share"].idxmin()]
    parts.append(
        f"the measure itself from {share_text(low['share'])} in {low['layer']} to {share_text(high['share'])} in "
        f"{high['layer']}"
    )
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _positions_sentence(studies: Studies) -> str:
    """Whether the view or the measure is behind the spread, in layers with positions and in those without."""
    kinds: dict[bool, dict[str, list[float]]] = {True: {}, False: {}}
    for results in studies.values():
        shares, _ = _right_shares(results)
        positions = shares["layer"].isin(_layers_with_positions(results))
        for kind, found in kinds.items():
            if (positions == kind).any():
                table = analysis.seed_intervals(shares[positions == kind])
                for source, share in table.set_index("source")["share"].items():
                    found.setdefault(source, []).append(share)
    with_, without = kinds[True], kinds[False]
    if not with_ or not without:
        return "All layers that are compared are of one kind: with positions, or without."
    pairs = f", {_over_studies(with_[analysis.INTERACTIONS])} to two of them together"
    return (
        f"In convolutional and pooling layers, where there is a view to choose, {_over_studies(with_['view'])} of the "
        f"spread of values goes to the view alone, {_over_studies(with_[analysis.GENUINE])} to the measure"
        f"{pairs if analysis.INTERACTIONS in with_ else ''}; in layers without positions all views are one, and "
        f"{_over_studies(without[analysis.GENUINE])} goes to the measure."
    )


def _layers_with_positions(results: "Results") -> list[str]:
    """The layers in which a score depends on the view: not by the chance of a few shuffles, but as it is."""
    scores = analysis.dense_scores(results.similarity)
    scores = scores[scores["measure"].isin(analysis.PAPER_MEASURES)]
    spread = scores.groupby(["layer", "seed", "level", "measure"])["value"].agg(np.ptp)
    return list(spread[spread > SAME].index.unique("layer"))


def _released_shares_sentence(studies: Studies) -> str:
    table = released_shares(studies)
    if table.empty:
        return NOT_COMPUTED
    values, ranks = (table.xs(what, level=1) for what in ("values", "ranks"))
    return (
        f"Were half of all scores computed by the released centring, what it adds to linear CKA would cover "
        f"{_over_studies(values['attributed'])} of the spread of values and {_over_studies(ranks['attributed'])} of "
        f"that of ranks."
    )


def _released_sentence(results: "Results", density: float) -> str:
    table = released_scores(results, density)
    if table is None:
        return NOT_COMPUTED
    fall = table["linear_cka"] - table["linear_cka_released"]
    layer = fall.idxmax()
    gap = (table["linear_cka"] - table["svcca"]).abs()
    made = (table["linear_cka_released"] - table["linear_cka"]).abs()
    known = gap.notna() & made.notna()
    larger = int((made[known] > gap[known]).sum())
    return (
        f"In {layer} the released centring alone takes linear CKA from {score_text(table.loc[layer, 'linear_cka'])} to "
        f"{_number(table.loc[layer, 'linear_cka_released'], '.3f')}; in {larger} of the {int(known.sum())} layers in "
        f"which both have a score it moves CKA by more than the distance between CKA and SVCCA."
    )


def _convergence_sentence(results: "Results") -> str:
    table = analysis.convergence(results)
    if table is None:
        return NOT_COMPUTED
    means = analysis.convergence_means(table).pivot(index="measure", columns="inputs", values="mean")
    few, all_inputs = means.columns.min(), means.columns.max()
    drift = (means[few] - means[all_inputs]).dropna().sort_values(key=abs)
    most, least = drift.index[-1], drift.index[0]
    return (
        f"From {all_inputs:,} inputs down to {few}, {named(most)} changes most, from "
        f"{score_text(means.loc[most, all_inputs])} to {score_text(means.loc[most, few])} on average over layers, and "
        f"{named(least)} least, from {score_text(means.loc[least, all_inputs])} to {score_text(means.loc[least, few])}."
    )


def _ladder_sentence(results: "Results", density: float) -> str:
    table = analysis.ladder(results, nearest_level(results, density))
    steps = table.diff(axis=1).iloc[:, 1:].dropna(axis="columns", how="all")
    parts = []
    if "permutation_matching" in steps:
        step = steps["permutation_matching"].dropna()
        parts.append(
            f"Exchanging units raises the score by at most {_number(step.max())} (in {step.idxmax()}), and that is due "
            f"to the exchange alone."
        )
    further = [
        f"{named(after)} is {_number(steps[after].min(), '+.2f')} (in {steps[after].idxmin()}) to "
        f"{_number(steps[after].max(), '+.2f')} (in {steps[after].idxmax()}) from {named(before)}"
        for before, after in pairwise(analysis.sources.LADDER[1:])
        if after in steps
    ]
    if further:
        parts.append(f"Beyond it, {listed(further)}: such steps hold another weighing of directions too.")
    return " ".join(parts) or NOT_COMPUTED


def _spectral_sentence(studies: Studies) -> str:
    parts = []
    for name, results in studies.items():
        shares = analysis.spectral_shares(results)
        if shares is not None:
            overall = analysis.overall_shares(shares).set_index("source")["share"]
            rest = overall.drop(["alpha", "p"]).sum()
            parts.append(
                f"{share_text(overall['alpha'])} of the spread goes with α, {share_text(overall['p'])} with p and "
                f"{share_text(rest)} with both together ({name})"
            )
    return f"Over the plane of the spectral family, {'; '.join(parts)}." if parts else NOT_COMPUTED


def _parts_sentence(studies: Studies) -> str:
    parts = []
    for name, results in studies.items():
        _, factors = analysis.designed_scores(results)
        absent = [SOURCES[factor] for factor in SOURCES if factor not in factors]
        if absent:
            parts.append(f"for {name} {listed(absent)} can't be told apart, as the tables for it were not computed")
    text = "; ".join(parts) or "all four sources can be told apart"
    return f"{text[0].upper()}{text[1:]}."
