"""What a training's metrics say of bytes, as the code generator deploys the model."""

from pathlib import Path

from lamella import footprint, pipeline


def with_deployed_bytes(metrics: dict, model: Path) -> dict:
    """Metrics with format and bytes of each layer as `lamella footprint` gives them by default.

    "smallest" says what `--optimize flash` makes of the same weights.
    """
    chosen, smallest = _layers(model, "balanced"), _layers(model, "flash")
    layers = []
    for layer in metrics["layers"]:
        entry = chosen[layer["name"]]
        deployed = {
            "format": entry["format"],
            "bytes": entry["weight_bytes"],
            "bits_per_weight": entry["bits_per_weight"],
        }
        layers.append({**layer, **deployed})
    return {**metrics, "layers": layers, **_total(chosen), "smallest": _total(smallest)}


def _layers(model: Path, optimize: str) -> dict[str, dict]:
    compiled = pipeline.compile_model(model, "host", optimize)
    return {layer["name"]: layer for layer in footprint.layers(compiled.graph) if layer["weights"]}


def _total(layers: dict[str, dict]) -> dict:
    size = sum(layer["weight_bytes"] for layer in layers.values())
    weights = sum(layer["weights"] for layer in layers.values())
    return {"weight_bytes": size, "compression_vs_float32": 4 * weights / size}
