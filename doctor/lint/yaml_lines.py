"""YAML as people write it, with the line of every key. https://yaml.org/spec/1.2.2/ ; reader: ruamel.yaml."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

LARGEST = 4 << 20


class NotYaml(ValueError):
    """The text is no YAML; the words say where and why."""


def documents(text: str) -> list[Any]:
    """The documents. Raises NotYaml."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    reader = YAML(typ="rt")
    reader.allow_duplicate_keys = True
    try:
        return list(reader.load_all(io.StringIO(text)))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise NotYaml(f"line {line}: {error.problem or 'not YAML'}") from None
    except (YAMLError, ValueError, RecursionError, AttributeError) as error:
        raise NotYaml(str(error).split("\n")[0] or "not YAML") from None


def line_of(mapping: Any, key: str, otherwise: int = 0) -> int:
    """The line of a key, from 0; of a key that an anchor brought in, `otherwise`."""
    try:
        return int(mapping.lc.key(key)[0])
    except (AttributeError, KeyError, TypeError, IndexError):
        return otherwise


def has_line(mapping: Any, key: str) -> bool:
    """Whether the key stands in the mapping itself, in block form, so that lines can be changed there."""
    return line_of(mapping, key, -1) >= 0 and not _is_flow(mapping)


def _is_flow(mapping: Any) -> bool:
    form = getattr(mapping, "fa", None)
    return bool(form is not None and form.flow_style())


def item_line(sequence: Any, index: int, otherwise: int = 0) -> int:
    """The line of an item of a list, from 0."""
    try:
        return int(sequence.lc.item(index)[0])
    except (AttributeError, KeyError, TypeError, IndexError):
        return otherwise


def at(value: Any, *keys: str) -> Any:
    """What stands below keys, or None."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    """The mappings of a list."""
    return (one for one in (value if isinstance(value, list) else ()) if isinstance(one, dict))
