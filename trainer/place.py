"""Where training runs: a device, a precision, and one of several processes.

Only descent (lamella.trainer.fit) leaves the CPU: whatever is measured, frozen or written is computed there, by every
process alike, so that all of them take the same decisions. With several processes (torchrun) each takes its share of
every batch and DistributedDataParallel averages the gradients, so the result is that of one process, but for the order
in which numbers are added. BatchNorm sees the share of its process only, and keeps the statistics of the first one.
"""

import os
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from lamella.errors import PlatformError, UsageError
from lamella.trainer.options import known_precision


@dataclass(frozen=True)
class Place:
    """A device ("cpu", "cuda", "cuda:1"), the precision of forward passes, whether torch's compiler helps (where a network
    has compile_), and which of how many processes this is."""

    device: str = "cpu"
    precision: str = "float32"
    compiled: bool = False
    rank: int = 0
    processes: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def move(self, network: nn.Module) -> nn.Module:
        """The network on the device, wrapped where there are several processes. Parameters stay the same objects."""
        network.to(self.device)
        if hasattr(network, "compile_"):
            network.compile_(self.compiled)
        if self.processes == 1:
            return network
        # A calibration, say, leaves scales without a gradient that can be learned elsewhere.
        return DistributedDataParallel(network, find_unused_parameters=True)

    def bring_back(self, network: nn.Module) -> None:
        """The network on the CPU again, the same in every process."""
        if self.processes > 1:
            with torch.no_grad():
                for value in network.state_dict().values():
                    distributed.broadcast(value, 0)
        network.to("cpu")

    def share(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, float]:
        """This process's part of a batch, and what its mean loss counts so that the gradients' mean is the batch's."""
        if self.processes == 1:
            return x.to(self.device), y.to(self.device), 1.0
        mine, labels = x[self.rank :: self.processes], y[self.rank :: self.processes]
        weight = len(mine) * self.processes / len(x)
        if len(mine) == 0:  # fewer samples than processes: this one counts nothing, but takes part
            mine, labels = x[:1], y[:1]
        return mine.to(self.device), labels.to(self.device), weight

    def autocast(self) -> AbstractContextManager:
        """Forward passes in the precision."""
        kind = getattr(torch, self.precision)
        return torch.autocast(self.device.partition(":")[0], kind, enabled=kind != torch.float32)

    def mean(self, value: float) -> float:
        """The mean of a number over all processes."""
        if self.processes == 1:
            return value
        total = torch.tensor(value, device=self.device)
        distributed.all_reduce(total)
        return float(total) / self.processes


#: Where training runs unless asked otherwise.
CPU = Place()


def here(device: str, precision: str, compiled: bool = False) -> Place:
    """The place that a recipe asks for; as torchrun says, one of several processes."""
    known_precision("precision", precision)
    compiler = os.environ.get("CXX", "g++")
    if compiled and shutil.which(compiler) is None:
        raise PlatformError(
            f"compile = true needs a C++ compiler, and {compiler!r} is not there; install it, or leave out compile"
        )
    processes, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and processes > 1:
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise PlatformError(f"device = {device!r}: torch finds no CUDA device here; choose cpu or auto")
    if not device.startswith("cuda") and device != "cpu":
        raise UsageError(f"device = {device!r} is not known; choose cpu, cuda, cuda:N or auto")
    if processes > 1 and not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return Place(device, precision, compiled, rank, processes)
