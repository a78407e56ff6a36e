"""Bias correction (Nagel et al. 2019): what rounding the weights adds to a layer's output on average goes off its bias."""

from collections.abc import Mapping

import numpy as np
import onnx

from lamella.calibration.layers import Layer, layers, store


def rounded(weight: np.ndarray) -> np.ndarray:
    """Weights as 8 bits with one symmetric scale per output channel hold them."""
    flat = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    scale = np.where(flat > 0, flat, 1.0).reshape(-1, *[1] * (weight.ndim - 1)) / 127
    return np.rint(weight / scale) * scale


def correct_(model: onnx.ModelProto, means: Mapping[str, np.ndarray]) -> int:
    """Corrects every layer whose input's channel means are known, in place. Returns the number of layers."""
    done = 0
    for layer in list(layers(model)):
        mean = means.get(layer.node.input[0])
        shift = None if mean is None else _shift(layer, mean)
        if shift is not None:
            layer.bias -= shift
            store(model, layer)
            done += 1
    return done


def _shift(layer: Layer, mean: np.ndarray) -> np.ndarray | None:
    """Mean error of each output channel for inputs with these channel means; padding counts as the mean."""
    error = rounded(layer.weight) - layer.weight
    error = error.reshape(len(error), error.shape[1], -1).sum(axis=2)  # (out, in of the group)
    if len(mean) != error.shape[1] * layer.group:
        return None
    group = np.repeat(mean.reshape(layer.group, -1), len(error) // layer.group, axis=0)
    return (error * group).sum(axis=1)
