"""Runs every other test of this folder on a runtime built with AddressSanitizer and UndefinedBehaviorSanitizer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from runtime_library import SANITIZE

HERE = Path(__file__).parent


def preload() -> dict[str, str]:
    """The environment in which Python can load a library built with the sanitizers."""
    asan = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    # Python keeps memory until the end, and hypothesis a database: neither is of interest here.
    return {"LD_PRELOAD": asan.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0", SANITIZE: "1"}


def logging_to(reports: Path) -> dict[str, str]:
    """The same, what the sanitizers say going to files: pytest holds back the output of a process that they end."""
    environment = preload()
    environment["ASAN_OPTIONS"] += f":log_path={reports / 'address'}"
    environment["UBSAN_OPTIONS"] = f"log_path={reports / 'undefined'}:print_stacktrace=1"
    return environment


@pytest.mark.skipif(bool(os.environ.get(SANITIZE)), reason="this is the run with the sanitizers")
@pytest.mark.skipif("linux" not in sys.platform, reason="preloading needs Linux")
def test_runtime_is_clean_under_both_sanitizers(tmp_path: Path):
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", str(HERE)]
    # Not a worker of this run: it has temporary folders, and a library there, of its own.
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = {**ours, **logging_to(tmp_path)}
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, cwd=HERE.parents[1])
    said = "".join(path.read_text(errors="replace")[:4000] for path in sorted(tmp_path.iterdir()))
    assert done.returncode == 0, said + done.stdout[-4000:] + done.stderr[-4000:]
    assert said == ""
    assert " passed" in done.stdout


def test_sanitizers_are_on_when_asked_for(tmp_path: Path):
    """A read one byte behind a heap buffer, through the same flags, must end the process."""
    from runtime_library import SANITIZERS

    source = tmp_path / "over.c"
    source.write_text(
        "#include <stdlib.h>\nint main(int n, char **v) { char *p = malloc(4); (void)v; return p[n + 3]; }\n"
    )
    subprocess.run(["gcc", *SANITIZERS, str(source), "-o", str(tmp_path / "over")], check=True)
    environment = {k: v for k, v in os.environ.items() if k not in {*preload(), *logging_to(tmp_path)}}
    done = subprocess.run([str(tmp_path / "over")], check=False, capture_output=True, text=True, env=environment)
    assert done.returncode != 0 and "heap-buffer-overflow" in done.stderr
