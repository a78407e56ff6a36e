"""Small torch networks of the kinds that people bring, exported by both exporters and quantised by onnxruntime."""

import logging
import warnings

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from torch import nn


class Plain(nn.Module):
    """Convolutions, batch normalisation, pooling, two dense layers."""

    shape = (3, 16, 16)

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 12, 3, padding=1, stride=2), nn.BatchNorm2d(12), nn.ReLU6(), nn.AvgPool2d(2), nn.Flatten(),
            nn.Linear(48, 16), nn.ReLU(), nn.Linear(16, 5),
        )  # fmt: skip

    def forward(self, x):
        return self.body(x)


class Mobile(nn.Module):
    """An inverted residual with hard-swish and squeeze-and-excitation, and a head."""

    shape = (3, 12, 12)

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.expand, self.depth = nn.Conv2d(8, 16, 1), nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.squeeze, self.excite = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)
        self.project, self.head = nn.Conv2d(16, 8, 1), nn.Linear(8, 4)

    def forward(self, x):
        x = F.hardswish(self.stem(x))
        y = F.hardswish(self.depth(F.hardswish(self.expand(x))))
        s = F.hardsigmoid(self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1)))))
        x = x + self.project(y * s)
        return torch.softmax(self.head(x.mean((2, 3))), dim=1)


class Unet(nn.Module):
    """Down, and up again by transposed convolution, nearest and bilinear upsampling, with concatenations."""

    shape = (1, 16, 16)

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (
            nn.Conv2d(1, 6, 3, padding=1),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.Conv2d(8, 8, 3, padding=1),
        )
        self.up = nn.ConvTranspose2d(8, 6, 2, stride=2)
        self.wide = nn.ConvTranspose2d(6, 6, 4, stride=2, padding=1)
        self.d, self.e = nn.Conv2d(14, 6, 3, padding=1), nn.Conv2d(18, 2, 1)

    def forward(self, x):
        a = F.relu(self.a(x))
        b = F.relu(self.b(F.max_pool2d(a, 2)))
        c = F.relu(self.c(F.max_pool2d(b, 2)))
        d = F.relu(self.d(torch.cat([self.up(c), b], 1)))
        near = F.interpolate(d, scale_factor=2, mode="nearest")
        smooth = F.interpolate(d, scale_factor=2, mode="bilinear", align_corners=False)
        return self.e(torch.cat([near + self.wide(d), smooth, a], 1))


class Attention(nn.Module):
    """One block of a tiny transformer over 6 places and a class token, with two heads."""

    shape = (6, 16)

    def __init__(self):
        super().__init__()
        self.norm, self.other = nn.LayerNorm(16), nn.LayerNorm(16)
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.wide, self.narrow = nn.Linear(16, 32), nn.Linear(32, 16)
        self.token, self.place = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 7, 16))
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.place
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=2)
        q, k, v = (t.reshape(-1, 7, 2, 8).transpose(1, 2) for t in (q, k, v))
        weights = torch.softmax(q @ k.transpose(2, 3) * 8**-0.5, dim=3)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(-1, 7, 16))
        x = x + self.narrow(F.gelu(self.wide(self.other(x))))
        return self.head(x[:, 0] + x.mean(1))


class Functions(nn.Module):
    """Activation functions with a formula, channel-wise arithmetic, clamping, an index as the result."""

    shape = (4, 8, 8)

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 6, 3, padding=1), nn.Conv2d(6, 6, 1)
        self.scale = nn.Parameter(torch.rand(1, 6, 1, 1) + 0.5)
        self.shift = nn.Parameter(torch.randn(6, 1, 1))
        self.slope = nn.PReLU(6)
        self.last = nn.Conv2d(6, 5, 1)

    def forward(self, x):
        x = F.silu(self.a(x))
        x = self.slope(self.b(x)) * self.scale + self.shift
        x = torch.clamp(x, -2, 2) - F.leaky_relu(x, 0.1)
        return torch.softmax(self.last(x), dim=1).permute(0, 2, 3, 1)


NETWORKS = (Plain, Mobile, Unet, Attention, Functions)


def export(kind: type, path, dynamo: bool) -> onnx.ModelProto:
    """A float ONNX file of a network with seeded weights."""
    torch.manual_seed(0)
    network = kind().eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(network, (torch.randn(1, *kind.shape),), str(path), dynamo=dynamo, opset_version=18,
                              input_names=["x"], output_names=["y"], external_data=False, **({"verbose": False} if dynamo else {}))  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)
    return onnx.load(path)


def quantize(source, target, shape: tuple[int, ...], form: str, unsigned: bool = True) -> None:
    """What onnxruntime's quantize_static makes of a float file; form: "QDQ" or "QOperator"."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    rng = np.random.default_rng(0)

    class Samples(CalibrationDataReader):
        left = 8

        def get_next(self):
            self.left -= 1
            return {"x": rng.normal(0, 1, (1, *shape)).astype(np.float32)} if self.left >= 0 else None

    logging.disable(logging.WARNING)
    prepared = str(target) + ".prepared.onnx"
    try:
        quant_pre_process(str(source), prepared)
        quantize_static(
            prepared, str(target), Samples(), quant_format=QuantFormat[form], per_channel=True,
            activation_type=QuantType.QUInt8 if unsigned else QuantType.QInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)
