"""Images a second of training under quantisation on one core of this computer: eager, with `compile`, and that in bfloat16.

    python benchmarks/training_speed.py            resnet8, resnet20, vgg7
    python benchmarks/training_speed.py vgg7

All layers are ternary with zeros that move, and the float network teaches, as in the recipes of CIFAR-10; the images are random.
A time of this computer, which other work on it changes: nothing is recorded.
"""

import argparse
import copy
import time

import torch

from lamella import output
from lamella.trainer import networks
from lamella.trainer.allocator import keep_freed_memory
from lamella.trainer.batches import TensorBatches
from lamella.trainer.fit import Descent, fit
from lamella.trainer.network import QuantNetwork
from lamella.trainer.place import Place
from lamella.trainer.rules.ternary import Ternary
from lamella.trainer.trace import trace

NETWORKS = ("resnet8", "resnet20", "vgg7")
PLACES = {
    "float32": Place(),
    "float32, compile": Place(compiled=True),
    "bfloat16, compile": Place(precision="bfloat16", compiled=True),
}
BATCH, WARM, COUNTED = 128, 3, 12


def speed(name: str, place: Place) -> float:
    """Images a second, behind some batches in which torch compiles and memory settles."""
    torch.manual_seed(0)
    model = networks.get(name)()
    images, labels = torch.randn(BATCH * COUNTED, 3, 32, 32), torch.randint(0, 10, (BATCH * COUNTED,))
    network = QuantNetwork(trace(model, images[:2]), model, learned_ranges=True)
    for layer in network.compressible:
        network.layers[layer].set_rule_(Ternary("count"))
    network.calibrate_([images[:BATCH]])
    descent = Descent(1, 0.001, distill=0.5)
    teacher = copy.deepcopy(model).eval()
    for count in (WARM, COUNTED):
        data = TensorBatches(images[: BATCH * count], labels[: BATCH * count], BATCH)
        start = time.perf_counter()
        fit(network, data, descent, what="speed", seed=0, teacher=teacher, place=place)
    return BATCH * COUNTED / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"default: {' '.join(NETWORKS)}")
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    rows = [[name, *(round(speed(name, place)) for place in PLACES.values())] for name in args.networks or NETWORKS]
    output.table(["network", *PLACES], rows)


if __name__ == "__main__":
    main()
