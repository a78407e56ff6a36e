"""The sparse convolution on emulated cores: the tiles for Armv6-M are written by hand, and no host runs them."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from runtime_library import ROOT, SANITIZE, sources
from runtime_reference import Conv, Pool, Requant, conv2d

from lamella.formats import get

HERE = Path(__file__).parent
TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm")
pytestmark = [
    pytest.mark.skipif(bool(os.environ.get(SANITIZE)), reason="not a run on the host"),
    pytest.mark.skipif(any(shutil.which(tool) is None for tool in TOOLS), reason=f"needs {' and '.join(TOOLS)}"),
]

#: Each width reaches other tiles: 1 x 8 and 1 x 4; 2 x 4 and 1 x 2; 4 x 2 and single rows; many positions of one sign.
CASES = {
    "wide": Conv(in_c=3, in_h=5, in_w=26, out_c=3, kernel=(3, 3), pad=(1, 1, 1, 1), in_zero=7),
    "pooled": Conv(in_c=2, in_h=12, in_w=12, out_c=4, kernel=(3, 3), pad=(1, 1, 1, 1), pool=Pool(1, (2, 2), (2, 2))),
    "nine": Conv(in_c=4, in_h=5, in_w=9, out_c=3, kernel=(3, 3), pad=(1, 1, 1, 1)),
    "narrow": Conv(in_c=5, in_h=6, in_w=4, out_c=3, kernel=(3, 3), pad=(1, 1, 1, 1)),
    "strided": Conv(in_c=3, in_h=11, in_w=23, out_c=3, kernel=(3, 3), stride=(2, 2), pad=(1, 1, 0, 0)),
    "long": Conv(in_c=40, in_h=3, in_w=12, out_c=2, kernel=(3, 3), pad=(1, 1, 1, 1)),
}


def c_array(c_type: str, name: str, values: np.ndarray | bytes) -> str:
    """A constant array."""
    return f"const {c_type} {name}[] = {{{', '.join(str(int(v)) for v in values)}}};\n"


def program(conv: Conv, copies: int) -> str:
    """C that runs the convolution on random levels and pixels, and holds what must come out."""
    rng = np.random.default_rng(11)
    levels = rng.integers(-1, 2, (conv.out_c, conv.cols)).astype(np.int16)
    levels[-1] = 1
    x = rng.integers(0, 256, (conv.in_c, conv.in_h, conv.in_w)).astype(np.uint8)
    bias = rng.integers(-2000, 2000, conv.out_c)
    q = Requant(rng.integers(2**26, 2**29, conv.out_c), None, zero=90)
    expected = conv2d(conv, levels, bias, q, x)
    (kernel_h, kernel_w), (out_h, out_w), (rows, cols) = conv.kernel, conv.out, conv.pooled
    pool_h, pool_w = conv.pool.kernel
    capacity = int((levels != 0).sum(1).max())
    text = '#include "lam_conv2d.h"\n#include "lam_format_sparse_ternary.h"\n'
    text += "extern const uint8_t test_expected[];\nextern const size_t test_size;\nconst uint8_t *test_run(void);\n"
    text += c_array("uint8_t", "test_expected", expected.ravel()) + f"const size_t test_size = {expected.size};\n"
    text += "static " + c_array("uint8_t", "x", x.ravel()) + "static " + c_array("int32_t", "bias", bias)
    text += "static " + c_array("int32_t", "multiplier", q.multiplier)
    text += "static " + c_array("uint8_t", "weights", get("sparse_ternary").pack(levels))
    return text + (
        f"static uint8_t y[{expected.size}];\nstatic uint32_t scratch[16384];\n"
        "static const lam_conv2d_sparse_desc desc = {\n"
        f"    {{bias, {{multiplier, 0, 1, {q.zero}, 0, 255}}, {conv.in_c}, {conv.in_h}, {conv.in_w},\n"
        f"     {conv.out_c}, {out_h}, {out_w}, 1, {kernel_h}, {kernel_w}, {conv.stride[0]}, {conv.stride[1]}, 1, 1,\n"
        f"     {conv.pad[0]}, {conv.pad[1]}, {conv.in_zero},\n"
        f"     {{{conv.pool.kind}, {pool_h}, {pool_w}, {pool_h}, {pool_w}, {rows}, {cols}, 0, {{0, 0, 0, 0, 0, 0}}}}}},\n"
        f"    lam_sparse_ternary_positions, weights, {capacity}, {rows}, {copies}}};\n"
        "const uint8_t *test_run(void)\n{\n    lam_conv2d_sparse(&desc, x, y, scratch);\n    return y;\n}\n"
    )


@pytest.mark.parametrize("case", CASES)
def test_cortex_m0_computes_what_the_reference_does(tmp_path: Path, case: str):
    for copies in (1, 2):
        (tmp_path / "case.c").write_text(program(CASES[case], copies))
        used = [path for path in sources() if path.name.startswith(("lam_conv2d_sparse", "lam_format_sparse_ternary."))]
        command = ["arm-none-eabi-gcc", "-std=gnu99", "-O2", "-mcpu=cortex-m0", "-mthumb", f"-I{ROOT / 'include'}"]
        command += [
            "-nostartfiles",
            "--specs=nano.specs",
            "-Wl,--section-start=.vectors=0,-Ttext=0x100,-Tbss=0x20000000",
        ]
        files = [tmp_path / "case.c", HERE / "emulated.c", *used]
        subprocess.run([*command, *map(str, files), "-o", str(tmp_path / "case.elf")], check=True)
        emulator = ["qemu-system-arm", "-M", "mps2-an385", "-nographic", "-monitor", "none", "-serial", "none"]
        emulator += ["-semihosting-config", "enable=on,target=native", "-kernel", str(tmp_path / "case.elf")]
        done = subprocess.run(emulator, check=False, stdin=subprocess.DEVNULL, timeout=60)
        assert done.returncode == 0
