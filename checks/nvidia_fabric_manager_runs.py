"""The Fabric Manager runs where there are NVSwitches."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import LimitFacts, NvidiaFacts, PciFacts
from doctor.finding import Evidence, Finding


@check("driver", needs=["pci", "nvidia", "limits"], faults=["nvidia-fabric-manager"])
def nvidia_fabric_manager_runs(pci: PciFacts, nvidia: NvidiaFacts, limits: LimitFacts) -> Verdict:
    if not pci.switches or limits.inside or not nvidia.module:
        return NotApplicable("no NVSwitch with a loaded driver is on this host")
    fabric = nvidia.fabric
    if fabric.active == "active":
        return f"the Fabric Manager {fabric.version} is active for {len(pci.switches)} NVSwitches"
    if fabric.active == "" and fabric.installed is not False:
        return NotApplicable("whether the Fabric Manager runs could not be asked (no systemd)")
    state = fabric.active if fabric.installed else "not installed"
    evidence = (
        Evidence("command", "systemctl show nvidia-fabricmanager", f"state: {state}", says="it does not run"),
        Evidence("file", f"/sys/bus/pci/devices/{pci.switches[0].address}", f"{len(pci.switches)} NVSwitches"),
    )
    return Finding(
        "nvidia-fabric-manager", evidence, {"driver": nvidia.driver}, sure="certain" if fabric.active else "likely"
    )
