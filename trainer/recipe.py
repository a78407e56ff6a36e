"""Recipes: TOML files that say what to train, on what, and how to compress it. No torch."""

import dataclasses
import math
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path

from lamella.errors import UsageError
from lamella.trainer.names import closest
from lamella.trainer.options import HIGHEST_RATE, CompressOptions, known_precision

#: [search] is for `lamella search` alone.
TABLES = ("network", "data", "train", "compress", "search")


@dataclass(frozen=True)
class NetworkRecipe:
    """[network]: a name from trainer/networks, or "package.module:function" that gives an nn.Module."""

    name: str


@dataclass(frozen=True)
class DataRecipe:
    """[data]: a name from trainer/data, or "package.module:function" that takes a folder or None and gives Splits."""

    name: str
    #: Samples taken out of the training part to decide on; which ones follows from the seed.
    validation: int = 5000
    #: Random changes of the training pictures; a name from trainer/augment.py.
    augment: str = "none"


@dataclass(frozen=True)
class TrainRecipe:
    """[train]: the float baseline. The learning rate falls along half a cosine to zero."""

    epochs: int = 5
    batch_size: int = 128
    learning_rate: float = 0.05
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    seed: int = 0
    #: Threads of torch; results are repeatable for one number of them.
    threads: int = 1
    #: Where gradients are computed: "cpu", "cuda", "cuda:N" or "auto".
    device: str = "cpu"
    #: "float32" or "bfloat16", of the baseline and of the compression: the latter rounds levels a second time.
    precision: str = "float32"
    compress_precision: str = "float32"
    #: Whether torch compiles what compression does to activations: much faster on a CPU, and needs a C++ compiler.
    compile: bool = False

    def __post_init__(self) -> None:
        for name, least in (("epochs", 0), ("batch_size", 1), ("seed", 0), ("threads", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} = {getattr(self, name)} is out of range; it must be {least} or more")
        for name, holds, wanted in (
            ("learning_rate", 0 < self.learning_rate < HIGHEST_RATE, "above 0, and finite"),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and below 1"),
            ("weight_decay", 0 <= self.weight_decay < math.inf, "0 or more, and finite"),
        ):
            if not holds:
                raise UsageError(f"{name} = {getattr(self, name)} is out of range; it must be {wanted}")
        if self.optimizer not in ("sgd", "adam"):
            raise UsageError(f"optimizer = {self.optimizer!r} is not known; choose one of sgd, adam")
        for name in ("precision", "compress_precision"):
            known_precision(name, getattr(self, name))


@dataclass(frozen=True)
class Recipe:
    """A whole recipe. The seed of [train] is that of the compression too."""

    network: NetworkRecipe
    data: DataRecipe
    train: TrainRecipe = field(default_factory=TrainRecipe)
    compress: CompressOptions = field(default_factory=CompressOptions)

    def to_dict(self) -> dict:
        """Plain values, for comparing recipes and for metrics.json."""
        plain = dataclasses.asdict(self)
        for key in ("keep", "ladder"):
            plain["compress"][key] = list(plain["compress"][key])
        plain["compress"]["ladders"] = {layer: list(rungs) for layer, rungs in self.compress.ladders.items()}
        return plain


def read_recipe(
    path: str | Path, *, max_drop: float | None = None, sparsity: float | None = None, seed: int | None = None
) -> Recipe:
    """The recipe of a file, with what the command line overrides."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such recipe; give the path of a .toml file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as text ({error})") from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: is not valid TOML: {error}") from None
    for table in ("network", "data"):
        if table not in tables:
            raise UsageError(f"{path}: the table [{table}] is missing; add it with at least its name")
    if "compress" in tables and isinstance(tables["compress"], dict) and "seed" in tables["compress"]:
        raise UsageError(f"{path}: [compress] seed is not a key of recipes; set seed in [train]")
    train = _section(tables, "train", TrainRecipe, path, {"seed": seed})
    overrides = {"max_drop": max_drop, "sparsity": sparsity, "seed": train.seed}
    compress = _section(tables, "compress", CompressOptions, path, overrides)
    network = _section(tables, "network", NetworkRecipe, path, {})
    data = _section(tables, "data", DataRecipe, path, {})
    for name in tables:
        if name not in TABLES:
            raise UsageError(f"{path}: unknown table [{name}]{closest(name, TABLES)}")
    if data.validation < 1:
        raise UsageError(f"{path}: [data] validation = {data.validation} is out of range; it must be 1 or more")
    return Recipe(network, data, train, compress)


def _section(tables: dict, name: str, kind: type, path: Path, overrides: dict):
    values = tables.get(name, {})
    if not isinstance(values, dict):
        raise UsageError(f"{path}: {name} must be a table, written [{name}]")
    hints = typing.get_type_hints(kind)
    checked = {}
    for key, value in values.items():
        if key not in hints:
            raise UsageError(f"{path}: [{name}] has no key {key!r}{closest(key, hints)}")
        checked[key] = _typed(value, hints[key], f"{path}: [{name}] {key}")
    for required in dataclasses.fields(kind):
        no_default = required.default is dataclasses.MISSING and required.default_factory is dataclasses.MISSING
        if no_default and required.name not in checked:
            raise UsageError(f"{path}: [{name}] {required.name} is missing; add it")
    checked.update({key: value for key, value in overrides.items() if value is not None})
    try:
        return kind(**checked)
    except UsageError as error:
        raise UsageError(f"{path}: [{name}] {error}") from None


def _typed(value, hint, where: str):
    """The value as its field wants it; an integer may stand for a float, a list for a tuple."""
    if typing.get_origin(hint) is dict:  # dict[str, tuple[str, ...]]
        if not isinstance(value, dict):
            raise UsageError(f"{where} must be a table, not {value!r}")
        return {key: _typed(inner, typing.get_args(hint)[1], f"{where}: {key}") for key, inner in value.items()}
    if isinstance(hint, types.GenericAlias):  # tuple[str, ...]
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise UsageError(f"{where} must be a list of strings, not {value!r}")
    if hint is float and type(value) in (int, float):
        return float(value)
    if type(value) is not hint:
        raise UsageError(f"{where} must be {_NAMES[hint]}, not {value!r}")
    return value


_NAMES = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}
