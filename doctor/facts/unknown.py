"""A fact that could not be read: never the same as a fact that is absent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why a fact is not known. It is falsy."""

    reason: str
    reading: str = ""
    """Key of the reading that would have told."""

    def __bool__(self) -> Literal[False]:
        return False
