"""What is in an image and whether it runs: frameworks, stack, 20 GPUs, drivers, libraries, driver files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from doctor.gpus import Gpu, find_gpu
from doctor.image.examination import Examination
from doctor.image.inventory import examine
from doctor.image.record import ARCHIVE, LAYOUT, PACKED_ROOT, ROOT, Code, Contents, Framework, Version, VersionFault
from doctor.image.verdict import findings, judge, requirement_unmet
from tests.image.conftest import PACKAGES, amd, cuda, saved, tar, torch_layer


def gpu(name: str) -> Gpu:
    found = find_gpu(name)
    assert isinstance(found, Gpu), name
    return found


def image(tmp_path: Path, *layers: bytes, env: tuple[str, ...] = ()) -> Contents:
    path = tmp_path / "image.tar"
    path.write_bytes(saved(layers, env))
    return examine(str(path), "linux/amd64", Examination())


def made(
    *code: Code, stack: str = "cuda", versions: tuple[Version, ...] = (), environment: dict[str, str] | None = None
) -> Contents:
    return Contents(
        reference="made", how_read="", digest="", platform="linux/amd64", size=1, files=1, distribution="", glibc="2.36",
        musl="", stack=stack, why_stack="by its files", versions=versions,  # type: ignore[arg-type]
        frameworks=(Framework("torch", "2.5.1+cu124", "cuda", "12.4", "/METADATA"),), code=code, libraries=(),
        version_faults=(), environment=environment or {}, compat=(), stubs=(), baked=(), not_examined=(),
    )  # fmt: skip


def core(
    *cubin: str,
    ptx: tuple[tuple[str, str], ...] = (),
    gfx: tuple[str, ...] = (),
    file: str = "/torch/lib/libtorch_cuda.so",
    owner: str = "torch",
) -> Code:
    return Code(file, cubin, ptx, gfx, owner, "core")


# The wheel of torch 2.5.1 for CUDA 12.4 (cuobjdump --list-elf) beside GPUs from Pascal to Blackwell.
TORCH_25 = core("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
CASES = [
    ("GTX 1080", "yes"), ("P100", "yes"), ("V100", "yes"), ("T4", "yes"), ("RTX 2080 Ti", "yes"), ("A100", "yes"), ("A10", "yes"),
    ("RTX 3090", "yes"), ("L4", "yes"), ("RTX 4090", "yes"), ("L40S", "yes"), ("H100", "yes"), ("H200", "yes"), ("B200", "no"),
    ("RTX 5090", "no"), ("sm_120", "no"), ("gfx906", "wrong-vendor"), ("MI300X", "wrong-vendor"), ("gfx1100", "wrong-vendor"),
    ("gfx1201", "wrong-vendor"), ("MI250X", "wrong-vendor"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "runs"), CASES)
def test_torch_for_cuda_on_21_gpus(name: str, runs: str) -> None:
    assert judge(made(TORCH_25), gpu(name)).runs == runs


ROCM_64 = core(
    gfx=("gfx900", "gfx906", "gfx908", "gfx90a", "gfx942", "gfx1030", "gfx1100", "gfx1101", "gfx1200", "gfx1201")
)


@pytest.mark.parametrize(("name", "runs"), [("gfx906", "yes"), ("MI250X", "yes"), ("MI300X", "yes"), ("gfx1100", "yes"), ("gfx1201", "yes"),
                                            ("gfx950", "no"), ("gfx1103", "no"), ("gfx803", "no"), ("RTX 4090", "wrong-vendor")])  # fmt: skip
def test_torch_for_rocm(name: str, runs: str) -> None:
    verdict = judge(made(ROCM_64, stack="rocm"), gpu(name))
    assert verdict.runs == runs
    assert (
        verdict.faults == {"yes": (), "no": ("amd-no-kernel-image",), "wrong-vendor": ("framework-wrong-vendor",)}[runs]
    )


def test_ptx_is_compiled_when_the_driver_reads_it() -> None:
    contents = made(core("sm_80", ptx=(("compute_80", "8.4"),)))
    assert judge(contents, gpu("RTX 5090")).runs == "jit"
    assert judge(contents, gpu("A100")).runs == "yes"
    assert judge(contents, gpu("V100")).runs == "no"
    assert judge(contents, gpu("RTX 5090"), "470.57.02").runs == "no"


def test_a_file_beside_the_framework_makes_it_partly() -> None:
    extension = Code("/flash_attn_2_cuda.so", ("sm_80", "sm_90"), (), (), "flash-attn", "part")
    verdict = judge(made(TORCH_25, extension), gpu("T4"))
    assert (verdict.runs, verdict.decided_by) == ("partly", "/flash_attn_2_cuda.so")
    found = list(findings(made(TORCH_25, extension), [verdict]))
    assert [(one.fault, one.severity) for one in found] == [("cuda-no-kernel-image", "note")]
    assert judge(made(TORCH_25, extension), gpu("A100")).runs == "yes"


def test_special_libraries_do_not_count() -> None:
    special = Code("/nvidia/libcusparseLt.so.0", ("sm_80",), (), (), "cuda", "vendor")
    assert judge(made(TORCH_25, special), gpu("V100")).runs == "yes"


def test_rocblas_without_the_target_is_told_as_tensile() -> None:
    rocblas = Code("/opt/rocm/lib/rocblas/library/*", (), (), ("gfx90a", "gfx942"), "rocm", "vendor")
    verdict = judge(made(ROCM_64, rocblas, stack="rocm"), gpu("gfx1100"))
    assert (verdict.runs, verdict.faults) == ("partly", ("amd-tensile-library-missing",))


def test_one_framework_of_two() -> None:
    other = core("sm_80", "sm_90", file="/onnxruntime/libonnxruntime_providers_cuda.so", owner="onnxruntime")
    assert judge(made(TORCH_25, other), gpu("V100")).runs == "partly"
    assert judge(made(TORCH_25, other), gpu("RTX 5090")).runs == "no"


def test_builds_side_by_side_are_alternatives() -> None:
    old = core("sm_60", "sm_80", file="/bitsandbytes/libbitsandbytes_cuda118.so", owner="bitsandbytes")
    new = core("sm_80", "sm_120", file="/bitsandbytes/libbitsandbytes_cuda130.so", owner="bitsandbytes")
    for name, runs in (("P100", "yes"), ("RTX 5090", "yes"), ("gfx90a", "wrong-vendor")):
        assert judge(made(old, new), gpu(name)).runs == runs


def test_a_file_that_was_not_read_whole_proves_nothing() -> None:
    assert judge(made(replace(TORCH_25, open_end=True)), gpu("RTX 5090")).runs == "unknown"
    assert judge(made(replace(TORCH_25, open_end=True)), gpu("A100")).runs == "yes"


def test_driver_too_old() -> None:
    contents = made(TORCH_25, versions=(Version("cuda", "12.4", "torch 2.5.1"),))
    assert judge(contents, gpu("A100"), "550.54.15").runs == "yes"
    assert judge(contents, gpu("A100"), "525.60.13").runs == "yes"
    verdict = judge(contents, gpu("A100"), "470.57.02")
    assert (verdict.runs, verdict.faults) == ("no", ("cuda-driver-too-old",))
    bridged = judge(
        replace(contents, compat=("/usr/local/cuda/compat/libcuda.so.550.54.15",)), gpu("A100"), "470.57.02"
    )
    assert bridged.runs == "unknown"
    values = next(iter(findings(contents, [verdict], "470.57.02"))).values
    assert (values["cuda"], values["driver"]) == ("12.4", "470.57.02")


@pytest.mark.parametrize(("required", "driver", "unmet"), [
    ("cuda>=12.4 brand=tesla,driver>=470,driver<471", "550.54.15", ""),
    ("cuda>=12.4 brand=tesla,driver>=525,driver<526", "470.57.02", "cuda>=12.4"),
    ("cuda>=12.4 brand=tesla,driver>=470,driver<471", "470.57.02", ""),
    ("cuda>=11.0", "450.80.02", ""),
    ("cuda>=13.0", "550.54.15", "cuda>=13.0"),
    ("", "450.80.02", ""),
    ("nonsense>>1", "550.54.15", ""),
])  # fmt: skip
def test_nvidia_require_cuda(required: str, driver: str, unmet: str) -> None:
    assert requirement_unmet(required, driver) == unmet


def test_cuda_torch_in_an_image(tmp_path: Path) -> None:
    contents = image(
        tmp_path, torch_layer("2.5.1+cu124", cuda("mixed.so"), "12.4"), env=("CUDA_VERSION=11.8.0", "TOKEN=secret")
    )
    assert contents.stack == "cuda"
    assert contents.version("cuda") == "12.4"
    assert [(one.name, one.version, one.build, one.built_for) for one in contents.frameworks] == [
        ("torch", "2.5.1+cu124", "cuda", "12.4")
    ]
    assert contents.environment == {"CUDA_VERSION": "11.8.0"}
    # cuda/cuobjdump.json: sm_80, sm_86, sm_90a, PTX for 8.0 and 9.0a.
    told = {
        name: judge(contents, gpu(name)).runs for name in ("A100", "RTX 3090", "L4", "H100", "RTX 5090", "T4", "MI300X")
    }
    assert told == {
        "A100": "yes",
        "RTX 3090": "yes",
        "L4": "yes",
        "H100": "yes",
        "RTX 5090": "jit",
        "T4": "no",
        "MI300X": "wrong-vendor",
    }


def test_image_named_cuda_with_a_cpu_only_torch(tmp_path: Path) -> None:
    """CUDA's own libraries and variables are in it, and yet nothing uses them."""
    toolkit = tar(
        {
            "usr/local/cuda/lib64/libcublas.so.12": cuda("mixed.so"),
            "usr/local/cuda/version.json": b'{"cuda": {"version": "12.4.1"}}',
        }
    )
    contents = image(
        tmp_path, toolkit, torch_layer("2.5.1+cpu", None), env=("CUDA_VERSION=12.4.1", "NVIDIA_REQUIRE_CUDA=cuda>=12.4")
    )
    assert contents.stack == "cpu"
    assert contents.version("cuda") == "12.4.1"
    verdict = judge(contents, gpu("A100"))
    assert (verdict.runs, verdict.faults) == ("no", ("framework-cpu-only-build",))
    # Without the framework it is a CUDA image.
    assert image(tmp_path, toolkit).stack == "cuda"


def test_kernel_objects_of_rocm(tmp_path: Path) -> None:
    objects = {
        f"opt/rocm/lib/rocblas/library/Kernels_{name}.hsaco": amd(f"o_{name}.hsaco") for name in ("gfx1010", "gfx1030")
    }
    contents = image(tmp_path, tar({**objects, "opt/rocm/.info/version": b"6.4.1-83\n"}))
    assert contents.stack == "rocm"
    assert contents.version("rocm") == "6.4.1"
    assert [(one.file, set(one.gfx), one.role) for one in contents.code] == [
        ("/opt/rocm/lib/rocblas/library/*", {"gfx1010", "gfx1030"}, "vendor")
    ]


def test_no_gpu_code_at_all(tmp_path: Path) -> None:
    contents = image(
        tmp_path, tar({"etc/alpine-release": b"3.20.1\n", "lib/apk/db/installed": b"P:musl\nV:1.2.5-r0\n\n"})
    )
    assert (contents.stack, contents.musl, contents.distribution) == ("cpu", "1.2.5", "Alpine Linux 3.20.1")
    assert judge(contents, gpu("A100")).faults == ()


def test_driver_files_stubs_and_compat(tmp_path: Path) -> None:
    layer = tar({
        "usr/lib/x86_64-linux-gnu/libcuda.so.550.54.15": b"", "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.550.54.15": b"",
        "usr/local/cuda/compat/libcuda.so.550.54.15": b"", "usr/local/cuda/lib64/stubs/libcuda.so": b"",
        "usr/lib/x86_64-linux-gnu/libcudart.so.12.4.127": b"",
    })  # fmt: skip
    contents = image(tmp_path, layer, env=("LD_LIBRARY_PATH=/usr/local/cuda/lib64/stubs",))
    assert contents.baked == (
        "/usr/lib/x86_64-linux-gnu/libcuda.so.550.54.15",
        "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.550.54.15",
    )
    assert contents.compat == ("/usr/local/cuda/compat/libcuda.so.550.54.15",)
    assert contents.stubs == ("/usr/local/cuda/lib64/stubs/libcuda.so",)
    assert contents.version("cuda") == "12.4"
    assert {one.fault for one in findings(contents, ())} == {
        "nvidia-hook-mount-conflict",
        "cuda-compat-library-conflict",
    }
    assert not image(tmp_path, layer).stubs


def test_missing_libraries_are_named_with_who_needs_them(tmp_path: Path) -> None:
    """mixed.so needs the C library alone, which this image lacks: one finding for all that is missing."""
    contents = image(tmp_path, tar({f"{PACKAGES}/torch/lib/libtorch_cuda.so": cuda("mixed.so")}))
    needed = {one.needed for one in contents.libraries if one.found is None}
    assert "libc.so.6" in needed
    found = [one for one in findings(contents, ()) if one.fault == "lib-system-missing"]
    # One subject: the report joins them.
    assert len({one.subject for one in found}) == 1
    assert found[0].values["needed_by"] == "libtorch_cuda.so"


@pytest.mark.parametrize(
    ("reference", "how", "named"),
    [
        ("trainer:2.3", "the engine's layer folders", "trainer:2.3"), ("trainer:2.3", "blobs of containerd's store", "trainer:2.3"),
        ("trainer.tar", ARCHIVE, ""), ("archive://trainer.tar", ARCHIVE, ""), ("layout", LAYOUT, ""), ("root", ROOT, ""),
        ("root.tar", PACKED_ROOT, ""), ("container://trainer", "the container's layer folders", ""),
    ],
)  # fmt: skip
def test_only_an_engines_image_goes_into_commands(reference: str, how: str, named: str) -> None:
    """`docker run archive://trainer.tar` is no command: without a name it shows its blank."""
    contents = replace(made(TORCH_25), reference=reference, how_read=how)
    (found,) = findings(contents, [judge(contents, gpu("RTX 5090"))])
    assert found.values.get("image", "") == named


def test_a_glibc_that_is_too_old_is_told_by_the_version_that_is_asked_for() -> None:
    """The entry says that the glibc here is older than it: never older than itself."""
    fault = VersionFault("libm.so.6", "/lib/libm.so.6", ("GLIBC_2.38",), "/opt/program")
    (found,) = findings(replace(made(), version_faults=(fault,)), ())
    assert (found.fault, found.values["glibc"], found.values["node"]) == ("lib-glibc-too-old", "2.38", "GLIBC_2.38")
