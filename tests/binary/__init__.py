"""Tests of the binary readers on real files made with nvcc and clang (fixtures/README.md)."""

from pathlib import Path

from doctor.binary.reader import Memory, Reader

FIXTURES = Path(__file__).parent / "fixtures"
CUDA = FIXTURES / "cuda"
AMD = FIXTURES / "amd"


def reader(data: bytes) -> Reader:
    return Reader(Memory(data))
