"""onnxruntime as the outside witness of an exported file."""

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from lamella.trainer import integer
from lamella.trainer.frozen import FrozenNetwork


def compare(path: Path, network: FrozenNetwork, inputs: Tensor) -> dict:
    """How far onnxruntime's output levels are from the integer mode: largest difference, equal fraction, top class.

    Optimisations are off, as its fused kernels saturate sums on some processors. It rounds half to even and computes in
    float32, so a level may move now and then, and in deep networks such moves add up.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    affine = network.affines[network.graph.output.name]
    theirs = np.concatenate(
        [session.run(None, {network.graph.input.name: chunk.numpy()})[0] for chunk in inputs.split(integer.CHUNK)]
    )
    theirs = np.rint(theirs / np.float32(affine.scale)).astype(np.int64) + affine.zero
    ours = integer.outputs(network, inputs).numpy().astype(np.int64)
    difference = np.abs(theirs - ours)
    # A tie for the top class is no disagreement.
    top = np.take_along_axis(ours, theirs.argmax(1)[:, None], 1)[:, 0] == ours.max(1)
    return {
        "samples": len(inputs),
        "max_level_difference": int(difference.max()),
        "equal_fraction": float((difference == 0).mean()),
        "top1_agreement": float(top.mean()),
    }
