"""Which image fits these GPUs, and the line that starts it: docker, podman, compose and Kubernetes.

Without --gpu for the GPUs of this machine. Only what the tables support is recommended; the day they were checked and
their sources are told.

examples:
  gpu-doctor recommend
  gpu-doctor recommend --gpu "RTX 5090" --framework torch
  gpu-doctor recommend --gpu V100 --gpu MI300X --gpu gfx1201 --framework torch --json
"""

from __future__ import annotations

import argparse
import json

from doctor.data.cuda import version
from doctor.errors import UsageError
from doctor.gpus import Gpu, gpu_named
from doctor.image.verdict import arch_of
from doctor.recommend import FRAMEWORKS, VENDORS, Advice, Machine, driver_floor, recommend
from doctor.render.appearance import appearance
from doctor.render.recommend import advice_markdown, advice_text
from doctor.text import one_line
from doctor.verbs import options as shared

SCHEMA = "gpu-doctor/recommend/1"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gpu", metavar="GPU", action="append", default=[], help="a name, a target or a PCI id; several"
    )
    parser.add_argument(
        "--framework", choices=FRAMEWORKS, default="none", help="what will run on it (default: nothing named)"
    )
    parser.add_argument("--driver", metavar="VERSION", help="NVIDIA driver of the place (default: this machine's)")
    parser.add_argument("--engine", choices=("docker", "podman"), help="container engine (default: this machine's)")
    shared.knowledge(parser)
    shared.output(parser, ("text", "json", "markdown"))


def run(options: argparse.Namespace) -> int:
    if options.driver and not version(options.driver):
        raise UsageError(f"--driver {one_line(options.driver, 60)!r} is no driver version such as 550.54.15")
    asked = [gpu_named(text) for text in options.gpu]
    here, machine = _this_machine(options)
    if asked:
        # The driver and the groups of this machine say nothing about GPUs that are elsewhere.
        machine = Machine(driver=options.driver or "", engine=options.engine or "docker")
    gpus = asked or here
    if not gpus:
        raise UsageError(
            'no GPU of this machine is known; name one with --gpu, such as --gpu "RTX 5090" or --gpu gfx942'
        )
    advice = recommend(gpus, options.framework, machine)
    if options.format == "json":
        shared.write(json.dumps(_as_json(advice), indent=2) + "\n", options)
    elif options.format == "markdown":
        shared.write(advice_markdown(advice), options)
    else:
        look = appearance(options.color, to_file=options.output is not None, verbose=options.verbose)
        shared.write(advice_text(advice, look), options)
    return 0 if options.fail_on == "never" or all(one.image for one in advice) else 1


def _this_machine(options: argparse.Namespace) -> tuple[list[Gpu], Machine]:
    """The GPUs of this machine and what its engine can do. Nothing is asked of it where GPUs were named."""
    if options.gpu:
        return [], Machine()
    from doctor import engine
    from doctor.facts import parse
    from doctor.facts.gpus import nvidia_driver, present
    from doctor.probes import discover
    from doctor.probes.system import System
    from doctor.snapshot import Target

    base, patterns = shared.base(options)
    wanted = [probe for probe in discover() if probe.area in ("pci", "nvidia", "nvml", "amd", "engine", "devices")]
    for event in engine.run(Target(), System(redactor=shared.redactor()), wanted, (), base, patterns):
        if isinstance(event, engine.ReportReady):
            facts = parse(event.snapshot)
            known = facts.engine
            machine = Machine(
                driver=options.driver or nvidia_driver(facts.nvidia, facts.nvml),
                engine=options.engine or (known.kind if known else "docker"),
                cdi=any(name.startswith("nvidia.com/gpu") for name in known.discovered) if known else None,
                runtime="nvidia" in known.runtimes if known else None,
                groups=facts.devices.amd_groups if facts.devices else (),
            )
            return list(present(facts.pci, facts.nvml, facts.amd)), machine
    return [], Machine()


def _as_json(advice: tuple[Advice, ...]) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "vendors": list(VENDORS),
        "recommendations": [
            {
                "gpus": [{"gpu": arch_of(gpu), "name": gpu.name} for gpu in one.gpus],
                "framework": None if one.framework == "none" else one.framework,
                "image": one.image or None,
                "formed_by_rule": one.formed,
                "line": one.line or None,
                "needs": driver_floor(one.line) or None,
                "limits": list(one.limits),
                "start": [
                    {"title": way.title, "language": way.language, "text": way.text, "when": way.when or None}
                    for way in one.ways
                ],
                "sources": list(one.sources),
                "checked": one.checked,
            }
            for one in advice
        ],
    }
