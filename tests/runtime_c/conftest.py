"""The runtime, compiled once a session for each variant, as a fixture: `lam`."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from runtime_library import VARIANTS, Runtime, build


@pytest.fixture(scope="session", params=sorted(VARIANTS))
def lam(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """The runtime in one of its variants."""
    return build(request.param, tmp_path_factory)
