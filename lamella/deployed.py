"""What a training's metrics say of bytes, as the code generator deploys the model."""

from pathlib import Path

from lamella import elf, footprint, pipeline, programs


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


def flash_bytes(model: Path, board: str, optimize: str) -> int:
    """Flash of a minimal firmware with the model, linked."""
    compiled = pipeline.compile_model(model, board, optimize)
    program = programs.minimal_program(compiled, enlarged=compiled.board.flash is not None)
    return elf.measure(program, compiled.board, compiled.model.weight_symbols, programs.ARENA_SYMBOL).flash_total


def _layers(model: Path, optimize: str) -> dict[str, dict]:
    compiled = pipeline.compile_model(model, "host", optimize)
    return {layer["name"]: layer for layer in footprint.layers(compiled.graph) if layer["weights"]}


def _total(layers: dict[str, dict]) -> dict:
    size = sum(layer["weight_bytes"] for layer in layers.values())
    weights = sum(layer["weights"] for layer in layers.values())
    return {"weight_bytes": size, "compression_vs_float32": 4 * weights / size}
