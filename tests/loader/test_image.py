"""Whole trees: each file read once, each question asked once, and no false alarm for what a healthy image lacks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

import pytest

from doctor.binary.elf import ElfFile, read_elf
from doctor.binary.reader import Reader, Source
from doctor.loader import resolve as resolve_module
from doctor.loader.driver import LIBRARIES, capability
from doctor.loader.frameworks import optional, packages_folder
from doctor.loader.resolve import Resolution, resolve, resolve_image
from doctor.tree import DirectoryTree, Node, RecordedTree
from tests.loader.conftest import Root

SITE = "/usr/local/lib/python3.11/site-packages"


def examined(root: Root, environment: Mapping[str, str] | None = None) -> Resolution:
    with DirectoryTree(root.folder) as tree:
        return resolve_image(tree, environment or {}, "x86_64")


def kinds(resolution: Resolution, by: str) -> dict[str, str]:
    return {edge.needed: edge.kind for edge in resolution.edges if edge.by == by}


# -- libraries of the driver


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("libcuda.so.1", "compute"),
        ("libcuda.so", "compute"),
        ("libnvidia-ml.so.1", "utility"),
        ("libnvcuvid.so.1", "video"),
        ("libnvidia-encode.so.1", "video"),
        ("libnvoptix.so.1", "graphics"),
        ("libnvidia-something-new.so.9", "any"),
        ("libnvidia-container.so.1", None),
        ("libnvidia-container-go.so.1", None),
        ("libcudart.so.12", None),
        ("libcudnn.so.9", None),
        ("libGL.so.1", None),
        ("libOpenCL.so.1", None),
        ("libcuda", None),
        ("libamdhip64.so.6", None),
    ],
)
def test_which_libraries_the_driver_brings(name: str, want: str | None) -> None:
    assert capability(name) == want


def test_no_library_of_the_driver_has_two_capabilities() -> None:
    assert max(Counter(name for names in LIBRARIES.values() for name in names).values()) == 1


def test_a_library_of_the_driver_is_not_missing(root: Root) -> None:
    root.library("/stubs/libcuda.so", soname="libcuda.so.1")
    root.program("/bin/program", ["libcuda.so.1", "libnvcuvid.so.1", "libcudart.so.12"])
    resolution = examined(root)
    assert kinds(resolution, "/bin/program") == {
        "libcuda.so.1": "from-driver",
        "libnvcuvid.so.1": "from-driver",
        "libcudart.so.12": "missing",
    }
    assert resolution.edges[0].elsewhere == ("/stubs/libcuda.so",)
    assert all(edge.at_start for edge in resolution.edges)
    assert "driver capability: video" in resolution.edges[1].how


def test_a_library_of_the_driver_that_is_in_the_image_is_found_there(root: Root) -> None:
    root.library("/usr/lib/libcuda.so.1")
    root.program("/bin/program", ["libcuda.so.1"])
    assert kinds(examined(root), "/bin/program") == {"libcuda.so.1": "default path"}


# -- what there is instead of a missing library


def test_other_versions_of_a_missing_library(root: Root) -> None:
    root.library("/usr/local/cuda-11.8/lib64/libcudart.so.11.0")
    root.library("/usr/local/cuda-13.0/lib64/libcudart.so.13.0.96", soname="libcudart.so.13")
    root.link("/usr/local/cuda-13.0/lib64/libcudart.so.13", "libcudart.so.13.0.96")
    root.library("/usr/local/cuda-13.0/lib64/libcudart_other.so.12")
    root.program("/bin/program", ["libcudart.so.12"])
    with DirectoryTree(root.folder) as tree:
        whole, alone = resolve_image(tree, {}, "x86_64"), resolve(tree, ["/bin/program"], {})
    instead = [edge.other_versions for edge in (*whole.missing(), *alone.missing())]
    assert instead[1] == ("/usr/local/cuda-11.8/lib64/libcudart.so.11.0", "/usr/local/cuda-13.0/lib64/libcudart.so.13")
    assert instead[0] == (
        "/usr/local/cuda-11.8/lib64/libcudart.so.11.0",
        "/usr/local/cuda-13.0/lib64/libcudart.so.13.0.96",
    )


def test_a_library_whose_link_is_missing(root: Root) -> None:
    root.library("/usr/lib/libcudart.so.12.4.127", soname="libcudart.so.12")
    root.program("/bin/program", ["libcudart.so.12"])
    with DirectoryTree(root.folder) as tree:
        (edge,) = resolve(tree, ["/bin/program"], {}).missing()
    assert (edge.elsewhere, edge.other_versions) == ((), ("/usr/lib/libcudart.so.12.4.127",))


def test_a_library_in_a_wheel_that_the_loader_does_not_search(root: Root) -> None:
    path = f"{SITE}/nvidia/cuda_runtime/lib/libcudart.so.12"
    root.library(path)
    root.program("/bin/program", ["libcudart.so.12", "libcuda.so.1", "libplain.so"])
    with DirectoryTree(root.folder) as tree:
        found = {edge.needed: edge for edge in resolve(tree, ["/bin/program"], {}).edges}
    assert (found["libcudart.so.12"].elsewhere, found["libcudart.so.12"].other_versions) == ((path,), ())
    assert found["libplain.so"].other_versions == ()


def test_a_file_that_was_searched_is_not_elsewhere(root: Root) -> None:
    root.text("/usr/lib/libcudart.so.12", "no library")
    root.program("/bin/program", ["libcudart.so.12"])
    with DirectoryTree(root.folder) as tree:
        (edge,) = resolve(tree, ["/bin/program"], {}).missing()
    assert (edge.elsewhere, edge.other_versions) == ((), ())


# -- Python wheels


def torch(root: Root, *, eager: bool, rpath: bool = True) -> None:
    """An installation of the shape of torch's CUDA wheels."""
    path = "$ORIGIN/../../nvidia/cuda_runtime/lib:$ORIGIN/../../nvidia/cublas/lib:$ORIGIN" if rpath else ""
    root.library(f"{SITE}/torch/lib/libtorch_global_deps.so", ["libcudart.so.12"], rpath=path)
    root.library(f"{SITE}/torch/lib/libc10.so", rpath="$ORIGIN")
    root.library(f"{SITE}/torch/lib/libtorch.so", ["libc10.so", "libcublas.so.12"], rpath=f"{path}:$ORIGIN".strip(":"))
    root.library(f"{SITE}/torch/lib/libtorch_python.so", ["libtorch.so", "libcudart.so.12"], rpath=f"{path}:$ORIGIN")
    root.library(f"{SITE}/torch/_C.cpython-311-x86_64-linux-gnu.so", ["libtorch_python.so"], rpath="$ORIGIN/lib")
    root.text(f"{SITE}/torch/__init__.py", "_preload_cuda_deps(required=False)\n" if eager else "pass\n")
    root.library(f"{SITE}/nvidia/cuda_runtime/lib/libcudart.so.12")
    root.library(f"{SITE}/nvidia/cublas/lib/libcublas.so.12", ["libcublasLt.so.12"], runpath="$ORIGIN")
    root.library(f"{SITE}/nvidia/cublas/lib/libcublasLt.so.12")
    root.library(f"{SITE}/nvidia/cusolver/lib/libcusolver.so.11", ["libcublas.so.12"])
    root.library(f"{SITE}/nvidia/cuda_cupti/lib/libcupti.so.12")


EXTENSION = f"{SITE}/flash_attn_2_cuda.so"


def extension(root: Root, *needs: str) -> None:
    root.library(EXTENSION, ["libc10.so", *needs])


def test_an_extension_finds_what_torch_has_loaded(root: Root) -> None:
    torch(root, eager=False)
    extension(root, "libtorch.so", "libcudart.so.12", "libcublasLt.so.12")
    resolution = examined(root)
    assert set(kinds(resolution, EXTENSION).values()) == {"preloaded"}
    assert {edge.how for edge in resolution.edges if edge.by == EXTENSION} == {"preloaded by torch"}
    assert resolution.missing() == ()


def test_what_torch_opens_by_hand_depends_on_its_version(root: Root) -> None:
    torch(root, eager=False)
    extension(root, "libcupti.so.12")
    assert kinds(examined(root), EXTENSION) == {"libc10.so": "preloaded", "libcupti.so.12": "missing"}
    torch(root, eager=True)
    assert kinds(examined(root), EXTENSION) == {"libc10.so": "preloaded", "libcupti.so.12": "preloaded"}


def test_torch_opens_all_by_hand_when_its_own_libraries_lack_something(root: Root) -> None:
    torch(root, eager=False, rpath=False)
    extension(root, "libcupti.so.12")
    assert kinds(examined(root), EXTENSION) == {"libc10.so": "preloaded", "libcupti.so.12": "preloaded"}


def test_wheels_without_a_framework_are_not_preloaded(root: Root) -> None:
    root.library(f"{SITE}/nvidia/cuda_runtime/lib/libcudart.so.12")
    root.library(f"{SITE}/other/native.so", ["libcudart.so.12"])
    resolution = examined(root)
    (edge,) = resolution.missing()
    assert edge.elsewhere == (f"{SITE}/nvidia/cuda_runtime/lib/libcudart.so.12",)


def test_an_extension_that_is_not_torchs_gets_nothing_from_it(root: Root) -> None:
    torch(root, eager=True)
    root.library(f"{SITE}/other/native.so", ["libcudart.so.12"])
    assert kinds(examined(root), f"{SITE}/other/native.so") == {"libcudart.so.12": "missing"}


def test_a_wheel_that_is_missing_is_an_alarm(root: Root) -> None:
    torch(root, eager=True)
    root.path(f"{SITE}/nvidia/cublas/lib/libcublas.so.12").unlink()
    resolution = examined(root)
    assert {(edge.needed, edge.by) for edge in resolution.missing()} == {
        ("libcublas.so.12", f"{SITE}/torch/lib/libtorch.so"),
        ("libcublas.so.12", f"{SITE}/nvidia/cusolver/lib/libcusolver.so.11"),
    }


@pytest.mark.parametrize(
    ("marker", "says", "library", "how"),
    [
        (
            "jax_plugins/xla_cuda12/__init__.py",
            "def _load_nvidia_libraries():",
            "jax_cuda12_plugin/cuda_plugin_extension.so",
            "preloaded by jax",
        ),
        (
            "cupy_backends/cuda/libs/__init__.py",
            "_pathfinder.load_nvidia_dynamic_lib(name)",
            "cupy_backends/cuda/libs/cublas.so",
            "preloaded by cupy",
        ),
        (
            "onnxruntime/__init__.py",
            "def preload_dlls(cuda=True):",
            "onnxruntime/capi/libonnxruntime_providers_cuda.so",
            "preloaded by onnxruntime, if the program calls onnxruntime.preload_dlls() or imports torch first",
        ),
    ],
)
def test_other_frameworks_open_wheels_by_hand(root: Root, marker: str, says: str, library: str, how: str) -> None:
    root.library(f"{SITE}/nvidia/cublas/lib/libcublas.so.12")
    root.library(f"{SITE}/{library}", ["libcublas.so.12"])
    # A version that does not do it yet.
    root.text(f"{SITE}/{marker}", "pass\n")
    assert kinds(examined(root), f"{SITE}/{library}") == {"libcublas.so.12": "missing"}
    root.text(f"{SITE}/{marker}", f"{says}\n")
    (edge,) = examined(root).edges
    assert (edge.kind, edge.how, edge.at_start) == ("preloaded", how, False)


def test_an_operator_library_finds_tensorflow(root: Root) -> None:
    root.library(f"{SITE}/tensorflow/libtensorflow_framework.so.2", ["libz9.so"], rpath="$ORIGIN/lib")
    root.library(f"{SITE}/tensorflow/lib/libz9.so")
    operator = f"{SITE}/tensorflow_text/ops.so"
    root.library(operator, ["libtensorflow_framework.so.2", "libz9.so"])
    assert kinds(examined(root), operator) == {"libtensorflow_framework.so.2": "preloaded", "libz9.so": "preloaded"}


def test_plug_ins_that_may_be_left_out_are_no_alarm(root: Root) -> None:
    place = f"{SITE}/nvidia/nvshmem/lib/nvshmem_transport_ibrc.so.3"
    root.library(place, ["libmlx5.so.1"])
    resolution = examined(root)
    assert kinds(resolution, place) == {"libmlx5.so.1": "optional"}
    assert resolution.missing() == ()
    assert optional("/l/libnvshmem_host.so.3") is None


def test_an_extension_has_the_rpath_of_its_python(root: Root) -> None:
    root.program("/opt/conda/bin/python3.11", rpath="$ORIGIN/../lib")
    root.library("/opt/conda/lib/libstdc++.so.6")
    module = "/opt/conda/lib/python3.11/site-packages/module.so"
    root.library(module, ["libstdc++.so.6"])
    resolution = examined(root)
    assert [edge.how for edge in resolution.edges if edge.by == module] == ["rpath of /opt/conda/bin/python3.11"]


def test_packages_folder() -> None:
    assert packages_folder(f"{SITE}/torch/lib/x.so") == SITE
    assert packages_folder("/usr/lib/python3/dist-packages/a.so") == "/usr/lib/python3/dist-packages"
    assert packages_folder("/usr/lib/x.so") is None


# -- whole trees


class Counting:
    """A tree that counts what is asked of it."""

    def __init__(self, tree: RecordedTree) -> None:
        self._tree = tree
        self.asked: Counter[str] = Counter()
        self.opened: Counter[str] = Counter()

    def lookup(self, path: str) -> Node | None:
        self.asked["lookup"] += 1
        return self._tree.lookup(path)

    def names(self, path: str) -> Sequence[str]:
        self.asked["names"] += 1
        return self._tree.names(path)

    def open(self, path: str) -> AbstractContextManager[Source]:
        self.opened[path] += 1
        return self._tree.open(path)


def many(root: Root, count: int) -> Counting:
    """`count` programs that need the same few libraries."""
    root.library("/usr/lib/liba.so", ["libb.so"])
    root.library("/usr/lib/libb.so")
    root.program("/bin/program", ["liba.so", "libb.so", "libgone.so"])
    program = root.path("/bin/program").read_bytes()
    files = {f"/usr/lib/{name}": root.path(f"/usr/lib/{name}").read_bytes() for name in ("liba.so", "libb.so")}
    return Counting(RecordedTree.of(files | {f"/bin/p{number}": program for number in range(count)}))


def test_work_grows_with_the_number_of_files_alone(root: Root) -> None:
    costs = []
    for count in (50, 100, 200):
        tree = many(root, count)
        resolution = resolve_image(tree, {})
        assert len(resolution.roots) == count
        assert len(resolution.edges) == 3 * count + 1
        # Once to see what it is, once for its headers.
        assert max(count for path, count in tree.opened.items() if path.startswith("/bin")) == 2
        costs.append(sum(tree.asked.values()) + sum(tree.opened.values()))
    assert costs[2] - costs[1] == 2 * (costs[1] - costs[0])


def test_known_headers_are_not_read_again(root: Root) -> None:
    tree = many(root, 20)
    known: dict[str, ElfFile] = {}
    for path in ["/usr/lib/liba.so", "/usr/lib/libb.so", *(f"/bin/p{number}" for number in range(20))]:
        with tree.open(path) as source:
            known[path] = read_elf(Reader(source))
    tree.opened.clear()
    again = resolve_image(tree, {}, paths=list(known), headers=known)
    assert tree.opened == {}
    assert again == resolve_image(tree, {})


def test_a_library_that_only_a_program_can_place_is_judged_there(root: Root) -> None:
    root.library("/l/liba.so", ["libb.so"])
    root.library("/l/libb.so", ["libc1.so"])
    root.library("/l/libc1.so")
    root.program("/bin/program", ["liba.so"], rpath="/l")
    resolution = examined(root)
    assert resolution.missing() == ()
    assert "/l/libb.so" not in resolution.roots


def test_libraries_that_need_each_other_alone_are_followed(root: Root) -> None:
    root.library("/l/liba.so", ["libb.so"], runpath="$ORIGIN")
    root.library("/l/libb.so", ["liba.so", "libgone.so"], runpath="$ORIGIN")
    resolution = examined(root)
    assert resolution.roots == ("/lib64/ld-linux-x86-64.so.2", "/l/liba.so")
    assert [(edge.needed, edge.by) for edge in resolution.missing()] == [("libgone.so", "/l/libb.so")]


def test_too_many_edges_are_said(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve_module, "MAX_EDGES", 30)
    resolution = resolve_image(many(root, 20), {})
    assert len(resolution.edges) <= 30
    assert resolution.incomplete == "more than 30 edges: the rest was not followed"


def test_path_lists_beyond_all_measure_are_bounded(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve_module, "MAX_PLACES", 5_000)
    folders = ":".join(f"/f{number}" for number in range(2_000))
    for number in range(20):
        root.library(f"/l/lib{number}.so", [f"lib{number + 1}.so"], rpath=f"/l:{folders}:/g{number}")
    root.program("/bin/program", ["lib0.so"], rpath="/l")
    resolution = examined(root)
    assert resolution.incomplete == "more than 5000 places: the rest was not searched"
    # What was not searched to the end is not called missing.
    assert resolution.missing() == ()
    monkeypatch.undo()
    resolution = examined(root)
    assert resolution.incomplete is None
    (gone,) = resolution.missing()
    assert gone.needed == "lib20.so"
    assert len({place.how for place in gone.searched}) == 23


def test_a_library_that_is_asked_for_is_followed_on_its_own(root: Root) -> None:
    root.library("/l/liba.so", ["libb.so"])
    root.library("/l/libb.so")
    root.program("/bin/program", ["liba.so"], rpath="/l")
    with DirectoryTree(root.folder) as tree:
        resolution = resolve(tree, ["/bin/program", "/l/liba.so"], {})
    assert [(edge.root, edge.kind) for edge in resolution.edges if edge.by == "/l/liba.so"] == [
        ("/bin/program", "rpath"),
        ("/l/liba.so", "missing"),
    ]


def test_what_cannot_be_followed_is_a_problem(root: Root) -> None:
    root.program("/bin/program", ["liba.so"])
    whole = root.path("/bin/program").read_bytes()
    arm = bytearray(whole)
    arm[18:20] = (183).to_bytes(2, "little")
    tree = RecordedTree(
        {"/unrecorded": Node("file", 9), **{path: Node("file", 9) for path in ("/arm", "/short", "/text", "/cut")}},
        {"/arm": bytes(arm), "/short": whole[:20], "/text": b"#!/bin/sh\n", "/cut": whole[:900]},
    )
    resolution = resolve(tree, ["/arm", "/short", "/text", "/unrecorded", "/absent", "/cut", "/"], {}, "x86_64")
    reasons = {problem.path: problem.reason for problem in resolution.problems}
    # The dynamic section is cut off, so this one is followed as far as it goes.
    assert reasons.pop("/cut").startswith("the file ends inside")
    assert reasons == {
        "/arm": "is for aarch64, not for x86_64",
        "/short": "the file ends inside the ELF header (at offset 16)",
        "/text": "not an ELF file (at offset 0)",
        "/unrecorded": "the contents were not recorded",
        "/absent": "there is no such file",
        "/": "not a regular file (at offset 0)",
    }
    assert resolution.roots == ("/cut",)


def test_a_resolution_is_plain_data(root: Root) -> None:
    root.program("/bin/program", ["libgone.so"])
    text = json.dumps(asdict(examined(root)))
    assert json.loads(text)["edges"][0]["searched"][0] == {
        "how": "ld.so.cache",
        "path": "/etc/ld.so.cache",
        "outcome": "does not list it",
    }


def test_the_default_folders_are_those_of_the_loader_in_the_tree(tmp_path: Path, root: Root) -> None:
    root.library("/usr/lib64/liba.so")
    root.library("/usr/lib/x86_64-linux-gnu/liba.so")
    root.program("/bin/program", ["liba.so"])
    loader = bytearray(root.path("/lib64/ld-linux-x86-64.so.2").read_bytes())
    # As Fedora builds it; the strings of Debian's are longer, so there is room.
    debian = b"/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0"
    if debian not in loader:
        pytest.skip("needs the loader of Debian or Ubuntu")
    fedora = b"/lib64/\0/usr/lib64/\0".ljust(len(debian), b"\0")
    assert examined(root).edges[0].found == "/usr/lib/x86_64-linux-gnu/liba.so"
    root.path("/lib64/ld-linux-x86-64.so.2").write_bytes(bytes(loader).replace(debian, fedora))
    assert examined(root).edges[0].found == "/usr/lib64/liba.so"
    # Without a loader to ask, the folders that are there tell.
    root.path("/lib64/ld-linux-x86-64.so.2").unlink()
    assert examined(root).edges[0].found == "/usr/lib/x86_64-linux-gnu/liba.so"
