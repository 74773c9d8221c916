"""Measures of outputs and of weights."""

import math

import numpy as np
import pytest
import slow_measures as slow
import torch
from scipy.spatial.distance import jensenshannon

from simprune.errors import InputError
from simprune.measures.outputs import accuracy_gap, jensen_shannon, prediction_agreement
from simprune.measures.weights import mask_overlap, weight_cosine


def logits(seed, n=40, classes=5):
    return torch.randn(n, classes, generator=torch.Generator().manual_seed(seed)) * 3


def test_prediction_agreement_is_the_share_of_equal_predictions():
    x = torch.eye(4)
    assert prediction_agreement(x, x[[0, 1, 3, 2]]).value == 0.5
    assert prediction_agreement(x, x).value == 1


def test_jensen_shannon_is_its_definition_and_that_of_scipy():
    x, y = logits(0), logits(1)
    value = jensen_shannon(x, y).value
    assert value == pytest.approx(slow.jensen_shannon(x, y), abs=1e-10)
    roots = jensenshannon(x.double().softmax(1), y.double().softmax(1), base=2, axis=1)
    assert value == pytest.approx(np.mean(roots**2), abs=1e-8)


def test_jensen_shannon_runs_from_0_to_1_bit_whatever_the_size_of_logits():
    x = torch.eye(4) * 1e6
    assert jensen_shannon(x, x).value == 0
    assert jensen_shannon(x, x.flip(0)).value == pytest.approx(1)
    assert jensen_shannon(x.half() * 0, x * 0).value == 0


def test_accuracy_gap_is_the_difference_of_accuracies():
    x, labels = torch.eye(4), torch.arange(4)
    assert accuracy_gap(x, x[[0, 1, 3, 2]], labels).value == 0.5
    assert accuracy_gap(x[[0, 1, 3, 2]], x, labels).value == 0.5
    assert accuracy_gap(x[[0, 1, 3, 2]], x[[1, 0, 2, 3]], labels).value == 0


def test_outputs_of_other_shapes_and_missing_labels_are_refused():
    with pytest.raises(InputError, match=r"logits: \(40, 5\) and \(40, 4\)"):
        prediction_agreement(logits(0), logits(0, classes=4))
    with pytest.raises(InputError, match="labels: accuracy_gap needs one label for each of the 40 inputs"):
        accuracy_gap(logits(0), logits(1), torch.zeros(3))
    with pytest.raises(InputError, match="labels"):
        accuracy_gap(logits(0), logits(1), None)


def test_mask_overlap_is_the_jaccard_index_of_kept_weights():
    x = {"a": torch.tensor([1, 1, 0, 0]), "b": torch.tensor([[1.0, 0.0]])}
    y = {"a": torch.tensor([1, 0, 1, 0]), "b": torch.tensor([[1.0, 0.0]])}
    assert mask_overlap(x, y).value == 2 / 4
    assert mask_overlap(x, x).value == 1


def test_without_a_kept_weight_there_is_no_overlap():
    score = mask_overlap({"a": torch.zeros(3)}, {"a": torch.zeros(3)})
    assert math.isnan(score.value) and score[1:] == ("undefined", "no weight is kept")


@pytest.mark.parametrize("scale", [1e-30, 1, 1e30])
def test_weight_cosine_is_that_of_all_weights_as_one_vector(scale):
    x = {"a": torch.tensor([[3.0, 0.0]]), "b": torch.tensor([4.0])}
    y = {"a": torch.tensor([[4.0, 0.0]]) * scale, "b": torch.tensor([3.0]) * scale}
    assert weight_cosine(x, y).value == pytest.approx(24 / 25)


def test_weights_that_are_all_0_have_no_direction():
    score = weight_cosine({"a": torch.zeros(3)}, {"a": torch.ones(3)})
    assert math.isnan(score.value) and score[1:] == ("undefined", "all weights are 0")


def test_networks_of_other_layers_are_refused():
    with pytest.raises(InputError, match="weights: the two networks do not have the same layers"):
        weight_cosine({"a": torch.ones(3)}, {"b": torch.ones(3)})
    with pytest.raises(InputError, match="masks: the two networks"):
        mask_overlap({"a": torch.ones(3)}, {"a": torch.ones(4)})
