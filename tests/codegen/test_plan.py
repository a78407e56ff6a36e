"""Memory plans: live slots never overlap, the bound holds, in-place and views share memory."""

from dataclasses import replace
from itertools import permutations

from draw import Draw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamella.codegen import order, pack, plan
from lamella.codegen.ir import Choice, Graph, Node, Port, Quantization, Tensor
from lamella.codegen.join import join_concats
from lamella.codegen.operators.concat import Concat


def chain(draw: Draw, joined: bool = True) -> Graph:
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
            shape = (1, draw.choice([4, 8, 12, draw.integer(1, 50)]))
        elif kind == "add":
            inputs = (first, same[draw.integer(0, len(same) - 1)])
        elif kind == "concat":
            inputs = (first, names[draw.integer(0, len(names) - 1)])
            shape = (1, sum(tensors[n].shape[1] for n in inputs))
        name = f"t{k}"
        tensors[name] = Tensor(name, shape, Quantization(1.0, 0))
        choice = None if kind == "reshape" else Choice("k", scratch_bytes=draw.choice([0, 0, draw.integer(1, 30)]))
        attributes = Concat(1, (None,) * len(inputs)) if kind == "concat" else None
        nodes.append(Node(kind, f"n{k}", inputs, name, attributes, choice))
    outputs = tuple(Port(n, n, "uint8", "uint8") for n in {f"t{draw.integer(0, len(nodes) - 1)}", nodes[-1].output})
    graph = Graph("g", (Port("x", "x", "uint8", "uint8"),), outputs, tensors, tuple(nodes))
    graph = join_concats(graph) if joined else graph
    nodes = [replace(node, choice=None) if node.op == "join" else node for node in graph.nodes]
    return replace(graph, nodes=tuple(nodes))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_live_slots_never_overlap(data):
    graph = chain(Draw(lambda low, high: data.draw(st.integers(low, high))))
    memory = plan.plan_memory(graph)
    for i, a in enumerate(memory.slots):
        assert a.offset % pack.ALIGN == 0
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
            write(owner[node.output], memory.offsets[node.output], graph.tensors[node.output].bytes)
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


def test_parts_of_a_concatenation_are_made_where_they_belong():
    """Also the part that is a concatenation itself; one that begins where words cannot be read is copied."""
    q, ports = Quantization(1.0, 0), [Port(n, n, "uint8", "uint8") for n in ("x", "d")]

    def graph(size: int) -> Graph:
        sizes = {"x": 4, "a": size, "b": 8, "c": size + 8, "e": 12, "d": size + 20}
        tensors = {name: Tensor(name, (1, n), q) for name, n in sizes.items()}
        nodes = [Node("dense", f"make {name}", ("x",), name, None) for name in "ab"]
        nodes.append(Node("concat", "inner", ("a", "b"), "c", Concat(1, (None, None))))
        nodes.append(Node("dense", "make e", ("x",), "e", None))
        nodes.append(Node("concat", "outer", ("e", "c"), "d", Concat(1, (None, None))))
        return join_concats(Graph("g", (ports[0],), (ports[1],), tensors, tuple(nodes)))

    joined = graph(16)
    assert [node.op for node in joined.nodes] == ["dense", "dense", "join", "dense", "join"]
    memory = plan.plan_memory(joined)
    start = memory.offsets["d"]
    assert {name: memory.offsets[name] - start for name in "eacb"} == {"e": 0, "a": 12, "c": 12, "b": 28}
    assert memory.arena_bytes == 4 + 36
    assert [node.op for node in graph(15).nodes if node.op == "join"] == ["join"]  # the outer one


def test_a_concatenation_is_copied_where_its_result_would_be_held_for_long():
    q, ports = Quantization(1.0, 0), [Port(n, n, "uint8", "uint8") for n in ("x", "d")]
    sizes = {"x": 4, "a": 4, "big": 100, "bigger": 120, "b": 40, "d": 44}
    tensors = {name: Tensor(name, (1, n), q) for name, n in sizes.items()}
    chain = [("x", "a"), ("a", "big"), ("big", "bigger"), ("bigger", "b")]
    nodes = [Node("dense", f"make {y}", (x,), y, None) for x, y in chain]
    nodes.append(Node("concat", "concat", ("a", "b"), "d", Concat(1, (None, None))))
    graph = Graph("g", (ports[0],), (ports[1],), tensors, tuple(nodes))
    assert join_concats(graph) == graph and plan.lower_bound(graph) == 4 + 100 + 120
    shorter = replace(graph, nodes=(*graph.nodes[:2], replace(graph.nodes[3], inputs=("big",)), graph.nodes[4]))
    assert join_concats(shorter).nodes[-1].op == "join"  # 44 + 100 either way


def best_by_trying(graph: Graph) -> int:
    """The least peak of all orders in which every node finds its inputs."""
    best = 1 << 30
    for nodes in permutations(graph.nodes):
        made = {port.tensor for port in graph.inputs}
        for node in nodes:
            if not made >= set(node.inputs):
                break
            made.add(node.output)
        else:
            best = min(best, max(plan.live_bytes(replace(graph, nodes=nodes))))
    return best


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_order_of_execution_takes_less(data):
    graph = chain(Draw(lambda low, high: data.draw(st.integers(low, high))), joined=False)
    if len(graph.nodes) > 6:
        return
    ordered = order.best_order(graph)
    assert sorted(n.name for n in ordered.nodes) == sorted(n.name for n in graph.nodes)
    assert max(plan.live_bytes(ordered)) == best_by_trying(graph)


def test_branches_run_one_after_the_other_where_that_takes_less():
    q = Quantization(1.0, 0)
    sizes = {"x": 10, "a": 100, "b": 90, "c": 5, "d": 5, "y": 10}
    tensors = {n: Tensor(n, (1, size), q) for n, size in sizes.items()}
    ways = [("a", "x"), ("b", "x"), ("c", "a"), ("d", "b")]
    nodes = (*(Node("dense", y, (x,), y, None) for y, x in ways), Node("concat", "y", ("c", "d"), "y", None))
    port = Port("x", "x", "uint8", "uint8")
    graph = Graph("g", (port,), (replace(port, name="y", tensor="y"),), tensors, nodes)
    assert max(plan.live_bytes(graph)) == 200
    ordered = order.best_order(graph)
    assert [n.name for n in ordered.nodes] == ["a", "c", "b", "d", "y"]
    assert max(plan.live_bytes(ordered)) == 115
    assert order.best_order(ordered) is ordered


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
