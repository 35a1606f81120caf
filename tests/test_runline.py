"""The corrected line: the user's own options kept, quoted safely, only what is wrong changed."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pytest

from doctor.diagnose import diagnose
from doctor.facts import Facts, parse, yaml
from doctor.finding import Evidence, Finding
from doctor.knowledge import shipped
from doctor.render.appearance import Appearance
from doctor.render.html import body
from doctor.render.markdown import report_markdown
from doctor.render.text import report_text
from doctor.report import Corrected, Report
from doctor.runforms import as_compose, as_run
from doctor.runline import CHANGES, correct, of_container
from doctor.snapshot import Reading, Snapshot, Target
from doctor.tui.blocks import fixes


def machine(
    host: dict, config: dict | None = None, nodes: dict | None = None, podman: bool = False, *,
    image: dict | None = None, status: str = "exited",
) -> Facts:  # fmt: skip
    container = {
        "Id": "1" * 64, "Name": "trainer", "Image": "sha256:2", "Mounts": [],
        "State": {"Status": status, "ExitCode": 1, "StartedAt": "2026-11-24T10:00:00Z"},
        "HostConfig": {"Runtime": "runc", "ShmSize": 64 << 20, "IpcMode": "private", **host},
        "Config": {"Image": "trainer:2.3", "Cmd": ["python", "train.py"], "Env": ["PATH=/usr/bin"], **(config or {})},
    }  # fmt: skip
    of_image = {"Env": ["PATH=/usr/bin"], "Cmd": ["bash"], **(image or {})}
    components = [{"Name": "Podman Engine"}] if podman else []
    texts = {
        "docker:container": json.dumps(container),
        "docker:image": json.dumps({"Id": "sha256:2", "Architecture": "amd64", "Config": of_image}),
        "docker:info": json.dumps({"Runtimes": {"runc": {}}}),
        "docker:version": json.dumps({"Version": "27.1", "Components": components}),
        "names:/dev": "kfd\ndri",
        **{f"node:{path}": json.dumps(node) for path, node in (nodes or {}).items()},
    }
    readings = {key: Reading(key, "ok", text) for key, text in texts.items()}
    return parse(Snapshot("2026-11-24T12:00:00Z", "0.1.0", Target("trainer"), readings))


def changed(facts: Facts, *changes: str) -> str:
    assert facts.container
    line = of_container(facts.container, facts.image or None, facts.engine.kind if facts.engine else "docker")
    for name in changes:
        line = CHANGES[name][0](line, facts)
    return as_run(line)


def words(line: str) -> list[str]:
    return shlex.split(line.replace("\\\n", " "))


def test_nothing_changed_is_the_users_own_line() -> None:
    assert changed(machine({})) == "docker run --name=trainer trainer:2.3 python train.py"


def test_everything_that_was_given_is_there_again() -> None:
    facts = machine(
        {
            "AutoRemove": True, "Binds": ["/data dir:/data:ro"], "NetworkMode": "host", "ShmSize": 1 << 30,
            "PortBindings": {"8000/tcp": [{"HostIp": "", "HostPort": "80"}]}, "Memory": 1536 << 20, "GroupAdd": ["44"],
            "SecurityOpt": ["seccomp=unconfined"], "CapAdd": ["SYS_PTRACE"], "IpcMode": "host", "Privileged": True,
            "Ulimits": [{"Name": "memlock", "Soft": -1, "Hard": -1}], "NanoCpus": 1_500_000_000,
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
            "DeviceRequests": [{"Driver": "", "Count": 0, "DeviceIDs": ["0", "1"], "Capabilities": [["gpu"]]}],
        },
        {"User": "1000:1000", "WorkingDir": "/app", "Entrypoint": ["/run.sh", "-x"], "Env": ["PATH=/usr/bin", "A=b c", "SECRET"], "Tty": True},
    )  # fmt: skip
    said = words(changed(facts))
    assert said[:2] == ["docker", "run"]
    for option in (
        "--rm", "-t", "--privileged", "--name=trainer", '--gpus="device=0,1"', "--group-add=44", "--security-opt=seccomp=unconfined",
        "--cap-add=SYS_PTRACE", "--ulimit=memlock=-1", "--shm-size=1g", "--memory=1536m", "--cpus=1.5", "--ipc=host",
        "--network=host", "--user=1000:1000", "--workdir=/app", "--restart=on-failure:3", "--entrypoint=/run.sh",
    ):  # fmt: skip
        assert option in said, option
    assert said[-4:] == ["trainer:2.3", "-x", "python", "train.py"]
    for pair in (("-e", "A=b c"), ("-e", "SECRET"), ("-v", "/data dir:/data:ro"), ("-p", "80:8000")):
        assert any(said[n : n + 2] == list(pair) for n in range(len(said))), pair
    assert "PATH=/usr/bin" not in said


@pytest.mark.parametrize("text", ["a b", "$(reboot)", "`reboot`", "'; reboot #", "a\nb", '"', "-v", "${HOME}", "é\\"])
def test_every_argument_is_quoted(text: str) -> None:
    facts = machine({"Binds": [f"/x:{text}"]}, {"Cmd": ["echo", text], "Env": [f"A={text}"], "WorkingDir": text})
    line = changed(facts)
    said = shlex.split(line.replace(" \\\n", " "))
    assert said[-2:] == ["echo", text]
    assert f"A={text}" in said
    assert f"/x:{text}" in said
    assert f"--workdir={text}" in said


def test_nvidia_is_asked_for_in_the_engines_way() -> None:
    assert "--gpus=all" in changed(machine({}), "request-nvidia-gpus")
    podman = changed(machine({}, podman=True), "request-nvidia-gpus")
    assert podman.startswith("podman run")
    assert "--device=nvidia.com/gpu=all" in podman
    assert "--gpus" not in podman


def test_an_unregistered_runtime_becomes_gpus() -> None:
    line = changed(machine({"Runtime": "nvidia"}, {"Env": ["NVIDIA_VISIBLE_DEVICES=all"]}), "default-runtime")
    assert "--runtime" not in line
    assert "--gpus=all" in line
    assert "NVIDIA_VISIBLE_DEVICES" not in line


NODE = {"kind": "character device", "mode": 0o660, "uid": 0, "size": 0}
NODES = {"/dev/kfd": {**NODE, "gid": 109}, "/dev/dri/renderD128": {**NODE, "gid": 44}}


def test_amd_devices_with_their_groups_by_number_for_a_user() -> None:
    user = {"User": "1000"}
    assert words(changed(machine({}, user, NODES), "request-amd-devices"))[2:7] == [
        "--name=trainer", "--device=/dev/kfd", "--device=/dev/dri", "--group-add=109", "--group-add=44",
    ]  # fmt: skip
    assert "--group-add" not in changed(machine({}, {}, NODES), "request-amd-devices"), "root needs no group"
    assert '--group-add="$(stat -c %g /dev/kfd)"' in changed(machine({}, user), "request-amd-devices")


def test_named_groups_become_numbers() -> None:
    line = changed(machine({"GroupAdd": ["render", "video", "1234"]}, {"User": "1000"}, NODES), "add-device-groups")
    assert [word for word in words(line) if "group" in word] == [
        "--group-add=1234",
        "--group-add=109",
        "--group-add=44",
    ]


def test_volumes_become_devices() -> None:
    line = changed(machine({"Binds": ["/dev/kfd:/dev/kfd", "/data:/data"]}), "devices-not-volumes")
    assert "--device=/dev/kfd" in line
    assert "-v /data:/data" in line
    assert "-v /dev/kfd" not in line


def test_sizes() -> None:
    assert "--shm-size=8g" in changed(machine({}), "enlarge-shm")
    assert "--shm-size" not in changed(machine({"IpcMode": "host"}), "enlarge-shm")
    assert "--memory=32m" in changed(machine({"Memory": 16 << 20}), "raise-memory")


def test_switching_vendors() -> None:
    asked = {"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}], "Runtime": "nvidia"}
    line = changed(
        machine(asked, {"Env": ["NVIDIA_VISIBLE_DEVICES=all"]}), "drop-nvidia-request", "request-amd-devices"
    )
    assert "nvidia" not in line.lower()
    assert "--gpus" not in line
    assert "--device=/dev/kfd" in line
    back = changed(
        machine({"Devices": [{"PathOnHost": "/dev/kfd"}], "GroupAdd": ["render"]}),
        "drop-amd-devices",
        "request-nvidia-gpus",
    )
    assert back == "docker run --name=trainer --gpus=all trainer:2.3 python train.py"


def test_compose() -> None:
    facts = machine({"Binds": ["/a: b:/c"]}, {"User": "1000", "Env": ['A="x"']}, NODES)
    assert facts.container
    line = of_container(facts.container, facts.image or None, "docker")
    nvidia = as_compose(CHANGES["request-nvidia-gpus"][0](line, facts))
    assert nvidia == (
        'services:\n  trainer:\n    image: "trainer:2.3"\n    user: "1000"\n    command:\n      - "python"\n'
        '      - "train.py"\n    environment:\n      - "A=\\"x\\""\n    volumes:\n      - "/a: b:/c"\n    deploy:\n      resources:\n'
        "        reservations:\n          devices:\n            - driver: nvidia\n              count: all\n"
        "              capabilities: [gpu]\n"
    )
    amd = as_compose(CHANGES["request-amd-devices"][0](line, facts))
    assert '    devices:\n      - "/dev/kfd"\n      - "/dev/dri"\n    group_add:\n      - "109"\n      - "44"\n' in amd


def test_options_that_no_correction_touches() -> None:
    """As `docker create` with these options shows them, on Docker 20.10 and 26.1."""
    facts = machine(
        {
            "NetworkMode": "training", "ExtraHosts": ["db:10.0.0.5"], "Dns": ["1.1.1.1"], "UTSMode": "host", "PidsLimit": 100,
            "Sysctls": {"net.core.somaxconn": "1024"}, "OomScoreAdj": 500, "VolumesFrom": ["vf"], "Links": ["/vf:/trainer/db"],
            "PublishAllPorts": True, "CpusetCpus": "0-1", "Memory": 1 << 30, "MemorySwap": 3 << 30, "CapAdd": ["CAP_SYS_PTRACE"],
            "Privileged": True, "SecurityOpt": ["label=disable"], "Tmpfs": {"/t": "size=1g"}, "Binds": ["models:/models"],
            "Ulimits": [{"Name": "memlock", "Soft": -1, "Hard": -1}, {"Name": "nofile", "Soft": 1, "Hard": 2}],
            "Mounts": [
                {"Type": "bind", "Source": "/srv", "Target": "/srv", "ReadOnly": True},
                {"Type": "tmpfs", "Target": "/scratch", "TmpfsOptions": {"SizeBytes": 1 << 20}},
            ],
            "DeviceRequests": [{"Driver": "", "Count": 2, "Capabilities": [["gpu"]]}],
        },
        {"Hostname": "myhost", "AttachStdout": False, "StopTimeout": 30, "Env": ["PATH=/usr/bin", "A=$HOME"]},
    )  # fmt: skip
    assert words(changed(facts)) == [
        "docker", "run", "-d", "--privileged", "--name=trainer", "--gpus=2", "--cap-add=SYS_PTRACE", "--ulimit=memlock=-1",
        "--ulimit=nofile=1:2", "--memory=1g", "--memory-swap=3g", "--network=training", "--hostname=myhost", "--uts=host",
        "--cpuset-cpus=0-1", "--pids-limit=100", "--oom-score-adj=500", "--add-host=db:10.0.0.5", "--dns=1.1.1.1",
        "--volumes-from=vf", "--sysctl=net.core.somaxconn=1024", "--link=vf:db", "--publish-all",
        "--mount=type=bind,source=/srv,target=/srv,readonly", "--mount=type=tmpfs,target=/scratch,tmpfs-size=1048576",
        "--tmpfs=/t:size=1g", "--stop-timeout=30", "-e", "A=$HOME", "-v", "models:/models", "trainer:2.3", "python", "train.py",
    ]  # fmt: skip
    assert "--memory=2g" in changed(facts, "raise-memory")
    assert "--memory-swap=6g" in changed(facts, "raise-memory")
    assert facts.container
    compose = yaml.loads(as_compose(of_container(facts.container, facts.image or None, "docker")))
    service = compose["services"]["trainer"]
    assert service["environment"] == ["A=$$HOME"], "a dollar sign alone would be filled in by compose"
    assert service["volumes"] == ["models:/models", "/srv:/srv:ro"]
    assert (service["volumes_from"], service["external_links"]) == (["container:vf"], ["vf:db"]), "they are no services"
    assert (service["tmpfs"], service["sysctls"], service["extra_hosts"]) == (
        ["/t:size=1g", "/scratch:size=1048576"],
        ["net.core.somaxconn=1024"],
        ["db:10.0.0.5"],
    )
    assert (service["hostname"], service["stop_grace_period"], service["memswap_limit"]) == ("myhost", "30s", "3g")
    assert service["deploy"]["resources"]["reservations"]["devices"][0]["count"] == 2
    assert service["networks"] == ["training"]
    assert compose["networks"] == {"training": {"external": True}}
    assert compose["volumes"] == {"models": {"external": True}}


SECOND = 10**9
CHECKED = {"Test": ["CMD-SHELL", "curl -f localhost"], "Interval": 5 * SECOND, "Timeout": SECOND // 2, "Retries": 3}


def test_health_check_log_and_anonymous_volumes() -> None:
    """As `docker inspect` of Docker 20.10 shows what --health-cmd, --log-opt and -v /cache asked for."""
    facts = machine(
        {"LogConfig": {"Type": "local", "Config": {"max-size": "10m"}, "Others": []}, "Binds": ["/data:/data"]},
        {"Healthcheck": CHECKED, "Volumes": {"/cache": {}, "/data": {}}},
    )
    assert words(changed(facts)) == [
        "docker", "run", "--name=trainer", "--health-cmd=curl -f localhost", "--health-interval=5s",
        "--health-timeout=500ms", "--health-retries=3", "--log-driver=local", "--log-opt=max-size=10m",
        "-v", "/data:/data", "-v", "/cache", "trainer:2.3", "python", "train.py",
    ]  # fmt: skip
    assert facts.container
    service = yaml.loads(as_compose(of_container(facts.container, None, "docker")))["services"]["trainer"]
    assert service["healthcheck"] == {"test": "curl -f localhost", "interval": "5s", "timeout": "500ms", "retries": 3}
    assert service["logging"] == {"driver": "local", "options": {"max-size": "10m"}}
    assert service["volumes"] == ["/data:/data", "/cache"]


@pytest.mark.parametrize(("own", "of_image", "there"), [("SIGINT", None, True), ("SIGINT", "SIGINT", False)])
def test_a_stop_signal_of_its_own(own: str, of_image: str | None, there: bool) -> None:
    facts = machine({}, {"StopSignal": own}, image={"StopSignal": of_image})
    assert ("--stop-signal=SIGINT" in words(changed(facts))) == there


def test_what_a_gpu_request_asks_for_beside_gpu_is_in_compose_too() -> None:
    asked = {"Driver": "", "Count": -1, "Capabilities": [["gpu", "compute", "utility"]]}
    facts = machine({"DeviceRequests": [asked]})
    assert """--gpus='all,"capabilities=compute,utility"'""" in changed(facts)
    assert facts.container
    compose = as_compose(of_container(facts.container, None, "docker"))
    assert "count: all\n              capabilities: [gpu, compute, utility]\n" in compose


@pytest.mark.parametrize(
    ("own", "inherited", "options"),
    [
        (CHECKED, CHECKED, []),
        ({**CHECKED, "Retries": 9}, CHECKED, ["--health-retries=9"]),
        ({"Test": ["NONE"]}, CHECKED, ["--no-healthcheck"]),
        ({"Test": ["CMD", "probe", "a b"]}, {}, ["--health-cmd=probe 'a b'"]),
        ({}, {}, []),
    ],
)
def test_a_health_check_that_is_the_images_own_is_left_out(own: dict, inherited: dict, options: list[str]) -> None:
    facts = machine({}, {"Healthcheck": own}, image={"Healthcheck": inherited})
    assert words(changed(facts))[3:-3] == options
    assert facts.container
    compose = as_compose(of_container(facts.container, facts.image or None, "docker"))
    assert ("disable: true" in compose) == (options == ["--no-healthcheck"])


OUT_OF_MEMORY = Finding("container-oom-killed", (Evidence("engine", "state", "OOMKilled true"),))


def corrected_of(facts: Facts) -> Corrected:
    made = correct(diagnose([OUT_OF_MEMORY], shipped()).ranked, facts)
    assert made
    return made


@pytest.mark.parametrize(
    ("status", "auto_remove", "first"),
    [
        ("exited", False, ("docker rename trainer trainer-old",)),
        ("created", False, ("docker rename trainer trainer-old",)),
        ("restarting", False, ("docker stop trainer", "docker rename trainer trainer-old")),
        ("running", True, ("docker stop trainer",)),
    ],
)
def test_the_container_that_failed_makes_room_for_the_new_one(status: str, auto_remove: bool, first: tuple) -> None:
    """Its name is taken: without this, Docker refuses the line."""
    facts = machine({"Memory": 1 << 30, "AutoRemove": auto_remove}, status=status)
    made = corrected_of(facts)
    assert made.first == first
    assert made.forms[0][1] == (*first, made.run)
    assert ("docker rm trainer-old" in " ".join(made.remarks)) == (not auto_remove)


def test_compose_puts_its_own_container_aside() -> None:
    facts = machine({"Memory": 1 << 30}, {"Labels": {"com.docker.compose.service": "train"}})
    made = corrected_of(facts)
    assert (made.first, made.remarks) == ((), ())
    assert made.forms[0] == ("As a compose service", (made.compose,))


def test_what_was_not_read_is_named_in_every_form() -> None:
    facts = machine(
        {"Memory": 1 << 30, "LogConfig": {"Type": "splunk", "Config": {}, "Others": ["splunk-token"]}},
        {"Env": ["PATH=/usr/bin", "HF_TOKEN"], "LabelNames": ["team", "vendor", "a b"]},
        image={"LabelNames": ["vendor"]},
    )
    made = corrected_of(facts)
    assert made.left_out == ("the log option splunk-token", "the label a b")
    report = Report("container", "trainer", "2026-11-24T12:00:00Z", "0.1.0", corrected=made)
    report = replace(report, diagnoses=diagnose([OUT_OF_MEMORY], shipped()).ranked)
    item = report.diagnoses[0]
    shown = "\n".join("".join(piece for piece, _ in row) for one in fixes(item, made) for row in one.rows(200))
    for form in (
        report_text(report, Appearance(False, True, 200, False)),
        report_markdown(report),
        body(report),
        shown,
    ):
        told = form.replace("\\", "")
        for said in (
            "HF_TOKEN was not read",
            "the log option splunk-token; the label a b",
            "reads team from trainer-old",
            "docker rename trainer trainer-old",
        ):
            assert said in told


def test_only_the_full_memory_folder_grows() -> None:
    mount = {"Type": "tmpfs", "Target": "/b", "TmpfsOptions": {"SizeBytes": 4}}
    facts = machine({"Tmpfs": {"/data": "size=2m,mode=1777", "/data2": "size=1g"}, "Mounts": [mount]})
    log = "OSError: [Errno 28] No space left on device: '{}/x'"
    assert facts.container
    full = replace(facts, container=replace(facts.container, log=log.format("/data")))
    assert "--tmpfs=/data:size=20m,mode=1777 --tmpfs=/data2:size=1g" in changed(full, "enlarge-tmpfs").replace(
        " \\\n ", ""
    )
    mounted = replace(facts.container, log=log.format("/b"), mounts=(("tmpfs", "", "/b"),))
    assert "target=/b,tmpfs-size=40" in changed(replace(facts, container=mounted), "enlarge-tmpfs")
    assert changed(facts, "enlarge-tmpfs") == changed(facts)


def test_an_entrypoint_taken_away_stays_away() -> None:
    facts = machine({}, {"Entrypoint": None, "Cmd": ["id"]})
    assert facts.container
    assert facts.image
    image = replace(facts.image, entrypoint=("/entry.sh",))
    line = of_container(facts.container, image, "docker")
    assert words(as_run(line))[-3:] == ["--entrypoint=", "trainer:2.3", "id"]
    assert "    entrypoint: []\n" in as_compose(line)
    assert "entrypoint" not in as_run(
        of_container(replace(facts.container, entrypoint=("/entry.sh",)), image, "docker")
    )


def test_a_value_that_was_not_read_is_named() -> None:
    facts = machine({"Memory": 1 << 30}, {"Env": ["PATH=/usr/bin", "HF_TOKEN"]})
    finding = Finding("container-oom-killed", (Evidence("engine", "state", "OOMKilled true"),))
    corrected = correct(diagnose([finding], shipped()).ranked, facts)
    assert corrected
    assert corrected.unread == ("HF_TOKEN",)
    assert "-e HF_TOKEN " in corrected.run


def test_nothing_of_podmans_own() -> None:
    """What its inspection shows of every container, and the CDI device that only its command line has."""
    facts = machine(
        {
            "Runtime": "oci", "ShmSize": 65536000, "CapDrop": ["AUDIT_WRITE", "MKNOD", "NET_RAW"], "PidMode": "private", "PidsLimit": 2048,
            "UTSMode": "private", "Binds": ["/srv:/data:ro,rprivate,rbind", "/a:/b:rw,rprivate,rbind"],
            "Ulimits": [{"Name": "RLIMIT_NOFILE", "Soft": 1 << 20, "Hard": 1 << 20}, {"Name": "RLIMIT_MEMLOCK", "Soft": -1, "Hard": -1}],
        },
        {"WorkingDir": "/", "StopTimeout": 10, "Env": ["PATH=/usr/bin", "TERM", "container", "HOSTNAME", "MODE=x"]},
        podman=True,
    )  # fmt: skip
    assert words(changed(facts)) == [
        "podman", "run", "--name=trainer", "--ulimit=memlock=-1", "-e", "MODE=x", "-v", "/srv:/data:ro", "-v", "/a:/b",
        "trainer:2.3", "python", "train.py",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        (["--device", "nvidia.com/gpu=all", "trainer:2.3", "x"], ("nvidia.com/gpu=all",)),
        (["--device=nvidia.com/gpu=0", "--device", "/dev/kfd", "--device=amd.com/gpu=1", "trainer:2.3"], ("nvidia.com/gpu=0", "amd.com/gpu=1")),
        (["trainer:2.3", "serve", "--device", "nvidia.com/gpu=all"], ()),
        (["--device", "/dev/dri", "trainer:2.3"], ()),
    ],
)  # fmt: skip
def test_cdi_devices_of_podman(typed: list[str], names: tuple[str, ...]) -> None:
    snapshot = Snapshot("2026-11-24T12:00:00Z", "0.1.0", Target("trainer"), {
        "docker:container": Reading("docker:container", "ok", json.dumps(
            {"Id": "1", "Name": "trainer", "Image": "sha256:2", "State": {}, "HostConfig": {}, "Config": {"Image": "trainer:2.3"}})),
        "podman:command": Reading("podman:command", "ok", json.dumps(["podman", "run", *typed])),
    })  # fmt: skip
    container = parse(snapshot).container
    assert container
    assert tuple(name for one in container.requests for name in one.ids) == names


RARE = {
    "BlkioWeight": 300, "BlkioWeightDevice": [{"Path": "/dev/sda", "Weight": 200}],
    "BlkioDeviceReadBps": [{"Path": "/dev/sda", "Rate": 1048576}], "BlkioDeviceWriteIOps": [{"Path": "/dev/sda", "Rate": 9}],
    "CpuPeriod": 50000, "CpuQuota": 20000, "MemorySwappiness": 0, "StorageOpt": {"size": "10G"}, "VolumeDriver": "local",
    "MaskedPaths": [], "ReadonlyPaths": [], "CgroupnsMode": "host", "SecurityOpt": ['seccomp={"defaultAction":"x"}'],
    "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}], "81/udp": [{"HostIp": "::1", "HostPort": "81"}]},
    "AnnotationNames": ["org.example/note"], "Memory": 1 << 30, "NetworkMode": "lan",
    "Mounts": [
        {"Type": "bind", "Source": "/d", "Target": "/d", "BindOptions": {"Propagation": "rshared", "NonRecursive": True}},
        {"Type": "tmpfs", "Target": "/u", "TmpfsOptions": {"Mode": 448, "SizeBytes": 4096}},
        {"Type": "volume", "Source": "v", "Target": "/w", "VolumeOptions": {"NoCopy": True, "Subpath": "a"}},
    ],
}  # fmt: skip
RARE_CONFIG = {
    "Domainname": "example.org", "MacAddress": "92:d0:c6:0a:29:33", "LabelNames": ["team"],
    "ExposedPorts": {key: {} for key in ("80/tcp", "81/udp", "9000/tcp", "9100/udp", "9101/udp", "7/tcp")},
}  # fmt: skip
LAN = {
    "IPAMConfig": {"IPv4Address": "10.0.0.9", "IPv6Address": "fd97::9", "LinkLocalIPs": ["169.254.1.2"]},
    "Aliases": ["web", "111111111111"], "DriverOpts": None, "MacAddress": "",
}  # fmt: skip


def networked(
    networks: dict, host: dict | None = None, version: str = "27.1", config: dict | None = None, runs: bool = False,
) -> Corrected:  # fmt: skip
    snapshot = {
        "docker:container": Reading("docker:container", "ok", json.dumps({
            "Id": "1" * 64, "Name": "trainer", "Image": "sha256:2", "Mounts": [], "Networks": networks,
            "State": {"Status": "running" if runs else "exited", "Running": runs, "ExitCode": 137, "OOMKilled": True},
            "HostConfig": {"Runtime": "runc", "ShmSize": 64 << 20, "IpcMode": "private", **RARE, **(host or {})},
            "Config": {"Image": "trainer:2.3", "Cmd": ["x"], **(RARE_CONFIG if config is None else config)},
        })),
        "docker:image": Reading("docker:image", "ok", json.dumps({"Id": "sha256:2", "Config": {"ExposedPorts": {"7/tcp": {}}}})),
        "docker:info": Reading("docker:info", "ok", json.dumps({"Runtimes": {}, "CgroupVersion": "2"})),
        "docker:version": Reading("docker:version", "ok", json.dumps({"Version": version})),
    }  # fmt: skip
    facts = parse(Snapshot("2026-11-24T12:00:00Z", "0.1.0", Target("trainer"), snapshot))
    return corrected_of(facts)


def test_rare_options_are_there_again() -> None:
    made = networked({"lan": LAN})
    said = words(made.run)
    for option in (
        "--blkio-weight=300", "--blkio-weight-device=/dev/sda:200", "--device-read-bps=/dev/sda:1048576",
        "--device-write-iops=/dev/sda:9", "--cpu-period=50000", "--cpu-quota=20000", "--memory-swappiness=0",
        "--storage-opt=size=10G", "--volume-driver=local", "--security-opt=systempaths=unconfined", "--cgroupns=host",
        "--domainname=example.org", "--expose=9000", "--expose=9100-9101/udp", "--network=lan", "--ip=10.0.0.9",
        "--ip6=fd97::9", "--link-local-ip=169.254.1.2", "--mac-address=92:d0:c6:0a:29:33", "--network-alias=web",
        "--mount=type=bind,source=/d,target=/d,bind-recursive=disabled,bind-propagation=rshared",
        "--mount=type=tmpfs,target=/u,tmpfs-size=4096,tmpfs-mode=700",
        "--mount=type=volume,source=v,target=/w,volume-nocopy,volume-subpath=a",
    ):  # fmt: skip
        assert option in said, option
    assert [said[n + 1] for n, word in enumerate(said) if word == "-p"] == ["127.0.0.1::80", "[::1]:81:81/udp"]
    for absent in ("seccomp", "111111111111", "--expose=80", "--expose=7"):
        assert absent not in made.run
    label = """--label="team=$(docker inspect -f '{{index .Config.Labels "team"}}' trainer-old)\""""
    note = """--annotation="org.example/note=$(docker inspect -f '{{index .HostConfig.Annotations "org.example/note"}}' trainer-old)\""""
    assert label in made.run
    assert note in made.run
    assert made.left_out == ("the seccomp profile, of whose file the engine keeps no name",)
    assert "Compose has no key for --volume-driver." in made.remarks


def test_rare_options_in_compose() -> None:
    made = networked({"lan": LAN})
    service = yaml.loads(made.compose)["services"]["trainer"]
    assert service["blkio_config"] == {
        "weight": 300, "weight_device": [{"path": "/dev/sda", "weight": 200}],
        "device_read_bps": [{"path": "/dev/sda", "rate": 1048576}], "device_write_iops": [{"path": "/dev/sda", "rate": 9}],
    }  # fmt: skip
    assert service["networks"] == {"lan": {
        "ipv4_address": "10.0.0.9", "ipv6_address": "fd97::9", "link_local_ips": ["169.254.1.2"], "aliases": ["web"],
        "mac_address": "92:d0:c6:0a:29:33",
    }}  # fmt: skip
    assert {key: service[key] for key in ("cgroup", "domainname", "expose", "storage_opt", "mem_swappiness")} == {
        "cgroup": "host", "domainname": "example.org", "expose": ["9000", "9100-9101/udp"], "storage_opt": {"size": "10G"},
        "mem_swappiness": 0,
    }  # fmt: skip
    assert service["volumes"] == [
        {"type": "bind", "source": "/d", "target": "/d", "bind": {"propagation": "rshared", "recursive": "disabled"}},
        {"type": "tmpfs", "target": "/u", "tmpfs": {"mode": 448, "size": 4096}},
        {"type": "volume", "source": "v", "target": "/w", "volume": {"nocopy": True, "subpath": "a"}},
    ]
    assert yaml.loads(made.compose)["volumes"] == {"v": {"external": True}}


TWO = {"lan": {"Aliases": ["web"]}, "lan2": {"GwPriority": 5, "DriverOpts": {"a.b": "c"}}}


def test_several_networks_need_a_newer_engine() -> None:
    new = networked(TWO, config={})
    assert "--network=name=lan,alias=web" in words(new.run)
    assert "--network=name=lan2,driver-opt=a.b=c,gw-priority=5" in words(new.run)
    networks = yaml.loads(new.compose)["services"]["trainer"]["networks"]
    assert networks == {"lan": {"aliases": ["web"]}, "lan2": {"gw_priority": 5, "driver_opts": {"a.b": "c"}}}
    old = networked(TWO, config={}, version="20.10.24+dfsg1")
    assert "lan2" not in old.run
    assert "the network lan2 (`docker network connect`)" in old.left_out


@pytest.mark.parametrize("runs", [True, False])
def test_an_address_that_the_network_gave_is_not_asked_for(runs: bool) -> None:
    """A container that runs has one in any case; one that ended has only what was asked for."""
    made = networked({"bridge": {"MacAddress": "02:42:ac:11:00:02"}}, {"NetworkMode": "default"}, config={}, runs=runs)
    assert ("--mac-address" in made.run) is not runs
    assert "--network" not in made.run
    assert ("mac_address" in made.compose) is not runs


def test_labels_of_a_container_that_is_gone_by_then_are_named() -> None:
    """What is removed when it ends has nothing to read from."""
    made = networked({}, {"AutoRemove": True}, runs=True)
    assert "$(docker inspect" not in made.run
    assert made.left_out[1:] == ("the label team", "the annotation org.example/note")


def test_podman_tells_of_networks_what_was_typed() -> None:
    snapshot = Snapshot("2026-11-24T12:00:00Z", "0.1.0", Target("trainer"), {
        "docker:container": Reading("docker:container", "ok", json.dumps(
            {"Id": "1" * 64, "Name": "trainer", "Image": "sha256:2", "State": {"Running": True},
             "HostConfig": {"NetworkMode": "bridge", "MemorySwappiness": 0, "NanoCpus": 15 * 10**8, "CpuPeriod": 100000, "CpuQuota": 150000},
             "Config": {"Image": "trainer:2.3"}, "Networks": {"lan": {"Aliases": ["1" * 12], "MacAddress": "aa:bb:cc:dd:ee:ff"}}})),
        "podman:command": Reading("podman:command", "ok", json.dumps(
            ["podman", "run", "--network", "lan", "--ip=10.0.0.9", "--mac-address", "92:d0:c6:0a:29:33", "trainer:2.3"])),
        "docker:version": Reading("docker:version", "ok", json.dumps({"Version": "4.3", "Components": [{"Name": "Podman Engine"}]})),
        "docker:info": Reading("docker:info", "ok", "{}"),
    })  # fmt: skip
    line = changed(parse(snapshot))
    assert words(line) == ["podman", "run", "--name=trainer", "--cpus=1.5", "--network=lan", "--ip=10.0.0.9",
                           "--mac-address=92:d0:c6:0a:29:33", "trainer:2.3"]  # fmt: skip
