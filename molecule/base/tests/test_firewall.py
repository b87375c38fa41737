"""Nothing is reached but what the rules open, by those that they name."""

import pytest

from conftest import address_of, here, run_play, scanned


def test_a_neighbour_reaches_what_is_open_to_it_and_nothing_else(host, neighbour):
    """Of 10,000 ports two answer; all others, ssh among them, are silent and do not even refuse.

    The machines' operator's network is the neighbour's as well, so ssh answers too.
    """
    found = scanned(neighbour.check_output, address_of(host), 1, 10_000)
    assert sorted(found["open"]) == [22, 8101, 8102]
    assert found["refused"] == []
    assert found["silent"] == 10_000 - 3


def test_another_does_not_reach_what_is_the_neighbours(host):
    """The controller, which no rule names, reaches ssh and what is open to everyone."""
    found = scanned(here, address_of(host), 8000, 8200)
    assert found["open"] == [8101]
    assert found["silent"] == 200


def test_the_listener_behind_it_listens(host):
    """So it is the firewall that is silent."""
    assert host.socket("tcp://:::8103").is_listening
    assert scanned(host.check_output, "127.0.0.1", 8101, 8103)["open"] == [8101, 8102, 8103]
    assert scanned(host.check_output, "::1", 8101, 8103)["open"] == [8101, 8102, 8103]


def test_ipv6_is_closed_as_well(host, neighbour):
    """By its link-local address it has what is open to everyone, and no more."""
    own = host.check_output("ip -6 -o address show dev host0 scope link").split()[3].split("/")[0]
    found = scanned(neighbour.check_output, f"{own}%host0", 8101, 8103)
    assert (found["open"], found["silent"]) == ([8101], 2)


def test_pings_are_answered(host, neighbour):
    """The network's errors and echoes pass: without them, paths with small packets break."""
    with neighbour.sudo():
        neighbour.check_output(f"ping -c 1 -W 2 {address_of(host)}")


def test_the_rules_in_force_are_the_files(host):
    """Named sets by rule and IP version, policy drop, and a comment on each."""
    with host.sudo():
        rules = host.check_output("nft list ruleset")
        assert host.file("/etc/nftables.conf").mode == 0o600
    assert rules.count("policy drop") == 2
    for part in (
        "set ssh_0_v4",
        "set cells_3_v6",
        "192.0.2.0/24",
        "@neighbour_2_v4",
        'comment "open to everyone"',
        "udp dport 5684",
    ):
        assert part in rules
    assert "any" not in rules
    assert host.service("nftables").is_enabled


def test_a_second_load_replaces_the_rules(host):
    """Loaded twice, they are there once."""
    with host.sudo():
        before = host.check_output("nft -s list ruleset")
        host.check_output("nft -f /etc/nftables.conf")
        assert host.check_output("nft -s list ruleset") == before


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"base_ssh_sources": ["192.0.2.0/24"]}, "the firewall would shut it out"),
        ({"base_ssh_sources": ["any"], "base_ssh_port": 2222}, "the firewall would shut it out"),
        ({"base_ssh_sources": ["any"], "base_ssh_users": ["root"]}, "logs in as deploy"),
        ({"base_ssh_sources": []}, "base_ssh_sources must name operators"),
        (
            {
                "base_ssh_sources": ["any"],
                "base_firewall_rules": [{"name": "x", "port": "1", "sources": ["net-1"]}],
            },
            "source net-1 must be an IP address",
        ),
    ],
)
def test_it_does_not_shut_its_operator_out(host, variables, sentence):
    """Nothing is changed, and the reason is told."""
    with host.sudo():
        before = host.check_output(
            "cat /etc/nftables.conf /etc/ssh/sshd_config.d/00-steelyard.conf"
        )
    status, said = run_play(**variables)
    assert status != 0
    assert sentence in " ".join(said.split())
    with host.sudo():
        now = host.check_output("cat /etc/nftables.conf /etc/ssh/sshd_config.d/00-steelyard.conf")
    assert now == before
