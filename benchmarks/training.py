"""How fast networks are trained: simprune's loop against the usual one, on the same network and images.

    python benchmarks/training.py [--architecture lenet5] [--images 5000] [--rounds 3] [--json FILE]

The usual loop is that of the torchvision references: a `DataLoader` over a dataset of PIL images with torchvision's
transforms, augmentation included, and the loss and accuracy read from the device at each step. Both loops run in turn
in one process; the ratios are of pairs of neighbouring rounds, so that a machine whose speed drifts does not decide.
"""

import argparse
import json
import statistics
import time

import simprune
from simprune import data, models, pruning, training

import torch  # isort: skip
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Images(Dataset):
    """PIL images with transforms, decoded and augmented one by one."""

    def __init__(self, dataset: data.Dataset):
        steps = []
        size = dataset.image_size
        if dataset.augmentation != "none":
            steps.append(transforms.RandomCrop(size, padding=data.CROP_PADDING))
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


def measure(architecture: str, dataset: data.Dataset, device: torch.device, rounds: int, workers: int) -> dict:
    """Images per second of both loops, and the ratio of each pair of rounds."""
    recipe = training.Recipe(1, 128, 0.01, 0.9, 5e-4, "step", dataset.augmentation)
    images, on_device = Images(dataset), dataset.to(device)

    def network():
        built = models.build(
            architecture, channels=dataset.channels, image_size=dataset.image_size, classes=dataset.n_classes
        )
        return pruning.attach_masks(built).to(device)

    def seconds(loop, *arguments, **options) -> float:
        start = time.perf_counter()
        loop(network(), *arguments, **options)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    ours, usual = [], []
    for _ in range(rounds + 1):
        ours.append(seconds(training.train, on_device, recipe, order_seed=0, augmentation_seed=0))
        usual.append(seconds(usual_loop, images, recipe, device, workers))
    ours, usual = ours[1:], usual[1:]  # the first round warms up
    return {
        "architecture": architecture,
        "images": len(images),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "workers": workers,
        "simprune_images_per_second": round(len(images) / statistics.median(ours)),
        "usual_images_per_second": round(len(images) / statistics.median(usual)),
        "ratio": [round(theirs / own, 2) for theirs, own in zip(usual, ours, strict=True)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--architecture", default="lenet5", choices=models.ARCHITECTURES)
    parser.add_argument("--dataset", default="fashion_mnist_mini")
    parser.add_argument("--data", help="data root, for datasets other than the embedded one")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0, help="processes of the DataLoader")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dataset = data.load(options.dataset, options.data).subset(options.images)
    result = measure(options.architecture, dataset, device, options.rounds, options.workers)
    result["simprune"] = simprune.__version__
    for name, value in result.items():
        print(f"{name:28} {value}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
