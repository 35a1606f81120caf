"""Findings become a diagnosis: joined, set aside, folded under their cause, ranked the same each time."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from doctor.diagnose import Suspect, diagnose, holds, in_words
from doctor.finding import CheckState, Evidence, Finding, Outcome, Severity, Sureness
from doctor.knowledge import Base, Cause, Deciding, Entry, Fix


def entry(name: str, severity: Severity = "error", **more: tuple[str, ...]) -> Entry:
    title, text = f"{name} of {{library|something}}", f"{name} happened."
    return Entry(name, title, "lib", severity, f"{name}.md", text=text, **more)


BASE = Base(
    {
        one.id: one
        for one in (
            entry("the-cause", explains=("the-symptom",)),
            entry("the-symptom"),
            entry("the-noise", yields_to=("the-cause",)),
            entry("a-warning", "warning"),
            entry("another-error"),
        )
    }
)


def finding(
    fault: str, sure: Sureness = "certain", source: str = "log", line: int | None = 1, subject: str = "", **values: str
) -> Finding:
    return Finding(fault, (Evidence(source, "a.log", f"{fault} at {line}", line),), values, sure, subject=subject)


def faults(*found: Finding) -> list[tuple[str, str]]:
    return [(item.finding.fault, item.role) for item in diagnose(found, BASE).ranked]


def test_a_consequence_is_folded_under_its_cause_wherever_it_stands() -> None:
    found = [finding("the-symptom", line=1), finding("a-warning", line=2), finding("the-cause", line=9)]
    assert faults(*found) == [("the-cause", "cause"), ("a-warning", "also"), ("the-symptom", "consequence")]
    assert diagnose(found, BASE).ranked[0].explains == ("the-symptom",)


def test_a_guess_explains_nothing_and_nothing_certain_steps_back_for_it() -> None:
    assert faults(finding("the-symptom"), finding("the-cause", "possible"))[0] == ("the-symptom", "cause")
    assert ("the-noise", "cause") in faults(finding("the-noise"), finding("the-cause", "possible"))


def test_what_steps_back_is_told() -> None:
    diagnoses = diagnose([finding("the-noise", "likely"), finding("the-cause")], BASE)
    assert [item.finding.fault for item in diagnoses.ranked] == ["the-cause"]
    assert [(item.finding.fault, item.yields_to) for item in diagnoses.set_aside] == [("the-noise", "the-cause")]


def test_a_fault_does_not_step_back_for_a_note() -> None:
    note = replace(finding("the-cause"), severity="note")
    assert ("the-noise", "cause") in faults(finding("the-noise", "likely"), note)
    assert ("the-noise", "cause") not in faults(replace(finding("the-noise", "likely"), severity="note"), note)


def test_severity_then_sureness_then_breadth_then_the_first_line() -> None:
    assert faults(finding("a-warning", line=1), finding("another-error", "possible", line=9))[0][0] == "another-error"
    assert faults(finding("another-error", "likely", line=1), finding("the-symptom", line=9))[0][0] == "the-symptom"
    broad = [finding("the-symptom", line=9), finding("the-symptom", source="engine", line=None)]
    assert faults(finding("another-error", line=1), *broad)[0][0] == "the-symptom"
    assert faults(finding("another-error", line=2), finding("the-symptom", line=1))[0][0] == "the-symptom"


def test_the_order_of_findings_does_not_matter() -> None:
    found = [finding(one, line=n) for n, one in enumerate(BASE.entries, 1)]
    expected = faults(*found)
    for seed in range(20):
        random.Random(seed).shuffle(found)
        assert faults(*found) == expected


def test_what_machine_and_log_tell_of_one_fault_stands_together() -> None:
    read = finding("the-cause", "likely", "engine", None, "trainer", image="trainer:2.3", driver="550.54")
    (joined,) = diagnose([finding("the-cause", driver="535"), read], BASE).ranked
    assert joined.finding.sure == "certain"
    assert [item.source for item in joined.finding.evidence] == ["engine", "log"]
    assert joined.finding.values == {"image": "trainer:2.3", "driver": "550.54"}


def test_values_of_one_library_are_not_told_of_another() -> None:
    first = finding("the-cause", subject="image", library="libc.so.6", image="trainer")
    other = finding("the-cause", subject="image", library="libgcc_s.so.1", apt_package="libgcc-s1")
    (joined,) = diagnose([first, other], BASE).ranked
    assert joined.finding.values == {"library": "libc.so.6", "image": "trainer"}
    assert joined.title == "the-cause of libc.so.6"


def test_a_fault_without_an_entry_is_left_out() -> None:
    assert faults(finding("nobody-wrote-this")) == []


def test_a_fix_for_elsewhere_is_left_out_and_one_for_an_unknown_place_kept() -> None:
    fix = Fix("it", "host", "safe", ("true",), when={"engine": ("podman",), "distro": ("debian", "ubuntu")})
    assert holds(fix, {})
    assert holds(fix, {"engine": "podman", "distro": "ubuntu"})
    assert not holds(fix, {"engine": "docker"})
    assert not holds(fix, {"engine": "podman", "distro": "rhel"})


def two_causes(**found: CheckState) -> tuple[list[tuple[str, str, str]], list[str]]:
    """The causes with what decided them, and the order of the fixes, where these checks ended so."""
    causes = (
        Cause("no node", "", (), decided_by=Deciding(check=("node_there", "node_open"))),
        Cause("no memory", "", (), decided_by=Deciding(shown_by=("memory_free",))),
        Cause("old {device|GPU}", "", (), when={"gpu": ("older",)}),
    )
    fixes = tuple(
        Fix(name, "host", "safe", ("true",), decided_by=decided_by)
        for name, decided_by in (("make the node", causes[0].decided_by), ("free memory", causes[1].decided_by))
    )
    base = Base({"two-causes": replace(BASE.entries["the-cause"], id="two-causes", causes=causes, fixes=fixes)})
    outcomes = [Outcome(name, "driver", state, f"{name}: {state}") for name, state in found.items()]
    (item,) = diagnose([finding("two-causes", device="T4", gpu_age="newer")], base, {}, outcomes).ranked
    told = [(one.cause.title, one.state, one.seen) for one in item.causes]
    return told, [fix.title for fix in item.fixes]


NEWER = ("old T4", "ruled out", "the GPU is newer than all that the program has code for")


def test_what_a_check_found_decides_between_causes_and_puts_its_fix_first() -> None:
    causes, fixes = two_causes(node_there="passed", node_open="passed", memory_free="found")
    assert causes == [
        ("no memory", "likely", "memory_free: found"),
        ("no node", "ruled out", "node_there: passed; node_open: passed"),
        NEWER,
    ]
    assert fixes == ["free memory", "make the node"]
    assert two_causes(node_open="found")[0][0] == ("no node", "likely", "node_open: found")


def test_what_was_not_looked_at_or_comes_and_goes_rules_nothing_out() -> None:
    undecided = [("no node", "open", ""), ("no memory", "open", ""), NEWER]
    assert two_causes(node_there="passed", memory_free="passed")[0] == undecided
    assert two_causes(node_there="passed", node_open="skipped", memory_free="crashed")[0] == undecided


@pytest.mark.parametrize(
    ("signs", "first", "last"),
    [
        ({"seems_distro": "rhel"}, "dnf", "apt"),
        ({"seems_distro": "ubuntu"}, "apt", "dnf"),
        ({}, "apt", "dnf"),
    ],
)
def test_signs_of_the_place_order_the_fixes_and_leave_none_out(signs: dict[str, str], first: str, last: str) -> None:
    fixes = tuple(
        Fix(name, "host", "safe", ("true",), when={"distro": (distro,)})
        for name, distro in (("apt", "ubuntu"), ("dnf", "rhel"))
    )
    base = Base({"two-fixes": replace(BASE.entries["the-cause"], id="two-fixes", fixes=fixes)})
    (item,) = diagnose([finding("two-fixes", **signs)], base).ranked
    assert [fix.title for fix in item.fixes] == [first, last]
    known = diagnose([finding("two-fixes", **signs)], base, {"distro": "rhel"}).ranked[0]
    assert [fix.title for fix in known.fixes] == ["dnf"], "what is known decides"


def test_a_distributions_packages_come_last_for_a_program_of_windows() -> None:
    apt = Fix("apt", "dockerfile", "safe", ("true",), when={"distro": ("debian", "ubuntu")})
    docker = Fix("docker", "host", "safe", ("true",), when={"engine": ("docker",)})
    pip = Fix("pip", "dockerfile", "safe", ("true",))
    base = Base({"of-one": replace(BASE.entries["the-cause"], id="of-one", fixes=(apt, docker, pip))})

    def order(**signs: str) -> list[str]:
        return [fix.title for fix in diagnose([finding("of-one", **signs)], base).ranked[0].fixes]

    assert order() == ["apt", "docker", "pip"]
    assert order(seems_system="windows") == ["pip", "apt", "docker"]
    assert order(seems_system="windows", seems_engine="docker") == ["docker", "pip", "apt"]


def test_what_the_signs_speak_against_does_not_come_first_by_what_is_known() -> None:
    override = Fix("override", "container", "safe", ("true",), when={"relative": ("known",), "system": ("linux",)})
    build = Fix("build", "dockerfile", "safe", ("true",))
    base = Base({"of-one": replace(BASE.entries["the-cause"], id="of-one", fixes=(build, override))})
    (linux,) = diagnose([finding("of-one", relative="known")], base).ranked
    (windows,) = diagnose([finding("of-one", relative="known", seems_system="windows")], base).ranked
    assert [fix.title for fix in linux.fixes] == ["override", "build"]
    assert [fix.title for fix in windows.fixes] == ["build", "override"]
    native = replace(build, title="native", when={"system": ("windows",)})
    base = Base({"of-one": replace(base.entries["of-one"], fixes=(native, build))})
    assert [fix.title for fix in diagnose([finding("of-one")], base).ranked[0].fixes] == ["build", "native"]


def test_the_framework_that_a_message_names_leaves_no_other_ones_fix() -> None:
    fixes = tuple(
        Fix(name, "dockerfile", "safe", ("true",), when={"framework": (name,)} if name != "any" else {})
        for name in ("any", "torch", "paddle")
    )
    base = Base({"of-one": replace(BASE.entries["the-cause"], id="of-one", fixes=fixes)})
    (named,) = diagnose([finding("of-one", framework="paddle")], base).ranked
    assert [fix.title for fix in named.fixes] == ["any", "paddle"]
    (signs,) = diagnose([finding("of-one", seems_framework="paddle")], base).ranked
    assert [fix.title for fix in signs.fixes] == ["any", "paddle", "torch"], "signs only order"


def test_what_only_a_message_shows_is_out_where_none_states_it() -> None:
    causes = (Cause("any", "", ()), Cause("libdrm", "", (), when={"only said": ("libdrm is old",)}))
    fixes = tuple(Fix(one.title, "host", "safe", ("true",), when=one.when) for one in causes)
    base = Base({"of-one": replace(BASE.entries["the-cause"], id="of-one", causes=causes, fixes=fixes)})
    told = {
        "": (["open"], ["any"]),
        "libdrm is old": (["likely", "open"], ["libdrm", "any"]),
        "something else": (["open"], ["any"]),
    }
    for said, (states, titles) in told.items():
        (found,) = diagnose([finding("of-one", **({"said": said} if said else {}))], base).ranked
        assert ([one.state for one in found.causes], [one.title for one in found.fixes]) == (states, titles), said
    (apart,) = diagnose([finding("of-one", said_apart="libdrm is old, something else")], base).ranked
    assert [one.title for one in apart.fixes] == ["libdrm", "any"]
    (checked,) = diagnose([finding("of-one", source="host")], base).ranked
    assert [one.state for one in checked.causes] == ["open", "open"], "without a message none is missing"


def test_what_a_check_found_needs_no_message_that_states_it() -> None:
    fix = Fix("selinux", "host", "safe", ("true",), when={"only said": ("SELinux",)}, decided_by=Deciding(("labels",)))
    base = Base({"of-one": replace(BASE.entries["the-cause"], id="of-one", fixes=(fix,))})
    assert not diagnose([finding("of-one")], base).ranked[0].fixes
    found = [Outcome("labels", "driver", "found", "SELinux refuses it")]
    assert diagnose([finding("of-one")], base, outcomes=found).ranked[0].fixes == (fix,)


def test_causes_in_words_tell_alternatives_and_what_one_thing_rules_out_once() -> None:
    suspects = [
        Suspect(Cause(title, "", ()), state, seen)
        for title, state, seen in (
            ("the driver", "likely", "said"),
            ("the root", "likely", "said"),
            ("the node", "likely", "a check"),
            ("the user", "open", ""),
            ("the snap", "ruled out", "said"),
            ("the rights", "ruled out", "a check"),
            ("the GPU", "ruled out", "said"),
        )
    ]
    assert [(heading, seen) for heading, seen, _ in in_words(suspects)] == [
        ("Either it is: the driver", "said"),
        ("Or it is: the root", ""),
        ("Or it is: the node", "a check"),
        ("It may be: the user", ""),
        ("Ruled out: the snap; the GPU", "said"),
        ("Ruled out: the rights", "a check"),
    ]


def test_causes_that_nothing_decides_are_told_up_to_a_number_and_then_by_title() -> None:
    suspects = [Suspect(Cause(title, "", ()), "open") for title in ("the driver", "the root", "the node")]
    assert [heading for heading, _, _ in in_words(suspects, 1)] == [
        "It may be: the driver",
        "It may also be: the root; the node",
    ]
    assert [heading for heading, _, _ in in_words(suspects, 0)] == ["It may be: the driver; the root; the node"]


def test_a_title_names_a_path_as_the_container_sees_it_and_no_more_than_tells_it_apart() -> None:
    base = Base({"of-one": replace(BASE.entries["the-cause"], id="of-one", title="It failed: {reason}")})
    roots = (
        "/var/lib/docker/overlay2/c45eac9aa3fc/merged",
        "/var/lib/containers/storage/overlay/12ab/merged",
        "/run/containerd/io.containerd.runtime.v2.task/k8s.io/91cd/rootfs",
        "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/12/fs",
    )
    for root in roots:
        (found,) = diagnose([finding("of-one", reason=f"mount {root}/usr/lib/libcuda.so.1: file exists")], base).ranked
        assert found.title == "It failed: mount /usr/lib/libcuda.so.1: file exists"
    (found,) = diagnose([finding("of-one", reason="long " * 40)], base).ranked
    assert found.title.endswith("long…")
    assert len(found.title) < 140
