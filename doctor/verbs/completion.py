"""Completion of verbs and options for bash, zsh and fish, made from the parsers themselves."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.util import find_spec

from doctor.__main__ import VERBS
from doctor.verbs.command import parser_of


def _options() -> dict[str, list[str]]:
    """The long options of each verb that is there."""
    found = {}
    for verb in VERBS:
        if find_spec(f"doctor.verbs.{verb}"):
            parser = parser_of(verb, importlib.import_module(f"doctor.verbs.{verb}"))
            names = [name for action in parser._actions for name in action.option_strings]
            found[verb] = sorted(name for name in names if name.startswith("--"))
    return found


def bash() -> str:
    """A completion function for bash."""
    options = _options()
    cases = "\n".join(f"    {verb}) words='{' '.join(names)}' ;;" for verb, names in options.items())
    return (
        "_gpu_doctor() {\n"
        '  local word="${COMP_WORDS[COMP_CWORD]}" words\n'
        '  case "${COMP_WORDS[1]}" in\n'
        f"{cases}\n"
        "    *) words='' ;;\n"
        "  esac\n"
        f"  [ \"$COMP_CWORD\" -eq 1 ] && words='{' '.join(options)} --help --version'\n"
        '  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")\n'
        "}\n"
        "complete -o default -F _gpu_doctor gpu-doctor\n"
    )


def zsh() -> str:
    """A completion function for zsh."""
    options = _options()
    verbs = "\n".join(f"    '{verb}:{VERBS[verb]}'" for verb in options)
    cases = "\n".join(f"    {verb}) compadd -- {' '.join(names)}; _files ;;" for verb, names in options.items())
    return (
        "#compdef gpu-doctor\n"
        "_gpu_doctor() {\n"
        f"  local -a verbs=(\n{verbs}\n  )\n"
        "  if (( CURRENT == 2 )); then _describe verb verbs; return; fi\n"
        f"  case $words[2] in\n{cases}\n  esac\n"
        "}\n"
        "compdef _gpu_doctor gpu-doctor\n"
    )


def fish() -> str:
    """Completion lines for fish."""
    rows = []
    for verb, names in _options().items():
        rows.append(f"complete -c gpu-doctor -n __fish_use_subcommand -a {verb} -d '{VERBS[verb]}'")
        condition = f"-n '__fish_seen_subcommand_from {verb}'"
        rows += [f"complete -c gpu-doctor {condition} -l {name.removeprefix('--')}" for name in names]
    return "\n".join(rows) + "\n"


SHELLS: dict[str, Callable[[], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
