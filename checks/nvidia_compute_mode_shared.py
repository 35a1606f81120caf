"""The compute mode of every NVIDIA GPU lets a further program use it."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import NvmlFacts
from doctor.finding import Evidence, Finding, Severity


@check("driver", needs=["nvml"], faults=["cuda-device-busy"])
def nvidia_compute_mode_shared(nvml: NvmlFacts) -> Verdict:
    telling = [gpu for gpu in nvml.answering if gpu.mode]
    if not telling:
        return NotApplicable("no GPU told its compute mode")
    found = []
    for gpu in telling:
        held = gpu.mode.startswith("exclusive") and bool(gpu.processes)
        if gpu.mode == "prohibited" or held:
            pids = ", ".join(str(pid) for pid, _ in gpu.processes or ())
            by = f", held by process {pids}" if held else ""
            evidence = Evidence("command", nvml.way, f"GPU {gpu.index} {gpu.name}: compute mode {gpu.mode}{by}")
            values = {"index": str(gpu.index), "device": gpu.name, **({"pid": pids} if held else {})}
            severity: Severity | None = None if len(telling) == 1 or gpu.mode == "prohibited" else "warning"
            found.append(Finding("cuda-device-busy", (evidence,), values, severity=severity, subject=gpu.pci))
    return found or f"compute mode: {', '.join(dict.fromkeys(gpu.mode for gpu in telling))}"
