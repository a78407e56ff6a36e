"""What metrics.json says of a compressed network."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from lamella.trainer import checkpoint
from lamella.trainer.decisions import points_lost
from lamella.trainer.layerwise import CompressResult
from lamella.trainer.sizes import smallest_format

FLOAT32_BYTES = 4


def layer_metrics(result: CompressResult) -> list[dict]:
    """One record a layer, in the order of execution. order: significance from 1 (least), null if not to be collapsed.

    accepted: whether the layer is collapsed in the final network.
    """
    decisions = {decision.name: decision for decision in result.decisions}
    records = []
    for name, layer in result.frozen.layers.items():
        form, size = smallest_format(layer.levels)
        density = float(np.count_nonzero(layer.levels)) / layer.levels.size
        decision = decisions.get(name)
        records.append(
            {
                "name": name,
                "rule": layer.rule,
                "format": form,
                "sparsity": 1.0 - density,
                "density": density,
                "weights": int(layer.levels.size),
                "bytes": int(size),
                "bits_per_weight": 8.0 * size / layer.levels.size,
                "order": result.layer_order.index(name) + 1 if name in result.layer_order else None,
                "accepted": decision is not None and decision.accepted,
                "validation_drop": decision.drop if decision is not None else None,
                "reason": decision.reason(result.options.layer_drop) if decision is not None else _kept(result, name),
            }
        )
    return records


def _kept(result: CompressResult, name: str) -> str:
    """Why a layer that no rung was tried on is stored as it is."""
    if name not in result.network.compressible:
        return "a BatchNorm alone: int8, it has no weights to compress"
    if name in result.options.keep:
        return "kept: int8, as the option keep says"
    if name not in result.layer_order:
        return "as the method says"
    return "not reached: int8" if result.fits is None else "the budget did not ask for it: int8"


def network_metrics(result: CompressResult, float_accuracy: float, accuracy: float, test_samples: int) -> dict:
    """The network's part of metrics.json; accuracies are fractions of 1 on the test split, drops percentage points."""
    layers = layer_metrics(result)
    weights, size = sum(r["weights"] for r in layers), sum(r["bytes"] for r in layers)
    return {
        "float_accuracy": float_accuracy,
        "accuracy": accuracy,
        "drop": points_lost(float_accuracy, accuracy),
        "validation_float_accuracy": result.float_validation_accuracy,
        "validation_accuracy": result.validation_accuracy,
        "validation_drop": result.validation_drop,
        "final_data": result.options.final_data,
        "max_drop": result.options.max_drop,
        "layers": layers,
        "points": [asdict(point) for point in result.points],
        "weights": weights,
        "weight_bytes": size,
        "sparsity": 1.0 - sum(r["density"] * r["weights"] for r in layers) / weights,
        "compression_vs_float32": FLOAT32_BYTES * weights / size,
        "test_samples": test_samples,
    }


def save(metrics: dict, path: Path) -> None:
    """Writes JSON beside `path` and renames it."""
    checkpoint.save_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n", path)
