"""Asks NVIDIA's management library, in a process of its own: `python -m doctor.probes.nvml_child`.

The library runs code of the driver and may crash, or wait for a GPU for ever; then this process is lost and no other.
Prints one JSON object a line, the driver first and then each GPU as soon as it has answered. Only queries are made.
The library's functions: https://docs.nvidia.com/deploy/nvml-api/
"""

from __future__ import annotations

import contextlib
import ctypes
import json
from collections.abc import Callable
from typing import Any


def main() -> None:
    try:
        import pynvml
    except ImportError as error:
        return _say({"error": {"code": -1, "name": "no-binding", "says": f"nvidia-ml-py is not installed ({error})"}})
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return _say({"error": _error(pynvml, error)})
    ask = _Ask(pynvml)
    count = ask(pynvml.nvmlDeviceGetCount)
    cuda = ask(pynvml.nvmlSystemGetCudaDriverVersion_v2)
    _say({"driver": _text(ask(pynvml.nvmlSystemGetDriverVersion)), "cuda": cuda, "count": count})
    for index in range(count if isinstance(count, int) else 0):
        _say({"index": index, **_gpu(pynvml, ask, index)})
    # No nvmlShutdown: with a lost GPU it may wait, and the process ends here anyway.
    return None


def _say(content: dict[str, Any]) -> None:
    print(json.dumps(content), flush=True)


def _error(pynvml: Any, error: Exception) -> dict[str, Any]:
    code = getattr(error, "value", -1)
    names = [name for name in dir(pynvml) if name.startswith("NVML_ERROR_") and getattr(pynvml, name) == code]
    return {"code": code, "name": names[0] if names else "", "says": str(error)}


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


class _Ask:
    """One question: its answer, None where the driver or the GPU does not know the question, or its error."""

    def __init__(self, pynvml: Any) -> None:
        self.pynvml = pynvml

    def __call__(self, call: Callable[..., Any], *values: Any) -> Any:
        try:
            return call(*values)
        except self.pynvml.NVMLError as error:
            told = _error(self.pynvml, error)
            silent = ("NVML_ERROR_NOT_SUPPORTED", "NVML_ERROR_FUNCTION_NOT_FOUND", "NVML_ERROR_INVALID_ARGUMENT")
            return None if told["name"] in silent else {"error": told}
        except Exception:
            # An older driver, or a binding that names it otherwise or does not fit it: one answer less.
            return None


def _gpu(pynvml: Any, ask: _Ask, index: int) -> dict[str, Any]:
    handle = ask(pynvml.nvmlDeviceGetHandleByIndex, index)
    if isinstance(handle, dict) or handle is None:
        return handle or {}
    pci = ask(pynvml.nvmlDeviceGetPciInfo, handle)
    memory = ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
    found: dict[str, Any] = {
        "name": _text(ask(pynvml.nvmlDeviceGetName, handle)),
        "uuid": _text(ask(pynvml.nvmlDeviceGetUUID, handle)),
        "pci": _text(getattr(pci, "busId", None)),
        "minor": ask(pynvml.nvmlDeviceGetMinorNumber, handle),
        "capability": ask(pynvml.nvmlDeviceGetCudaComputeCapability, handle),
        "total": getattr(memory, "total", None),
        "used": getattr(memory, "used", None),
        "mode": ask(pynvml.nvmlDeviceGetComputeMode, handle),
        "persistence": ask(pynvml.nvmlDeviceGetPersistenceMode, handle),
        "ecc": ask(pynvml.nvmlDeviceGetEccMode, handle),
        "mig": ask(pynvml.nvmlDeviceGetMigMode, handle),
        "rows": ask(pynvml.nvmlDeviceGetRemappedRows, handle),
        "pages_pending": ask(pynvml.nvmlDeviceGetRetiredPagesPendingStatus, handle),
    }
    found["uncorrected"] = ask(
        pynvml.nvmlDeviceGetTotalEccErrors, handle, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC
    )
    processes = ask(pynvml.nvmlDeviceGetComputeRunningProcesses, handle)
    if isinstance(processes, list):
        found["processes"] = [[one.pid, one.usedGpuMemory] for one in processes]
    with contextlib.suppress(AttributeError):
        found["fabric"] = _fabric(pynvml, ask, handle)
    if isinstance(found["mig"], (list, tuple)) and found["mig"][0]:
        found["instances"] = _instances(pynvml, ask, handle)
    lost = [value for value in (pci, memory) if isinstance(value, dict)]
    return {**found, **(lost[0] if lost else {})}


def _fabric(pynvml: Any, ask: _Ask, handle: Any) -> dict[str, Any] | None:
    info = pynvml.c_nvmlGpuFabricInfo_t()
    answer = ask(pynvml.nvmlDeviceGetGpuFabricInfo, handle, ctypes.byref(info))
    if isinstance(answer, dict) or info.state == 0:
        return None
    return {"state": info.state, "status": info.status}


def _instances(pynvml: Any, ask: _Ask, handle: Any) -> list[str]:
    """Names of the MIG devices that exist."""
    most = ask(pynvml.nvmlDeviceGetMaxMigDeviceCount, handle)
    found = []
    for number in range(most if isinstance(most, int) else 0):
        device = ask(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, number)
        if device is not None and not isinstance(device, dict):
            found.append(str(_text(ask(pynvml.nvmlDeviceGetName, device))))
    return found


if __name__ == "__main__":
    main()
