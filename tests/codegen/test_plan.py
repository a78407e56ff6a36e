"""Memory plans: live slots never overlap, the bound holds, in-place and views share memory."""

from dataclasses import replace

from draw import Draw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamella.codegen import plan
from lamella.codegen.ir import Choice, Graph, Node, Port, Quantization, Tensor


def chain(draw: Draw) -> Graph:
    """A random graph of operators that a planner can tell apart: in place, views, several inputs; sizes at random."""
    tensors = {"x": Tensor("x", (1, draw.integer(1, 50)), Quantization(1.0, 0))}
    nodes = []
    for k in range(draw.integer(1, 9)):
        kind = draw.choice(["dense", "dense", "rescale", "reshape", "add", "concat"])
        names = list(tensors)
        first = names[draw.integer(0, len(names) - 1)]
        same = [n for n in names if tensors[n].shape == tensors[first].shape]
        inputs = (first,)
        shape = tensors[first].shape
        if kind == "dense":
            shape = (1, draw.integer(1, 50))
        elif kind == "add":
            inputs = (first, same[draw.integer(0, len(same) - 1)])
        elif kind == "concat":
            inputs = (first, names[draw.integer(0, len(names) - 1)])
            shape = (1, sum(tensors[n].shape[1] for n in inputs))
        name = f"t{k}"
        tensors[name] = Tensor(name, shape, Quantization(1.0, 0))
        choice = None if kind == "reshape" else Choice("k", scratch_bytes=draw.choice([0, 0, draw.integer(1, 30)]))
        nodes.append(Node(kind, f"n{k}", inputs, name, None, choice))
    outputs = tuple(Port(n, n, "uint8", "uint8") for n in {f"t{draw.integer(0, len(nodes) - 1)}", nodes[-1].output})
    return Graph("g", (Port("x", "x", "uint8", "uint8"),), outputs, tensors, tuple(nodes))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_live_slots_never_overlap(data):
    graph = chain(Draw(lambda low, high: data.draw(st.integers(low, high))))
    memory = plan.plan_memory(graph)
    for i, a in enumerate(memory.slots):
        assert a.offset % plan.ALIGN == 0
        assert a.offset + a.size <= memory.arena_bytes
        for b in memory.slots[i + 1 :]:
            assert not a.overlaps(b) or a.offset + a.size <= b.offset or b.offset + b.size <= a.offset, (a, b)
    assert set(memory.offsets) == set(graph.tensors)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_execution_by_the_plan_reads_what_was_written(data):
    """Run the graph on one array of owners: whoever reads a tensor must find the node that wrote it."""
    graph = chain(Draw(lambda low, high: data.draw(st.integers(low, high))))
    memory = plan.plan_memory(graph)
    owner = plan.owners(graph)
    arena = [None] * memory.arena_bytes

    def write(name, offset, size):
        arena[offset : offset + size] = [name] * size

    for port in graph.inputs:
        write(port.tensor, memory.offsets[port.tensor], graph.tensors[port.tensor].bytes)
    for node in graph.nodes:
        for name in node.inputs:
            at, size = memory.offsets[name], graph.tensors[name].bytes
            assert arena[at : at + size] == [owner[name]] * size
        if node.choice is not None:
            if node.choice.scratch_bytes:
                at = memory.scratch[node.name]
                before = list(arena)
                write("scratch", at, node.choice.scratch_bytes)
                for name in node.inputs:  # scratch may not touch the inputs
                    start, size = memory.offsets[name], graph.tensors[name].bytes
                    assert arena[start : start + size] == before[start : start + size]
            write(node.output, memory.offsets[node.output], graph.tensors[node.output].bytes)
    for port in graph.outputs:
        at, size = memory.offsets[port.tensor], graph.tensors[port.tensor].bytes
        assert arena[at : at + size] == [owner[port.tensor]] * size


def test_chain_of_in_place_operators_needs_one_buffer():
    q = Quantization(1.0, 0)
    tensors = {n: Tensor(n, (1, 100), q) for n in ("x", "a", "b", "c")}
    nodes = (
        Node("rescale", "one", ("x",), "a", None, Choice("k")),
        Node("reshape", "two", ("a",), "b", None),
        Node("rescale", "three", ("b",), "c", None, Choice("k")),
    )
    port = Port("x", "x", "uint8", "uint8")
    graph = Graph("g", (port,), (replace(port, name="c", tensor="c"),), tensors, nodes)
    memory = plan.plan_memory(graph)
    assert memory.arena_bytes == 100
    assert memory.lower_bound == 200  # without credit for working in place


def test_lower_bound_is_the_largest_sum_alive():
    q = Quantization(1.0, 0)
    tensors = {n: Tensor(n, (1, size), q) for n, size in {"x": 10, "a": 40, "b": 30, "c": 5}.items()}
    nodes = (
        Node("dense", "one", ("x",), "a", None, Choice("k", scratch_bytes=500)),
        Node("dense", "two", ("a",), "b", None, Choice("k")),
        Node("concat", "three", ("x", "b"), "c", None, Choice("k")),
    )
    port = Port("x", "x", "uint8", "uint8")
    graph = Graph("g", (port,), (replace(port, name="c", tensor="c"),), tensors, nodes)
    assert plan.live_bytes(graph) == [50, 80, 45]
    assert plan.plan_memory(graph).lower_bound == 80
