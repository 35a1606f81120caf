"""Our answer is the real loader's, on programs made for the purpose, each in a root of its own."""

from __future__ import annotations

import subprocess

import pytest

from doctor.loader.resolve import Edge, Resolution, resolve
from doctor.tree import DirectoryTree
from tests.loader.conftest import LOADER, Build, Root, loaded

PROGRAM = "/opt/bin/program"


def ours(resolution: Resolution) -> list[tuple[str, str | None]]:
    """The libraries in loading order as a trace has them: each file once, by the name it was first asked for.

    A path is traced with its tokens filled in.
    """
    new: dict[tuple[str, str | None], None] = {}
    files: set[str | None] = set()
    for edge in resolution.edges:
        if edge.kind not in ("loader", "already loaded") and edge.file not in files:
            files |= {edge.file} - {None}
            new[edge.found if edge.found and "/" in edge.needed else edge.needed, edge.found] = None
    return list(new)


def resolved(root: Root, environment: dict[str, str]) -> Resolution:
    with DirectoryTree(root.folder) as tree:
        return resolve(tree, [PROGRAM], environment, "x86_64")


def edge(resolution: Resolution, needed: str) -> Edge:
    (found,) = [edge for edge in resolution.edges if edge.needed == needed]
    return found


def rpath_over_environment(root: Root) -> dict[str, str]:
    for folder in ("rpath", "environment"):
        root.library(f"/{folder}/liba.so")
    root.program(PROGRAM, ["liba.so"], rpath="/rpath")
    return {"LD_LIBRARY_PATH": "/environment"}


def environment_over_runpath(root: Root) -> dict[str, str]:
    for folder in ("runpath", "environment"):
        root.library(f"/{folder}/liba.so")
    root.program(PROGRAM, ["liba.so"], runpath="/runpath")
    return {"LD_LIBRARY_PATH": "/environment"}


def runpath_over_cache(root: Root) -> dict[str, str]:
    root.library("/runpath/liba.so")
    root.library("/usr/lib/liba.so")
    root.ldconfig()
    root.program(PROGRAM, ["liba.so"], runpath="/runpath")
    return {}


def rpath_is_inherited(root: Root) -> dict[str, str]:
    root.library("/rpath/liba.so", ["libb.so"])
    root.library("/rpath/libb.so", ["libc1.so"])
    root.library("/rpath/libc1.so")
    root.program(PROGRAM, ["liba.so"], rpath="/rpath")
    return {}


def runpath_is_not_inherited(root: Root) -> dict[str, str]:
    root.library("/runpath/liba.so", ["libb.so"])
    root.library("/runpath/libb.so")
    root.program(PROGRAM, ["liba.so"], runpath="/runpath")
    return {}


def runpath_shuts_out_inherited_rpath(root: Root) -> dict[str, str]:
    root.library("/rpath/liba.so", ["libb.so"], runpath="/elsewhere")
    root.library("/rpath/libb.so")
    root.program(PROGRAM, ["liba.so"], rpath="/rpath")
    return {}


def rpath_passes_through_runpath(root: Root) -> dict[str, str]:
    root.library("/rpath/liba.so", ["libb.so"], runpath="/elsewhere")
    root.library("/elsewhere/libb.so", ["libc1.so"])
    root.library("/rpath/libc1.so")
    root.program(PROGRAM, ["liba.so"], rpath="/rpath")
    return {}


def nearest_rpath_first(root: Root) -> dict[str, str]:
    root.library("/one/liba.so", ["libb.so"], rpath="/two")
    root.library("/one/libb.so")
    root.library("/two/libb.so")
    root.program(PROGRAM, ["liba.so"], rpath="/one")
    return {}


def rpath_of_whoever_loaded_it(root: Root) -> dict[str, str]:
    # libshared is loaded by liba, so libb's folder counts for nothing when libshared needs libd.
    root.library("/one/liba.so", ["libshared.so"], rpath="/one")
    root.library("/one/libb.so", ["libshared.so"], rpath="/two")
    root.library("/one/libshared.so", ["libd.so"])
    root.library("/two/libd.so")
    root.program(PROGRAM, ["liba.so", "libb.so"], runpath="/one")
    return {}


def origin(root: Root) -> dict[str, str]:
    root.library("/opt/lib/liba.so", ["libb.so"], runpath="$ORIGIN/inner")
    root.library("/opt/lib/inner/libb.so")
    root.program(PROGRAM, ["liba.so"], runpath="${ORIGIN}/../lib")
    return {}


def origin_of_a_linked_folder(root: Root) -> dict[str, str]:
    # The origin is the path by which the library was opened, not the one that its links lead to.
    root.library("/real/liba.so", ["libb.so"], runpath="$ORIGIN/../beside")
    root.library("/opt/beside/libb.so")
    root.link("/opt/linked", "/real")
    root.program(PROGRAM, ["liba.so"], runpath="/opt/linked")
    return {}


def origin_of_a_linked_library(root: Root) -> dict[str, str]:
    root.library("/real/liba.so.1", ["libb.so"], runpath="$ORIGIN")
    root.library("/real/libb.so")
    root.link("/opt/lib/liba.so.1", "/real/liba.so.1")
    root.program(PROGRAM, ["liba.so.1"], runpath="/opt/lib")
    return {}


def token_like_word(root: Root) -> dict[str, str]:
    root.library("/opt/bin/$ORIGINAL/liba.so")
    root.library("/$NOTHING/libb.so")
    root.program(PROGRAM, ["liba.so", "libb.so"], runpath="/opt/bin/$ORIGINAL:/$NOTHING")
    return {}


def lib_token(root: Root) -> dict[str, str]:
    for folder in ("lib", "lib64", "lib/x86_64-linux-gnu"):
        root.library(f"/opt/{folder}/liba.so")
    root.program(PROGRAM, ["liba.so"], runpath="/opt/$LIB")
    return {}


def platform_token(root: Root) -> dict[str, str]:
    for folder in ("x86_64", "haswell", "xeon_phi"):
        root.library(f"/opt/{folder}/liba.so")
    root.program(PROGRAM, ["liba.so"], runpath="/opt/${PLATFORM}")
    return {}


def tokens_in_the_environment(root: Root) -> dict[str, str]:
    root.library("/opt/bin/near/liba.so")
    root.program(PROGRAM, ["liba.so"])
    return {"LD_LIBRARY_PATH": "$ORIGIN/near"}


def environment_separators(root: Root) -> dict[str, str]:
    root.library("/one/liba.so")
    root.library("/two/libb.so")
    root.library("/libc1.so")
    root.program(PROGRAM, ["liba.so", "libb.so", "libc1.so"])
    return {"LD_LIBRARY_PATH": "/one;/two:"}


def cache_hit(root: Root) -> dict[str, str]:
    root.text("/etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n")
    root.text("/etc/ld.so.conf.d/one.conf", "# comment\n/opt/one # more\n")
    root.text("/etc/ld.so.conf.d/two.conf", "include more/*\n")
    root.text("/etc/ld.so.conf.d/more/three", "/opt/three\n")
    root.text("/etc/ld.so.conf.d/ignored", "/opt/ignored\n")
    for folder in ("one", "three", "ignored"):
        root.library(f"/opt/{folder}/lib{folder}.so.1.2", soname=f"lib{folder}.so.1")
    root.ldconfig()
    root.program(PROGRAM, ["libone.so.1", "libthree.so.1", "libignored.so.1"])
    return {}


def cache_in_the_old_format(root: Root) -> dict[str, str]:
    root.text("/etc/ld.so.conf", "/opt/one\n")
    root.library("/opt/one/libone.so.1")
    root.ldconfig("-c", "compat")
    root.program(PROGRAM, ["libone.so.1"])
    return {}


def cache_that_is_out_of_date(root: Root) -> dict[str, str]:
    root.text("/etc/ld.so.conf", "/opt/one\n")
    root.library("/opt/one/liba.so")
    root.ldconfig()
    root.path("/opt/one/liba.so").unlink()
    root.library("/usr/lib/liba.so")
    root.program(PROGRAM, ["liba.so"])
    return {}


def no_ldconfig_since(root: Root) -> dict[str, str]:
    root.text("/etc/ld.so.conf", "/opt/one\n")
    root.ldconfig()
    root.library("/opt/one/liba.so")
    root.program(PROGRAM, ["liba.so"])
    return {}


def cache_that_is_damaged(root: Root) -> dict[str, str]:
    root.text("/etc/ld.so.conf", "/opt/one\n")
    root.library("/opt/one/liba.so")
    root.library("/usr/lib/libb.so")
    root.ldconfig()
    cache = root.path("/etc/ld.so.cache")
    cache.write_bytes(cache.read_bytes()[:60])
    root.program(PROGRAM, ["liba.so", "libb.so"])
    return {}


def default_folders(root: Root) -> dict[str, str]:
    for folder in ("/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib", "/usr/lib/x86_64-linux-gnu"):
        root.library(f"{folder}/lib{folder.replace('/', '-')}.so")
    root.library("/lib/libtwice.so")
    root.library("/usr/lib/libtwice.so")
    names = [f"lib{folder}.so" for folder in ("-lib", "-usr-lib", "-lib64", "-usr-lib64", "-usr-local-lib")]
    root.program(PROGRAM, [*names, "lib-usr-lib-x86_64-linux-gnu.so", "libtwice.so"])
    return {}


def cycle(root: Root) -> dict[str, str]:
    root.library("/opt/lib/liba.so", ["libb.so"], runpath="$ORIGIN")
    root.library("/opt/lib/libb.so", ["liba.so", "libb.so"], runpath="$ORIGIN")
    root.program(PROGRAM, ["libb.so"], runpath="/opt/lib")
    return {}


def breadth_first(root: Root) -> dict[str, str]:
    for name, needs in {"a": "cd", "b": "e", "c": "f", "d": "", "e": "", "f": ""}.items():
        root.library(f"/l/lib{name}1.so", [f"lib{need}1.so" for need in needs], runpath="/l")
    root.program(PROGRAM, ["liba1.so", "libb1.so"], runpath="/l")
    return {}


def missing(root: Root) -> dict[str, str]:
    root.library("/l/liba.so", ["libgone.so.3", "libalso.so"], runpath="/l")
    root.program(PROGRAM, ["liba.so", "libgone.so.3"], rpath="/r", runpath="")
    return {"LD_LIBRARY_PATH": "/nowhere:/l"}


def wrong_class(root: Root) -> dict[str, str]:
    root.library("/l32/liba.so", options=["-m32"])
    root.library("/l64/liba.so")
    root.library("/l32/libonly32.so", options=["-m32"])
    root.program(PROGRAM, ["liba.so", "libonly32.so"], runpath="/l32:/l64")
    return {}


def wrong_machine(root: Root) -> dict[str, str]:
    root.library("/arm/liba.so")
    path = root.path("/arm/liba.so")
    data = bytearray(path.read_bytes())
    data[18:20] = (183).to_bytes(2, "little")
    path.write_bytes(data)
    root.library("/l/liba.so")
    root.program(PROGRAM, ["liba.so"], runpath="/arm:/l")
    return {}


def links_that_leave_the_root(root: Root) -> dict[str, str]:
    root.library("/real/liba.so.1.2", soname="liba.so.1")
    root.link("/l/liba.so.1", "../../../../../../../../real/liba.so.1.2")
    root.library("/real/libb.so")
    root.link("/absolute", "/real")
    root.link("/l/libb.so", "/absolute/./libb.so")
    root.program(PROGRAM, ["liba.so.1", "libb.so"], runpath="/l")
    return {}


def loop_of_links(root: Root) -> dict[str, str]:
    root.link("/one/liba.so", "liba.so")
    root.library("/two/liba.so")
    root.library("/three/liba.so")
    root.program(PROGRAM, ["liba.so"], runpath="/one:/two")
    return {"LD_LIBRARY_PATH": "/one:/three"}


def same_soname_under_two_names(root: Root) -> dict[str, str]:
    root.library("/l/libalias.so", soname="libx.so.1")
    root.library("/l/libx.so.1")
    root.program(PROGRAM, ["libalias.so", "libx.so.1"], runpath="/l")
    return {}


def same_file_under_two_names(root: Root) -> dict[str, str]:
    root.library("/l/liba.so.1", ["libb.so"], soname=None, runpath="/l")
    root.link("/l/libother.so", "liba.so.1")
    root.library("/l/libb.so")
    root.program(PROGRAM, ["liba.so.1", "libother.so"], runpath="/l")
    return {}


def runpath_beside_rpath(root: Root) -> dict[str, str]:
    # No linker writes both, so another entry is turned into the RUNPATH.
    root.library("/l/liba.so", ["libb.so", "libc1.so"], rpath="/rpath", options=["-Wl,-f,/runpath"])
    path = root.path("/l/liba.so")
    auxiliary, runpath = (0x7FFFFFFD).to_bytes(8, "little"), (29).to_bytes(8, "little")
    data = path.read_bytes()
    assert data.count(auxiliary) == 1
    path.write_bytes(data.replace(auxiliary, runpath))
    for name in ("libb.so", "libd.so"):
        root.library(f"/rpath/{name}")
    root.library("/runpath/libc1.so", ["libd.so"])
    root.program(PROGRAM, ["liba.so"], runpath="/l")
    return {}


def needed_by_path(root: Root) -> dict[str, str]:
    root.library("/l/liba.so", ["/l/deep/libb.so", "$ORIGIN/libc1.so"])
    root.library("/l/deep/libb.so", soname=None)
    root.library("/l/libc1.so", soname=None)
    root.program(PROGRAM, ["/l/liba.so"])
    return {}


def loader_by_name(root: Root) -> dict[str, str]:
    root.library("/l/liba.so", ["ld-linux-x86-64.so.2"])
    root.program(PROGRAM, ["liba.so", LOADER], runpath="/l")
    return {}


def many_in_order(root: Root) -> dict[str, str]:
    root.library("/l/liba.so", ["libm1.so"], rpath="/m")
    root.library("/m/libm1.so", ["libn1.so"], runpath="$ORIGIN/../n")
    root.library("/n/libn1.so", ["liba.so", "libz1.so"])
    root.library("/m/libz1.so")
    root.library("/z/libz1.so")
    root.program(PROGRAM, ["liba.so"], rpath="/l:/z")
    return {}


CASES = [value for value in list(globals().values()) if getattr(value, "__annotations__", {}).get("root") == "Root"]
CASES = [case for case in CASES if case.__annotations__["return"] == "dict[str, str]"]


@pytest.mark.parametrize("build", CASES, ids=lambda build: build.__name__)
def test_loads_what_the_real_loader_loads(root: Root, as_root: None, build: Build) -> None:
    environment = build(root)
    trace = root.traced(PROGRAM, environment)
    assert loaded(trace), trace
    assert ours(resolved(root, environment)) == loaded(trace), trace


def test_a_file_that_is_no_library_ends_the_search(root: Root, as_root: None) -> None:
    root.text("/one/liba.so", "GROUP ( libreal.so )\n" * 20)
    root.library("/two/liba.so")
    root.program(PROGRAM, ["liba.so"], runpath="/one:/two")
    assert "invalid ELF header" in root.traced(PROGRAM, {})
    found = edge(resolved(root, {}), "liba.so")
    assert found.kind == "missing"
    assert [(place.path, place.outcome) for place in found.searched] == [
        ("/one/liba.so", "not an ELF file; the loader gives up here")
    ]


def test_a_folder_in_the_place_of_a_library_ends_the_search(root: Root, as_root: None) -> None:
    root.path("/one/liba.so").mkdir(parents=True)
    root.library("/two/liba.so")
    root.program(PROGRAM, ["liba.so"], runpath="/one:/two")
    assert "cannot read file data" in root.traced(PROGRAM, {})
    assert edge(resolved(root, {}), "liba.so").searched[-1].outcome == "a folder; the loader gives up here"


def test_version_nodes_are_compared(root: Root, as_root: None) -> None:
    both = root.compiled.source("both.map", "V1 { global: one; }; V2 { global: two; } V1;\n")
    first = root.compiled.source("first.map", "V1 { global: one; two; };\n")
    source = root.compiled.source("versions.c", "void one(void) {}\nvoid two(void) {}\n")
    flags = ["-Wl,-soname,libv.so.1"]
    full = root.compiled.library((*flags, f"-Wl,--version-script,{both}"), source)
    root.library("/l/libv.so.1", options=[f"-Wl,--version-script,{first}"], source=source)
    root.stubs["libv.so.1"] = full
    caller = root.compiled.source("caller.c", "void one(void); void two(void);\nvoid call(void) { one(); two(); }\n")
    root.library("/l/liba.so", ["libv.so.1"], runpath="/l", source=caller)
    root.program(PROGRAM, ["liba.so"], runpath="/l")
    assert "version `V2' not found (required by /l/liba.so)" in root.traced(PROGRAM, {})
    resolution = resolved(root, {})
    assert edge(resolution, "libv.so.1").versions_missing == ("V2",)
    assert [fault.by for fault in resolution.version_faults()] == ["/l/liba.so"]
    # With the library it was linked against nothing is wrong, and one without any node is taken as it is.
    root._put(full, "/l/libv.so.1")
    assert "not found" not in root.traced(PROGRAM, {})
    assert resolved(root, {}).version_faults() == ()
    root.library("/l/libv.so.1", source=source)
    assert resolved(root, {}).version_faults() == ()


def test_folders_for_the_processor_come_first(root: Root, as_root: None) -> None:
    said = subprocess.run([LOADER, "--help"], capture_output=True, text=True, check=False).stdout
    if "x86-64-v3 (supported" not in said:
        pytest.skip("needs a processor and a glibc with glibc-hwcaps/x86-64-v3")
    root.text("/etc/ld.so.conf", "/c\n")
    for folder in ("/l", "/l/glibc-hwcaps/x86-64-v2", "/c", "/c/glibc-hwcaps/x86-64-v3", "/c/glibc-hwcaps/x86-64-v2"):
        root.library(f"{folder}/lib{folder[1]}.so")
    root.ldconfig()
    root.program(PROGRAM, ["libl.so", "libc.so"], runpath="/l")
    want = [
        ("libl.so", "/l/glibc-hwcaps/x86-64-v2/libl.so"),
        ("libc.so", "/c/glibc-hwcaps/x86-64-v3/libc.so"),
    ]
    assert loaded(root.traced(PROGRAM, {})) == want
    assert ours(resolved(root, {})) == want


def test_every_edge_says_how(root: Root) -> None:
    root.text("/etc/ld.so.conf", "/cached\n")
    root.library("/cached/libcached.so")
    root.ldconfig()
    root.library("/runpath/librun.so", ["libenv.so"], rpath="/unused")
    root.library("/environment/libenv.so")
    root.library("/usr/lib/libdefault.so")
    names = ["librun.so", "libenv.so", "libcached.so", "libdefault.so", "libgone.so"]
    root.program(PROGRAM, names, runpath="/runpath:/32")
    root.library("/32/libgone.so", options=["-m32"])
    resolution = resolved(root, {"LD_LIBRARY_PATH": "/environment"})
    assert [(found.needed, found.how) for found in resolution.edges] == [
        ("librun.so", f"runpath of {PROGRAM}"),
        ("libenv.so", "LD_LIBRARY_PATH"),
        ("libcached.so", "ld.so.cache"),
        ("libdefault.so", "default path"),
        ("libgone.so", "not found"),
        ("libenv.so", "/environment/libenv.so is already loaded"),
    ]
    gone = edge(resolution, "libgone.so")
    assert [(place.how, place.path, place.outcome) for place in gone.searched][:4] == [
        ("LD_LIBRARY_PATH", "/environment/libgone.so", "absent"),
        (f"runpath of {PROGRAM}", "/runpath/libgone.so", "absent"),
        (f"runpath of {PROGRAM}", "/32/libgone.so", "32-bit i386, not 64-bit: passed over"),
        ("ld.so.cache", "/etc/ld.so.cache", "does not list it"),
    ]
    assert {place.how for place in gone.searched[4:]} == {"default path"}
    assert resolution.missing() == (gone,)


def test_a_folder_that_ldconfig_has_not_seen_is_named(root: Root) -> None:
    no_ldconfig_since(root)
    found = edge(resolved(root, {}), "liba.so")
    assert (found.kind, found.found, found.elsewhere) == ("after-ldconfig", None, ("/opt/one/liba.so",))
    assert found.how == "in /opt/one, which /etc/ld.so.conf names, but ldconfig has not run since"


def test_relative_folders_count_from_the_working_directory(root: Root) -> None:
    root.library("/here/near/liba.so")
    root.program(PROGRAM, ["liba.so"], runpath="near")
    with DirectoryTree(root.folder) as tree:
        assert edge(resolve(tree, [PROGRAM], {}), "liba.so").kind == "missing"
        inside = resolve(tree, [PROGRAM], {}, working_directory="/here")
    assert edge(inside, "liba.so").found == "/here/near/liba.so"
