"""The house keeps its order: who may import what, and that every fault, check, entry and test exists for one another."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from doctor.check import discover, unknown_checks
from doctor.facts import AREAS, PARSERS, Facts
from doctor.knowledge import BLANK, Entry, fill, lacking, shipped
from doctor.logs import run_examples
from doctor.match import check_patterns, patterns_of
from doctor.runline import CHANGES

ROOT = Path(__file__).parent.parent
CHECK_IMPORTS = ("doctor.check", "doctor.facts", "doctor.finding", "doctor.arch", "doctor.gpus", "doctor.data")
TOUCHING = {
    "os",
    "subprocess",
    "pathlib",
    "docker",
    "time",
    "socket",
    "shutil",
    "io",
    "requests",
    "urllib",
    "psutil",
    "tempfile",
}
# Modules that nothing below them may import: the street's later houses.
LATER = {
    "doctor/facts": ("doctor.check", "doctor.match", "doctor.diagnose", "doctor.report", "doctor.engine", "doctor.render",
                     "doctor.verbs", "doctor.tui", "doctor.probes", "doctor.knowledge"),
    "doctor/probes": ("doctor.facts", "doctor.check", "doctor.match", "doctor.diagnose", "doctor.report", "doctor.engine",
                      "doctor.render", "doctor.verbs", "doctor.tui", "doctor.knowledge"),
    "doctor/match.py": ("doctor.diagnose", "doctor.report", "doctor.engine", "doctor.render", "doctor.verbs", "doctor.tui",
                        "doctor.probes", "doctor.facts", "doctor.check"),
    "doctor/diagnose.py": ("doctor.report", "doctor.engine", "doctor.render", "doctor.verbs", "doctor.tui", "doctor.probes",
                           "doctor.check"),
    "doctor/report.py": ("doctor.engine", "doctor.render", "doctor.verbs", "doctor.tui", "doctor.probes", "doctor.check"),
    "doctor/runline.py": ("doctor.engine", "doctor.render", "doctor.verbs", "doctor.tui", "doctor.probes"),
    "doctor/render": ("doctor.engine", "doctor.probes", "doctor.verbs", "doctor.tui"),
    "doctor/engine.py": ("doctor.render", "doctor.verbs", "doctor.tui"),
    "doctor/verbs": (),
    "doctor/tui": ("doctor.probes", "subprocess", "docker"),
    "doctor/binary": ("doctor.facts", "doctor.engine", "doctor.report", "doctor.probes", "doctor.verbs", "doctor.tui"),
    "doctor/loader": ("doctor.facts", "doctor.engine", "doctor.report", "doctor.probes", "doctor.verbs", "doctor.tui"),
}  # fmt: skip


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def sources(place: str) -> list[Path]:
    path = ROOT / place
    return [path] if path.suffix == ".py" else sorted(path.rglob("*.py"))


def within(module: str, names: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names)


@pytest.mark.parametrize("place", LATER)
def test_no_arrow_runs_back(place: str) -> None:
    wrong = [(str(path), name) for path in sources(place) for name in imports(path) if within(name, LATER[place])]
    assert not wrong


def test_only_probes_import_docker_and_psutil() -> None:
    allowed = {"doctor/probes", "doctor/live.py", "doctor/image"}
    wrong = [
        (str(path), name)
        for path in sources("doctor")
        if not any(str(path.relative_to(ROOT)).startswith(place) for place in allowed)
        for name in imports(path)
        if name.split(".")[0] in ("docker", "psutil")
    ]
    assert not wrong


def test_checks_are_pure() -> None:
    for path in sources("checks"):
        for name in imports(path):
            assert name.split(".")[0] not in TOUCHING, (path, name)
            if name.startswith("doctor"):
                assert within(name, CHECK_IMPORTS), (path, name)


def test_each_check_is_its_file() -> None:
    """One @check a file, named as the file, with a first line that is true when all is well."""
    for path in sources("checks"):
        if path.name == "__init__.py":
            continue
        module = importlib.import_module(f"checks.{path.stem}")
        assert module.CHECK.id == path.stem
        assert path.read_text(encoding="utf-8").count("@check(") == 1
        assert module.CHECK.says


def test_needs_name_facts() -> None:
    names = set(Facts.__dataclass_fields__)
    assert set(PARSERS) == names == set(AREAS)
    for one in discover():
        for need in (*one.needs, *one.uses):
            assert need.split(".")[0] in names, (one.id, need)


def test_checks_find_known_faults() -> None:
    for one in discover():
        assert one.faults, one.id
        for fault in one.faults:
            assert fault in shipped().entries, (one.id, fault)


def entries() -> list[Entry]:
    return list(shipped().entries.values())


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.id)
def test_entry(entry: Entry) -> None:
    """A source, an example, a near miss, a fix and how to verify it; names that exist; patterns that can be used."""
    if entry.retired:
        return
    check_patterns(entry)
    found_by_check = any(entry.id in one.faults for one in discover())
    assert entry.matchers or found_by_check, "nothing finds it"
    assert not lacking(entry, shipped())
    assert all(source.address.startswith("https://") for source in entry.sources)
    titles = [fix.title for fix in entry.fixes]
    assert len(titles) == len(set(titles)), "two fixes of one name"
    assert entry.id not in (*entry.yields_to, *entry.explains)
    for change in entry.corrects:
        assert change in CHANGES, change
    assert not unknown_checks(entry)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.id)
def test_commands_are_shell(entry: Entry) -> None:
    """Every sh fence is shell grammar once its blanks are filled."""
    fences = [
        c for fix in entry.fixes if fix.language in ("sh", "bash", "") for c in (*fix.commands, *fix.verify, *fix.undo)
    ]
    fences += [command for cause in entry.causes for command in cause.commands] + list(entry.ask)
    for fence in fences:
        text = re.sub(r"<[A-Za-z][^<>\n]*>", "blank", BLANK.sub("value", fence))
        done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, timeout=10, check=False)
        assert done.returncode == 0, (fence, done.stderr)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.id)
def test_a_page_reads_well_where_no_value_is_known(entry: Entry) -> None:
    parts = (entry, *entry.causes, *entry.fixes)
    for text in (fill(words, {}) for part in parts for words in (part.title, part.text)):
        assert not re.search(r"\w [.,;:](?:\s|$)|\{\w+[|}]", re.sub(r"`[^`]*`", "code", text)), text


def test_yields_and_explains_have_no_cycle() -> None:
    known = shipped().entries
    after = {one: set(entry.yields_to) for one, entry in known.items()}
    for one, entry in known.items():
        for consequence in entry.explains:
            after[consequence].add(one)
    while after:
        free = {one for one, before in after.items() if not before & after.keys()}
        assert free, f"a cycle among {sorted(after)}"
        after = {one: before for one, before in after.items() if one not in free}


def test_examples() -> None:
    """Every example through the whole street: the confusion matrix of the knowledge base."""
    failures = run_examples(shipped(), patterns_of(shipped()))
    assert not failures, "\n".join(failures)


def test_nothing_names_a_machine_or_a_registry() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    names = listed.stdout.split("\n") if listed.returncode == 0 else []
    if not any(names):
        pytest.skip("not a git checkout")
    hosts = "|".join(
        re.escape(name) for name in ("files.python" + "hosted.org", "pypi" + ".org/simple", "deb." + "debian.org")
    )
    wrong = re.compile(rf"(?<![\w.])/(?:work|root/\.pyenv)/|{hosts}")
    for name in filter(None, names):
        path = ROOT / name
        if path.suffix in (".py", ".md", ".toml", ".json", ".txt", ".lock", ".sh", ".yml", "") and path.is_file():
            found = wrong.search(path.read_text(encoding="utf-8", errors="replace"))
            assert not found, (name, found and found.group())


@pytest.mark.parametrize("path", sorted((ROOT / "knowledge").glob("*.md")), ids=lambda path: path.stem)
def test_no_entry_holds_the_marks_of_a_merge(path: Path) -> None:
    assert not re.search(r"^(?:<{7}|>{7}) \S", path.read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize("path", sorted((ROOT / "knowledge").glob("*.md")), ids=lambda path: path.stem)
def test_error_numbers_stand_in_a_group(path: Path) -> None:
    """Then all patterns for numbers are one expression of the automaton; each that is not costs a tenth of its speed."""
    assert not re.findall(r"\(\?&cuda_gave\)(?!\(\?:).{0,20}", path.read_text(encoding="utf-8"))
