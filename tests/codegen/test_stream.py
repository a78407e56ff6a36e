"""Layers by strips of rows: the same bytes as over whole images, whatever the network, and the RAM that they save."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from draw import Draw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamella import boards, errors, firmware, footprint, pipeline, vectors, verify
from lamella.codegen import choose, emit, plan, reference, stream
from lamella.codegen.ir import Graph, Node, Port, Tensor
from lamella.codegen.operators import add, sampling
from lamella.codegen.operators.avgpool2d import AvgPool2d
from lamella.codegen.operators.concat import Concat
from lamella.codegen.operators.conv2d import Conv2d, Pool
from lamella.codegen.operators.maxpool2d import MaxPool2d
from lamella.codegen.operators.rescale import Rescale
from lamella.codegen.operators.transpose import Transpose
from lamella.codegen.operators.windows import Window

MODELS = Path(__file__).resolve().parents[1] / "models"
RESNET8 = MODELS / "mlperf_tiny_resnet8_cifar10_int8_qdq.onnx"


class Network:
    """A random network that grows operator by operator; `current` is the tensor at its end."""

    def __init__(self, draw: Draw):
        self.draw = draw
        shape = (1, draw.integer(1, 3), draw.integer(6, 19), draw.integer(3, 9))
        self.current = draw.tensor("x", shape)
        self.tensors, self.nodes = {"x": self.current}, []
        self.port = Port("x", "x", "uint8", draw.choice(["uint8", "int8"]))
        self.port = replace(self.port, dtype=self.port.raw_dtype)
        if draw.choice([False, False, True]):
            _, c, h, w = shape
            self.tensors["x"] = replace(self.current, shape=(1, h, w, c))
            self.append("transpose", ["x"], shape, self.current.quantization, Transpose(1, h * w, c, 1))

    def append(self, op: str, inputs: list[str], shape, quantization, attributes) -> Tensor:
        name = f"t{len(self.nodes)}"
        self.tensors[name] = self.current = Tensor(name, shape, quantization)
        self.nodes.append(Node(op, f"n{len(self.nodes)}", tuple(inputs), name, attributes))
        return self.current

    def window(self, size) -> Window:
        """A window that fits; its padding is below its reach."""
        draw = self.draw
        dilation = (draw.choice([1, 1, 1, 2]), 1)
        most = [(n - 1) // d + 1 for n, d in zip(size, dilation, strict=True)]
        kernel = tuple(draw.integer(1, min(5, n)) for n in most)
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        pads = tuple(draw.integer(0, min(2, reach[i % 2] - 1)) for i in range(4))
        return Window(kernel, (draw.choice([1, 1, 2, 2, 3]), draw.integer(1, 2)), dilation, pads)

    def conv(self, x: Tensor, window: Window, out_c: int | None = None, pool: bool = True) -> Tensor:
        draw = self.draw
        in_c = x.shape[1]
        groups = draw.choice([1, 1, in_c]) if out_c is None else 1
        out_c = out_c or groups * draw.integer(1, 3)
        levels, scales = draw.levels((out_c, in_c // groups, *window.kernel)), draw.scales(out_c)
        y = draw.quantization(x.quantization.scale * float(scales.max()) * 40)
        requant = draw.requant(x.quantization.scale, scales, y)
        attributes = Conv2d(levels, scales, draw.integers((out_c,), -3000, 3000), window, groups, requant)
        out = window.out_size(x.shape[2:])
        if pool and min(out) >= 4 and draw.choice([False, False, True]):
            fused = Window((2, 2), (draw.integer(2, 3), 2))
            attributes, out = replace(attributes, pool=Pool("max", fused)), fused.out_size(out)
        return self.append("conv2d", [x.name], (1, out_c, *out), y, attributes)

    def block(self) -> None:
        draw, x = self.draw, self.current
        kind = draw.choice(["conv", "conv", "conv", "max", "average", "residual", "strided", "concat", "clamp"])
        window = self.window(x.shape[2:])
        if kind == "conv":
            self.conv(x, window)
        elif kind == "max":
            out = window.out_size(x.shape[2:], draw.choice([False, True]))
            self.append("maxpool2d", [x.name], (1, x.shape[1], *out), x.quantization, MaxPool2d(window))
        elif kind == "average":
            area = window.kernel[0] * window.kernel[1]
            y = draw.quantization(x.quantization.scale)
            requant = draw.requant(x.quantization.scale, np.array([1 / area]), y)
            shape = (1, x.shape[1], *window.out_size(x.shape[2:]))
            self.append("avgpool2d", [x.name], shape, y, AvgPool2d(window, False, requant))
        elif kind == "clamp":
            y = draw.quantization(x.quantization.scale)
            requant = draw.requant(x.quantization.scale, np.ones(1), y)
            self.append("rescale", [x.name], x.shape, y, Rescale(requant))
        else:
            same, k = Window((3, 3), pads=(1, 1, 1, 1)), draw.integer(1, 4)
            by = (2, 2) if kind == "strided" else (1, 1)
            main = self.conv(x, replace(same, stride=by), k, pool=False)
            for _ in range(draw.integer(0, 2)):
                main = self.conv(main, same, k, pool=False)
            side = self.conv(x, Window((1, 1), by), k, pool=False)
            if kind == "concat":
                self.append("concat", [side.name, main.name], (1, 2 * k, *main.shape[2:]), main.quantization,
                            Concat(1, (draw.requant(side.quantization.scale, np.ones(1), main.quantization), None)))  # fmt: skip
                return
            y = draw.quantization(max(side.quantization.scale, main.quantization.scale))
            multipliers, shift = add.multipliers_of(side.quantization.scale, main.quantization.scale, y.scale)
            self.append("add", [side.name, main.name], main.shape, y, add.Add(multipliers, shift, y.zero, 0, 255))

    def graph(self) -> Graph:
        last = self.current.name
        return Graph("net", (self.port,), (Port(last, last, "uint8", "uint8"),), self.tensors, tuple(self.nodes))


def random_network(draw: Draw) -> Graph:
    network = Network(draw)
    for _ in range(draw.integer(1, 5)):
        if network.current.shape[2] >= 4 and network.current.shape[3] >= 3:
            network.block()
    if not network.nodes:
        network.conv(network.current, Window((1, 1)))
    return network.graph()


def compiled_with(graph: Graph, board: str, optimize: str, folder: Path) -> pipeline.Compiled:
    """A graph whose first layers were made a loop, as it would be emitted."""
    loaded = boards.load(board)
    chosen = choose.choose_kernels(graph, pipeline.target_of(loaded, optimize), optimize)
    memory = plan.plan_memory(chosen)
    model = emit.describe(chosen, memory, "net", "net", "0" * 64)
    return pipeline.Compiled(folder / "net", loaded, optimize, chosen, memory, model)


def all_loops(graph: Graph, by_row: bool = False):
    """Every loop over strips of the graph's first layers, of several heights."""
    for cut in stream.cuts(graph):
        for rows in (1, 2, 3, 4, 6, 12):
            one = stream.streamed(graph, cut, rows, by_row)
            if one is not None:
                yield one


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_strips_equal_whole_images(tmp_path_factory, data):
    draw = Draw(lambda low, high: data.draw(st.integers(low, high)))
    graph = random_network(draw)
    loops = list(all_loops(graph, by_row=draw.choice([False, True])))
    if not loops:
        return
    raw = {name: array[[0, 1, -2, -1]] for name, array in vectors.seeded(graph, draw.integer(0, 99)).items()}
    expected = reference.run(graph, raw)
    loop = loops[draw.integer(0, len(loops) - 1)]
    got = reference.run(loop, raw)
    assert all(np.array_equal(got[name], expected[name]) for name in expected)
    optimize = draw.choice(["ram", "speed"])
    compiled = compiled_with(loop, "host", optimize, tmp_path_factory.mktemp("strips"))
    assert verify.verify_board(compiled, raw, expected).mismatches == 0


def test_most_random_networks_can_run_by_strips():
    """Otherwise the test above would show nothing."""
    possible = [len(list(all_loops(random_network(Draw.seeded(seed))))) for seed in range(60)]
    assert sum(n > 0 for n in possible) >= 45 and sum(possible) > 300


@pytest.mark.parametrize("board", ["qemu_mps2_an385_m0", "qemu_mps2_an386", "qemu_mps3_an547", "qemu_riscv32_virt"])
def test_strips_are_exact_on_cores(tmp_path, board):
    loaded = boards.load(board)
    for tool in (loaded.compiler.cc, loaded.runner.command[0]):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    tried = 0
    for seed in range(30):
        graph = random_network(Draw.seeded(seed))
        loops = list(all_loops(graph, by_row=bool(seed % 2)))
        if not loops or len(graph.nodes) < 3:
            continue
        raw = {name: array[[0, -1]] for name, array in vectors.seeded(graph).items()}
        compiled = compiled_with(loops[-1 - seed % len(loops)], board, ("ram", "speed")[tried % 2], tmp_path)
        assert verify.verify_board(compiled, raw, reference.run(graph, raw)).mismatches == 0, seed
        tried += 1
        if tried == 4:
            return
    raise AssertionError("no network could be tried")


def test_a_chain_keeps_what_its_windows_span():
    """Two 3x3 convolutions: windows of three rows each, and the second lags two rows behind."""
    draw = Draw.seeded(1)
    network = Network(draw)
    network.tensors = {"x": replace(network.tensors["x"], shape=(1, 2, 12, 8))}
    network.nodes, network.current = [], network.tensors["x"]
    same = Window((3, 3), pads=(1, 1, 1, 1))
    network.conv(network.conv(network.current, same, 4, pool=False), same, 4, pool=False)
    graph = network.graph()
    found = stream.flows(graph, 2, 1)
    assert [(found[n].rows, found[n].delay, found[n].window) for n in ("x", "t0", "t1")] == [
        (1, 0, 3), (1, 1, 3), (1, 2, 0),
    ]  # fmt: skip
    loop = stream.streamed(graph, 2, 1)
    assert loop.nodes[0].attributes.steps == 12 + 2
    assert plan.lower_bound(loop) == plan.lower_bound(graph) == 2 * 4 * 12 * 8


def test_what_cannot_run_by_strips_stays(tmp_path):
    """Paddings of two kinds for one tensor; a mean whose divisor depends on the edge."""
    q = Draw.seeded(3).quantization(0.05)
    x = Tensor("x", (1, 1, 8, 8), replace(q, zero=7))
    window = Window((3, 3), pads=(1, 1, 1, 1))
    requant = Draw.seeded(4).requant(1.0, np.ones(9), q)
    edge = sampling.graph("avgpool2d", [x], replace(x, name="y"), AvgPool2d(window, True, requant))
    assert list(stream.cuts(edge)) == []
    network = Network(Draw.seeded(5))
    network.tensors, network.nodes, network.current = {"x": x}, [], x
    a = network.conv(x, window, 1, pool=False)
    b = network.append("maxpool2d", ["x"], x.shape, x.quantization, MaxPool2d(window))
    multipliers, shift = add.multipliers_of(a.quantization.scale, b.quantization.scale, 0.1)
    network.append("add", [a.name, b.name], x.shape, q, add.Add(multipliers, shift, 0, 0, 255))
    assert list(stream.cuts(network.graph())) == []
    dense = pipeline.read_graph(Path(__file__).resolve().parents[2] / "examples" / "lenet300_mnist" / "model.onnx")
    with pytest.raises(errors.UnsupportedError, match="--input rows"):
        pipeline.compile_model(tmp_path_for(tmp_path, dense), "host", "ram", graph=dense, by_row=True)


def tmp_path_for(folder: Path, graph: Graph) -> Path:
    """A file to take the hash of."""
    path = folder / "model.onnx"
    path.write_bytes(graph.name.encode())
    return path


@pytest.fixture(scope="module")
def resnet8() -> Graph:
    return pipeline.read_graph(RESNET8)


def test_resnet8_takes_less_than_half_of_what_whole_images_take(resnet8):
    """The numbers that docs/DESIGN.md gives."""
    by_row = pipeline.compile_model(RESNET8, "qemu_mps2_an386", "ram", graph=resnet8, by_row=True)
    assert by_row.plan.lower_bound == 49152
    assert by_row.plan.arena_bytes <= 49152 // 2
    assert by_row.plan.arena_bytes == by_row.plan.least
    whole = pipeline.compile_model(RESNET8, "qemu_mps2_an386", "ram", graph=resnet8)
    assert whole.plan.arena_bytes <= by_row.plan.arena_bytes + 3072
    price = footprint.strips(by_row.graph)
    assert price["estimated_instructions"] < 25e6 and len(price["layers"]) == 9
    layers = {layer["name"]: layer for layer in footprint.layers(by_row.graph)}
    assert sum(layer["macs"] for layer in layers.values()) == by_row.model.macs == 12501632


def wake_words() -> Graph:
    """MobileNetV1 0.25 for images of 96x96 with random weights, up to its last convolution."""
    network = Network(Draw.seeded(2))
    x = replace(network.tensors["x"], shape=(1, 3, 96, 96))
    network.tensors, network.nodes = {"x": x}, []
    around = (1, 1, 1, 1)

    def conv(x: Tensor, window: Window, out_c: int, groups: int = 1) -> Tensor:
        levels = np.random.default_rng(len(network.nodes)).integers(
            -127, 128, (out_c, x.shape[1] // groups, *window.kernel)
        )
        requant = network.draw.requant(0.05, np.array([0.01], np.float32), x.quantization)
        bias = np.zeros(out_c, np.int64)
        way = Conv2d(levels.astype(np.int16), np.array([0.01], np.float32), bias, window, groups, requant)
        return network.append("conv2d", [x.name], (1, out_c, *window.out_size(x.shape[2:])), x.quantization, way)

    x = conv(x, Window((3, 3), (2, 2), pads=around), 8)
    for out_c, stride in [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]:
        x = conv(x, Window((3, 3), (stride, stride), pads=around), x.shape[1], x.shape[1])
        x = conv(x, Window((1, 1)), out_c)
    return network.graph()


def test_mobilenet_takes_less_than_half_of_what_whole_images_take(tmp_path):
    graph = wake_words()
    board = "qemu_mps2_an386"
    compiled = pipeline.compile_graph(graph, tmp_path / "vww", "0" * 64, board, "ram", "vww", by_row=True)
    assert compiled.plan.lower_bound == 55296
    assert compiled.plan.arena_bytes <= 55296 // 2


@pytest.mark.parametrize("board", ["host", "qemu_mps2_an386"])
def test_resnet8_by_rows_is_exact(resnet8, board):
    if board != "host" and shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed")
    raw = {name: array[[0, -2, -1]] for name, array in vectors.seeded(resnet8).items()}
    expected = reference.run(resnet8, raw)
    compiled = pipeline.compile_model(RESNET8, board, "ram", graph=resnet8, by_row=True)
    assert verify.verify_board(compiled, raw, expected).mismatches == 0


def test_a_board_with_little_ram_gets_strips_whatever_the_objective(resnet8):
    board = boards.load("qemu_mps2_an386")
    small = replace(pipeline.target_of(board, "balanced"), ram_bytes=40960)
    from lamella.codegen import passes

    lowered = passes.lower(resnet8, small, "balanced")
    assert lowered.nodes[0].op == "strips"
    assert plan.plan_memory(lowered).arena_bytes <= choose.arena_room(small) == 30720
    roomy = passes.lower(resnet8, replace(small, ram_bytes=1 << 20), "balanced")
    assert all(node.op != "strips" for node in roomy.nodes)


@pytest.mark.parametrize("planes", [True, False])
def test_a_folder_takes_its_input_row_by_row(tmp_path, planes):
    """The generated self-test hands over rows; an int8 input, channels outermost or innermost."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    draw = Draw.seeded(11)
    network = Network(draw)
    x = replace(network.tensors["x"], shape=(1, 3, 11, 6))
    network.tensors, network.nodes, network.current = {"x": x}, [], x
    network.port = Port("x", "x", "int8", "int8")
    if not planes:
        network.tensors["x"] = replace(x, shape=(1, 11, 6, 3))
        x = network.append("transpose", ["x"], x.shape, x.quantization, Transpose(1, 66, 3, 1))
    network.conv(x, Window((3, 3), (2, 1), pads=(1, 1, 1, 1)), 5, pool=False)
    graph = network.graph()
    compiled = pipeline.compile_graph(graph, tmp_path / "net", "0" * 64, "host", "ram", "net", by_row=True)
    header = compiled.sources()["net.h"]
    assert f"#define NET_INPUT_PLANES {3 if planes else 1}u" in header and "NET_INPUT_OFFSET" not in header
    firmware.write_folder(tmp_path / "out", firmware.folder_files(compiled))
    build = tmp_path / "build"
    subprocess.run(["cmake", "-S", tmp_path / "out", "-B", build], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", build], check=True, capture_output=True)
    assert subprocess.run([build / "net"], capture_output=True).returncode == 0


def test_by_row_is_an_option_of_the_commands(tmp_path):
    from lamella import cli

    out = tmp_path / "footprint.json"
    assert cli.main(["footprint", str(RESNET8), "--board", "host", "--optimize", "ram", "--input", "rows", "--quiet",
                     "--json", str(out)]) == 0  # fmt: skip
    text = out.read_text()
    assert '"input_in_arena": 0' in text and '"input": "rows"' in text
    assert onnx.load(RESNET8).graph.input
