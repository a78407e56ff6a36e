"""Feeds damaged and hostile model files to the importer and the generator (needs `pip install atheris`).

    python tools/fuzz_models.py --minutes 60 --out runs/fuzz

Seeds are the models of the repository and of the official ONNX tests (`onnx.backend.test`: every operator in float32). ONNX
files are changed message by message: numbers to extremes, strings to others of the file or to C that must not get out, parts
doubled, dropped and swapped; TFLite files byte by byte, by libFuzzer. A file may be refused with one of Lamella's errors; or be
accepted, and then C is generated, in which no hostile text may stand as it is. Any other exception, and more than 20 seconds of
the processor, are told (FOUND) and the file left in --out; 3 GB of memory, or 10 minutes on the clock, stop the run.
"""

import argparse
import contextlib
import random
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

ROOT = Path(__file__).resolve().parents[1]
#: Of the processor, for one file: a clock would blame files for what else the machine does.
SECONDS = 20
STUCK, MEGABYTES, LARGEST = 600, 3000, 120_000
#: Text that closes a comment or a string of C, where it stands unescaped.
HOSTILE = '*/"\n#error FUZZ_ESCAPED\n/*'
MARK = "#error FUZZ_ESCAPED"
NUMBERS = (0, 1, -1, 2, 3, 7, 8, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, -(2**31), 2**32, 2**62, -(2**63))
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e-30, 1e30, 3.4e38, float("inf"), float("-inf"), float("nan"))

sys.path[:0] = [str(ROOT / "tests" / "lamella"), str(ROOT / "tests" / "codegen"), str(ROOT / "tools")]
from small_model import small_model

with atheris.instrument_imports(include=["lamella"]), TemporaryDirectory() as folder:
    from lamella import firmware, pipeline
    from lamella.errors import LamellaError

    # Registries load their modules when they are first asked: what is loaded here is watched.
    for file in [*(ROOT / "tests" / "models").glob("*dscnn*.*"), Path(folder) / "small.onnx"]:
        if not file.exists():
            file.write_bytes(small_model().SerializeToString())
        firmware.folder_files(pipeline.compile_model(file, "qemu_microbit"))

import numpy as np
import onnx
import onnx_backend
import tflite_networks
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.message import Message


def fields_of(message: Message) -> list[tuple[Message, Field]]:
    """Every field that is set, of a message and all below it."""
    found = []
    for field, value in message.ListFields():
        found.append((message, field))
        if field.type == Field.TYPE_MESSAGE:
            for inner in value if field.is_repeated else [value]:
                found += fields_of(inner)
    return found


def changed(model: onnx.ModelProto, rng: random.Random) -> None:
    """One change, in place."""
    message, field = rng.choice(fields_of(model))
    if rng.random() < 0.1:
        message.ClearField(field.name)
    elif field.is_repeated:
        _change_list(getattr(message, field.name), field, model, rng)
    elif field.type != Field.TYPE_MESSAGE:
        setattr(message, field.name, _value(getattr(message, field.name), field, model, rng))
    else:
        unset = [f for f in field.message_type.fields if f.type != Field.TYPE_MESSAGE and not f.is_repeated]
        if unset:
            inner, other = getattr(message, field.name), rng.choice(unset)
            setattr(inner, other.name, _value(getattr(inner, other.name), other, model, rng))


def _change_list(items, field: Field, model: onnx.ModelProto, rng: random.Random) -> None:
    if not len(items):
        return
    at, what = rng.randrange(len(items)), rng.random()
    if what < 0.25:
        del items[at]
    elif what < 0.45:
        other = rng.randrange(len(items))
        if field.type == Field.TYPE_MESSAGE:
            kept = type(items[at])()
            kept.CopyFrom(items[at])
            items[at].CopyFrom(items[other])
            items[other].CopyFrom(kept)
        else:
            items[at], items[other] = items[other], items[at]
    elif what < 0.6:
        if field.type == Field.TYPE_MESSAGE:
            items.add().CopyFrom(items[at])
        else:
            items.append(items[at])
    elif field.type != Field.TYPE_MESSAGE:
        items[at] = _value(items[at], field, model, rng)


def _value(old, field: Field, model: onnx.ModelProto, rng: random.Random):
    if field.type == Field.TYPE_STRING or (field.type == Field.TYPE_BYTES and len(old) < 64):
        names = [t for node in model.graph.node for t in (*node.input, *node.output)] + [HOSTILE, "", "../../x", "Conv"]
        text = rng.choice([*rng.sample(names, min(4, len(names))), HOSTILE])
        return text if field.type == Field.TYPE_STRING else text.encode()
    if field.type == Field.TYPE_BYTES:
        at = rng.randrange(len(old))
        return rng.choice([old[:at], old + old[:at], old[:at] + bytes([rng.randrange(256)]) + old[at + 1 :]])
    if field.type in (Field.TYPE_FLOAT, Field.TYPE_DOUBLE):
        return rng.choice(FLOATS)
    if field.type == Field.TYPE_ENUM:
        return rng.choice(field.enum_type.values).number
    low, high = (-(2**31), 2**31 - 1) if field.type == Field.TYPE_INT32 else (-(2**63), 2**63 - 1)
    if field.type in (Field.TYPE_UINT32, Field.TYPE_UINT64):
        low, high = 0, 2**32 - 1
    near = old + rng.choice((-1, 1)) if isinstance(old, int) else 0
    return min(max(rng.choice((*NUMBERS, near, near)), low), high)


def mutate(data: bytes, largest: int, seed: int) -> bytes:
    """Another file: a few changes to the messages of an ONNX model, or to bytes."""
    rng = random.Random(seed)
    if data[4:8] != b"TFL3" and rng.random() < 0.9:
        model = onnx.ModelProto()
        try:
            model.ParseFromString(data)
            for _ in range(rng.choice((1, 1, 2, 4))):
                changed(model, rng)
            made = model.SerializeToString()
        except Exception:  # of protobuf, for what was no model any more
            made = b""
        if 0 < len(made) <= largest:
            return made
    return atheris.Mutate(data, largest)


def check(path: Path, data: bytes) -> bool:
    """Reads a file and generates C from it. Whether it was accepted; an exception where something is wrong."""
    path.write_bytes(data)
    # Half of the TFLite files in the arithmetic of that runtime.
    arithmetic = "tflite" if data[4:8] == b"TFL3" and sum(data) % 2 else "lamella"
    try:
        graph = pipeline.read_graph(path, arithmetic=arithmetic)
        compiled = pipeline.compile_model(path, "qemu_microbit", graph=graph)
        # As `lamella generate` does: for what does not fit there is no folder, and no self-test is computed.
        fits = compiled.plan.arena_bytes < compiled.board.ram.size
        files = firmware.folder_files(compiled) if fits else compiled.sources()
    except LamellaError as error:
        assert str(error).strip() and len(str(error)) < 100_000, "an error without or with too many words"
        return False
    for name, text in files.items():
        assert ".." not in name and not name.startswith("/"), f"a file leaves the folder: {name!r}"
        for line in text.splitlines():
            assert not line.lstrip().startswith(MARK), f"text of the model stands in {name} unescaped"
    return True


class TooLong(BaseException):
    """One file took more than SECONDS; no `except Exception` on the way keeps it."""


def _too_long(*_) -> None:
    raise TooLong(f"more than {SECONDS} seconds of the processor")


def watch(path: Path, out: Path) -> Callable[[bytes], None]:
    """check, going on after what is wrong: each place in the code where it went wrong is told once, its file kept."""
    known: set[tuple[str, str]] = set()
    signal.signal(signal.SIGPROF, _too_long)

    def one(data: bytes) -> None:
        try:
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            try:
                check(path, data)
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
        except (Exception, TooLong) as error:
            frames = [f for f in traceback.extract_tb(error.__traceback__) if str(ROOT) in f.filename]
            frames = [f for f in frames if f.filename != __file__] or frames
            place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
            if (type(error).__name__, place) not in known:
                known.add((type(error).__name__, place))
                kept = out / f"found-{len(known)}-{place.replace(':', '-')}.bin"
                kept.write_bytes(data)
                print(f"FOUND {type(error).__name__} at {place}: {str(error)[:200]} ({kept})", flush=True)

    return one


def seeds() -> list[bytes]:
    """Models of the repository that are small enough to be read often."""
    paths = [*(ROOT / "tests" / "models").glob("*.*"), *(ROOT / "examples").glob("*/model.onnx")]
    stored = [p.read_bytes() for p in sorted(paths) if p.suffix in (".onnx", ".tflite")]
    made = [small_model(signed=signed).SerializeToString() for signed in (False, True)]
    return [data for data in (*made, *_float_models(), *_tflite_models(), *stored) if len(data) <= LARGEST]


def _tflite_models() -> list[bytes]:
    """TFLite files of more operators than the repository's models have."""
    found = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        for name in tflite_networks.NETWORKS:
            tflite_networks.write(path, name, np.random.default_rng(1))
            found.append(path.read_bytes())
    return found


def _float_models() -> list[bytes]:
    """Models of the official ONNX tests: every operator that runs in float32."""
    found = []
    for case in onnx_backend.cases():
        with contextlib.suppress(onnx_backend.Refused):
            found.append(onnx_backend.wrapped(case, set())[0].SerializeToString())
    return found


def main() -> None:
    """Runs until the time is over or something is found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("files", nargs="*", type=Path, help="only look at these files again")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    work = args.out / "model.bin"
    if args.files:
        for path in args.files:
            print(path, "accepted" if check(work, path.read_bytes()) else "refused")
        return
    corpus = args.out / "corpus"
    corpus.mkdir(exist_ok=True)
    for k, data in enumerate(seeds()):
        (corpus / f"seed{k}").write_bytes(data)
    options = [f"-max_total_time={int(60 * args.minutes)}", f"-timeout={STUCK}", f"-rss_limit_mb={MEGABYTES}"]
    options += [f"-max_len={LARGEST}", f"-artifact_prefix={args.out}/", f"-seed={args.seed}", "-len_control=0"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], watch(work, args.out), custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
