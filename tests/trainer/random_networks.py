"""Random small networks for properties: convolution, depthwise, BatchNorm, ReLU, pooling, residual, concat, linear."""

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import nn

CHANNELS = 4
SIZE = 10


class Convolution(nn.Module):
    """A convolution of any kind that keeps rows and columns, with what may stand behind it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int, depthwise: bool, norm: bool, after: str):
        super().__init__()
        groups = inputs if depthwise else 1
        pad = dilation * (kernel - 1) // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, 1, pad, dilation, groups, bias=not norm)
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        self.after = {"relu": nn.ReLU(), "relu6": nn.ReLU6(), "clip": nn.Hardtanh(-0.5, 0.75), "none": nn.Identity()}[
            after
        ]

    def forward(self, x):
        return self.after(self.norm(self.conv(x)))


class RandomNet(nn.Module):
    """A stem and a list of steps; every step sees (CHANNELS * k, rows, columns)."""

    def __init__(self, steps: list, softmax: bool, seed: int):
        super().__init__()
        torch.manual_seed(seed)
        self.stem = Convolution(2, CHANNELS, 3, 1, False, seed % 2 == 0, "relu")
        self.kinds = [kind for kind, _ in steps]
        self.steps = nn.ModuleList()
        channels, size = CHANNELS, SIZE
        for kind, options in steps:
            self.steps.append(Convolution(channels, channels, **options))
            if kind == "concat":
                channels *= 2
            if kind in ("maxpool", "avgpool") and size >= 4:
                size //= 2
        self.whole = seed % 3 == 0
        self.fc = nn.Linear(channels if self.whole else channels * size * size, 3)
        self.softmax = softmax
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, -1.5, 1.5)
                module.weight.data[0] = 0.0
                nn.init.uniform_(module.bias, -0.5, 0.5)
                nn.init.uniform_(module.running_mean, -0.5, 0.5)
                nn.init.uniform_(module.running_var, 0.3, 2.0)

    def forward(self, x):
        x = self.stem(x)
        size = SIZE
        for kind, step in zip(self.kinds, self.steps, strict=True):
            y = step(x)
            if kind == "residual":
                x = F.relu(x + y)
            elif kind == "concat":
                x = torch.cat([y, x], 1)
            elif kind == "maxpool" and size >= 4:
                x, size = F.max_pool2d(y, 2), size // 2
            elif kind == "avgpool" and size >= 4:
                x, size = F.avg_pool2d(y, 2), size // 2
            elif kind == "padded":
                x = F.avg_pool2d(F.max_pool2d(y, 3, 1, 1), 3, 1, 1, count_include_pad=False)
            else:
                x = y
        x = F.adaptive_avg_pool2d(x, 1).flatten(1) if self.whole else x.flatten(1)
        scores = self.fc(x)
        return scores.softmax(1) if self.softmax else scores


OPTIONS = st.fixed_dictionaries(
    {
        "kernel": st.sampled_from([1, 3]),
        "dilation": st.sampled_from([1, 2]),
        "depthwise": st.booleans(),
        "norm": st.booleans(),
        "after": st.sampled_from(["relu", "relu6", "clip", "none"]),
    }
)
KINDS = st.sampled_from(["plain", "residual", "concat", "maxpool", "avgpool", "padded"])


@st.composite
def random_networks(draw, most_steps: int = 4) -> nn.Module:
    """A network in eval mode with inputs (2, SIZE, SIZE) and three classes."""
    steps = draw(st.lists(st.tuples(KINDS, OPTIONS), max_size=most_steps))
    return RandomNet(steps, draw(st.booleans()), draw(st.integers(0, 1000))).eval()
