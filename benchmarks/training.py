"""How fast networks are trained: simprune's loop against the usual one, on the same network and images.

    python benchmarks/training.py [lenet5 resnet20 vgg] [--data DIR] [--rounds 3] [--json FILE]

The usual loop is that of the torchvision references: a `DataLoader` over a dataset of PIL images with torchvision's
transforms, augmentation included, weights in PyTorch's plain memory order, and the loss and accuracy read from the
device at each step. Both loops train a network with pruning masks, in turn in one process; the ratios are of pairs of
neighbouring rounds, so that a machine whose speed drifts does not decide, and given in seconds on the clock and in
seconds of all processors, which other programs disturb less. LeNet-5 is trained on the embedded images and
the others, at half their width as in the profile `laptop`, on CIFAR-10.

Beside them stands what is left to win on a CPU: the share of a step that its convolutions take, and how fast they are
beside a product of two square float32 matrices, which is as fast as this processor multiplies.
"""

import argparse
import json
import statistics
import time

import simprune
from simprune import data, models, pruning, training
from simprune.data.batches import CROP_PADDING

import torch  # isort: skip
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms


class Images(Dataset):
    """PIL images with transforms, decoded and augmented one by one."""

    def __init__(self, dataset: data.Dataset):
        steps = []
        size = dataset.image_size
        if dataset.augmentation != "none":
            steps.append(transforms.RandomCrop(size, padding=CROP_PADDING))
        if dataset.augmentation == "crop_flip":
            steps.append(transforms.RandomHorizontalFlip())
        steps += [transforms.ToTensor(), transforms.Normalize(dataset.mean, dataset.std)]
        self.transform = transforms.Compose(steps)
        self.images = [transforms.functional.to_pil_image(image) for image in dataset.train_images]
        self.labels = dataset.train_labels.tolist()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.transform(self.images[index]), self.labels[index]


def usual_loop(network, images: Images, recipe: training.Recipe, device: torch.device, workers: int) -> None:
    """One epoch as the torchvision references train it."""
    loader = DataLoader(images, recipe.batch_size, shuffle=True, num_workers=workers, pin_memory=device.type == "cuda")
    optimizer = torch.optim.SGD(
        network.parameters(), recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    criterion = torch.nn.CrossEntropyLoss()
    network.train()
    for image, target in loader:
        image, target = image.to(device), target.to(device)
        output = network(image)
        loss = criterion(output, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        _ = loss.item(), (output.argmax(1) == target).float().mean().item()


SIDE, STEPS = 2048, 3


def convolutions(network, dataset: data.Dataset, recipe: training.Recipe) -> dict[str, float]:
    """The share of a training step on a CPU that its convolutions take, and their rate as a share of a product's."""
    few = dataset.subset(STEPS * recipe.batch_size)

    def step():
        training.train(network, few, recipe, order_seed=0, augmentation_seed=0)

    step()
    with FlopCounterMode(display=False) as counter:
        step()
    operations = sum(flops for name, flops in counter.get_flop_counts()["Global"].items() if "conv" in str(name))
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        step()
    taken = {event.key: event.self_cpu_time_total / 1e6 for event in profiled.key_averages()}
    convolving = sum(seconds for name, seconds in taken.items() if "conv" in name)
    matrix, rates = torch.randn(SIDE, SIDE), []
    for _ in range(5):
        clock = time.perf_counter()
        matrix @ matrix
        rates.append(2 * SIDE**3 / (time.perf_counter() - clock))
    return {
        "convolutions_of_step": round(convolving / sum(taken.values()), 2),
        "convolutions_of_product": round(operations / convolving / statistics.median(rates), 2),
    }


CASES = {
    "lenet5": {"dataset": "fashion_mnist_mini", "images": 5000, "width": 1.0},
    "resnet20": {"dataset": "cifar10", "images": 768, "width": 0.5},
    "vgg": {"dataset": "cifar10", "images": 768, "width": 0.5},
}


def measure(
    architecture: str, dataset: data.Dataset, width: float, device: torch.device, rounds: int, workers: int
) -> dict:
    """Images per second of both loops, and the ratio of each pair of rounds."""
    recipe = training.Recipe(1, 128, 0.01, 0.9, 5e-4, "step", dataset.augmentation)
    images, on_device = Images(dataset), dataset.to(device)

    def network():
        built = models.build(
            architecture,
            channels=dataset.channels,
            image_size=dataset.image_size,
            classes=dataset.n_classes,
            width=width,
        )
        return pruning.attach_masks(built).to(device)

    def seconds(loop, trained, *arguments, **options) -> tuple[float, float]:
        """On the clock, and of all processors."""
        clock, processors = time.perf_counter(), time.process_time()
        loop(trained, *arguments, **options)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - clock, time.process_time() - processors

    ours, usual = [], []
    for _ in range(rounds + 1):
        ours.append(seconds(training.train, network(), on_device, recipe, order_seed=0, augmentation_seed=0))
        plain = network().to(memory_format=torch.contiguous_format)
        usual.append(seconds(usual_loop, plain, images, recipe, device, workers))
    ours, usual = ours[1:], usual[1:]  # the first round warms up
    return {
        "architecture": architecture,
        "width": width,
        "images": len(images),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "workers": workers,
        **({} if device.type == "cuda" else convolutions(network(), dataset, recipe)),
        "simprune_images_per_second": round(len(images) / statistics.median(clock for clock, _ in ours)),
        "usual_images_per_second": round(len(images) / statistics.median(clock for clock, _ in usual)),
        "ratio": [round(theirs[0] / own[0], 2) for theirs, own in zip(usual, ours, strict=True)],
        "processor_ratio": [round(theirs[1] / own[1], 2) for theirs, own in zip(usual, ours, strict=True)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("architectures", nargs="*", default=list(CASES), help=f"some of {', '.join(CASES)}")
    parser.add_argument("--data", help="data root, for CIFAR-10 (default: SIMPRUNE_DATA)")
    parser.add_argument("--images", type=int, help="how many (default: enough for a CPU; more are needed on a GPU)")
    parser.add_argument("--width", type=float, help="factor on the channels of convolutional networks")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0, help="processes of the DataLoader")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    results = []
    for architecture in options.architectures:
        case = CASES[architecture]
        dataset = data.load(case["dataset"], options.data).subset(options.images or case["images"])
        width = case["width"] if options.width is None or architecture == "lenet5" else options.width
        result = measure(architecture, dataset, width, device, options.rounds, options.workers)
        results.append(result | {"simprune": simprune.__version__})
        print("  ".join(f"{name} {value}" for name, value in result.items()), flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
