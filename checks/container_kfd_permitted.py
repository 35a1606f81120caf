"""The container's user may open /dev/kfd by the node's owner, groups and mode.

Root in the container needs no group. The node's group counts by number: its name may be another in the image.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ContainerFacts, DeviceFacts, EngineFacts, ImageFacts, Unknown
from doctor.finding import Evidence, Finding


@check("container", needs=["container", "devices"], uses=["image", "engine"], faults=["amd-kfd-permission"])
def container_kfd_permitted(
    container: ContainerFacts,
    devices: DeviceFacts,
    image: ImageFacts | Unknown,
    engine: EngineFacts | Unknown,
) -> Verdict:
    kfd = devices.kfd
    if kfd is None or not container.has_device("/dev/kfd"):
        return NotApplicable("the host has no /dev/kfd" if kfd is None else "/dev/kfd is not passed to the container")
    if engine and engine.rootless:
        return NotApplicable("user ids of a rootless engine are mapped; the mode bits do not decide")
    user = container.user or (image.user if image else "")
    uid, groups = _ids(user, container.groups)
    if uid is None:
        return NotApplicable(f"the number of user {user!r} is in the image, which was not read")
    if kfd.permits(uid, groups):
        return f"/dev/kfd {kfd.mode:04o}, owner {kfd.uid}:{kfd.gid}, admits user {uid}"
    node = f"/dev/kfd mode {kfd.mode:04o}, owner {kfd.uid}:{kfd.gid}"
    who = f"user {uid}, groups {', '.join(map(str, groups)) or 'none'}"
    return Finding(
        "amd-kfd-permission",
        (
            Evidence("file", "/dev/kfd", node, says=f"admits only root and group {kfd.gid}"),
            Evidence("engine", f"configuration of {container.name}", who),
        ),
        {"path": "/dev/kfd", "gid": str(kfd.gid)},
        subject=container.name,
    )


def _ids(user: str, added: tuple[str, ...]) -> tuple[int | None, tuple[int, ...]]:
    """User number and group numbers, as far as numbers tell; None where the user is a name other than root."""
    name, _, group = user.partition(":")
    uid = 0 if name in ("", "root") else int(name) if name.isdigit() else None
    return uid, tuple(int(number) for number in (group, *added) if number.isdigit())
