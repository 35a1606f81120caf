"""Under WSL2, the GPU adapter of Windows is there: /dev/dxg and its libraries."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import DeviceFacts, LimitFacts, NvidiaFacts
from doctor.finding import Evidence, Finding


@check("wsl", needs=["nvidia", "devices", "limits"], faults=["nvidia-wsl-no-adapter"])
def wsl_adapter_present(nvidia: NvidiaFacts, devices: DeviceFacts, limits: LimitFacts) -> Verdict:
    if not nvidia.wsl or limits.inside:
        return NotApplicable("this is a container" if limits.inside else "this is not WSL2")
    if "dxg" not in devices.names:
        evidence = Evidence("file", "/dev/dxg", "not there", says="Windows gives this WSL no GPU")
        return Finding("nvidia-wsl-no-adapter", (evidence,), {"path": "/dev/dxg"})
    folder = "/usr/lib/wsl/lib"
    names = nvidia.sonames.get(folder, ())
    if "libdxcore.so" in names or "libcuda.so.1" in names:
        return f"/dev/dxg and {folder} are there"
    evidence = Evidence("file", folder, "no libdxcore.so", says="the driver libraries of Windows are not mounted")
    return Finding("nvidia-wsl-no-adapter", (evidence,), {"path": folder})
