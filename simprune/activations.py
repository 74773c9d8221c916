"""Activations: what layers of any network give for some inputs, taken by hooks in one pass."""

import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.data import DataLoader, Dataset, IterableDataset

from simprune.arrays import as_tensor
from simprune.errors import InputError, check_list, check_whole, shown

# What layers may be asked for by: names, patterns of names ("layer?.0"), types, or several of these.
Selection = str | type | Sequence[str | type]

CONTAINERS = nn.Sequential | nn.ModuleList | nn.ModuleDict
# Share of its parameters in one chain of equal blocks from which a module counts as a stage, not as a block.
STAGE = 0.75
# Attributes of PyTorch's layers that tell a number of features, and where layers of the kind have them.
FEATURES_FIRST = ("in_channels", "out_channels", "num_channels", "num_features")
FEATURES_LAST = ("in_features", "out_features", "normalized_shape", "embedding_dim", "hidden_size")
INPUT_NAMES = ("pixel_values", "input_ids", "image", "images", "input", "inputs", "x")
LABEL_NAMES = ("label", "labels", "target", "targets")


def extract(
    network: nn.Module, inputs: object, layers: Selection | None = None, batch_size: int = 500
) -> dict[str, Tensor]:
    """Return the activations of `layers` on `inputs`: layer -> tensor n x ..., in the order in which they run.

    `inputs`: a tensor or array, n first, a dictionary of those, a dataset, or a loader of batches: tensors, (x, y)
    or dictionaries. They go to the network's device, floats in its dtype; activations stay there. `layers`: names,
    patterns ("layer?.0") or types of submodules; "lstm[0]" is an item of what a layer returns. By default those in
    `network.probed`, or the outputs of its blocks. The network runs in evaluation mode without gradients and is
    left in the mode in which it came. Raises InputError for what can't be used.
    """
    batch_size = check_whole("batch_size", batch_size, 1)
    collected: dict[str, list[Tensor]] = {}
    with Probe(network, layers) as probe:
        for batch in batches(inputs, batch_size):
            for layer, tensor in probe(batch).items():
                collected.setdefault(layer, []).append(tensor)
    return {layer: joined_batches(layer, collected.pop(layer)) for layer in list(collected)}


def joined_batches(layer: str, parts: list[Tensor]) -> Tensor:
    """The activations of a layer on all inputs; raises InputError where inputs of some batches have another shape."""
    shapes = list(dict.fromkeys(tuple(part.shape[1:]) for part in parts))
    if len(shapes) > 1:
        raise InputError(f"layers: the shape of {layer!r} differs between batches: {shapes[0]} and {shapes[1]}")
    return torch.cat(parts) if len(parts) > 1 else parts[0]


# ------------------------------------------------------------------------------------------- inputs


def count_of(inputs: object) -> int | None:
    """Number of inputs where it can be told beforehand; of a loader it may be fewer."""
    if isinstance(inputs, Mapping):
        return size({name: _tensor(value) for name, value in inputs.items()})
    with suppress(TypeError):  # a stream has no length
        return len(inputs.dataset if isinstance(inputs, DataLoader) else inputs)
    return None


def in_order(inputs: object) -> bool:
    """Whether inputs can be had in any order."""
    stored = isinstance(inputs, Mapping | Tensor | Dataset) or hasattr(inputs, "__array__")
    return stored and not isinstance(inputs, IterableDataset)


def batches(inputs: object, batch_size: int, order: Tensor | None = None) -> Iterator[object]:
    """Yield what a network is given, batch by batch, each a tensor or a dictionary; see `extract` for `inputs`.

    Loaders keep their own batches. `order`: of inputs that are `in_order`. Raises InputError for other things, and
    where there is no input.
    """
    count = 0
    for batch in _batches(inputs, batch_size, order):
        batch = _features(batch)
        count += size(batch)
        yield batch
    if count == 0:
        raise InputError("inputs: there is none")


def _batches(inputs: object, batch_size: int, order: Tensor | None) -> Iterable[object]:
    if isinstance(inputs, Dataset):
        return DataLoader(inputs, batch_size=batch_size, sampler=None if order is None else order.tolist())
    if isinstance(inputs, list | tuple):
        raise InputError(
            f"inputs: a {type(inputs).__name__} may hold inputs or batches; give one tensor, as of torch.stack, or a "
            "DataLoader"
        )
    if isinstance(inputs, Mapping):
        inputs = {name: _tensor(value) for name, value in inputs.items()}
        count = size(inputs)
    elif isinstance(inputs, Tensor) or hasattr(inputs, "__array__"):
        if not isinstance(inputs, Tensor) or inputs.layout is not torch.strided:
            inputs = as_tensor(inputs, "inputs")
        if inputs.ndim == 0:
            raise InputError(f"inputs: {shown(inputs)} has no dimension of inputs")
        count = len(inputs)
    elif isinstance(inputs, str | bytes) or not isinstance(inputs, Iterable):
        raise InputError(f"inputs: {shown(inputs)} is not a tensor, an array, a dataset or a DataLoader")
    else:
        return inputs
    parts = (slice(start, start + batch_size) for start in range(0, count, batch_size))
    return (part(inputs, chosen if order is None else order[chosen]) for chosen in parts)


def _features(batch: object) -> Tensor | dict[str, object]:
    """What of a batch goes to the network: of (x, y) the first, of a dictionary all but labels."""
    if isinstance(batch, list | tuple) and batch:
        batch = batch[0]
    if isinstance(batch, Mapping):
        batch = {name: _tensor(value) for name, value in batch.items() if name not in LABEL_NAMES}
    else:
        batch = _tensor(batch)
    size(batch)
    return batch


def _tensor(value: object) -> object:
    """An array as a tensor; other things as they are."""
    return as_tensor(value, "inputs") if hasattr(value, "__array__") and not isinstance(value, Tensor) else value


def size(batch: object) -> int:
    """Number of inputs in a batch."""
    tensors = [batch] if isinstance(batch, Tensor) else list(batch.values()) if isinstance(batch, Mapping) else []
    lengths = {len(tensor) for tensor in tensors if isinstance(tensor, Tensor) and tensor.ndim}
    if len(lengths) != 1:
        what = f"holds tensors of {sorted(lengths)} inputs" if lengths else f"is a {type(batch).__name__}"
        raise InputError(f"inputs: a batch {what}; give a tensor, (x, y) or a dictionary of tensors, inputs first")
    return lengths.pop()


def part(batch: object, chosen: object) -> object:
    """Some of the inputs of a batch, by slice or index."""
    if isinstance(batch, Mapping):
        return {name: part(value, chosen) for name, value in batch.items()}
    return batch[chosen] if isinstance(batch, Tensor) and batch.ndim else batch


# -------------------------------------------------------------------------------------------- layers


@dataclass(frozen=True)
class Layer:
    """A place at which a network is probed: a module, and which item of what it returns.

    Attributes:
        exact: whether the user named it, so that it is refused where it can't be probed, and not left out
        axis: of its output along which the inputs lie
        last: whether its features lie along the last axis, as those of tokens do, and not before the positions
        shape: of its `maps` for one input: features, and height and width, tokens being t high and 1 wide
    """

    module: str
    items: tuple[str, ...] = ()
    exact: bool = True
    axis: int = 0
    last: bool = False
    shape: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return self.module + "".join(f"[{item}]" for item in self.items)

    @property
    def positions(self) -> tuple[int, int]:
        return self.shape[1:] or (1, 1)

    @property
    def tokens(self) -> bool:
        return self.positions[1] == 1 < self.positions[0]

    def maps(self, tensor: Tensor) -> Tensor:
        """Its activation, inputs first, as n x c or n x c x h x w; three and more axes of positions become two."""
        tensor = tensor.movedim(-1, 1) if self.last else tensor
        return tensor.unsqueeze(-1) if tensor.ndim == 3 else tensor.flatten(3) if tensor.ndim > 4 else tensor


def select(network: nn.Module, layers: Selection | None) -> list[Layer]:
    """The places that a selection names, not yet tried; see `extract`. Raises InputError for unknown names."""
    modules = {name: module for name, module in network.named_modules() if name}
    if layers is None and not hasattr(network, "probed"):
        if not (names := default_layers(network)):
            raise InputError(f"layers: {_owner(network)} has none in it")
        return [Layer(name, exact=False) for name in names]
    layers = network.probed if layers is None else layers
    found: dict[tuple, Layer] = {}
    for chosen in [layers] if isinstance(layers, type) else check_list("layers", layers):
        if isinstance(chosen, type):
            matches = [Layer(name, exact=False) for name, module in modules.items() if isinstance(module, chosen)]
            if not matches:
                raise InputError(f"layers: {_owner(network)} has no layer of the type {chosen.__name__}")
        elif not isinstance(chosen, str):
            raise InputError(f"layers: {shown(chosen)} is neither a name nor a type of layers")
        else:
            item = re.fullmatch(r"(.+?)((?:\[[^\[\]]+\])+)", chosen)
            if chosen in modules:
                matches = [Layer(chosen)]
            elif item and item[1] in modules:
                matches = [Layer(item[1], tuple(re.findall(r"\[([^\[\]]+)\]", item[2])))]
            else:
                matches = [Layer(name, exact=False) for name in modules if fnmatchcase(name, chosen)]
            if not matches:
                raise InputError(f"layers: {_owner(network)} has no layer {shown(chosen)}{_nearest(chosen, modules)}")
        for layer in matches:
            found.setdefault((layer.module, layer.items), layer)
    return list(found.values())


def _owner(network: nn.Module) -> str:
    return f"this {type(network).__name__}"


def _nearest(wanted: str, names: Iterable[str]) -> str:
    ends = [name for name in names if name.endswith("." + wanted)]
    near = ends[:1] or get_close_matches(wanted[:100], names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(list(names)[:8])} …"


def default_layers(network: nn.Module) -> list[str]:
    """Names of the blocks of a network and of its last layer with weights.

    A block is a module of several layers that is neither a container nor, in the main, a chain of equal blocks.
    Where most layers lie in none: the activation functions, or else all layers with weights.
    """
    blocks = list(_blocks(network, ""))
    leaves = {name: module for name, module in network.named_modules() if name and not list(module.children())}
    weighted = [name for name, module in leaves.items() if _weighs(module)]
    inside = [name for name in weighted if name.startswith(tuple(block + "." for block in blocks))]
    if len(blocks) < 2 or 2 * len(inside) < len(weighted):
        functions = [name for name, module in leaves.items() if type(module).__module__.endswith("modules.activation")]
        blocks = functions if len(functions) > 1 else weighted
    last = [name for name in weighted[-1:] if name not in blocks and name not in inside]
    return [*blocks, *last] or list(leaves)


def _blocks(module: nn.Module, prefix: str) -> Iterator[str]:
    for name, child in module.named_children():
        name = prefix + name
        if not list(child.children()):
            continue
        if isinstance(child, CONTAINERS) or _is_stage(child):
            yield from _blocks(child, name + ".")
        else:
            yield name


def _weighs(module: nn.Module) -> bool:
    """Whether a module has weights of its own, more than one for a feature."""
    return any(p.ndim > 1 for p in module.parameters(recurse=False))


def _is_stage(module: nn.Module) -> bool:
    """Whether most of a module's parameters lie in one container of blocks of one type, each of several layers."""
    total = sum(p.numel() for p in module.parameters())
    for container in module.modules():
        kinds = {type(child) for child in container.children()} if isinstance(container, CONTAINERS) else ()
        if len(kinds) == 1 and all(sum(map(_weighs, child.modules())) > 1 for child in container.children()):
            if sum(p.numel() for p in container.parameters()) >= STAGE * total:
                return True
    return False


# --------------------------------------------------------------------------------------------- probe


class Probe:
    """Layers of a network under observation: inside `with`, called with a batch, it gives what each returns.

    The first batch tells which layers can be probed: the network runs on two and on three inputs of it, and what
    grows with them is the axis of inputs. `reduce(layer, tensor)` makes of an activation, inputs first, what is
    kept of it (by default a copy, since a following in-place ReLU would overwrite it). On leaving, modes are as they
    were and hooks are gone.
    """

    def __init__(self, network: nn.Module, layers: Selection | None = None, name: str = ""):
        network = getattr(network, "_orig_mod", network)  # of a compiled network: the hooks of compiled code don't run
        self.name = f"{name}: " if name else ""
        if not isinstance(network, nn.Module):
            raise InputError(f"{self.name}{shown(network)} is not a torch.nn.Module")
        if any(isinstance(module, torch.jit.ScriptModule) for module in network.modules()):
            raise InputError(
                f"{self.name}the layers of a scripted or traced network can't be probed; give the original"
            )
        values = [*network.parameters(), *network.buffers()]
        if any(value.is_meta for value in values):
            raise InputError(f"{self.name}the network has no weights, they are on the device meta")
        self.network = network
        self.device = values[0].device if values else None
        self.dtype = next((value.dtype for value in values if value.is_floating_point()), None)
        try:
            self.layers = select(network, layers)
        except InputError as error:
            raise InputError(f"{self.name}{error}") from None
        self._first, self._last = _widths(network)
        self.reduce: Callable[[Layer, Tensor], Tensor] = lambda layer, tensor: tensor.clone()
        self._calls: dict[str, list[object]] | None = None  # module -> what it returned, while it is tried
        self._taken: dict[str, Tensor] | None = None
        self._tried = False

    def __enter__(self) -> "Probe":
        modules = dict(self.network.named_modules())
        self._modes = {module: module.training for module in modules.values()}
        names = dict.fromkeys(layer.module for layer in self.layers)
        self._handles = [modules[name].register_forward_hook(self._hook(name)) for name in names]
        self.network.eval()
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
        for module, mode in self._modes.items():
            module.training = mode

    def __call__(self, batch: object) -> dict[str, Tensor]:
        """Layer -> its activation, inputs first, as `reduce` made it; in the order in which the layers run."""
        self.attempt(batch)
        self._taken = {}
        try:
            self._forward(batch)
            return self._taken
        finally:
            self._taken = None

    def attempt(self, batch: object) -> None:
        """Try the network on a few inputs, once, and settle which layers are probed."""
        if self._tried:
            return
        outcomes = []
        for count in (2, 3):
            self._calls = {}
            try:
                self._forward(part(batch, torch.arange(count) % size(batch)))
                outcomes.append(self._calls)
            finally:
                self._calls = None
        kept, first_reason = [], ""
        for layer in self.layers:
            try:
                kept.append(self._settled(layer, *(outcome.get(layer.module, []) for outcome in outcomes)))
            except InputError as error:
                if layer.exact:
                    raise
                first_reason = first_reason or str(error)
        if not kept:
            raise InputError(first_reason)
        order = list(outcomes[0])
        self.layers = sorted(kept, key=lambda layer: order.index(layer.module))
        self._tried = True
        kinds = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
        for name, module in self.network.named_modules():
            if isinstance(module, kinds) and module.running_mean is None:
                warnings.warn(
                    f"{self.name}{name!r} normalises by the statistics of its batch: what the network gives for an "
                    "input depends on the others in it",
                    stacklevel=3,
                )
                break

    def _settled(self, layer: Layer, two: list[object], three: list[object]) -> Layer:
        """The layer with its axis of inputs, from what it returned for two and for three inputs."""
        problem = f"{self.name}layers: {layer.name!r} "
        container = layer.module.rpartition(".")[0]
        instead = f"; probe {container!r}, which contains it" if container else ""
        if not two:
            raise InputError(
                f"{problem}is not called in the forward pass, though its weights may be used there{instead}"
            )
        if len(two) > 1:
            raise InputError(f"{problem}runs {len(two)} times in a forward pass{instead}")
        outputs = [_item(output[0], layer.items) for output in (two, three)]
        if not isinstance(outputs[0], Tensor):
            places = list(_tensor_places(outputs[0])) if outputs[0] is not None else []
            if layer.exact or not places:
                hint = f"; choose an item, as {layer.name + ''.join(f'[{p}]' for p in places[0])!r}" if places else ""
                raise InputError(f"{problem}returns a {type(outputs[0]).__name__}, not a tensor{hint}")
            for place in places[:-1]:
                with suppress(InputError):
                    return self._settled(replace(layer, items=layer.items + place, exact=True), two, three)
            return self._settled(replace(layer, items=layer.items + places[-1]), two, three)
        if outputs[0].is_complex():
            raise InputError(f"{problem}returns complex numbers")
        shapes = [tuple(output.shape) for output in outputs]
        axes = [axis for axis, sizes in enumerate(zip(*shapes, strict=False)) if sizes == (2, 3)]
        if axes and min(map(len, shapes)) > 1:
            shape = shapes[0][: axes[0]] + shapes[0][axes[0] + 1 :]
            layer = replace(layer, axis=axes[0], last=self._features_last(shape))
            return replace(layer, shape=tuple(layer.maps(torch.empty((1, *shape), device="meta")).shape[1:]))
        if axes:
            raise InputError(f"{problem}returns one number for an input, not a pattern")
        if shapes[0] and 3 * shapes[0][0] == 2 * shapes[1][0]:
            raise InputError(f"{problem}sees {shapes[0][0] // 2} windows of each input as inputs of their own{instead}")
        raise InputError(f"{problem}returns {shapes[0]} for 2 inputs and {shapes[1]} for 3, not a pattern for each")

    def _features_last(self, shape: tuple[int, ...]) -> bool:
        """Whether features lie last: in tokens, and in maps where the widths of the network's layers say so."""
        first, last = shape[0] in self._first, shape[-1] in self._last
        return (last or not first) if len(shape) == 2 else last and not first and len(shape) > 2

    def _hook(self, name: str) -> Callable[..., None]:
        places = None

        def hook(module: nn.Module, args: object, output: object) -> None:
            nonlocal places
            if self._calls is not None:
                self._calls.setdefault(name, []).append(output)
            elif self._taken is not None:
                places = places or [layer for layer in self.layers if layer.module == name]
                for layer in places:
                    tensor = _item(output, layer.items)
                    tensor = tensor.dequantize() if tensor.is_quantized else tensor
                    self._taken[layer.name] = self.reduce(layer, tensor.movedim(layer.axis, 0))

        return hook

    def _forward(self, batch: object) -> None:
        arguments, named = self._arguments(batch)
        try:
            with torch.no_grad():
                self.network(*arguments, **named)
        except (torch.OutOfMemoryError, InputError):
            raise
        except Exception as error:  # networks of any kind raise what they like
            given = ", ".join(
                f"{t.dtype} {tuple(t.shape)}" for t in [*arguments, *named.values()] if torch.is_tensor(t)
            )
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(f"{self.name}the network does not take these inputs ({given}): {reason}") from error

    def _arguments(self, batch: object) -> tuple[list[object], dict[str, object]]:
        if not isinstance(batch, Mapping):
            return [self._moved(batch)], {}
        batch = {name: self._moved(value) for name, value in batch.items()}
        accepted = inspect.signature(self.network.forward).parameters
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values()):
            return [], batch
        named = {name: value for name, value in batch.items() if name in accepted}
        if named:
            return [], named
        for name in (*INPUT_NAMES, *(batch if len(batch) == 1 else ())):
            if name in batch:
                return [batch[name]], {}
        raise InputError(
            f"{self.name}inputs: of the entries {', '.join(map(str, batch))} of a batch the network takes none; "
            f"it takes {', '.join(accepted)}"
        )

    def _moved(self, value: object) -> object:
        """A tensor on the network's device, and in its dtype if both are floats."""
        if not isinstance(value, Tensor):
            return value
        if value.dtype == torch.uint8:
            raise InputError("inputs: uint8 are bytes of images; give floats, scaled as the network was trained on")
        cast = self.dtype if self.dtype is not None and value.is_floating_point() else None
        return value.to(self.device or value.device, cast)


def _widths(network: nn.Module) -> tuple[set[int], set[int]]:
    """Numbers of features that layers of a network have first, as channels of convolutions, and last."""
    first, last = set(), set()
    for module in (module for module in network.modules() if type(module).__module__.startswith("torch.nn.")):
        for found, names in ((first, FEATURES_FIRST), (last, FEATURES_LAST)):
            values = [getattr(module, name, None) for name in names]
            found.update(value[-1] if isinstance(value, tuple) and value else value for value in values)
    return first, last


def _item(output: object, items: Sequence[str]) -> object:
    """An item of what a layer returned, by places in tuples and names in dictionaries; None where there is none."""
    for item in items:
        try:
            if isinstance(output, Mapping) or not isinstance(output, list | tuple):
                output = output[item] if isinstance(output, Mapping) else getattr(output, item)
            else:
                output = output[int(item)]
        except (KeyError, IndexError, ValueError, AttributeError):
            return None
    return output


def _tensor_places(output: object, so_far: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where in nested tuples and dictionaries there are tensors."""
    if isinstance(output, Tensor):
        yield so_far
    elif isinstance(output, Mapping | tuple | list) and not isinstance(output, PackedSequence):
        pairs = output.items() if isinstance(output, Mapping) else enumerate(output)
        for place, value in pairs:
            yield from _tensor_places(value, (*so_far, str(place)))
