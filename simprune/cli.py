"""The command line: `simprune run | list | compare | book | page | student`.

Exit status: 0 done, 1 the run failed, 2 the arguments were wrong, 130 interrupted.
"""

import os
import re
import stat
import sys
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from simprune.errors import InputError, check_list, check_path, shown

FAILED, WRONG_ARGUMENTS, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="simprune",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # whose help is cut where a terminal is narrow
    help="How similar are pruned and unpruned CNNs, and why does the answer depend on the similarity measure?",
    epilog="Errors come in a line or two; add --debug anywhere for the whole traceback.",
)
# Lines are as long as they are, and the terminal breaks them: in a narrow one nothing is cut.
console = Console(highlight=False, soft_wrap=True, width=1000)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

Store = Annotated[
    str | None,
    typer.Option(help="Where results are kept (default: SIMPRUNE_STORE or the cache folder).", metavar="PATH"),
]
Root = Annotated[Path, typer.Option(help="The project's folder, with _config.yml in it.")]


def _listed(text: str | None) -> tuple[str, ...] | None:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text is not None else None


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in _listed(text))
    except ValueError:
        raise InputError(f"seeds: {shown(text)} is not a list of whole numbers such as 0,1,2") from None


def _train_size(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdecimal() else text


@app.command()
def run(
    architecture: Annotated[str, typer.Argument(help="Architecture, e.g. lenet5; see simprune list.")],
    dataset: Annotated[str, typer.Argument(help="Dataset, e.g. fashion_mnist_mini, or folder:PATH.")],
    profile: Annotated[str, typer.Option(help="Size of the study; see simprune list.")] = "quick",
    seeds: Annotated[str, typer.Option(help="One run per seed, e.g. 0,1,2.")] = "0",
    levels: Annotated[int | None, typer.Option(help="Pruning levels after the dense network.")] = None,
    rate: Annotated[float | None, typer.Option(help="Share of the surviving weights pruned at each level.")] = None,
    criterion: Annotated[str, typer.Option(help="Which weights go: magnitude, random or none (twin).")] = "magnitude",
    scope: Annotated[str, typer.Option(help="global or layerwise.")] = "global",
    retraining: Annotated[str, typer.Option(help="What follows pruning; see simprune list.")] = "lr_rewind",
    rewind_step: Annotated[int | None, typer.Option(help="Step that weight_rewind goes back to.")] = None,
    one_shot: Annotated[bool, typer.Option(help="Each level prunes the dense network at once.")] = False,
    keep_output: Annotated[bool, typer.Option(help="Leave the output layer whole.")] = False,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images, dense.")] = None,
    retraining_epochs: Annotated[
        int | None, typer.Option(help="Those at each level (laptop, overnight: half as many).")
    ] = None,
    width: Annotated[float | None, typer.Option(help="Factor on the channels of convolutional layers.")] = None,
    train_size: Annotated[str | None, typer.Option(help="Number of training images, or all.")] = None,
    batch_size: Annotated[int, typer.Option(help="Images per step.")] = 128,
    learning_rate: Annotated[float | None, typer.Option(help="The greatest learning rate.")] = None,
    momentum: Annotated[float, typer.Option(help="Momentum of the gradient descent.")] = 0.9,
    weight_decay: Annotated[float | None, typer.Option(help="Weight decay.")] = None,
    schedule: Annotated[str | None, typer.Option(help="Learning-rate schedule: step, cosine or linear.")] = None,
    nesterov: Annotated[bool | None, typer.Option(help="Momentum that looks ahead.")] = None,
    augmentation: Annotated[str | None, typer.Option(help="none, crop or crop_flip.")] = None,
    probe_size: Annotated[int | None, typer.Option(help="Test images on which networks are compared.")] = None,
    views: Annotated[str | None, typer.Option(help="Some of flatten,channels,pooled.")] = None,
    measures: Annotated[str | None, typer.Option(help="Measures, separated by commas.")] = None,
    references: Annotated[str | None, typer.Option(help="Some of dense,previous,sibling,untrained.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data root (default: SIMPRUNE_DATA).")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch the dataset if it is not there.")] = False,
    store: Store = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    resume: Annotated[bool, typer.Option(help="Use what is stored; --no-resume computes all afresh.")] = True,
    progress: Annotated[bool, typer.Option(help="Show progress on stderr.")] = True,
    diagnostics: Annotated[
        str | None, typer.Option(help="Add tables beside the scores: all, or some of nulls, connectivity, …")
    ] = None,
) -> None:
    """Train, prune and compare; results that are stored are read, not computed again."""
    fields: dict[str, Any] = {
        name: value
        for name, value in locals().items()
        if name not in {"data", "download", "store", "device", "resume", "progress", "diagnostics"}
    }
    fields |= {
        "seeds": _seeds(seeds),
        "train_size": _train_size(train_size),
        "views": _listed(views),
        "measures": _listed(measures),
        "references": _listed(references),
    }
    from simprune.experiment import Experiment
    from simprune.study import run as run_experiment

    results = run_experiment(
        Experiment(**fields),
        data=data,
        store=store,
        device=device,
        resume=resume,
        progress=progress,
        download=download,
        diagnostics=diagnostics is not None
        and (diagnostics == "all" or check_list("diagnostics", _listed(diagnostics))),
    )
    console.print(_performance_table(results.performance))
    if results.experiment.levels:
        console.print(_similarity_table(results))
    if diagnostics:
        rows = sum(map(len, results.diagnostics.values()))
        console.print(f"{len(results.diagnostics)} tables of diagnostics, {rows:,} rows")
    similarity = results.similarity
    console.print(
        f"{len(results.performance)} networks, {len(similarity):,} scores "
        f"({int(similarity['value'].isna().sum()):,} undefined) in\n{results.directory}"
    )


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """A table without lines, all columns but the first to the right."""
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if table.columns else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _performance_table(performance) -> Table:
    """Mean over seeds, one row per level."""
    means = performance.groupby("level")[["density", "test_accuracy", "train_accuracy", "seconds"]].mean()
    return _table(
        ("level", "density", "test accuracy", "train accuracy", "seconds"),
        (
            (str(level), f"{density:.1%}", f"{test:.2%}", f"{train:.2%}", f"{seconds:.1f}")
            for level, density, test, train, seconds in means.itertuples()
        ),
    )


def _similarity_table(results) -> Table:
    """The scores of the first and the last pruned network, mean over seeds and layers, one row per measure."""
    from simprune.tables import score

    reference, view = results.experiment.references[0], results.experiment.views[0]
    scores = results.similarity
    chosen = scores[(scores["level"] > 0) & (scores["reference"] == reference) & (scores["view"] == view)]
    means = chosen.groupby(["measure", "level"], sort=False)["value"].mean().unstack("level")
    ends = means[sorted({*means.columns[:1], *means.columns[-1:]})]
    density = results.performance.groupby("level")["density"].mean()
    return _table(
        (f"with {reference}, mean over layers", *(f"at {density[level]:.1%}" for level in ends)),
        ((measure, *map(score, row)) for measure, *row in ends.itertuples()),
    )


@app.command("list")
def list_(store: Store = None) -> None:
    """Architectures, datasets, measures, profiles, and the results that are stored."""
    from simprune.data import DATASETS, own_images
    from simprune.experiment import PROFILES
    from simprune.measures import MEASURES
    from simprune.models import ARCHITECTURES
    from simprune.retraining import RETRAINING
    from simprune.store import Store as ResultStore

    stored: dict[str, list[tuple[str, str]]] = {}
    for experiment, place in ResultStore(store).stored():
        said = [f"seeds {', '.join(map(str, experiment.seeds))}", *experiment.options]
        said += [_told_apart(own)] if (own := own_images(experiment.dataset)) else []
        stored.setdefault(f"Results in {place.parent}", []).append((place.name, " ".join(said)))
    for heading, rows in {
        "Architectures": [(name, item.title) for name, item in ARCHITECTURES.items() if item.build],
        "Datasets": [
            *((name, item.title) for name, item in DATASETS.items()),
            ("folder:PATH", "one's own images"),
        ],
        "Profiles": [(name, item["title"]) for name, item in PROFILES.items()],
        "Retraining": [(name, item.title) for name, item in RETRAINING.items()],
        "Measures": [(name, f"{item.title} ({item.kind})") for name, item in MEASURES.items()],
        **(stored or {"Results": [("none", "simprune run makes some")]}),
    }.items():
        console.print(heading, style="bold", markup=False)
        width = max(len(name) for name, _ in rows)
        for name, title in rows:
            console.print(f"  {name:{width}}  {title}", markup=False)


def _told_apart(images) -> str:
    """Where one's own images are from, their size if they were scaled, and the beginning of their fingerprint."""
    scaled = f", scaled to {images.size} × {images.size}" if images.size else ""
    return f"images of {images.path}{scaled}, {images.fingerprint[:6]}"


@app.command()
def compare(
    x: Annotated[
        Path,
        typer.Argument(
            help="Activations of the reference network, .npy, inputs first; or a folder, a file a layer.",
            metavar="X.npy",
        ),
    ],
    y: Annotated[Path, typer.Argument(help="Those of the other network on the same inputs.", metavar="Y.npy")],
    measures: Annotated[
        str | None, typer.Option(help="Measures, separated by commas (default: all; of folders debiased_linear_cka).")
    ] = None,
    view: Annotated[
        str, typer.Option(help="How activations with positions become a matrix: flatten, channels, pooled, token.")
    ] = "flatten",
    seed: Annotated[int, typer.Option(help="Seed of the random draws that some measures take.")] = 0,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this file, - for the screen.")] = None,
    json: Annotated[Path | None, typer.Option(help="The same as JSON, a record for each score.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the scores: a .png, .svg or .pdf file.")] = None,
) -> None:
    """Score two representations of the same inputs, or each layer in one folder against each in another."""
    chosen, x, y = _listed(measures), check_path("X", x), check_path("Y", y)
    if x.is_dir() != y.is_dir():
        folder, other = sorted((x, y), key=lambda path: not path.is_dir())
        raise InputError(
            f"X and Y: {shown(str(folder))} is a folder and {shown(str(other))} is none; give two of a kind"
        )
    if x.is_dir():
        from simprune.networks import DEBIASED, compare_layers

        arrays, names = (_arrays("X", x), _arrays("Y", y)), (x.resolve().name, y.resolve().name)
        layers = compare_layers(*arrays, (DEBIASED,) if chosen is None else chosen, view, names=names, seed=seed)
        scores, draw = layers.table, layers.plot
        shown_as = [f"{measure}\n{layers.matrix(measure).to_string()}" for measure in dict.fromkeys(scores["measure"])]
    else:
        from simprune.comparison import compare as compare_arrays

        table = compare_arrays(_array("X", x), _array("Y", y), measures=chosen, view=view, seed=seed)
        scores, shown_as = table.reset_index(), [_score_table(table)]

        def draw():
            from simprune.plots import score_dots

            return score_dots(table)

    for file, write in ((csv, scores.to_csv), (json, scores.to_json)):
        if file is not None:
            form = {"index": False} if file is csv else {"orient": "records", "indent": 1, "double_precision": 15}
            _write(file, lambda place, write=write, form=form: write(place, **form))
    if plot is not None:
        _write(plot, draw().savefig)
    if Path("-") not in (csv, json):
        for part in shown_as:
            console.print(part)


def _write(file: Path, write) -> None:
    """Have a file written, or the screen."""
    try:
        write(sys.stdout if str(file) == "-" else file)
    except (OSError, ValueError) as error:  # the latter: of a format that matplotlib does not know
        raise InputError(f"{shown(str(file))} can't be written ({getattr(error, 'strerror', None) or error})") from None


def _score_table(scores) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("measure")
    table.add_column("value", justify="right")
    table.add_column("status")
    table.add_column("note")
    for measure, row in scores.iterrows():
        table.add_row(measure, f"{row['value']:.6f}", row["status"], row["note"])
    return table


def _arrays(name: str, folder: Path) -> dict[str, object]:
    """Layer -> array, of the .npy files of a folder, numbers in their names in order."""
    files = sorted(folder.glob("*.npy"), key=lambda file: [part.zfill(9) for part in re.split(r"(\d+)", file.stem)])
    if not files:
        raise InputError(f"{name}: there is no .npy file in {shown(str(folder))}")
    return {file.stem: _array(name, file) for file in files}


# What reads other files that people have.
READERS = {
    ".npz": "numpy.load({file!r})['layer']",
    ".pt": "torch.load({file!r}).cpu().numpy()",
    ".pth": "torch.load({file!r}).cpu().numpy()",
    ".csv": "pandas.read_csv({file!r}, index_col=0).to_numpy()",
    ".parquet": "pandas.read_parquet({file!r}).to_numpy()",
    ".mat": "scipy.io.loadmat({file!r})['layer']",
}


def _array(name: str, file: Path):
    import numpy as np

    try:
        if stat.S_ISREG(file.stat().st_mode):
            # Mapped, not read: a header that claims more than the file holds is refused with nothing allocated.
            return np.lib.format.open_memmap(file, mode="r")
    except OSError as error:
        raise InputError(f"{name}: {shown(str(file))} can't be read ({error.strerror or error})") from None
    except Exception:  # of a damaged header NumPy's reader raises what it likes
        pass
    reader = READERS.get(file.suffix.lower(), "").format(file=file.name)
    how = f"; make one with numpy.save('{file.stem}.npy', {reader})" if reader else ""
    raise InputError(f"{name}: {shown(str(file))} is not a .npy file of numbers{how}")


@app.command()
def book(
    profile: Annotated[str | None, typer.Option(help="Run every notebook with this profile.")] = None,
    root: Root = Path("."),
    pdf: Annotated[bool, typer.Option("--pdf", help="Print the book as it was last built; run nothing.")] = False,
) -> None:
    """Execute the notebooks with papermill and build the book."""
    from simprune import book

    if pdf:
        console.print(f"The book to print: {book.pdf(root)}")
        return
    if profile is not None:  # else the notebooks begin before anything here has imported PyTorch
        from simprune.errors import check_choice
        from simprune.experiment import PROFILES

        check_choice("profile", profile, PROFILES)
    index = book.publish(root, parameters={"profile": profile} if profile else None)
    console.print(f"The book: {index}")


@app.command()
def page(
    study: Annotated[str | None, typer.Argument(help="Its architecture, or its results as run printed them.")] = None,
    dataset: Annotated[str | None, typer.Argument(help="Its dataset, where the architecture is given.")] = None,
    profile: Annotated[str | None, typer.Option(help="Its profile (default: that of its row in studies.csv).")] = None,
    root: Root = Path("."),
) -> None:
    """Make the page of a study from the template and enter it in the book; without a study, renew all such pages."""
    from simprune import pages

    if profile is not None and dataset is None:
        raise InputError(f"profile: {shown(profile)} goes with an architecture and a dataset, or not at all")
    if study is None:
        changed = pages.renew(root)
    else:
        changed = [pages.page(study, dataset, profile, root) if dataset else pages.page_of(study, root)]
    for path in changed or ["Every page is as the template has it."]:
        console.print(str(path))


@app.command()
def student(
    notebook: Annotated[Path, typer.Argument(help="A notebook with solutions between nbgrader's marks.")],
    made: Annotated[Path, typer.Argument(help="Where the student's version goes.")],
) -> None:
    """Make the student's version of a notebook: a place to write for each solution, and no outputs."""
    import nbformat

    from simprune import teaching
    from simprune.book import read_notebook

    source = check_path("notebook", notebook)
    if source.resolve() == check_path("made", made).resolve():
        raise InputError("made: that is the notebook itself; give the student's version another name")
    version = teaching.student(read_notebook(source))
    _write(made, lambda place: nbformat.write(version, place))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, by default that of the process; leaves with the exit status."""
    of_process = arguments is None
    arguments = sys.argv[1:] if of_process else list(arguments)
    debug = "--debug" in arguments
    if of_process and not debug:  # without the place in the code
        warnings.formatwarning = lambda message, *_, **__: f"simprune: {message}\n"
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a sign that a terminal or a log can't show is no reason to fail
            stream.reconfigure(errors="replace")
    try:
        # Depending on its version typer returns 130 for Ctrl-C, or raises Abort.
        status = app([a for a in arguments if a != "--debug"] or ["--help"], standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:
        if debug:
            raise
        status = _report(error)
    if status == INTERRUPTED:
        errors.print("simprune: interrupted; what was finished is kept, run the same command to go on")
        if of_process:
            # At once: PyTorch takes its time to leave, and where Ctrl-C came within certain imports Python would end
            # by the signal instead.
            with suppress(AttributeError, OSError, ValueError):  # there is none, or nobody reads it
                sys.stdout.flush()
            os._exit(status)
    sys.exit(status)


def _report(error: Exception) -> int:
    """Print an error in a line or two and return the exit status."""
    if isinstance(error, InputError) or hasattr(error, "format_message"):  # the latter: typer's own, in any version
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        errors.print(f"simprune: {message}", markup=False)
        return WRONG_ARGUMENTS
    reason = str(error).strip().split("\n")[0]
    errors.print(f"simprune: failed: {type(error).__name__}: {reason} (--debug shows where)", markup=False)
    return FAILED
