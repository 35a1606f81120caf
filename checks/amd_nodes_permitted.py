"""The user who runs this may open /dev/kfd and the render nodes, by owner, group and mode.

Membership counts from the next login on: a group that /etc/group lists and this session lacks is told apart.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import AmdFacts, HostFacts
from doctor.finding import Evidence, Finding


@check("amd", needs=["amd", "host"], faults=["amd-kfd-permission"])
def amd_nodes_permitted(amd: AmdFacts, host: HostFacts) -> Verdict:
    if not amd.kfd:
        return NotApplicable("there is no /dev/kfd")
    closed = [node for node in amd.nodes if not node.permits(host.uid, host.groups)]
    if not closed:
        return f"user {host.uid} may open /dev/kfd and {len(amd.render)} render node(s)"
    node = closed[0]
    group = host.group_names.get(node.gid, str(node.gid))
    older = node.gid in host.listed_groups and node.gid not in host.groups
    says = (
        f"this login is older than the membership in {group}" if older else f"user {host.uid} is not in group {group}"
    )
    evidence = Evidence("file", node.path, f"mode {node.mode:04o}, owner {node.uid}:{node.gid}", says=says)
    values = {"path": node.path, "gid": str(node.gid), **({"reason": "log out and in again"} if older else {})}
    return Finding("amd-kfd-permission", (evidence,), values)
