"""Architectures, each with its named layers to probe.

Every network is a flat `nn.Sequential` whose modules have telling names and are used once, and no ReLU works
in place: so a forward hook on any of them sees one value that nothing changes later. Probed is what follows
each ReLU and each pool, residual blocks at their outputs, and the logits.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simprune.errors import InputError, check_choice, check_number, check_whole

LARGEST_WIDTH = 16.0


@dataclass(frozen=True)
class Architecture:
    """An architecture: `build(channels, (height, width), classes, width)` makes it with PyTorch's global RNG.

    `build` is None where stored results are all that is known of it. `min_image_size` is the smallest side of an image
    in pixels; `has_width` says whether channels can be multiplied.
    """

    title: str
    build: Callable[[int, tuple[int, int], int, float], nn.Module] | None
    reference: str
    min_image_size: int
    has_width: bool


def know_by_results(architecture: str) -> None:
    """Let results of an architecture be read whose code is not here: somebody's own, of another program."""
    known = Architecture(architecture, build=None, reference="stored results", min_image_size=1, has_width=True)
    ARCHITECTURES.setdefault(architecture, known)


def build(
    architecture: str,
    *,
    channels: int,
    image_size: int | tuple[int, int],
    classes: int,
    width: float = 1.0,
    seed: int = 0,
    device: str = "cpu",
) -> nn.Module:
    """Build an untrained network on the CPU in float32, with its layers to probe in `network.probed`.

    `image_size` is the side of a square image or (height, width), in pixels; `width` multiplies the channels
    of all conv layers (at least one stays). `probed` holds names for `network.get_submodule`, in network
    order; the last is "logits". The initial weights depend on `seed` alone, and the state of the global
    random number generators is left as it was. On the `device` "meta" the network has shapes and takes no memory, how
    ever wide it is. Raises `InputError` for values that make no network.
    """
    check_choice("architecture", architecture, ARCHITECTURES)
    chosen = ARCHITECTURES[architecture]
    if chosen.build is None:
        raise InputError(
            f"architecture: of {architecture!r} there are results, but not the code: enter it in "
            f"simprune.models.ARCHITECTURES first"
        )
    check_whole("channels", channels, 1)
    check_whole("classes", classes, 2)
    check_whole("seed", seed, 0)
    size = _check_image_size(image_size, architecture)
    check_width(width, architecture)
    # The CPU's generator is seeded directly: torch.manual_seed would reach those of accelerators as well.
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.default_generator.manual_seed(int(seed))
        network = chosen.build(channels, size, classes, width)
    return network


def _check_image_size(image_size: object, architecture: str) -> tuple[int, int]:
    size = tuple(image_size) if isinstance(image_size, tuple | list) else (image_size, image_size)
    if len(size) != 2:
        raise InputError(f"image_size: {image_size!r} is neither a side nor (height, width)")
    for side in size:
        check_whole("image_size", side, 1)
    smallest = ARCHITECTURES[architecture].min_image_size
    if min(size) < smallest:
        raise InputError(
            f"image_size: {size[0]}×{size[1]} is too small for {architecture}, "
            f"which needs at least {smallest}×{smallest}"
        )
    return size


def check_width(width: object, architecture: str) -> None:
    """Raise `InputError` if an architecture can't be built in this width."""
    check_number("width", width, f"(0, {LARGEST_WIDTH:g}]")
    if width != 1 and not ARCHITECTURES[architecture].has_width:
        raise InputError(f"width: {architecture} has one width only, 1, not {width!r}")


def _widen(channels: int, width: float) -> int:
    return max(1, round(channels * width))


def _network(layers: OrderedDict[str, nn.Module], probed: Sequence[str]) -> nn.Sequential:
    network = nn.Sequential(layers)
    network.probed = tuple(probed)
    return network


def _initialise_convs(network: nn.Module) -> None:
    """Draw conv weights from the normal distribution of He et al. 2015 (fan out); leave the rest as it is."""
    for module in network.modules():
        # On "meta" there is nothing to draw, and PyTorch would load its compiler for it.
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


# --- LeNet-5 ------------------------------------------------------------------------------------------------


def _lenet5(channels: int, size: tuple[int, int], classes: int, width: float) -> nn.Module:
    """LeNet-5 as in Ansuini et al. 2020: ReLU and max-pooling, 6 and 16 filters of 5×5, PyTorch's weights."""
    # 5×5 filters with padding 2, pool, 5×5 without padding, pool.
    height, breadth = ((side // 2 - 4) // 2 for side in size)
    layers = OrderedDict(
        conv1=nn.Conv2d(channels, 6, 5, padding=2),
        conv1_relu=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(6, 16, 5),
        conv2_relu=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(16 * height * breadth, 120),
        fc1_relu=nn.ReLU(),
        fc2=nn.Linear(120, 84),
        fc2_relu=nn.ReLU(),
        logits=nn.Linear(84, classes),
    )
    probed = ("conv1_relu", "pool1", "conv2_relu", "pool2", "fc1_relu", "fc2_relu", "logits")
    return _network(layers, probed)


# --- VGG ----------------------------------------------------------------------------------------------------

_POOL = "M"
_VGG_PLAN = (32, 32, _POOL, 64, 64, _POOL, 128, 128, _POOL, 256, _POOL)
_VGG16_PLAN = (
    *(64, 64, _POOL, 128, 128, _POOL, 256, 256, 256, _POOL),
    *(512, 512, 512, _POOL, 512, 512, 512, _POOL),
)


def _vgg_from(plan: Sequence[int | str]) -> Callable[[int, tuple[int, int], int, float], nn.Module]:
    """Return the builder of a VGG: 3×3 convs, batch norm, max-pools, global average pool, one linear."""

    def make(channels: int, size: tuple[int, int], classes: int, width: float) -> nn.Module:
        layers, probed = OrderedDict(), []
        convs = pools = 0
        for item in plan:
            if item == _POOL:
                pools += 1
                layers[f"pool{pools}"] = nn.MaxPool2d(2)
                probed.append(f"pool{pools}")
                continue
            convs += 1
            filters = _widen(item, width)
            layers[f"conv{convs}"] = nn.Conv2d(channels, filters, 3, padding=1)
            layers[f"bn{convs}"] = nn.BatchNorm2d(filters)
            layers[f"conv{convs}_relu"] = nn.ReLU()
            probed.append(f"conv{convs}_relu")
            channels = filters
        layers["avgpool"] = nn.AdaptiveAvgPool2d(1)
        # Where one pixel is left, the average pool changes nothing and would be probed twice.
        if max(size) // 2**pools > 1:
            probed.append("avgpool")
        layers["flatten"] = nn.Flatten()
        layers["logits"] = nn.Linear(channels, classes)
        network = _network(layers, [*probed, "logits"])
        _initialise_convs(network)
        return network

    return make


# --- ResNet -------------------------------------------------------------------------------------------------


class ResidualBlock(nn.Module):
    """Two 3×3 convs with batch norm and a shortcut around them; the output is taken after the last ReLU.

    n × c × h × w becomes n × filters × ceil(h / stride) × ceil(w / stride). Source: He et al. 2016, figure 2
    and section 3.3.
    """

    def __init__(self, channels: int, filters: int, stride: int, projection: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv1_relu = nn.ReLU()
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        if stride == 1 and channels == filters:
            self.shortcut = nn.Identity()
        elif projection:
            self.shortcut = nn.Sequential(
                OrderedDict(conv=nn.Conv2d(channels, filters, 1, stride, bias=False), bn=nn.BatchNorm2d(filters))
            )
        else:
            self.shortcut = PaddedShortcut(channels, filters, stride)
        self.output_relu = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.conv1_relu(self.bn1(self.conv1(inputs)))
        return self.output_relu(self.bn2(self.conv2(hidden)) + self.shortcut(inputs))


class PaddedShortcut(nn.Module):
    """Option A of He et al. 2016: every stride-th pixel, zeros for the channels that are new; no weights."""

    def __init__(self, channels: int, filters: int, stride: int):
        super().__init__()
        self.stride = stride
        self.before = (filters - channels) // 2
        self.after = filters - channels - self.before

    def forward(self, inputs: Tensor) -> Tensor:
        strided = inputs[:, :, :: self.stride, :: self.stride]
        return F.pad(strided, (0, 0, 0, 0, self.before, self.after))


def _resnet_from(
    filters: Sequence[int], blocks: int, projection: bool
) -> Callable[[int, tuple[int, int], int, float], nn.Module]:
    """Return the builder of a ResNet: a 3×3 stem of stride 1 without pool, stages of `blocks` blocks.

    Each stage after the first halves the image. `projection` picks the shortcut between stages: a 1×1 conv
    with batch norm (option B), or option A.
    """

    def make(channels: int, size: tuple[int, int], classes: int, width: float) -> nn.Module:
        stages = [_widen(count, width) for count in filters]
        current = stages[0]
        layers = OrderedDict(
            stem_conv=nn.Conv2d(channels, current, 3, padding=1, bias=False),
            stem_bn=nn.BatchNorm2d(current),
            stem_relu=nn.ReLU(),
        )
        probed = ["stem_relu"]
        for stage, count in enumerate(stages, start=1):
            for block in range(1, blocks + 1):
                stride = 2 if stage > 1 and block == 1 else 1
                name = f"stage{stage}_block{block}"
                layers[name] = ResidualBlock(current, count, stride, projection)
                probed.append(name)
                current = count
        layers["avgpool"] = nn.AdaptiveAvgPool2d(1)
        layers["flatten"] = nn.Flatten()
        layers["logits"] = nn.Linear(current, classes)
        network = _network(layers, [*probed, "avgpool", "logits"])
        _initialise_convs(network)
        return network

    return make


_ANSUINI = (
    "Ansuini, Medvet, Pellegrino & Zullich 2020, Investigating similarity metrics for convolutional neural "
    "networks in the case of unstructured pruning, doi 10.1007/978-3-030-66125-0_6"
)
_HE = "He, Zhang, Ren & Sun 2016, Deep residual learning for image recognition, CVPR"

ARCHITECTURES: dict[str, Architecture] = {
    "lenet5": Architecture(
        title="LeNet-5",
        build=_lenet5,
        reference=f"LeCun, Bottou, Bengio & Haffner 1998; here as in {_ANSUINI}",
        min_image_size=12,
        has_width=False,
    ),
    "vgg": Architecture(
        title="VGG",
        build=_vgg_from(_VGG_PLAN),
        reference=f"Simonyan & Zisserman 2015; here as in {_ANSUINI}",
        min_image_size=16,
        has_width=True,
    ),
    "resnet20": Architecture(
        title="ResNet-20",
        build=_resnet_from((16, 32, 64), blocks=3, projection=False),
        reference=f"{_HE}, section 4.2, with option A shortcuts",
        min_image_size=8,
        has_width=True,
    ),
    "resnet18": Architecture(
        title="ResNet-18",
        build=_resnet_from((64, 128, 256, 512), blocks=2, projection=True),
        reference=f"{_HE}, table 1, as torchvision has it but for the stem: 3×3, stride 1, no pool",
        min_image_size=8,
        has_width=True,
    ),
    "vgg16": Architecture(
        title="VGG-16",
        build=_vgg_from(_VGG16_PLAN),
        reference="Simonyan & Zisserman 2015, configuration D, Very deep convolutional networks for "
        "large-scale image recognition, ICLR; batch norm as in torchvision's vgg16_bn, one linear layer in "
        "place of its three",
        min_image_size=32,
        has_width=True,
    ),
}
