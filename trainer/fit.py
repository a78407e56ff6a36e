"""Gradient descent on a network for some epochs, and the accuracy of a float network."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lamella.errors import PlatformError, UsageError
from lamella.trainer.batches import checked, number_of
from lamella.trainer.place import CPU, Place

#: Called with the number of batches done and their total (None where the data do not tell).
Progress = Callable[[int, int | None], None]
#: Called with what is worth a line of a log: names to numbers and texts.
Log = Callable[[dict[str, object]], None]


@dataclass(frozen=True)
class Descent:
    """How to descend. The rate falls along half a cosine from learning_rate to zero over the epochs.

    optimizer: "sgd" (with Nesterov momentum) or "adam" (momentum is beta 1). weight_decay: on weights only.
    distill: share of the loss that follows the teacher's softened scores where there is a teacher, at `temperature`.
    """

    epochs: int
    learning_rate: float
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    distill: float = 0.0
    temperature: float = 4.0


def fit(
    network: nn.Module,
    data: Iterable,
    descent: Descent,
    *,
    what: str,
    seed: int,
    first_epoch: int = 0,
    before_epoch: Callable[[int], None] | None = None,
    teacher: nn.Module | None = None,
    progress: Progress | None = None,
    place: Place = CPU,
    log: Log | None = None,
    keep: Callable[[dict], None] | None = None,
    resume: dict | None = None,
    classes: int | None = None,
) -> float:
    """Trains in place and returns the mean loss of the last epoch.

    `what` names the phase in messages. first_epoch counts the epochs of the whole run, for the order of the batches.
    The network's keep_valid_, if it has one, runs after every step. place: where to descend; afterwards the network is
    on the CPU again. log is given phase, epoch of the run, loss and learning rate after every epoch. keep is given the
    state after every epoch but the last; with it as `resume` training goes on there and ends as if never interrupted.
    classes: of the network, above which a label is refused.
    """
    if descent.epochs == 0:
        return math.nan
    network.to(memory_format=torch.channels_last).train()
    running = place.move(network)
    if teacher is not None:
        teacher.to(place.device)
    keep_valid = getattr(network, "keep_valid_", lambda: None)
    loss = math.nan
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed * 7919 + first_epoch)  # dropout
        steps = number_of(data)
        optimizer = schedule = None
        for epoch in range(resume["epoch"] if resume is not None else 0, descent.epochs):
            if before_epoch is not None:
                before_epoch(epoch)
            if hasattr(data, "set_epoch"):
                data.set_epoch(first_epoch + epoch)
            if optimizer is None:
                optimizer = make_optimizer(network, descent)
                schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps * descent.epochs))
                if resume is not None:
                    _restore(resume, network, optimizer, schedule)
            total, count, rate = 0.0, 0, optimizer.param_groups[-1]["lr"]
            for number, (x, y) in enumerate(checked(data, "training", classes)):
                if x.dim() == 4:
                    x = x.contiguous(memory_format=torch.channels_last)
                x, y, weight = place.share(x, y)
                optimizer.zero_grad(set_to_none=True)
                with place.autocast():
                    value = _loss(_scores(running, x, number), x, y, descent, teacher)
                (value if weight == 1.0 else value * weight).backward()
                optimizer.step()
                schedule.step()
                keep_valid()
                total, count = total + float(value.detach()) * len(y), count + len(y)
                if not math.isfinite(total):
                    raise PlatformError(
                        f"{what}: the loss became {float(value.detach())} in epoch {epoch + 1}, batch {number + 1}; "
                        f"training diverged: try a learning rate below {descent.learning_rate:g}"
                    )
                if progress is not None:
                    progress(epoch * steps + number + 1, steps * descent.epochs)
            if name := not_finite(network):  # the loss was that before the last step
                raise PlatformError(
                    f"{what}: {name} became NaN or infinite in epoch {epoch + 1}; training diverged: "
                    f"try a learning rate below {descent.learning_rate:g}"
                )
            loss = place.mean(total / count)
            if log is not None:
                log({"phase": what, "epoch": first_epoch + epoch + 1, "loss": loss, "learning_rate": rate})
            if keep is not None and epoch + 1 < descent.epochs:
                keep(_state(epoch + 1, network, optimizer, schedule))
    place.bring_back(network)
    if teacher is not None:
        teacher.to("cpu")
    network.eval()
    return loss


def _scores(network: nn.Module, x: Tensor, number: int) -> Tensor:
    """The network's output for batch `number`."""
    try:
        return network(x)
    except ValueError as error:
        if len(x) > 1:
            raise
        raise UsageError(  # what torch says about BatchNorm
            f"training data, batch {number}: a single sample cannot be trained on ({error}); "
            "choose another batch size, or drop_last=True in the DataLoader"
        ) from None


def _state(epoch: int, network: nn.Module, optimizer, schedule) -> dict:
    """What `resume` wants: plain types and tensors."""
    return {
        "epoch": epoch,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "random": torch.get_rng_state(),
    }


def _restore(state: dict, network: nn.Module, optimizer, schedule) -> None:
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    torch.set_rng_state(state["random"])


def _loss(scores: Tensor, x: Tensor, y: Tensor, descent: Descent, teacher: nn.Module | None) -> Tensor:
    if len(y) and int(y.max()) >= scores.shape[1]:
        raise UsageError(
            f"training data: label {int(y.max())} is outside 0..{scores.shape[1] - 1}, the classes of the network"
        )
    if len(y) and int(y.min()) < 0:
        raise UsageError(f"training data: label {int(y.min())} is negative; labels count from 0")
    loss = F.cross_entropy(scores, y)
    if teacher is None or descent.distill == 0.0:
        return loss
    t = descent.temperature
    with torch.no_grad():
        target = F.softmax(teacher(x) / t, 1)
    # t^2 keeps the size of the gradient independent of the temperature.
    soft = F.kl_div(F.log_softmax(scores / t, 1), target, reduction="batchmean") * t * t
    return (1 - descent.distill) * loss + descent.distill * soft


def make_optimizer(network: nn.Module, descent: Descent) -> torch.optim.Optimizer:
    """An optimiser with weight decay on weights, and a rate of its own for each sigma.

    The gradient of a sigma sums over all n survivors of its layer; a rate divided by sqrt(n) lets sigma and the weights
    change by a like share per step. Adam divides by the gradient's size itself, so it gets the share directly.
    """
    weights, others, groups = [], [], []
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        if ".extra." in name:
            layer = network.get_submodule(name.split(".extra.")[0])
            survivors = max(1.0, float(layer.mask.sum()) / parameter.numel())
            scale = survivors**-0.5 if descent.optimizer == "sgd" else float(parameter.detach().abs().mean())
            groups.append({"params": [parameter], "lr": descent.learning_rate * scale, "weight_decay": 0.0})
        elif name.startswith("quantizers.") and descent.optimizer == "adam":
            scale = float(parameter.detach())
            groups.append({"params": [parameter], "lr": descent.learning_rate * scale, "weight_decay": 0.0})
        else:
            (weights if parameter.dim() > 1 else others).append(parameter)
    groups += [{"params": weights, "weight_decay": descent.weight_decay}, {"params": others, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    if descent.optimizer == "sgd":
        return torch.optim.SGD(groups, descent.learning_rate, descent.momentum, nesterov=descent.momentum > 0)
    if descent.optimizer == "adam":
        return torch.optim.Adam(groups, descent.learning_rate, (descent.momentum, 0.999))
    raise UsageError(f'optimizer {descent.optimizer!r} is not known; choose "sgd" or "adam"')


def not_finite(network: nn.Module) -> str | None:
    """Name of the first parameter or buffer that holds NaN or infinity."""
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            return name
    return None


def float_accuracy(model: nn.Module, batches: Iterable, split: str) -> float:
    """Fraction of samples that a float model classifies rightly."""
    was_training = model.training
    model.eval()
    right = total = 0
    with torch.no_grad():
        for x, y in checked(batches, split):
            scores = model(x)
            right += int((scores.argmax(1) == y).sum())
            total += len(y)
    model.train(was_training)
    return right / total
