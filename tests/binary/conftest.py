"""Fixtures of the binary readers: real files made with nvcc and clang (fixtures/README.md)."""

from __future__ import annotations

from pathlib import Path

FIXTURES = Path(__file__).parent / "fixtures"
CUDA = FIXTURES / "cuda"
AMD = FIXTURES / "amd"
