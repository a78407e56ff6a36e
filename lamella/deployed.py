"""What a training is told by the code generator: bytes and instructions of layers, and flash, as they are deployed."""

from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lamella import boards, elf, footprint, pipeline, programs
from lamella.codegen import passes

if TYPE_CHECKING:
    from lamella.trainer.frozen import FrozenNetwork
    from lamella.trainer.sizes import Price, Prices


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


#: What layers compare by where nothing else is said.
COMPARED = {"flash": "bytes", "speed": "instructions", "balanced": "product"}


def prices(board: str, optimize: str, by: str | None = None) -> "Prices":
    """What layers take on a board, in the kernels and formats that the generator chooses for it; instructions by its measured
    tables of cost.

    by: "bytes", "instructions" or "product" is what ways to store a layer are compared by, as `optimize` has it by default;
    in a product a hundredth of one weighs as a hundredth of the other.
    """
    from lamella.trainer import export_onnx
    from lamella.trainer.sizes import Price

    # What saves RAM does not depend on the weights.
    optimize = "balanced" if optimize == "ram" else optimize
    target = pipeline.target_of(boards.load(board), optimize)
    by = by or COMPARED[optimize]

    def find(network: "FrozenNetwork", names: Collection[str]) -> dict[str, "Price"]:
        with TemporaryDirectory() as folder:
            model = Path(folder) / "model.onnx"
            export_onnx.save(network, model)
            graph = passes.lower(pipeline.read_graph(model), target, optimize)
        entries = {layer["name"]: layer for layer in footprint.layers(graph) if layer["weights"]}
        found = {}
        for name in names:
            size, count = entries[name]["weight_bytes"], float(entries[name]["estimated_instructions"])
            cost = {"bytes": size, "instructions": count, "product": size * count}[by]
            found[name] = Price(size, cost, count)
        return found

    return find


def layer_instructions(network: "FrozenNetwork", board: str, optimize: str) -> int:
    """Estimated instructions of an inference, in all layers with weights."""
    priced = prices(board, optimize)(network, list(network.layers))
    return round(sum(price.instructions for price in priced.values()))


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
