"""The page on provenance lists every result that is shipped, whatever it is of."""

import re

import pytest
import synthetic

from simprune.experiment import Experiment
from simprune.provenance import computed, shipped_results
from simprune.store import SHIPPED, TABLES, SeedResult, Store

STUDY = Experiment("lenet5", "fashion_mnist_mini")
OTHERS = [STUDY.replace(retraining="finetune"), STUDY.replace(rate=0.5), Experiment("resnet20", "cifar10")]


@pytest.fixture
def folder(tmp_path):
    """Two seeds of a study, made at different commits, and one of each of three others."""
    made_up = synthetic.results(seeds=(0,), levels=2)
    place = tmp_path / "results"
    for experiment, seed in [(STUDY, 0), (STUDY, 1), *((other, 0) for other in OTHERS)]:
        provenance = {**made_up.provenance, "git_commit": f"{seed}" * 40, "threads": 2}
        result = SeedResult(made_up.performance, made_up.similarity, made_up.sparsity, provenance)
        Store(place, shipped=None).write_seed(experiment, seed, result)
    return place


def section(text, heading):
    [found] = [part for part in text.split("### ") if part.partition("\n")[0] == heading]
    return found


def test_every_experiment_has_a_section_with_its_command_and_a_row_for_each_seed(folder):
    text = shipped_results(folder)
    assert text.count("### ") == 1 + len(OTHERS)
    for experiment, _ in Store(folder, shipped=None).stored():
        assert f"`{experiment.command}`" in text and f"`book/results/{experiment.name}`" in text
    title = STUDY.title
    assert len(re.findall(r"^\| \d", section(text, f"{title}, profile quick"), re.MULTILINE)) == 2
    assert section(text, f"{title}, profile quick, fine-tuning")
    assert section(text, f"{title}, profile quick, `--rate 0.5`")


def test_a_row_has_the_device_the_time_the_commit_and_the_checksums(folder):
    made = Store(folder, shipped=None).read_seed(STUDY, 1)[0].provenance
    text = section(shipped_results(folder), f"{STUDY.title}, profile quick")
    [row] = re.findall(r"^\| 1 \|.*", text, re.MULTILINE)
    for piece in (made["device"], "2 threads", made["start"][:10], "`111111111111`"):
        assert piece in row
    for table in TABLES:
        assert f"{table} `{made['sha256'][table][:12]}`" in row
    # Told once for both seeds.
    assert text.count(f"fingerprint `{made['data']['fingerprint']}`") == 1


GPU = {"precision": "bfloat16", "processor": "a GPU"}
CPU = {"precision": "float32", "processor": "a CPU"}


@pytest.mark.parametrize(
    "record, said",
    [
        ({}, "trained on a CPU in 300 s, compared on a CPU"),  # from before there was a choice of precision
        ({"precision": "bfloat16"}, "trained on a CPU (bfloat16) in 300 s, compared on a CPU"),
        ({"levels": [{"precision": "float32"}] * 2}, "trained on a CPU in 300 s, compared on a CPU"),
        ({"levels": [GPU, GPU]}, "trained on a GPU (bfloat16) in 300 s, compared on a CPU in 100 s"),
        ({"levels": [GPU, CPU]}, "trained on a GPU (bfloat16) and a CPU in 300 s, compared on a CPU"),
        # Pruned without retraining: only the dense network was trained.
        ({"levels": [GPU, dict.fromkeys(GPU)]}, "trained on a GPU (bfloat16) in 300 s, compared on a CPU in 100 s"),
        ({"levels": [CPU], "comparison": 60}, "trained on a CPU in 300 s, compared on a CPU in 60 s"),
    ],
)
def test_where_networks_were_trained_and_where_compared_are_told_apart(record, said):
    assert computed([{"device": "a CPU", "duration": 100, **record}], 300).replace("5.0 min", "300 s") == said


def test_links_lead_to_the_records(folder):
    links = re.findall(r"\]\(\.\./([^)]+)\)", shipped_results(folder))
    assert len(links) == 2 + len(OTHERS)
    assert all((folder.parent / link).is_file() for link in links)


def test_the_page_of_a_study_is_linked_where_there_is_one(folder):
    link = "](lenet5_fashion_mnist_mini.ipynb)"
    assert link not in shipped_results(folder)
    assert shipped_results(folder, pages=["lenet5_fashion_mnist_mini"]).count(link) == 1


def test_files_that_are_not_what_was_written_are_not_passed_off_as_results(folder):
    [file] = folder.glob("resnet20*/seed-0/similarity.parquet")
    file.write_bytes(file.read_bytes() + b"more")
    text = section(shipped_results(folder), "ResNet-20 on CIFAR-10, profile quick")
    assert "| 0 | the files are not what was written |" in text and "similarity `" not in text


def test_without_results_there_is_nothing_to_list(tmp_path):
    assert shipped_results(tmp_path / "none") == ""


def test_everything_that_is_shipped_is_whole_and_listed():
    text = shipped_results(SHIPPED)
    assert "not what was written" not in text
    for experiment, _ in Store(SHIPPED, shipped=None).stored():
        assert experiment.name in text
