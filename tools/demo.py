"""The whole way on real data: train LeNet-5 on Fashion-MNIST, compress it, generate firmware, run it, prove it, report.

Every step is a command that a user could type; it is printed before it runs. Results stay in demo/.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAMELLA = Path(sys.executable).parent / "lamella"
EXAMPLE = ROOT / "examples" / "lenet5_fashion_mnist"
DEMO = ROOT / "demo"
#: Boards and the number of test images that each proves.
BOARDS = {"host": 10_000, "qemu_mps2_an386": 200, "qemu_microbit": 200}


def lamella(*arguments: object, expect: int = 0) -> dict:
    """Run a command, show it, return its --json; the demo ends if it does not end as expected."""
    words = [str(a) for a in arguments]
    print(f"\n$ lamella {' '.join(_short(w) for w in words)}", flush=True)
    result = DEMO / "last.json"
    result.unlink(missing_ok=True)
    done = subprocess.run([str(LAMELLA), *words, "--json", str(result)], cwd=ROOT)
    if done.returncode != expect:
        sys.exit(f"demo: this ended with {done.returncode} instead of {expect}")
    return json.loads(result.read_text()) if result.exists() else {}


def _short(word: str) -> str:
    path = word.removeprefix(str(ROOT) + "/")
    return path


def main() -> None:
    """Everything, then one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="use the training of an earlier demo, if there is one")
    args = parser.parse_args()
    started = time.monotonic()
    run = DEMO / "train"
    if not (args.keep and (run / "model.onnx").exists()):
        shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir(exist_ok=True)

    recipe = EXAMPLE / "recipe.toml"
    if not (run / "model.onnx").exists():
        lamella("train", recipe, "--max-drop", "1.0", "--out", run)
    metrics = json.loads((run / "metrics.json").read_text())
    plain = lamella("compress", run / "float.pt", "--recipe", EXAMPLE / "int8.toml", "--out", DEMO / "int8")
    model, int8 = run / "model.onnx", DEMO / "int8" / "model.onnx"

    print("\nThe int8 network on the micro:bit: 256 KB of flash are not enough, and generate says so (exit code 1):")
    lamella("generate", int8, "--board", "qemu_microbit", "--out", DEMO / "firmware" / "int8", expect=1)

    print(
        "\nThe compressed one fits. A folder a board, each a CMake project of its own; built and run with its self-test:"
    )
    for board in BOARDS:
        folder = DEMO / "firmware" / board
        lamella("generate", model, "--board", board, "--out", folder, "--name", "lenet5", "--quiet")
        build_and_selftest(folder, board)

    print("\nThe proof: the trained module in PyTorch, the imported graph in PyTorch, and the C agree in every byte:")
    x, y = DEMO / "test_images.npz", DEMO / "trained_module.npz"
    lamella("vectors", recipe, "--run", run, "--inputs", x, "--outputs", y)
    proofs = {}
    for board, images in BOARDS.items():
        report = lamella("verify", model, "--board", board, "--inputs", x, "--expect", y, "--limit", images)
        proofs[board] = report["boards"][0]

    compressed = lamella("footprint", model, *[w for b in BOARDS for w in ("--board", b)], "--quiet")
    uncompressed = lamella("footprint", int8, *[w for b in BOARDS for w in ("--board", b)], "--quiet")
    lamella(
        "report",
        model,
        *[w for b in BOARDS for w in ("--board", b)],
        "--metrics",
        run / "metrics.json",
        "--out",
        DEMO / "report.html",
    )
    summary(metrics, plain, compressed, uncompressed, proofs)
    print(f"\nreport with pictures: {_short(str(DEMO / 'report.html'))}; firmware: {_short(str(DEMO / 'firmware'))}")
    print(f"done in {(time.monotonic() - started) / 60:.1f} minutes")


def build_and_selftest(folder: Path, board: str) -> None:
    """cmake, then the program; its exit code is the verdict."""
    from lamella import boards

    for command in (["cmake", "-B", "build"], ["cmake", "--build", "build"]):
        print(f"  {folder.relative_to(ROOT)}$ {' '.join(command)}", flush=True)
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"demo: the generated folder does not build:\n{done.stdout}{done.stderr}")
    suffix = "" if boards.load(board).ram is None else ".elf"
    command = boards.run_hint(boards.load(board), f"build/lenet5{suffix}")
    print(f"  {folder.relative_to(ROOT)}$ {command}", flush=True)
    done = subprocess.run(command.split(), cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    print("  " + (done.stdout + done.stderr).strip())
    if done.returncode:
        sys.exit(f"demo: the self-test on {board} ended with {done.returncode}")


def summary(metrics: dict, plain: dict, compressed: dict, uncompressed: dict, proofs: dict) -> None:
    """The one table."""
    from lamella import output

    rows = []
    for label, facts, measured in (("int8", plain, uncompressed), ("compressed", metrics, compressed)):
        for entry in measured["boards"]:
            proof = proofs[entry["board"]] if label == "compressed" else None
            rows.append([
                label,
                entry["board"],
                f"{100 * facts['accuracy']:.2f} %",
                f"{facts['compression_vs_float32']:.1f}x",
                entry["flash"]["total"],
                entry["ram"]["total"],
                entry["ram"]["stack"],
                proof["instructions_per_inference"] if proof else entry["instructions_per_inference"],
                "yes" if entry["fits"] else "NO",
                f"{proof['vectors'] - proof['mismatches']:,} of {proof['vectors']:,}" if proof else "-",
            ])  # fmt: skip
    print()
    columns = ["LeNet-5", "board", "accuracy", "weights", "flash", "RAM", "stack", "instructions", "fits", "bit-exact"]
    title = (
        f"LeNet-5 on Fashion-MNIST: float {100 * metrics['float_accuracy']:.2f} %, compressed "
        f"{100 * metrics['accuracy']:.2f} % of {metrics['test_samples']:,} test images. Flash, RAM and stack in bytes, "
        "instructions per inference, weights against float32."
    )
    output.table(columns, rows, title)


if __name__ == "__main__":
    main()
