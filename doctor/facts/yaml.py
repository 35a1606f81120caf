"""YAML that programs write, such as CDI specifications: its values, within bounds. https://yaml.org/spec/1.2.2/"""

from __future__ import annotations

from typing import Any

MOST = 200_000
"""Values of a document, each as often as aliases repeat it."""


def loads(text: str) -> Any:
    """The value of a document. Raises ValueError with the line number."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        value = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"{line}{error.problem or 'not YAML'}") from None
    except RecursionError:
        raise ValueError("nested too deep") from None
    except (YAMLError, AttributeError, TypeError) as error:  # the last two: its own slips on odd input
        raise ValueError(str(error).split("\n")[0] or "not YAML") from None
    _demand_bounded(value)
    return value


def _demand_bounded(value: Any) -> None:
    """A few aliases of aliases stand for more values than any memory holds. Raises ValueError."""
    pending, count = [value], 0
    while pending:
        one = pending.pop()
        count += 1
        if count > MOST:
            raise ValueError(f"more than {MOST} values once its aliases are filled in")
        if isinstance(one, dict):
            pending += one.values()
        elif isinstance(one, list):
            pending += one
