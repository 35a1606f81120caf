"""The NVIDIA toolkit has what the mode in its config.toml works from: CDI specifications, or the lists of a Jetson.

Modes: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/cdi-support.html ; csv mode reads
host-files-for-container.d, which only a Jetson's packages bring.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import NvidiaFacts, ToolkitFacts
from doctor.facts.toolkit import CONFIG, Broken, ToolkitConfig
from doctor.finding import Evidence, Finding

MODES = ("auto", "legacy", "csv", "cdi", "jit-cdi")


@check(
    "toolkit",
    needs=["toolkit.config", "toolkit", "nvidia"],
    faults=["nvidia-cdi-device-unresolvable", "container-engine-config-invalid"],
)
def nvidia_config_fits_mode(
    config: ToolkitConfig | Broken | None, toolkit: ToolkitFacts, nvidia: NvidiaFacts
) -> Verdict:
    if not isinstance(config, ToolkitConfig) or not (nvidia.module or nvidia.tegra):
        return NotApplicable(f"no readable {CONFIG} beside an NVIDIA driver")
    evidence = Evidence("file", CONFIG, f'mode = "{config.mode}"')
    if config.mode not in MODES:
        told = Evidence("file", CONFIG, f'mode = "{config.mode}"', says=f"the toolkit knows {', '.join(MODES)}")
        return Finding("container-engine-config-invalid", (told,), {"path": CONFIG}, sure="likely")
    if config.mode == "csv" and not (nvidia.tegra or nvidia.csv_files):
        told = Evidence(
            "file", CONFIG, 'mode = "csv"', says="this is no Jetson, and there are no lists of files to mount"
        )
        return Finding("container-engine-config-invalid", (told,), {"path": CONFIG}, sure="likely")
    described = [name for name in toolkit.names if name.startswith("nvidia.com/")]
    if config.mode == "cdi" and not described:
        none = Evidence("file", ", ".join(toolkit.cdi_folders), "no CDI specification of nvidia.com/gpu")
        return Finding(
            "nvidia-cdi-device-unresolvable",
            (evidence, none),
            {"device": "nvidia.com/gpu=all"},
            sure="likely",
            severity="warning",
        )
    return f"mode {config.mode}" + (f", {len(described)} CDI device(s)" if config.mode == "cdi" else "")
