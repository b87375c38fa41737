"""What runs where, for a reader."""

from collections.abc import Mapping, Sequence

from steelyard.network.status import NodeStatus

_HEAD = ("node", "JSON-RPC", "peers' port", "Tessera", "peers' port", "geth", "tessera", "block")


def rows(found: Sequence[NodeStatus]) -> list[tuple[str, ...]]:
    """A row a node, under a head."""
    return [_HEAD, *(_row(one) for one in found)]


def _row(one: NodeStatus) -> tuple[str, ...]:
    states = {
        part.part: part.state if part.pid is None else f"pid {part.pid}" for part in one.parts
    }
    return (
        one.node.name,
        one.node.rpc_url,
        str(one.node.record.peer_port),
        one.node.tessera_url,
        str(one.node.record.privacy_port),
        states["geth"],
        states["tessera"],
        "no answer" if one.head is None else f"{one.head}, {one.peers} peers",
    )


def table(lines: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest entry."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def exposure(ports: Mapping[int, str]) -> str | None:
    """One warning about ports that are open to other machines; None where there are none."""
    if not ports:
        return None
    whose = ", ".join(sorted({purpose.rpartition(" of ")[0] for purpose in ports.values()}))
    return (
        f"WARNING: the engines listen on every interface for {whose} (ports "
        f"{', '.join(str(port) for port in ports)}), whatever their configuration says, and ask "
        "nobody who he is: close these ports in the firewall."
    )
