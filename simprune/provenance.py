"""The results of a folder and how each came about, for the page on provenance."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from simprune.analysis import WAYS
from simprune.experiment import Experiment
from simprune.store import TABLES, SeedResult, Store
from simprune.tables import counted, duration, listed

SHORT = 12  # digits of a checksum that are shown; the file beside the tables has all of them


def shipped_results(folder: Path, pages: Collection[str] = (), above: str = "..") -> str:
    """Markdown: a section for each experiment in a folder of results, with a row for each seed, checksums verified.

    `pages`: the names of the pages beside the one that this is written for; `above`: the way from there to the folder
    that holds `folder`, for links.
    """
    place = Store(folder, shipped=None)
    return "\n\n".join(
        _section(place, experiment.replace(seeds=sorted(experiment.seeds)), f"{above}/{folder.name}", pages)
        for experiment, _ in place.stored()
    )


def _section(place: Store, experiment: Experiment, linked: str, pages: Collection[str]) -> str:
    name, page = experiment.name, f"{experiment.architecture}_{experiment.dataset}"
    made = {seed: next(iter(place.read_seed(experiment, seed)), None) for seed in experiment.seeds}
    said = [f"Made by `{experiment.command}`"]
    if not _way(experiment) and page in pages:
        said.append(f"shown on [{experiment.title}]({page}.ipynb)")
    said.append(f"kept in `book/results/{name}`")
    lines = [f"### {_heading(experiment)}", f"{listed(said)}. {_versions(made)}"]
    rows = ["| seed | computed | SHA-256 of the tables |", "|---|---|---|"]
    rows += [_row(place, experiment, seed, result, f"{linked}/{name}") for seed, result in made.items()]
    return "\n\n".join([*lines, "\n".join(rows)])


def _way(experiment: Experiment) -> str:
    """What is unusual about how the networks of an experiment were pruned and retrained, in words; "" for nothing."""
    usual = Experiment(experiment.architecture, experiment.dataset, profile=experiment.profile)
    words = {usual.replace(**way.changes).key: way.title for way in WAYS.values()}
    if experiment.key == usual.key:
        return ""
    seeds = f"--seeds {','.join(map(str, experiment.seeds))}"
    return words.get(experiment.key, f"`{experiment.command.partition(seeds)[2].strip()}`")


def _heading(experiment: Experiment) -> str:
    return ", ".join(filter(None, [experiment.title, f"profile {experiment.profile}", _way(experiment)]))


def _versions(made: Mapping[int, SeedResult | None]) -> str:
    """With what and from which data the seeds were made, told together where it is the same."""
    groups: dict[str, list[int]] = {}
    for seed, result in made.items():
        if result is not None:
            facts = result.provenance
            packages = ", ".join(f"{package} {version}" for package, version in facts["packages"].items())
            text = f"simprune {facts['simprune']}, Python {facts['python']}, {packages}; data: "
            text += f"{facts['data']['source']}, fingerprint `{facts['data']['fingerprint']}`"
            groups.setdefault(text, []).append(seed)
    if len(groups) == 1:
        return f"Versions: {next(iter(groups))}."
    return " ".join(
        f"Versions of {'seed' if len(seeds) == 1 else 'seeds'} {listed(map(str, seeds))}: {text}."
        for text, seeds in groups.items()
    )


def _row(place: Store, experiment: Experiment, seed: int, result: SeedResult | None, linked: str) -> str:
    records = listed(
        f"[{file}]({linked}/seed-{seed}/{file})"
        for file in ("provenance.json", "diagnostics.json")
        if (place.directory(experiment) / f"seed-{seed}" / file).is_file()
    )
    if result is None:
        return f"| {seed} | the files are not what was written | see {records} |"
    facts = result.provenance
    threads = f", {counted(facts['threads'], 'thread')}" if facts.get("threads") else ""
    commit = f", at commit `{facts['git_commit'][:SHORT]}`" if facts["git_commit"] else ""
    where = f"{computed([facts], result.performance['seconds'].sum())}{threads}, {facts['start'][:10]}{commit}"
    sums = ", ".join(f"{table} `{facts['sha256'][table][:SHORT]}`" for table in TABLES)
    return f"| {seed} | {where} | {sums}; in full: {records} |"


def computed(records: Iterable[Mapping[str, Any]], training: float) -> str:
    """On what the networks of some seeds were trained and on what compared, and for how long, in words.

    `records`: the provenance of each seed; `training`: seconds of the training of all networks. A record without a
    processor of each level is of networks trained where they were compared. One without the seconds of the comparison
    has those of its last call, which are the comparison's where all networks were trained elsewhere.
    """
    trained, compared, seconds = {}, {}, []
    for record in records:
        here, levels = record["device"], [one for one in record.get("levels", ()) if one["precision"]]
        levels = levels or [{"precision": record.get("precision") or "float32"}]
        places = [(level.get("processor") or here, level["precision"]) for level in levels]
        trained |= dict.fromkeys(f"{on}{'' if how == 'float32' else f' ({how})'}" for on, how in places)
        compared[here] = None
        elsewhere = here not in dict(places)
        seconds.append(record.get("comparison", record["duration"] if elsewhere else None))
    took = "" if None in seconds else f" in {duration(sum(seconds))}"
    return f"trained on {listed(trained)} in {duration(training)}, compared on {listed(compared)}{took}"
