"""The units: what systemd was told to run, and how little that may."""

import re
import shlex

import pytest
from scenario import assert_confined

from ledger import NODES, RUNNING

GAS_LIMIT = "700000000"
UNITS = [f"steelyard-{kind}-{node.name}" for kind in ("tessera", "quorum") for node in NODES]
each_node = pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)


def shown(host, unit: str, name: str) -> str:
    """A property of a unit, as systemd has it."""
    return host.check_output(f"systemctl show --property={name} --value {unit}.service")


def command(host, unit: str) -> list[str]:
    """What is started, with its arguments."""
    found = re.search(r"argv\[\]=(.*?) ;", shown(host, unit, "ExecStart"))
    assert found is not None
    return shlex.split(found[1])


def options(arguments: list[str]) -> dict[str, str | None]:
    """Options by their names; a switch has None. No option is given twice."""
    found: dict[str, str | None] = {}
    name = ""
    for one in arguments:
        if one.startswith("-"):
            name = one
            assert name not in found
            found[name] = None
        else:
            assert found[name] is None
            found[name] = one
    return found


@pytest.mark.parametrize("unit", [*UNITS, "steelyard-gateway"])
def test_units_are_enabled_and_confined(host, unit):
    """Exposure 2.5 at most. Without engines all but the gateway are left for a later run."""
    service = host.service(unit)
    assert service.is_enabled
    assert service.is_running == (RUNNING or unit == "steelyard-gateway")
    assert shown(host, unit, "NeedDaemonReload") == "no"
    assert_confined(host, unit)


def test_systemd_takes_every_line_of_the_units(host):
    """No line that it does not know, no program that is missing."""
    with host.sudo():
        done = host.run(
            "systemd-analyze verify --man=no "
            + " ".join(f"/etc/systemd/system/{unit}.service" for unit in UNITS)
        )
    said = [line for line in done.stderr.splitlines() if "steelyard" in line]
    assert (done.rc, said) == (0, [])


@each_node
def test_a_node_is_started_as_the_decisions_say(host, node):
    """docs/decisions/network-*.md and node-gateway.md have the reasons."""
    program, *arguments = command(host, f"steelyard-quorum-{node.name}")
    assert program == "/opt/quorum/24.4.1/geth"
    found = options(arguments)
    modules = set(found.pop("--http.api").split(","))
    # No admin, personal, debug, miner: whoever has these has the node.
    assert modules == {"eth", "net", "web3", "quorumExtension", "istanbul"}
    mining = {"--mine": None, "--miner.threads": "1"}
    assert found == {
        "--config": f"{node.directory}/geth.toml",
        "--datadir": f"{node.directory}/geth",
        "--networkid": "1337",
        # Members are on a list, and nobody is looked for.
        "--permissioned": None,
        "--nodiscover": None,
        "--nat": "none",
        # JSON-RPC asks nobody who he is. No --ws, no --graphql, no --port (every interface).
        "--http": None,
        "--http.addr": "127.0.0.1",
        "--http.port": str(node.rpc_port),
        "--ipcdisable": None,
        # Each block's state is written with it.
        "--syncmode": "full",
        "--gcmode": "archive",
        "--cache": "128",
        "--miner.gasprice": "0",
        "--miner.gastarget": GAS_LIMIT,
        "--miner.gaslimit": GAS_LIMIT,
        "--miner.recommit": "1s",
        **(mining if node.validator else {}),
    }


@each_node
def test_a_node_has_its_privacy_manager(host, node):
    """It is started after it, ends with it, and waits for its socket."""
    unit, manager = f"steelyard-quorum-{node.name}", f"steelyard-tessera-{node.name}.service"
    assert shown(host, unit, "Environment") == f"PRIVATE_CONFIG={node.sockets}/tm.ipc"
    assert manager in shown(host, unit, "Requires").split()
    assert manager in shown(host, unit, "After").split()
    assert f"test -S {node.sockets}/tm.ipc" in shown(host, unit, "ExecStartPre")
    assert shown(host, unit, "User") == "quorum"
    assert shown(host, unit, "SupplementaryGroups") == "tessera"
    assert shown(host, unit, "Restart") == "always"
    assert shown(host, unit, "ReadWritePaths") == f"{node.directory}/geth"


@each_node
def test_a_privacy_manager_is_started_by_its_form(host, node):
    """A jar by Java, with what Java 17 needs; a distribution by its own program (JAVA_OPTS)."""
    unit = f"steelyard-tessera-{node.name}"
    opened = [
        f"--add-opens=java.base/java.{one}=ALL-UNNAMED" for one in ("lang", "util", "net", "io")
    ]
    java = ["-Xmx192m", "-XX:+UseSerialGC", *opened]
    program, *arguments = command(host, unit)
    *before, flag, configuration = arguments
    assert (flag, configuration) == ("-configfile", f"{node.directory}/tessera/config.json")
    environment = shlex.split(shown(host, unit, "Environment"))
    if RUNNING:
        *jvm, jar_flag, jar = before
        assert (program, jvm, jar_flag, environment) == ("/usr/bin/java", java, "-jar", [])
        assert re.fullmatch(r"/opt/tessera/20\.10\.1/[^/]+\.jar", jar)
    else:
        assert (program, before) == ("/opt/tessera/24.4.2/bin/tessera", [])
        assert environment == [f"JAVA_OPTS={' '.join(java)}"]


@each_node
def test_a_privacy_managers_sockets_are_for_its_group(host, node):
    """Their directory is made by systemd; who belongs to the group may enter it."""
    unit = f"steelyard-tessera-{node.name}"
    assert shown(host, unit, "User") == "tessera"
    assert shown(host, unit, "RuntimeDirectory") == node.sockets.removeprefix("/run/")
    assert shown(host, unit, "RuntimeDirectoryMode") == "0750"
    assert shown(host, unit, "UMask") == "0007"
    assert shown(host, unit, "ReadWritePaths") == f"{node.directory}/tessera"
    assert shown(host, unit, "Restart") == "always"


def test_the_gateway_has_its_key_from_systemd(host):
    """The file is root's; the service sees a copy."""
    unit = "steelyard-gateway"
    program, *arguments = command(host, unit)
    assert re.fullmatch(r"/opt/steelyard/server/releases/[^/]+/venv/bin/steelyard", program)
    assert arguments == ["gateway", "--config", "/etc/steelyard/gateway.toml"]
    with host.sudo():
        text = host.file(f"/etc/systemd/system/{unit}.service").content_string
    assert "\nLoadCredential=node.key:/etc/steelyard/pki/node.key\n" in text
    assert shown(host, unit, "SupplementaryGroups") == "tessera"
