"""A model by hand: what the code generator emits for the harness, for two lines of C."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lamella import boards
from lamella.boards import Board
from lamella.build import build
from lamella.execute import Execution, execute

ADAPTER = """
#include "lam_harness.h"
{extra}
__attribute__((aligned(8))) uint8_t lam_harness_arena[{arena}];
const lam_harness_io lam_harness_inputs[] = {{{inputs}}};
const lam_harness_io lam_harness_outputs[] = {{{outputs}}};
const uint32_t lam_harness_n_inputs = sizeof lam_harness_inputs / sizeof lam_harness_inputs[0];
const uint32_t lam_harness_n_outputs = sizeof lam_harness_outputs / sizeof lam_harness_outputs[0];
int m_run(const uint8_t *x, uint8_t *y);
int lam_harness_invoke(void);
{run}
int lam_harness_invoke(void)
{{
    return m_run(lam_harness_arena, lam_harness_arena + 8);
}}
"""
RUN = "__attribute__((noinline)) int m_run(const uint8_t *x, uint8_t *y)\n{{\n{body}\n}}\n"
INCREMENT = "for (int i = 0; i < 8; i++) { y[i] = (uint8_t)(x[i] + 1); } return 0;"


def adapter(
    body: str = INCREMENT,
    *,
    run: str = "",
    extra: str = "",
    arena: int = 16,
    inputs: str = "{0, 8}",
    outputs: str = "{8, 8}",
) -> str:
    """C of a model with 8 bytes in and 8 bytes out whose run function has this body, or is `run` as a whole."""
    run = run or RUN.format(body=body)
    return ADAPTER.format(run=run, extra=extra, arena=arena, inputs=inputs, outputs=outputs)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compile cache of this session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def model() -> Callable[..., str]:
    """`adapter`, for tests."""
    return adapter


@pytest.fixture(scope="session")
def program(cache: Path) -> Callable[..., Path]:
    """program(board, C text, ...) builds with the harness."""

    def make(board: Board, text: str, **options: object) -> Path:
        return build(board, {"model.c": text}, with_harness=True, cache_dir=cache, **options)

    return make


@pytest.fixture(scope="session")
def run(program: Callable[..., Path], cache: Path) -> Callable[..., Execution]:
    """run(board name, C text, samples, ...) builds and executes."""

    def go(name: str, text: str, samples: bytes = bytes(24), **options: object) -> Execution:
        board = boards.load(name)
        return execute(board, program(board, text), samples, run_symbol="m_run", cache_dir=cache, **options)

    return go


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with one of these arguments runs for every board of the kind, new ones included."""
    kinds = {
        "any_board": lambda board: True,
        "with_flash": lambda board: board.flash is not None,
        "runnable": lambda board: board.runner is not None,
        "emulated": lambda board: board.runner is not None and board.ram is not None,
    }
    for argument, holds in kinds.items():
        if argument in metafunc.fixturenames:
            found = [name for name in boards.names() if holds(boards.load(name))]
            metafunc.parametrize(argument, found)
