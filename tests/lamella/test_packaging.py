"""The package lists in pyproject.toml, compared with the tree."""

import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = CONFIG["tool"]["setuptools"]["package-dir"]


def test_every_package_of_the_tree_is_listed():
    found = set()
    for package, folder in FOLDERS.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            parts = init.parent.relative_to(ROOT / folder).parts
            found.add(".".join([package, *parts]))
    assert set(CONFIG["tool"]["setuptools"]["packages"]) == found


def test_every_data_file_is_covered_by_package_data():
    patterns = CONFIG["tool"]["setuptools"]["package-data"]
    for package in ("lamella.boards", "lamella.runtime_c", "lamella.codegen", "lamella"):
        folder = ROOT / FOLDERS[package]
        for path in folder.rglob("*"):
            relative = path.relative_to(folder).as_posix()
            if (
                path.is_dir()
                or path.suffix in (".py", ".pyc")
                or "__pycache__" in relative
                or path.name == "CMakeLists.txt"
            ):
                continue
            assert any(fnmatch(relative, p.replace("**/", "*")) for p in patterns[package]), f"{package}: {relative}"


def test_pins_satisfy_the_lower_bounds():
    from importlib.metadata import version

    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, pin = line.split("==")
            if name != "setuptools":
                assert version(name).split("+")[0] == pin


def test_light_commands_load_no_heavy_package():
    """`lamella boards` must not wait for torch, onnx or jinja2."""
    code = (
        "import sys; from lamella import cli; cli.main(['boards', '--quiet']); cli.main(['formats', '--quiet']);"
        "print([m for m in ('torch', 'onnx', 'jinja2', 'onnxruntime', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_trainer_and_codegen_do_not_import_each_other():
    for folder, other in (
        ("trainer", "lamella.codegen"),
        ("codegen", "lamella.trainer"),
        ("boards", "lamella.codegen"),
        ("boards", "lamella.trainer"),
    ):
        for path in (ROOT / folder).rglob("*.py"):
            assert other not in path.read_text(), path
