"""Our answer is musl's loader's, which has rules of its own."""

from __future__ import annotations

import pytest

from doctor.loader.resolve import Resolution, resolve
from doctor.tree import DirectoryTree
from tests.loader.conftest import MUSL, Build, Root, loaded

PROGRAM = "/opt/bin/program"


def resolved(root: Root, environment: dict[str, str]) -> Resolution:
    with DirectoryTree(root.folder) as tree:
        return resolve(tree, [PROGRAM], environment, "x86_64")


def listed(root: Root, environment: dict[str, str]) -> str:
    return root.run([MUSL, "--list", PROGRAM], environment)


def program(root: Root, needs: list[str], rpath: str = "", runpath: str = "") -> None:
    root.program(PROGRAM, needs, rpath=rpath, runpath=runpath, interpreter=MUSL)


def environment_over_rpath(root: Root) -> dict[str, str]:
    root.library("/rpath/liba.so")
    root.library("/environment/liba.so")
    program(root, ["liba.so"], rpath="/rpath")
    return {"LD_LIBRARY_PATH": "/environment"}


def runpath_is_inherited(root: Root) -> dict[str, str]:
    root.library("/l/liba.so", ["libb.so"])
    root.library("/l/libb.so")
    program(root, ["liba.so"], runpath="/l")
    return {}


def own_runpath_comes_first(root: Root) -> dict[str, str]:
    root.library("/l/liba.so", ["libb.so"], runpath="$ORIGIN/../two")
    root.library("/l/libb.so")
    root.library("/two/libb.so")
    program(root, ["liba.so"], runpath="${ORIGIN}/../../l")
    return {}


def unknown_token_drops_the_whole_list(root: Root) -> dict[str, str]:
    root.library("/l/liba.so")
    root.library("/usr/local/lib/liba.so")
    program(root, ["liba.so"], runpath="/l:/opt/$LIB")
    return {}


def no_cache(root: Root) -> dict[str, str]:
    root.text("/etc/ld.so.conf", "/cached\n")
    root.library("/cached/liba.so")
    root.library("/lib/libb.so")
    root.library("/usr/lib/libc1.so")
    root.ldconfig()
    program(root, ["libb.so", "libc1.so"])
    return {}


def path_file(root: Root) -> dict[str, str]:
    root.text("/etc/ld-musl-x86_64.path", "/one\n/two:/three\n")
    for folder in ("one", "two", "three"):
        root.library(f"/{folder}/lib{folder}.so")
    program(root, ["libone.so", "libtwo.so", "libthree.so"])
    return {}


def its_own_libraries(root: Root) -> dict[str, str]:
    root.library("/l/libz1.so", ["libm.so.6", "libpthread.so.0", "libc.so"])
    root.library("/l/libm.so.6")
    program(root, ["libz1.so", "libc.musl-x86_64.so.1"], runpath="/l")
    return {}


def soname_does_not_count(root: Root) -> dict[str, str]:
    root.library("/l/libalias.so", soname="libx.so.1")
    root.library("/l/libx.so.1", ["liby.so"])
    root.library("/l/liby.so")
    program(root, ["libalias.so", "libx.so.1"], runpath="/l")
    return {}


def cycle(root: Root) -> dict[str, str]:
    root.library("/l/liba.so", ["libb.so"])
    root.library("/l/libb.so", ["liba.so"])
    program(root, ["liba.so"], runpath="/l")
    return {}


CASES = [
    environment_over_rpath,
    runpath_is_inherited,
    own_runpath_comes_first,
    unknown_token_drops_the_whole_list,
    no_cache,
    path_file,
    its_own_libraries,
    soname_does_not_count,
    cycle,
]


@pytest.mark.parametrize("build", CASES, ids=lambda build: build.__name__)
def test_loads_what_musl_loads(musl_root: Root, as_root: None, build: Build) -> None:
    environment = build(musl_root)
    trace = listed(musl_root, environment)
    resolution = resolved(musl_root, environment)
    ours = {edge.needed: edge.found for edge in resolution.edges if edge.kind != "already loaded"}
    # musl lists each of its own names once, and always as itself.
    itself = {name: path for name, path in loaded(trace) if path == MUSL}
    assert {name: path for name, path in ours.items() if path != MUSL} == {
        name: path for name, path in loaded(trace) if name not in itself
    }, trace
    assert set(itself) <= {name for name, path in ours.items() if path == MUSL}
    assert resolution.missing() == ()


def test_what_is_missing_names_every_place(musl_root: Root, as_root: None) -> None:
    musl_root.library("/l/liba.so", ["libgone.so"])
    program(musl_root, ["liba.so"], runpath="/l")
    environment = {"LD_LIBRARY_PATH": "/environment"}
    assert "Error loading shared library libgone.so" in listed(musl_root, environment)
    (gone,) = resolved(musl_root, environment).missing()
    assert [(place.how, place.path) for place in gone.searched] == [
        ("LD_LIBRARY_PATH", "/environment/libgone.so"),
        (f"runpath of {PROGRAM}", "/l/libgone.so"),
        ("default path", "/lib/libgone.so"),
        ("default path", "/usr/local/lib/libgone.so"),
        ("default path", "/usr/lib/libgone.so"),
    ]


def test_gcompat_is_musl(musl_root: Root) -> None:
    musl_root.library("/lib/libgcompat.so.0")
    musl_root.link("/lib64/ld-linux-x86-64.so.2", "/lib/libgcompat.so.0")
    musl_root.library("/l/liba.so", ["libb.so"])
    musl_root.library("/l/libb.so")
    musl_root.program(PROGRAM, ["liba.so"], runpath="/l")
    resolution = resolved(musl_root, {})
    assert [(edge.needed, edge.found) for edge in resolution.edges] == [
        ("liba.so", "/l/liba.so"),
        ("libb.so", "/l/libb.so"),
    ]
