"""What the cells of a page call: results, sentences with numbers, claims, tables.

A page reads results and never trains, unless it is asked to. It remembers whether they are those that come with the
project, which its sentences were written for. When the book is built of those, every claim must hold.
"""

import dataclasses
import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Any

import pandas as pd
from IPython.display import display

from simprune import studies as study_table
from simprune.analysis import CONTROLS, WAYS, Claim, known_answers
from simprune.analysis.effects import other_beginnings
from simprune.data import DATASETS, check_dataset
from simprune.errors import InputError, check_choice, check_list, check_number, check_path, check_whole, shown
from simprune.experiment import PROFILES, Experiment
from simprune.measures import MEASURES
from simprune.provenance import computed
from simprune.representations import VIEWS
from simprune.results import Results, load, other_data, stored_seeds
from simprune.retraining import RETRAINING
from simprune.store import TABLES
from simprune.tables import MINUS, NO_VALUE, PER_CENT, counted, table

# Set by `book.execute` where a claim that does not hold must stop the page: no parameter of it was changed.
CLAIMS_HOLD = "SIMPRUNE_CLAIMS_HOLD"
ROWS = 40  # of a claim's evidence that a page shows

_read: list[Results] = []  # what this page has read

pd.set_option("display.max_rows", None, "display.max_colwidth", None)


class ClaimError(AssertionError):
    """What a page says does not hold for the results that it was written for."""


# Parameters ---------------------------------------------------------------------------------------------------


def check_parameters(**given: Any) -> None:
    """Raise `InputError` for a parameter of a page that makes no sense, before anything is read or trained.

    What a page hands on to `Experiment` and no more, `Experiment` checks.
    """
    for name, value in given.items():
        CHECKS[name](name, value)


def _experiment(name: str, fields: object, given: Sequence[str] = ()) -> None:
    """Fields that make an experiment, as a dictionary; those `given` are the page's to say."""
    _fields(name, fields, given)
    Experiment(**fields)


def _fields(name: str, fields: object, given: Sequence[str]) -> None:
    """Fields of an experiment as a dictionary, by their names; whether they go together is for `Experiment` to say."""
    if not isinstance(fields, Mapping):
        raise InputError(f"{name}: {shown(fields)} is not a dictionary of fields, as {{'levels': 3}}")
    for field in fields:
        known = [known.name for known in dataclasses.fields(Experiment) if known.name not in given]
        check_parameters(**({field: fields[field]} if check_choice(name, field, known) in CHECKS else {}))


def _others(name: str, fields: object) -> None:
    """Fields of a study that its page has no parameter for."""
    _fields(name, fields, given=_OF_A_STUDY)
    if fields.get("criterion") == "none":
        raise InputError(
            f"{name}: criterion 'none' prunes nothing; the page of the pruned network shows it as the twin"
        )


# Fields that a study's page has a parameter for.
_OF_A_STUDY = ("architecture", "dataset", "profile", "seeds", "rate", "levels", "epochs", "train_size", "probe_size")
_OF_A_STUDY += ("retraining", "measures", "views", "references")


def _studies(name: str, listed: object) -> None:
    """Studies as lists of architecture, dataset and profile, and seeds where they are given."""
    for one in () if listed is None else check_list(name, listed):
        if isinstance(one, str) or not isinstance(one, Sequence) or len(one) < 3:
            raise InputError(f"{name}: {shown(one)} is not a list [architecture, dataset, profile]")
        Experiment(*one[:3], seeds=one[3:] or 0)


def _measures(name: str, listed: object) -> None:
    """Measures of representations, a similarity among them: what pages draw on one axis."""
    chosen = [MEASURES[check_choice(name, one, MEASURES)] for one in check_list(name, listed)]
    for one in chosen:
        if one.subject != "representations":
            raise InputError(f"{name}: {one.id!r} is not a measure of representations")
    if all(one.is_distance for one in chosen):
        raise InputError(f"{name}: {shown(listed)} are distances; give a similarity too, such as 'linear_cka'")


def _references(name: str, listed: object) -> None:
    if "dense" not in check_list(name, listed):
        raise InputError(f"{name}: {shown(listed)} lacks 'dense', which this page compares with")


def _dataset(_: str, value: object) -> None:
    check_dataset(value)


def _flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise InputError(f"{name}: {shown(value)} is neither True nor False")


def _each(check_one: Callable, name: str, listed: object) -> None:
    """A list, of which one name or number is not one here: the page goes through it."""
    if isinstance(listed, str | int):
        raise InputError(f"{name}: {shown(listed)} is not a list; write [{listed!r}]")
    for one in check_list(name, listed):
        check_one(name, one)


def _or_none(check_one: Callable, name: str, value: object) -> None:
    if value is not None:
        check_one(name, value)


def _from(low: int) -> Callable[[str, object], int]:
    return partial(check_whole, low=low)


def _within(interval: str) -> Callable[[str, object], float]:
    return partial(check_number, within=interval)


# What a parameter of that name may be, on whatever page it is.
CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "compute": _flag,
    "live": _flag,
    "datasets": partial(_each, _dataset),
    "other_dataset": _dataset,
    "held_profile": partial(_or_none, partial(check_choice, choices=PROFILES)),
    "view": partial(check_choice, choices=VIEWS),
    "measures": partial(_or_none, _measures),
    "references": _references,
    "store": partial(_or_none, check_path),
    "studies": _studies,
    "which": _studies,
    "kept": _studies,
    "study": _experiment,
    "small": partial(_experiment, given=("architecture", "dataset", "seeds", "measures")),
    "others": _others,
    "density": _within("(0, 1]"),
    "decay": _within("(0, 1]"),
    "noise": _within("[0, inf)"),
    "strength": _within("[0, inf)"),
    "levels": partial(_or_none, _from(1)),
    "layers": _from(1),
    "seed": _from(0),
    "inputs": _from(10),
    "images": _from(10),
    "train_images": _from(10),
    "epochs": partial(_or_none, _from(1)),
    "removed": _within("[0, 1)"),
    "measure": partial(check_choice, choices=MEASURES),
    "points": _from(10),
    "test": partial(check_choice, choices=known_answers.TESTS),
    "directions": _from(1),
    "common": _from(1),
    "private": _from(1),
    "widths": partial(_each, _from(1)),
}


# Results ------------------------------------------------------------------------------------------------------


def study(
    architecture: str,
    dataset: str,
    *,
    seeds: int | Sequence[int] | None = None,
    compute: bool = False,
    store: str | PathLike | None = None,
    **fields: Any,
) -> Results:
    """The results of one study for a page: those that are stored, with all their seeds or those named.

    `fields` are others of `Experiment`; None stands for what the profile says. With `compute`, what is not stored is
    computed. Where the results are not those of the project, or the data at hand are others than theirs, the page says
    so. Raises `InputError` where nothing is stored.
    """
    given = {field: value for field, value in fields.items() if value is not None}
    experiment = Experiment(architecture, dataset, **given)
    if seeds is not None:
        experiment = experiment.replace(seeds=seeds)
    if compute:
        from simprune.study import run  # a page that only reads does without

        if seeds is None:
            experiment = experiment.replace(seeds=stored_seeds(experiment, store) or (0,))
        results = run(experiment, store=store)
    else:
        results = load(experiment, every_seed=seeds is None, store=store)
        _say_whether_other_data(results, store)
    if not results.are_shipped:
        say("""*The numbers, figures and verdicts of this page are of your results. The sentences between them were
            written for those that come with the project.*""")
    return _remembered(results)


def beside(results: Results, store: str | PathLike | None = None, **changes: Any) -> Results | None:
    """The stored results of a run that differs from another one, as a control does; None where there are none.

    `changes`: fields of its experiment, e.g. `criterion="none"` for the twin. Only results that were made from the
    same data count, with those seeds that both have and that begin with the same dense network; the page says which do
    not.
    """
    if changes.get("criterion") == "none":
        changes = {"scope": "global"} | changes  # where nothing goes there is no other
        if RETRAINING[results.experiment.retraining].donor:
            changes = {"retraining": "lr_rewind"} | changes  # the twin of the run that gave the masks
    experiment = results.experiment.replace(**changes)
    seeds = [seed for seed in stored_seeds(experiment, store) if seed in results.experiment.seeds]
    if not seeds:
        return None
    try:
        found = load(experiment.replace(seeds=seeds), store=store)
    except InputError:  # no score that is asked for
        return None
    if found.provenance["data"]["fingerprint"] != results.provenance["data"]["fingerprint"]:
        return None
    if others := other_beginnings(results, found):
        own, control = (run.experiment.replace(seeds=others).command for run in (results, found))
        say(f"""*Left out: `{control}`. It does not begin with the dense network of `{own}`, as one does not that was
            trained on another processor. Both can be made again on one, with `--no-resume`.*""")
        if not (left := [seed for seed in seeds if seed not in others]):
            return None
        found = load(experiment.replace(seeds=left), store=store)
    return _remembered(found)


def beside_each(
    results: Mapping[str, Results], store: str | PathLike | None = None, **changes: Any
) -> dict[str, Results]:
    """`beside` of each of several studies, by the same names; those that have none are absent."""
    found = {name: beside(those, store, **changes) for name, those in results.items()}
    return {name: run for name, run in found.items() if run is not None}


def controls(results: Results, store: str | PathLike | None = None) -> dict[str, Results]:
    """The stored controls of a pruned run, by the names of `analysis.CONTROLS`; what is not stored is absent.

    Those that take a pruned run's masks are trained as `lr_rewind` is, and are controls of that way alone.
    """
    rewound = results.experiment.retraining == "lr_rewind"
    changes = {name: change for name, change in CONTROLS.items() if rewound or "retraining" not in change}
    found = {name: beside(results, store, **change) for name, change in changes.items()}
    return {name: run for name, run in found.items() if run is not None}


def ways(results: Results, store: str | PathLike | None = None) -> dict[str, Results]:
    """The stored results of each way of pruning and retraining, by the names of `analysis.WAYS`; "pruned" are these."""
    found = {name: results if name == "pruned" else beside(results, store, **way.changes) for name, way in WAYS.items()}
    return {name: those for name, those in found.items() if those is not None}


def studies(which: Iterable[Sequence] | None = None, *, store: str | PathLike | None = None) -> dict[str, Results]:
    """The results of the book's studies by title, "LeNet-5 on MNIST"; what is not stored is absent.

    `which` lists others, as [architecture, dataset, profile]; by default each architecture and dataset of `studies.csv`
    as its first row has it. Raises `InputError` where none is stored.
    """
    if which is None:
        first: dict[str, Experiment] = {}
        for row in study_table.read():
            first.setdefault(row.experiment.title, row.experiment)
        wanted = list(first.values())
    else:
        wanted = [Experiment(architecture, dataset, profile=profile) for architecture, dataset, profile in which]
    found: dict[str, Results] = {}
    for experiment in wanted:
        if experiment.title not in found and stored_seeds(experiment, store):
            found[experiment.title] = _remembered(load(experiment, every_seed=True, store=store))
    if not found:
        raise InputError("studies: none of them is stored; compute one with simprune.run")
    return found


def _remembered(results: Results) -> Results:
    _read.append(results)
    return results


def are_shipped() -> bool:
    """Whether all results that this page has read are those that come with the project."""
    return bool(_read) and all(results.are_shipped for results in _read)


def _say_whether_other_data(results: Results, store: str | PathLike | None) -> None:
    here, made = other_data(results, store=store), results.provenance["data"]
    if here is not None:
        known = DATASETS.get(results.experiment.dataset)
        say(f"""*The {known.title if known else "images"} files at hand (fingerprint `{here}`) hold other images than
            those that these results were made from ({made["source"]}, `{made["fingerprint"]}`).*""")


def sources(results: Results) -> None:
    """Show how results came about, and where their tables are, as a small table."""
    experiment, made = results.experiment, results.provenance
    days = sorted({seed["start"][:10] for seed in made["seeds"].values()})
    commits = dict.fromkeys(seed["git_commit"] for seed in made["seeds"].values() if seed["git_commit"])
    folder, escaped = f"../book/results/{experiment.name}", r"\|"  # a stroke of a name is no border of a cell
    rows = {
        "computed": f"{computed(made['seeds'].values(), results.performance['seconds'].sum())}, "
        f"{' to '.join(dict.fromkeys([days[0], days[-1]]))}",
        "made by": f"`{experiment.command}`",
        "data": f"{made['data']['source']}, fingerprint `{made['data']['fingerprint']}`",
        "versions": f"simprune {made['simprune']}, Python {made['python']}, "
        + ", ".join(f"{package} {version}" for package, version in made["packages"].items()),
        "commit": ", ".join(f"`{commit[:12]}`" for commit in commits) or "not recorded",
        "tables": "; ".join(
            f"seed {seed}: " + ", ".join(f"[{name}]({folder}/seed-{seed}/{name}.parquet)" for name in TABLES)
            for seed in experiment.seeds
        )
        if results.are_shipped
        else f"`{experiment.name}` in the store",
    }
    rows = {"study": f"{experiment.title}, profile {experiment.profile}", **rows}
    first, *others = (f"| {name} | {text.replace('|', escaped)} |" for name, text in rows.items())
    say("\n".join([first, "|---|---|", *others]))


# Sentences ----------------------------------------------------------------------------------------------------


def say(markdown: str) -> None:
    """Show a paragraph of Markdown, an f-string as a rule: numbers get the book's minus sign and space before %."""
    text = _typeset(inspect.cleandoc(markdown))
    display({"text/markdown": text, "text/plain": text}, raw=True)


def _typeset(text: str) -> str:
    """Numbers as the book writes them, a dash for none; code, formulas and addresses of links stay."""
    parts = re.split(r"(`[^`]*`|\]\([^)]*\)|\$[^$]*\$)", text)
    for pattern, sign in ((r"(?<=\d)\s?%", PER_CENT), (r"(?<![\w-])-(?=\d)", MINUS), (r"\bnan%?(?!\w)", NO_VALUE)):
        parts[::2] = [re.sub(pattern, sign, part) for part in parts[::2]]
    return "".join(parts)


def claim(text: str, *, holds: bool | None, evidence: pd.DataFrame | None = None, source: str | None = None) -> None:
    """Say what numbers can break, with its verdict and, one click away, the table that decides it.

    Arguments as in `Claim`. Raises `ClaimError` for what does not hold where the book is built of the results that
    come with the project; elsewhere the page says so.
    """
    made = Claim(_typeset(" ".join(text.split())), holds, evidence, source)
    if not made.holds and os.environ.get(CLAIMS_HOLD) and are_shipped():
        raise ClaimError(f"claim: {made.text!r} does not hold for the results that it was written for")
    display({"text/markdown": _markdown(made), "text/plain": f"{made.text} ({_verdict(made)})"}, raw=True)


def _verdict(made: Claim) -> str:
    if made.holds is None:
        return "these results can't tell"
    if made.holds:
        return "holds for these results"
    return "does not hold for these results; the sentence was written for those that come with the project"


def _markdown(made: Claim) -> str:
    """The sentence; below it the verdict, which unfolds the evidence."""
    mark = {True: "✓", False: "✗", None: "?"}[made.holds]
    state = {True: "holds", False: "fails", None: "open"}[made.holds]
    text = f"{made.text.rstrip('.')}{'' if made.source is None else f' ({made.source})'}."
    if made.evidence is None:
        return f'{text}\n\n<p class="verdict {state}">{mark} {_verdict(made)}</p>'
    shown, rest = table(made.evidence.head(ROWS)), len(made.evidence) - ROWS
    more = f"<p>and {counted(rest, 'more row')}</p>" if rest > 0 else ""
    return (
        f'{text}\n\n<details class="verdict {state}"><summary>{mark} {_verdict(made)}</summary>\n'
        f"{shown.to_html(border=0)}{more}</details>"
    )
