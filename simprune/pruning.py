"""Pruning: which weights go, and the sequence of pruning levels.

Masks are those of `torch.nn.utils.prune`: each prunable module holds `weight_orig` and `weight_mask` and computes
with their product, so a pruned weight is zero whatever momentum or weight decay do to `weight_orig`.
"""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.utils import prune

from simprune.errors import InputError

CRITERIA = {
    "magnitude": "the surviving weights of smallest magnitude go first (Han et al. 2015)",
    "random": "surviving weights go at random",
    "none": "no weight goes: retraining without pruning, a control",
}
SCOPES = {
    "global": "all layers compete for the weights that stay",
    "layerwise": "each layer keeps the same share of its weights",
}

OUTPUT = "logits"


def prunable(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Name and module of each prunable layer: convolutional and fully connected ones, their weights only."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            yield name, module


def attach_masks(network: nn.Module) -> nn.Module:
    """Give each prunable layer of a network a mask of ones (in place; the network computes what it did before)."""
    for _, module in prunable(network):
        if not hasattr(module, "weight_mask"):
            prune.identity(module, "weight")
    for module in network.modules():
        if isinstance(module, nn.MultiheadAttention) and _project not in module._forward_pre_hooks.values():
            module.register_forward_pre_hook(_project)
    return network


def _project(attention: nn.MultiheadAttention, inputs: object) -> None:
    """PyTorch reads the weight of its last layer without calling the layer, which would make it of the mask."""
    _refresh(attention.out_proj)


def check_network(network: nn.Module, images: torch.Tensor, classes: int, alone: bool = False) -> None:
    """Raise `InputError` for a network whose weights would escape their masks, or that gives no logits.

    `images`: some of the size that it takes, on which it is tried; `alone`: whether a batch of training is one image.
    """
    layers = dict(prunable(network))
    if not layers:
        raise InputError("architecture: it has no convolutional and no fully connected layer, so nothing can be pruned")
    called = {module.out_proj for module in network.modules() if isinstance(module, nn.MultiheadAttention)}
    handles = [module.register_forward_hook(lambda module, *_: called.add(module)) for module in layers.values()]
    with torch.no_grad():
        logits = network.eval()(images)
    for handle in handles:
        handle.remove()
    for name, module in layers.items():
        if not {"weight", "weight_orig"} & set(module._parameters):
            raise InputError(
                f"architecture: the weight of {name!r} is computed, as by weight normalisation, and can't be masked"
            )
        if module not in called:
            raise InputError(
                f"architecture: {name!r} is not called in the forward pass, where its weights would escape their mask"
            )
    if not torch.is_tensor(logits) or logits.shape != (len(images), classes):
        given = tuple(logits.shape) if torch.is_tensor(logits) else f"a {type(logits).__name__}"
        raise InputError(f"architecture: it gives {given} for {len(images)} images of {classes} classes, not logits")
    if alone:
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                network.train()(images[:1])
        except ValueError:
            raise InputError(
                "batch_size: the last batch of an epoch is one image, of which batch norm has no statistics; "
                "give another batch_size or train_size"
            ) from None


def masks(network: nn.Module) -> dict[str, torch.Tensor]:
    """Layer name → boolean mask of the layer's weights, True where a weight is kept. Needs `attach_masks`."""
    return {name: module.weight_mask.detach().bool() for name, module in prunable(network)}


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """Layer name → the weights that the network computes with, zero where pruned. Needs `attach_masks`."""
    return {name: (module.weight_orig * module.weight_mask).detach() for name, module in prunable(network)}


def computed_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """The state dict of the same function with nothing pruned: weights as computed with, masks of ones."""
    state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    for name, weight in weights(network).items():
        state[f"{name}.weight_orig"] = weight.clone()
        state[f"{name}.weight_mask"] = torch.ones_like(weight)
    return state


def sparsity_report(network: nn.Module) -> list[dict]:
    """One row per prunable layer: `layer`, `weights`, `kept`, `density` = kept / weights, as measured.

    A weight counts as kept if it is not zero in the network as it is, whatever its mask says.
    """
    report = []
    for layer, weight in weights(network).items():
        kept = int(torch.count_nonzero(weight))
        report.append({"layer": layer, "weights": weight.numel(), "kept": kept, "density": kept / weight.numel()})
    return report


def density(network: nn.Module) -> float:
    """Share of the prunable weights that are not zero, measured on the network as it is (0 … 1)."""
    report = sparsity_report(network)
    return sum(row["kept"] for row in report) / sum(row["weights"] for row in report)


def nominal_density(rate: float, level: int) -> float:
    """Density after `level` rounds that each prune the share `rate` of the surviving weights: (1 − rate)^level."""
    return (1 - rate) ** level


def load_masks(network: nn.Module, masks: dict[str, torch.Tensor]) -> None:
    """Give the prunable layers of a network these masks (layer name → boolean), in place. Needs `attach_masks`."""
    for name, module in prunable(network):
        module.weight_mask.copy_(masks[name])


def zero(network: nn.Module, masks: dict[str, torch.Tensor]) -> None:
    """Set to zero, in place, the weights that masks (layer name → boolean) leave out; they may train again."""
    with torch.no_grad():
        for name, module in prunable(network):
            module.weight_orig.masked_fill_(~masks[name], 0)


def prune_to(
    network: nn.Module, target: float, *, criterion: str, scope: str, seed: int, keep_output: bool = False
) -> None:
    """Prune surviving weights, in place, until the share `target` of all prunable weights is left.

    With `keep_output` the output layer is left whole, and `target` is the density of the others. Criterion "none"
    prunes nothing.

    The number left is `target` × number of weights, rounded (in each layer for scope "layerwise"). Weights that are
    pruned already stay so. `seed` decides which weights go under criterion "random". The network is on the CPU, so
    that the choice is the same whatever it is trained on. Raises `InputError` for a `target` above the network's
    density.
    """
    if criterion == "none":
        return
    modules = [module for name, module in prunable(network) if not (keep_output and name == OUTPUT)]
    method = {"magnitude": prune.L1Unstructured, "random": prune.RandomUnstructured}[criterion]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        # PyTorch judges `weight`, which a forward pass alone makes of `weight_orig` and the mask: in a network whose
        # state was just loaded it is still that from before. And it flattens with `view`, which asks for this order.
        for module in modules:
            _refresh(module.to(memory_format=torch.contiguous_format))
        for group in [modules] if scope == "global" else [[module] for module in modules]:
            kept = sum(int(module.weight_mask.sum()) for module in group)
            left = round(target * sum(module.weight_mask.numel() for module in group))
            if left > kept:
                raise InputError(
                    f"target: {target:g} is above the density of the network, whose pruned weights stay so"
                )
            if left < kept:
                prune.global_unstructured([(m, "weight") for m in group], method, amount=kept - left)


def _refresh(module: nn.Module) -> None:
    module.weight = module.weight_orig * module.weight_mask


def check_levels(sizes: dict[str, int], *, scope: str, rate: float, levels: int) -> None:
    """Raise `InputError` if pruning is sure to leave a layer without weights before or at the last level.

    `sizes`: layer name → number of weights. Under scope "global" only the total is decided beforehand: it must leave
    at least one weight per layer.
    """
    for level in range(1, levels + 1):
        share = nominal_density(rate, level)
        if scope == "layerwise":
            for layer, size in sizes.items():
                if round(share * size) < 1:
                    raise InputError(
                        f"levels: {levels} at rate {rate:g} leave layer {layer!r} ({size} weights) empty "
                        f"at level {level}; the most is {level - 1}"
                    )
        elif round(share * sum(sizes.values())) < len(sizes):
            raise InputError(
                f"levels: {levels} at rate {rate:g} leave fewer weights than the network has layers "
                f"({len(sizes)}) at level {level}; the most is {level - 1}"
            )
