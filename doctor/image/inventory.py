"""What is in an image: a `Contents` out of its tree and its configuration. Reads, never runs.

Sources: https://www.freedesktop.org/software/systemd/man/latest/os-release.html , version files of the CUDA toolkit
(version.json), ROCm (.info/version), cudnn_version.h and nccl.h, dpkg's status file
(https://man7.org/linux/man-pages/man1/dpkg-query.1.html), apk's installed file
(https://wiki.alpinelinux.org/wiki/Apk_spec).
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from doctor.binary.elf import ET_DYN, ET_EXEC, ElfFile
from doctor.binary.record import BinaryFile
from doctor.data.cuda import version as numbers
from doctor.data.libraries import provider_of
from doctor.image import cache, record
from doctor.image.examination import Examination
from doctor.image.frameworks import ALTERNATIVES, distributions, frameworks, is_primary, owner_of, vendors_of
from doctor.image.layers import LayeredTree
from doctor.image.planned import Opened, read_planned
from doctor.image.record import Code, Contents, Framework, Library, Stack, Version, VersionFault
from doctor.image.sources import open_image
from doctor.loader.resolution import Edge, Resolution
from doctor.loader.resolve import resolve_image
from doctor.tree import TooLarge

# uname -m of the architectures that images name (https://github.com/opencontainers/image-spec/blob/main/config.md).
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "ppc64le": "ppc64", "386": "i386", "arm": "arm"}
_ENVIRONMENT = re.compile(
    r"(?:NVIDIA_|CUDA_|NV_CUDA_|NV_CUDNN|NV_LIBNCCL|NCCL_|ROCM_|ROCR_|HIP_|HSA_|GPU_|TORCH_CUDA|PYTORCH_|MIOPEN_|AMD_)\w*"
    r"|LD_LIBRARY_PATH|LD_PRELOAD"
)
# How much of everything is told; beyond this a record says nothing more to a person.
_MOST = 400
_MOST_BY = 12
_PLACES = 12

_VENDOR_PATHS = re.compile(
    r"/usr/local/cuda[^/]*/.*|/opt/rocm[^/]*/.*|/opt/nvidia/.*|.*/(?:site|dist)-packages/(?:nvidia|_rocm_sdk_\w+)/.*"
)
_DRIVER_FILE = re.compile(
    r"/(?:usr/)?(?:local/)?(?:lib|lib64|lib/[^/]+|lib/[^/]+/vdpau|bin)/"
    r"(?:lib(?:cuda|nvidia-[\w-]+|nvcuvid|nvoptix|GLX_nvidia|EGL_nvidia|cudadebugger|vdpau_nvidia)\.so\.\d{3}\.\d+(?:\.\d+)?)"
)
_COMPAT = re.compile(r".*/compat(?:/[^/]+)?/libcuda\.so\.[\d.]+")
_STUB = re.compile(r".*/stubs/lib(?:cuda|nvidia-ml)\.so(?:\.1)?")


def examine(reference: str, platform: str, examination: Examination, via_container: bool = False) -> Contents:
    """What is in the image that a reference names. Raises UsageError with one line, and Cancelled.

    `via_container`: an engine may be asked to make a container, if that is quicker than what is left otherwise.
    """
    with open_image(reference, platform, examination, via_container) as opened:
        if opened.key and (kept := _kept(opened.key)) is not None:
            return kept
        tree = LayeredTree(read_planned(planned, examination) for planned in opened.layers)
        examination.progress("libraries", 0)
        contents = contents_of(opened, tree, examination)
    if opened.key and not contents.not_examined:
        cache.save(opened.key, record.to_json(contents))
    return contents


def _kept(key: str) -> Contents | None:
    try:
        content = cache.load(key)
        return None if content is None else record.from_json(content)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def contents_of(opened: Opened, tree: LayeredTree, examination: Examination) -> Contents:
    """The record of an image from its tree."""
    config = opened.config
    for path, file in tree.binaries.items():
        for part in file.unreadable[:1]:
            examination.leave_out(path, f"damaged: {part.reason}")
    environment = {name: value for name, value in config.environment.items() if _ENVIRONMENT.fullmatch(name)}
    packages = distributions(tree.contents)
    signs = _signs(tree.binaries)
    found = frameworks(tree.contents, packages, signs)
    stack, why = stack_of(found, signs, tree.binaries)
    machine = _MACHINES.get(config.architecture)
    resolution = _resolved(tree, config.environment, machine, config.working_dir or "/", examination)
    files = tree.files()
    libraries = tuple(_libraries(resolution)) if resolution else ()
    return Contents(
        reference=opened.reference,
        how_read=opened.how_read,
        digest=opened.digest,
        platform=config.platform or _platform_by_files(tree.binaries),
        size=config.size or sum(files.values()),
        files=len(files),
        distribution=_distribution(tree.contents),
        glibc=_glibc(tree.binaries),
        musl=_musl(tree.contents),
        stack=stack,
        why_stack=why,
        versions=tuple(_versions(tree.contents, files, packages, found, environment, config.labels)),
        frameworks=found,
        code=tuple(_code(tree.binaries))[:_MOST],
        libraries=libraries,
        version_faults=tuple(_version_faults(resolution)) if resolution else (),
        environment={name: value[:4000] for name, value in environment.items()},
        compat=tuple(sorted(path for path in files if _COMPAT.fullmatch(path)))[:20],
        stubs=tuple(_stubs(files, environment, tree.contents))[:20],
        baked=tuple(sorted(path for path in files if _DRIVER_FILE.fullmatch(path)))[:40],
        not_examined=examination.not_examined(),
    )


def _signs(binaries: Mapping[str, BinaryFile]) -> dict[str, set[str]]:
    """The vendors by owner of files; "" are files of nobody, "vendor" those of CUDA and ROCm themselves."""
    signs: dict[str, set[str]] = defaultdict(set)
    for path, file in binaries.items():
        owner, _ = owner_of(path)
        name = "vendor" if is_vendor(path, file) else owner
        if name in ("ollama", "llama.cpp"):
            signs[name] |= set()
        if vendors := vendors_of(file):
            signs[name] |= vendors
    return dict(signs)


def is_vendor(path: str, file: BinaryFile) -> bool:
    """Whether a file is a library or tool of CUDA, ROCm or the driver itself."""
    if _VENDOR_PATHS.fullmatch(path):
        return True
    name = file.soname or path.rpartition("/")[2]
    return ".so" in name and provider_of(name).kind in ("cuda", "rocm", "driver")


def stack_of(
    found: Iterable[Framework], signs: Mapping[str, set[str]], binaries: Mapping[str, BinaryFile]
) -> tuple[Stack, str]:
    """What an image is for, and why. What its main frameworks are built for decides, then whatever else uses a GPU."""
    primary = [one for one in found if is_primary(one.name)]
    if primary:
        vendors = set().union(*(signs.get(one.name, set()) for one in primary))
        named = ", ".join(f"{one.name} {one.version}".strip() for one in primary)
        if not vendors:
            return "cpu", f"{named}: neither links CUDA or ROCm libraries nor carries GPU code"
        return _named(vendors), f"by what the files of {named} link and carry"
    others = {name: vendors for name, vendors in signs.items() if name != "vendor"}
    if others:
        vendors = set().union(*others.values())
        if vendors:
            users = sorted(name or "the image's own programs" for name, kinds in others.items() if kinds)
            return _named(vendors), f"by what {', '.join(users[:5])} link and carry"
    if vendors := signs.get("vendor", set()) | _toolkits(binaries):
        return _named(vendors), "by the CUDA or ROCm libraries in it; no program in it uses them"
    return "cpu", "no file links a CUDA or ROCm library or carries GPU code"


def _toolkits(binaries: Mapping[str, BinaryFile]) -> set[str]:
    names = [file.soname or path.rpartition("/")[2] for path, file in binaries.items() if not _COMPAT.fullmatch(path)]
    kinds = {provider_of(name).kind for name in names if ".so" in name and name.startswith("lib")}
    return kinds & {"cuda", "rocm"}


def _named(vendors: set[str]) -> Stack:
    return "both" if len(vendors) > 1 else "cuda" if "cuda" in vendors else "rocm"


# GPU code


def _code(binaries: Mapping[str, BinaryFile]) -> Iterator[Code]:
    """Files with GPU code, those that decide first. Kernel libraries of one folder count as one."""
    folders: dict[str, list[BinaryFile]] = defaultdict(list)
    rows = []
    for path, file in binaries.items():
        if not (file.cubin or file.ptx or file.gfx):
            continue
        if file.kind in ("kernel-library", "code-object", "cubin", "ptx"):
            folders[path.rpartition("/")[0]].append(file)
        else:
            rows.append(_one_code(path, [file]))
    rows += [_one_code(f"{folder}/*", files) for folder, files in folders.items()]
    weight = {"core": 0, "own": 1, "part": 2, "vendor": 3}
    yield from sorted(rows, key=lambda row: (weight[row.role], row.owner, row.file))


def _one_code(path: str, files: list[BinaryFile]) -> Code:
    owner, is_core = owner_of(path)
    vendor = any(is_vendor(file.path, file) for file in files)
    if vendor:
        owner = "rocm" if any(file.gfx for file in files) else "cuda"
    role = "vendor" if vendor else "core" if is_core else "part" if owner and owner not in ALTERNATIVES else "own"
    if role == "own" and owner:
        role = "part"
    return Code(
        file=path,
        cubin=_union(file.cubin for file in files),
        ptx=tuple(sorted({module for file in files for module in file.ptx_modules()})),
        gfx=_union(file.gfx for file in files),
        owner=owner,
        role=role,  # type: ignore[arg-type]
        open_end=any(file.unreadable or file.not_searched for file in files),
    )


def _union(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(target for group in groups for target in group))


# Libraries


def _resolved(
    tree: LayeredTree, environment: Mapping[str, str], machine: str | None, working_dir: str, examination: Examination
) -> Resolution | None:
    headers = {path: _header(file) for path, file in tree.binaries.items() if file.kind in _LOADED}
    try:
        resolution = resolve_image(
            tree, environment, machine, paths=list(headers), working_directory=working_dir, headers=headers
        )
    except (TooLarge, OSError) as error:
        examination.leave_out("libraries", str(error))
        return None
    if resolution.incomplete:
        examination.leave_out("libraries", resolution.incomplete)
    return resolution


_LOADED = {"executable": ET_EXEC, "shared-object": ET_DYN}


def _header(file: BinaryFile) -> ElfFile:
    """The header that the loader asks for, from what was scanned already."""
    return ElfFile(
        bits=file.bits or 64,
        little_endian=file.machine not in ("s390x", "ppc", "sparc64"),
        type=_LOADED[file.kind],
        is_program=file.kind == "executable",
        machine=file.machine or "",
        os_abi=0,
        abi_version=0,
        flags=0,
        soname=file.soname,
        needed=file.needed,
        rpath=file.rpath,
        runpath=file.runpath,
        interpreter=file.interpreter,
        needs_versions=file.needs_versions,
        defines_versions=file.defines_versions,
        segments=(),
        sections=(),
        unreadable=file.unreadable,
    )


def _libraries(resolution: Resolution) -> Iterator[Library]:
    """Libraries that are missing, and those of CUDA, ROCm and the driver whatever becomes of them."""
    groups: dict[tuple[str, str], list[Edge]] = defaultdict(list)
    for edge in resolution.edges:
        kind: str = edge.kind if edge.found is None else "found"
        groups[edge.needed, kind].append(edge)
    rows = []
    for (needed, kind), edges in groups.items():
        provider = provider_of(needed)
        about_gpu = provider.kind in ("cuda", "rocm", "driver")
        if kind == "found" and not about_gpu:
            continue
        if kind == "found" and (needed, "missing") in groups:
            continue
        rows.append(_library(needed, edges, provider.kind))
    yield from sorted(rows, key=lambda row: (row.found is not None, not row.deciding, row.needed))


def _library(needed: str, edges: list[Edge], kind: str) -> Library:
    by = list(dict.fromkeys(edge.by for edge in edges))
    owned = [path for path in by if owner_of(path)[0] and is_deciding(path)]
    first = next((edge for edge in edges if edge.by in owned), edges[0])
    provider = provider_of(needed)
    packages = (
        *provider.pip[:1],
        *([provider.debian] if provider.debian else [n for n in provider.apt if not n.endswith("-x")][:1]),
    )
    searched = [f"{place.path} ({place.outcome})" for place in first.searched]
    return Library(
        needed=needed,
        by=tuple([*owned, *[path for path in by if path not in owned]][:_MOST_BY]),
        found=first.found,
        kind=first.kind,
        how=first.how,
        provider=packages[0] if packages and not provider.names_unverified else None,
        component=provider.component or kind,
        searched=tuple(searched[:_PLACES]),
        at_start=any(edge.at_start for edge in edges),
        deciding=bool(owned),
        elsewhere=first.elsewhere[:5],
    )


def is_deciding(path: str) -> bool:
    """Whether a framework that people install for its own sake loads this file."""
    owner, _ = owner_of(path)
    return is_primary(owner) or owner in ("bitsandbytes", "flash-attn", "xformers")


def _version_faults(resolution: Resolution) -> Iterator[VersionFault]:
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for edge in resolution.version_faults():
        key = (edge.needed, edge.versions_missing)
        if key not in seen and len(seen) < 40:
            seen.add(key)
            yield VersionFault(edge.needed, edge.found or "", edge.versions_missing, edge.by)


# Versions


def _versions(
    contents: Mapping[str, bytes],
    files: Iterable[str],
    packages: Mapping[str, tuple[str, str]],
    found: Iterable[Framework],
    environment: Mapping[str, str],
    labels: Mapping[str, str],
) -> Iterator[Version]:
    """Component versions, what the frameworks themselves use first, then files, then labels and variables."""
    built = [one for one in found if one.build in ("cuda", "rocm") and one.built_for]
    told = [Version(one.build, one.built_for, f"{one.name} {one.version}") for one in built]
    rows = [row for row in told if row.where.startswith("torch ")]
    rows += _by_packages(packages)
    rows += _by_version_files(contents)
    rows += _by_names(files)
    rows += _by_system_packages(contents)
    rows += told
    for component, name in (("cuda", "CUDA_VERSION"), ("rocm", "ROCM_VERSION"), ("cudnn", "NV_CUDNN_VERSION"),
                            ("nccl", "NV_LIBNCCL_PACKAGE_VERSION")):  # fmt: skip
        if numbers(environment.get(name, "")):
            rows.append(Version(component, environment[name], f"variable {name}"))
    if numbers(labels.get("com.nvidia.cudnn.version", "")):
        rows.append(Version("cudnn", labels["com.nvidia.cudnn.version"], "label com.nvidia.cudnn.version"))
    seen = set()
    for row in rows:
        if (row.component, row.version) not in seen:
            seen.add((row.component, row.version))
            yield row


def _by_packages(packages: Mapping[str, tuple[str, str]]) -> Iterator[Version]:
    for name, (version, where) in sorted(packages.items()):
        match = re.fullmatch(r"nvidia-(cuda-runtime|cudnn|nccl)(?:-cu(\d+))?", name)
        if match:
            component = {"cuda-runtime": "cuda"}.get(match[1], match[1])
            yield Version(component, ".".join(version.split(".")[:3]), where)
        elif name in ("rocm-sdk-core", "rocm"):
            yield Version("rocm", version, where)


def _by_version_files(contents: Mapping[str, bytes]) -> Iterator[Version]:
    for path in sorted(contents):
        text = contents[path][:200_000].decode("utf-8", "replace")
        name = path.rpartition("/")[2]
        if path.startswith("/usr/local/cuda") and name == "version.json":
            try:
                version = json.loads(text)["cuda"]["version"]
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
            if isinstance(version, str) and numbers(version):
                yield Version("cuda", version, path)
        elif path.startswith("/usr/local/cuda") and (match := re.search(r"CUDA Version (\d+\.\d+(?:\.\d+)?)", text)):
            yield Version("cuda", match[1], path)
        elif re.fullmatch(r"/opt/rocm[^/]*/\.info/version(?:-dev)?", path) and numbers(text.strip().split("-")[0]):
            yield Version("rocm", text.strip().split("-")[0], path)
        elif name.startswith("cudnn") and (parts := _defines(text, "CUDNN_MAJOR", "CUDNN_MINOR", "CUDNN_PATCHLEVEL")):
            yield Version("cudnn", parts, path)
        elif name == "nccl.h" and (parts := _defines(text, "NCCL_MAJOR", "NCCL_MINOR", "NCCL_PATCH")):
            yield Version("nccl", parts, path)


def _defines(text: str, *names: str) -> str:
    values = [re.search(rf"^#define\s+{name}\s+(\d+)", text, re.MULTILINE) for name in names]
    return ".".join(match[1] for match in values if match) if all(values) else ""


def _by_names(paths: Iterable[str]) -> Iterator[Version]:
    """Full versions in the names of library files: libcudart.so.12.4.127 is of CUDA 12.4."""
    wanted = re.compile(
        r".*/(?:(libcudart)\.so\.(\d+\.\d+)\.\d+|(libcudnn)\.so\.(\d+\.\d+\.\d+)|(libnccl)\.so\.(\d+\.\d+\.\d+))"
    )
    names = {"libcudart": "cuda", "libcudnn": "cudnn", "libnccl": "nccl"}
    for path in sorted(
        path for path in paths if "/libcudart.so." in path or "/libcudnn.so." in path or "/libnccl.so." in path
    ):
        if match := wanted.fullmatch(path):
            stem, version = next((match[n], match[n + 1]) for n in (1, 3, 5) if match[n])
            yield Version(names[stem], version, path)


def _by_system_packages(contents: Mapping[str, bytes]) -> Iterator[Version]:
    text = contents.get("/var/lib/dpkg/status", b"").decode("utf-8", "replace")
    for block in text.split("\n\n"):
        match = re.match(r"Package: (cuda-cudart-[\d-]+|libcudnn\d+(?:-cuda-\d+)?|libnccl2|rocm-core)\n", block)
        if not match or not re.search(r"^Status: .* installed$", block, re.MULTILINE):
            continue
        version = re.search(r"^Version: (\S+)$", block, re.MULTILINE)
        if version is None:
            continue
        plain = re.match(r"\d+(?:\.\d+){1,2}", version[1])
        kinds = (("cuda-cudart", "cuda"), ("libcudnn", "cudnn"), ("libnccl", "nccl"), ("rocm-core", "rocm"))
        component = next((kind for start, kind in kinds if match[1].startswith(start)), "")
        if plain and component:
            yield Version(component, plain[0], f"package {match[1]}")


def _distribution(contents: Mapping[str, bytes]) -> str:
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        text = contents.get(path, b"").decode("utf-8", "replace")
        if match := re.search(r"^PRETTY_NAME=[\"']?([^\"'\n]{1,120})", text, re.MULTILINE):
            return match[1].strip()
    alpine = contents.get("/etc/alpine-release", b"").decode("utf-8", "replace").strip()
    return f"Alpine Linux {alpine}"[:60] if alpine else ""


def _glibc(binaries: Mapping[str, BinaryFile]) -> str:
    found = [
        node.removeprefix("GLIBC_")
        for file in binaries.values()
        if file.soname == "libc.so.6"
        for node in file.defines_versions
        if re.fullmatch(r"GLIBC_\d+(?:\.\d+)+", node)
    ]
    return max(found, key=numbers, default="")


def _musl(contents: Mapping[str, bytes]) -> str:
    for path in ("/lib/apk/db/installed", "/usr/lib/apk/db/installed"):
        text = contents.get(path, b"").decode("utf-8", "replace")
        if match := re.search(r"^P:musl\nV:(\d+(?:\.\d+)+)", text, re.MULTILINE):
            return match[1]
    for path, data in contents.items():
        own = re.search(rb"\0(1\.\d+\.\d+)\0", data) if path.rpartition("/")[2].startswith("ld-musl-") else None
        if own:
            return own[1].decode()
    return ""


def _platform_by_files(binaries: Mapping[str, BinaryFile]) -> str:
    """The platform by most of the programs, where no configuration names one."""
    counts: dict[str, int] = defaultdict(int)
    for file in binaries.values():
        if file.kind in _LOADED and file.machine:
            counts[file.machine] += 1
    machine = max(counts, key=lambda name: counts[name], default="")
    return next((f"linux/{arch}" for arch, uname in _MACHINES.items() if uname == machine), machine)


def _stubs(files: Iterable[str], environment: Mapping[str, str], contents: Mapping[str, bytes]) -> Iterator[str]:
    """Stub libraries that the loader would find before the driver's own."""
    searched = set(environment.get("LD_LIBRARY_PATH", "").split(":"))
    for path, data in contents.items():
        if path.startswith("/etc/ld.so.conf"):
            searched.update(line.strip() for line in data.decode("utf-8", "replace").splitlines())
    wanted = {folder.rstrip("/") for folder in searched if "stubs" in folder}
    for path in files:
        if _STUB.fullmatch(path) and any(path.rpartition("/")[0] == folder for folder in wanted):
            yield path
