"""`gpu-doctor binary`: text, JSON and JSON lines, and its exit codes."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest

from doctor.__main__ import main
from doctor.binary.record import from_json
from doctor.binary.scan import scan
from tests.binary import AMD, CUDA

CONTRACT = ("path", "machine", "soname", "needed", "rpath", "runpath", "needs_versions", "cubin", "ptx", "gfx")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["binary", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_json_has_the_fields_scripts_rely_on(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(CUDA / "mixed.so")
    code, out, err = run(capsys, "--json", path)
    answer = json.loads(out)
    (file,) = answer["files"]
    assert (code, err) == (0, "")
    assert set(CONTRACT) <= set(file)
    assert file["cubin"] == ["sm_80", "sm_86", "sm_90a"]
    assert file["ptx"] == ["compute_80", "compute_90a"]
    assert file["machine"] == "x86_64"
    assert "libc.so.6" in file["needs_versions"]
    assert from_json(file) == next(scan(path))


def test_json_lines_of_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--format", "jsonl", str(AMD))
    files = [from_json(json.loads(line)) for line in out.splitlines()]
    assert code == 0
    assert files == [*scan(str(AMD))]
    assert any(file.gfx == ("gfx90a:sramecc+:xnack-",) for file in files)


def test_text_says_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, str(CUDA / "family.so"), str(AMD / "b_c_v3.hipfb"))
    assert code == 0
    assert "shared object for x86_64" in out
    assert "CUDA machine code   sm_100f sm_103a sm_103f\n" in out
    assert "PTX                 compute_110f (ISA 9.0)\n" in out
    assert "AMD code            gfx1100 gfx90a:xnack+ gfx90a:xnack- gfx942:sramecc-:xnack+\n" in out
    assert "libc.so.6 (GLIBC_2.2.5)" in out
    assert out.endswith("2 binary files\n")


def test_verbose_counts_images_by_place(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--verbose", str(CUDA / "libdevice.a"))
    assert "in __nv_relfatbin" in out
    assert "sm_90a×2" in out


def test_verbose_tells_what_version_nodes_are_for(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(CUDA / "mixed.so")
    _, out, _ = run(capsys, "--verbose", path)
    assert "  asks libc.so.6 for GLIBC_2.2.5: __cxa_finalize, __cxa_atexit\n" in out
    assert "  build id " in out
    _, out, _ = run(capsys, "--verbose", "--json", path)
    details = json.loads(out)["files"][0]["details"]
    assert {"library": "libgcc_s.so.1", "name": "GCC_3.0", "symbols": ["_Unwind_Resume"]} in details["nodes"]


def test_gpus_are_told_which_files_have_code_for_them(capsys: pytest.CaptureFixture[str]) -> None:
    both = (str(CUDA / "mixed.so"), str(AMD / "b_c_v3.hipfb"))
    code, out, _ = run(capsys, "--gpu", "RTX 4090", "--gpu", "MI300X", "--gpu", "gfx1100", *both)
    assert "GeForce RTX 4090 (8.9): yes: sm_86 runs on 8.9: same major, later minor\n" in out
    assert "gfx1100 (gfx1100): yes: " in out
    assert "Instinct MI300X (gfx942): no: " in out, "the bundle has gfx942:sramecc-:xnack+ only"
    assert out.endswith("gfx1100 (gfx1100): 1 with machine code for it, 1 for the other vendor\n")
    assert code == 1
    assert run(capsys, "--gpu", "RTX 4090", *both)[0] == 0
    assert run(capsys, "--gpu", "MI300X", "--fail-on", "never", *both)[0] == 0
    assert run(capsys, "--gpu", "MI300X", both[0])[0] == 1, "code for the other vendor alone"


def test_verdicts_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--json", "--gpu", "sm_120", "--driver", "550.54", str(CUDA / "mixed.so"))
    (verdict,) = json.loads(out)["files"][0]["gpus"]
    assert (verdict["gpu"], verdict["runs"], verdict["by"]) == ("12.0", "no", None)
    assert "PTX 9.0 needs a driver for CUDA 13.0" in verdict["because"]
    _, out, _ = run(capsys, "--json", "--gpu", "sm_120", "--driver", "580.65", str(CUDA / "mixed.so"))
    (verdict,) = json.loads(out)["files"][0]["gpus"]
    assert (verdict["runs"], verdict["by"]) == ("jit", "compute_80")


def test_code_that_may_be_linked_or_was_not_read_is_not_called_absent(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, _ = run(capsys, "--gpu", "sm_120", str(CUDA / "linked.so"))
    assert "(12.0): unknown: " in out
    assert "relocatable PTX" in out
    assert code == 0
    code, out, _ = run(capsys, "--gpu", "T4", str(CUDA / "linked.so"))
    assert (code, "Tesla T4 (7.5): no: " in out) == (1, True), "its PTX is too new for this one"
    cut = tmp_path / "cut.fatbin"
    cut.write_bytes((CUDA / "k.fatbin").read_bytes()[:-8])
    code, out, _ = run(capsys, "--gpu", "T4", str(cut))
    assert (code, "Tesla T4 (7.5): unknown: " in out) == (3, True)


def test_kernel_libraries_of_a_folder_are_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for target in ("gfx942", "gfx1100", "gfx1030"):
        (tmp_path / f"TensileLibrary_lazy_{target}.dat").write_bytes(b"x")
    code, out, _ = run(capsys, "--gpu", "RX 7900 XTX", str(tmp_path))
    assert (code, out.splitlines()[-1]) == (0, "Radeon RX 7900 XTX (gfx1100): 1 with machine code for it")
    assert run(capsys, "--gpu", "MI210", str(tmp_path))[0] == 1


def test_a_gpu_that_is_not_known_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--gpu", "RTX 4091", str(CUDA / "mixed.so"))
    assert (code, out) == (2, "")
    assert "is no known GPU; did you mean" in err


def test_a_wheel_is_read_in_place(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(CUDA / "mixed.so", "a/mixed.so")
    code, out, _ = run(capsys, "--json", str(path))
    first, whole = json.loads(out)["files"]
    assert code == 0
    assert (first["path"], first["cubin"]) == (f"{path}!a/mixed.so", ["sm_80", "sm_86", "sm_90a"])
    assert whole["kind"] == "zip"


def test_output_goes_to_the_file_only_when_whole(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = tmp_path / "answer.json"
    code, out, _ = run(capsys, "--json", "--output", str(target), str(CUDA / "k90.cubin"))
    assert (code, out) == (0, "")
    assert json.loads(target.read_text())["files"][0]["cubin"] == ["sm_90"]
    assert [path.name for path in tmp_path.iterdir()] == ["answer.json"]


@pytest.mark.parametrize(
    "words", [["/nowhere/lib.so"], [], ["--places", "everywhere", "x"], ["--format", "sarif", "x"]]
)
def test_wrong_use_is_one_line_and_exit_2(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert err.startswith("gpu-doctor: ")
    assert err.count("\n") == 1


def test_an_output_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = run(capsys, "--output", str(tmp_path / "no" / "such" / "x"), str(CUDA / "k90.cubin"))
    assert code == 2
    assert "cannot be written" in err


def test_damage_is_said_with_its_place_and_exit_3(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "cut.fatbin"
    path.write_bytes((CUDA / "k.fatbin").read_bytes()[:300])
    code, out, err = run(capsys, str(path))
    assert (code, err) == (3, "")
    assert "could not be read   at offset 0: a fatbin region says" in out


def test_a_text_file_is_said_to_be_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    code, out, _ = run(capsys, str(tmp_path / "a.py"))
    assert (code, out.splitlines()[1]) == (0, "  no ELF file, kernel image or archive, 6 bytes")
    code, out, _ = run(capsys, str(tmp_path))
    assert (code, out) == (0, "no ELF files, kernel images or kernel libraries here\n")


def test_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = bytearray((CUDA / "mixed.so").read_bytes())
    at = data.index(b"libstdc++.so.6\0")
    data[at : at + 6] = b"\x1b[2J\x07\n"
    path = tmp_path / "evil\x1b]0;owned\x07.so"
    path.write_bytes(data)
    _, out, _ = run(capsys, "--verbose", str(path))
    assert "\x1b" not in out
    assert "\x07" not in out
    assert len([line for line in out.splitlines() if not line.startswith("  ")]) == 1


def test_quiet_and_colours(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Nothing is said where nothing is wrong; colours only where they are wanted."""
    (tmp_path / "a.ptx").write_text(".version 7.0\n.target sm_99\n.address_size 64\n")
    fits = ["binary", str(tmp_path), "--gpu", "sm_100"]
    assert main([*fits, "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    lacks = ["binary", str(tmp_path), "--gpu", "sm_70"]
    assert main([*lacks, "--quiet"]) == 1
    said = capsys.readouterr().out
    assert "no:" in said
    assert main([*lacks, "--color", "always"]) == 1
    coloured = capsys.readouterr().out
    assert "\x1b[31;1mno\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == said
