"""What all tests share: nobody's own configuration, and the shipped knowledge."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from doctor.knowledge import Base, shipped
from doctor.match import Patterns, patterns_of

# A test fails for what it finds, not for how busy the machine is.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _no_configuration_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The developer's own entries and settings stay out of the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "no-configuration"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def base() -> Base:
    return shipped()


@pytest.fixture(scope="session")
def patterns(base: Base) -> Patterns:
    return patterns_of(base)


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).parent.parent
