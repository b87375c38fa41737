"""What roles and the platform are told."""

from descriptions import example, hosts, station
from hypothesis import given
from hypothesis import strategies as st

from infra.consortium.checks import parse, read_consortium
from infra.consortium.exposure import EXPOSED
from infra.consortium.nodes import node_views
from infra.consortium.views import firewall_rules, platform_entities, station_at

ADDRESSES = {name: one["ansible_host"] for name, one in hosts().items()}


def test_nodes_have_ports_of_their_own():
    """By slot; validators are the network's and the customers' admin nodes."""
    views = {one["name"]: one for one in node_views(parse(example()), ADDRESSES)}
    assert [name for name, one in views.items() if one["validator"]] == [
        *("network-1", "network-2", "acme-admin", "birch-admin"),
    ]
    north = views["north-node"]
    assert (north["address"], north["p2p_port"], north["rpc_port"]) == ("10.0.0.3", 30304, 22001)


def test_a_smartbox_has_its_station():
    """Beside stations that have no SmartBox yet (a stack's `up` with an added one found it)."""
    document = example()
    document["customers"][0]["stations"].append(
        {**station("bare", "acme-1", slot=2), "smartbox": None}
    )
    spec = parse(document)
    assert [station_at(spec, host)["name"] for host in ("north-box", "south-box")] == [
        *("north", "south"),
    ]
    assert [station_at(spec, host) for host in ("acme-1", "bare-box")] == [None, None]


def test_the_world_reaches_the_apis_only():
    """A rule for everyone is the two APIs', on the platform's host."""
    spec = parse(example())
    for host in hosts():
        for rule in firewall_rules(spec, ADDRESSES, host):
            if "any" in rule["sources"]:
                assert (host, rule["port"]) in {("platform-1", 8443), ("platform-1", 8444)}


def test_members_reach_each_other_and_the_platform_the_gateways():
    """Addresses, not networks; a host needs no rule for itself."""
    rules = {
        (one["name"], one["port"]): one["sources"]
        for one in firewall_rules(parse(example()), ADDRESSES, "acme-1")
    }
    assert rules["peers", 30304] == ["10.0.0.1", "10.0.0.2", "10.0.0.4"]
    assert rules["gateway", 8600] == ["10.0.0.5"]
    assert set(rules) == {
        *(("peers", 30303), ("peers", 30304), ("privacy", 9000), ("privacy", 9001)),
        ("gateway", 8600),
    }


def test_only_its_own_cells_reach_a_smartbox():
    """And the monitoring host its figures."""
    rules = firewall_rules(
        parse(example()),
        ADDRESSES,
        "north-box",
        monitoring=["platform-1"],
        cell_networks=["192.0.2.0/24"],
    )
    assert {one["name"]: one["sources"] for one in rules} == {
        "coap": ["192.0.2.0/24"],
        "node-exporter": ["10.0.0.5"],
    }


def test_a_host_of_no_kind_has_what_every_machine_has():
    """Such as the one that ssh goes through: its figures, where somebody collects them."""
    spec = parse(example())
    addresses = ADDRESSES | {"watcher": "10.9.9.9"}
    (rule,) = firewall_rules(spec, addresses, "gate", monitoring=["watcher"])
    assert (rule["name"], rule["sources"]) == ("node-exporter", ["10.9.9.9"])
    assert firewall_rules(spec, addresses, "gate") == []


def test_the_engines_own_apis_are_in_no_rule():
    """JSON-RPC and Tessera's client API are nobody's business."""
    assert not {one.port for one in EXPOSED} & set(range(22000, 22100))
    assert not {one.port for one in EXPOSED} & set(range(9080, 9100))


def test_the_platform_is_told_of_nodes_with_keys_only():
    """A node that is still to be set up is left out; the customer keeps its place."""
    spec = parse(example())
    told = platform_entities(
        spec, node_views(spec, ADDRESSES), {"acme-admin": {"tessera_public_key": "k"}}
    )
    assert told["nodes"] == [
        {
            "name": "acme-admin",
            "role": "admin",
            "rpc_url": "https://10.0.0.3:8600/acme-admin/rpc",
            "tessera_url": "https://10.0.0.3:8600/acme-admin/tessera",
            "tessera_public_key": "k",
        }
    ]
    assert told["customers"][0]["stations"][0]["weighbridges"][0]["cells"] == [
        *("LC-north-0", "LC-north-1"),
    ]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.integers(1, 3))
def test_no_two_nodes_share_a_port(slots, hosts_used):
    """Whatever passes the checks has every port of a host once."""
    document = example()
    customer = document["customers"][0]
    customer["stations"] = [
        {
            "name": f"s{n}",
            "node": {"name": f"s{n}-node", "host": f"acme-{n % hosts_used + 1}", "slot": slot},
        }
        for n, slot in enumerate(slots)
    ]
    variables = hosts() | {f"acme-{n}": {"ansible_host": f"10.1.0.{n}"} for n in range(1, 4)}
    try:
        spec = read_consortium(document, variables)
    except Exception:  # noqa: BLE001 - what is refused has nothing to show
        return
    taken = [
        (one["host"], one[port])
        for one in node_views(spec, {})
        for port in ("p2p_port", "rpc_port", "privacy_port")
    ]
    assert len(taken) == len(set(taken))
