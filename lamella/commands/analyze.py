"""`lamella analyze`: what is in a model, and what it will cost, without a compiler."""

import argparse

from lamella import arguments, output

HELP = "what is in a model, per layer, and what it will cost; needs no compiler"
EXAMPLES = """\
lamella analyze model.onnx
lamella analyze model.onnx --board qemu_microbit --optimize flash
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL.onnx [--board B]."""
    arguments.add_model(parser)
    arguments.add_board(parser, required=False)


def run(args: argparse.Namespace) -> int:
    """Prints; 0."""
    from lamella import footprint, pipeline

    name = args.board or "host"
    arguments.boards_of([name])
    compiled = pipeline.compile_model(args.model, name, graph=arguments.graph_of(args), **arguments.how(args))
    graph, model = compiled.graph, compiled.model
    layers = footprint.layers(graph)
    data = {
        "model": str(args.model),
        "sha256": model.sha256,
        "name": model.name,
        "board": name,
        "inputs": [_port(graph, port) for port in graph.caller_inputs],
        "outputs": [_port(graph, port) for port in graph.caller_outputs],
        "states": [{"input": s.before, "output": s.after, "bytes": s.first.nbytes} for s in graph.states],
        "weights": model.weights,
        "weight_bytes": model.weight_bytes,
        "float32_bytes": 4 * model.weights,
        "macs": model.macs,
        "arena_bytes": compiled.plan.arena_bytes,
        "arena_lower_bound": compiled.plan.lower_bound,
        "estimated_instructions": sum(layer["estimated_instructions"] for layer in layers),
        "in_float": [{"node": name, "reason": why} for name, why in graph.in_float.items()],
        "layers": layers,
    }
    output.emit(args, data)
    if output.speaks(args):
        _print(data)
    return 0


def _port(graph, port) -> dict:
    tensor = graph.tensor_of(port)
    q = tensor.quantization
    return {
        "name": port.name,
        "shape": list(tensor.shape),
        "type": port.dtype,
        "raw_type": port.raw_dtype,
        "scale": None if q is None else q.scale,
        "zero_point": None if q is None else q.zero - port.offset,
    }


def _print(data: dict) -> None:
    print(f"model        {data['model']}, sha256 {data['sha256'][:16]}")
    for word in ("inputs", "outputs"):
        for p in data[word]:
            shape = "x".join(map(str, p["shape"][1:]))
            print(
                f"{word[:-1]:12} {p['name']}: {shape} {p['type']}"
                + (
                    f", {p['raw_type']} inside, scale {p['scale']:.6g}, zero point {p['zero_point']}"
                    if p["scale"]
                    else ""
                )
            )
    for state in data["states"]:
        print(f"state        {state['input']} is {state['output']} of the call before, {state['bytes']:,} bytes")
    saved = 100 * (1 - data["weight_bytes"] / max(data["float32_bytes"], 1))
    print(f"weights      {data['weights']:,} in {data['weight_bytes']:,} bytes ({saved:.1f} % less than float32)")
    print(f"MACs         {data['macs']:,}")
    print(f"arena        {data['arena_bytes']:,} bytes, of which tensors at least {data['arena_lower_bound']:,}")
    print(
        f"instructions about {data['estimated_instructions']:,} per inference (a rough estimate; `lamella footprint` counts)"
    )
    rows = [
        [
            e["name"],
            e["op"],
            e["details"],
            e["kernel"],
            e["format"],
            e["weights"],
            e["density"],
            e["weight_bytes"],
            e["macs"],
            e["estimated_instructions"],
        ]
        for e in data["layers"]
    ]
    output.table(
        ["layer", "operator", "", "kernel", "format", "weights", "density", "bytes", "MACs", "instructions (est.)"],
        rows,
    )
    for e in data["layers"]:
        if e["reason"]:
            print(f"{e['name']}: {e['format']} is {e['reason']}")
