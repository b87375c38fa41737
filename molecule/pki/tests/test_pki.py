"""What role pki leaves on the authorities' host and on another."""

import os
from pathlib import Path

import pytest

PKI = "/etc/steelyard/pki"
AUTHORITIES = "/var/lib/steelyard-authorities"
PROGRAM = "/opt/steelyard/station/current/venv/bin/steelyard"
# name: the authority's certificate and list, purposes that OpenSSL takes it for, owner of the key
CERTIFICATES = {
    "net-1": ("", ["sslserver", "sslclient"], "tessera"),
    "platform": ("", ["sslclient"], "root"),
    "management-api": ("", ["sslserver"], "root"),
    "SB-1": ("devices-", ["sslserver"], "root"),
    "LC-1": ("devices-", ["sslclient"], "root"),
}
NET = {
    "pki_name": "net-1",
    "pki_kind": "peer",
    "pki_hosts": "{{ [ansible_host, 'net-1.example'] }}",
    "pki_owner": "tessera",
}
CLIENT = {"pki_name": "platform", "pki_kind": "client"}


def serial(node, name: str) -> str:
    """A certificate's number."""
    return node.check_output(f"openssl x509 -noout -serial -in {PKI}/{name}.pem")


def secrets_of(machine, directory: str) -> list[str]:
    """A line of each private key in a directory: long enough to be found nowhere else."""
    files = machine.check_output(f"find {directory} -name '*.key'").split()
    return [machine.file(path).content_string.splitlines()[1] for path in files]


@pytest.mark.parametrize("name", CERTIFICATES)
def test_certificates_verify(node, name):
    """By OpenSSL, with the revocation list, for their purposes and no other."""
    prefix, purposes, _ = CERTIFICATES[name]
    trust = f"-x509_strict -CAfile {PKI}/{prefix}ca.pem -crl_check -CRLfile {PKI}/{prefix}crl.pem"
    for purpose in ("sslserver", "sslclient"):
        said = node.run(f"openssl verify {trust} -purpose {purpose} {PKI}/{name}.pem")
        assert (said.rc == 0) == (purpose in purposes), said.stdout + said.stderr


@pytest.mark.parametrize("name", CERTIFICATES)
def test_keys_are_their_owners(node, name):
    """0600, and P-256."""
    key = node.file(f"{PKI}/{name}.key")
    assert (key.user, key.mode) == (CERTIFICATES[name][2], 0o600)
    assert "prime256v1" in node.check_output(f"openssl pkey -noout -text -in {key.path}")


def test_the_authorities_are_for_root_alone(authority):
    """Their directory cannot be entered, and the keys not be read, by others."""
    assert authority.file(AUTHORITIES).mode == 0o700
    for name in ("consortium", "devices"):
        key = authority.file(f"{AUTHORITIES}/{name}/authority.key")
        assert (key.user, key.mode) == ("root", 0o600)
    found = authority.check_output(f"find {AUTHORITIES} -perm /022").split()
    assert found == []


def test_private_keys_never_travel(authority, node):
    """No host's key is on the authorities' host or the controller, and no authority's elsewhere."""
    hosts, authorities = secrets_of(node, PKI), secrets_of(authority, AUTHORITIES)
    assert (len(hosts), len(authorities)) == (len(CERTIFICATES), 2)
    scratch = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
    # Disks are looked at from here: a command on the machine would leave the key in its journal.
    disks = scratch / "machines/roots"
    local = [scratch, *(Path.home() / ".ansible/tmp").glob("ansible-*")]
    local += Path("/tmp").glob("ansible*")  # noqa: S108 - Ansible's own
    controller = [path for place in local for path in place.rglob("*") if disks not in path.parents]
    for paths, lines in (
        ((disks / "pki-authority").rglob("*"), hosts),
        ((disks / "pki-host").rglob("*"), authorities),
        (controller, hosts + authorities),
    ):
        searched = 0
        for path in paths:
            if path.is_file() and not path.is_symlink():
                content = path.read_bytes()
                searched += 1
                assert not any(line.encode() in content for line in lines), path
        assert searched


def test_renewal_keeps_the_key(node, certify):
    """A new certificate for the same key, services told; and nothing when there is no need."""
    key, old = node.file(f"{PKI}/net-1.key").sha256sum, serial(node, "net-1")
    status, said = certify(**NET)
    assert (status, "changed=0" in said, "would be restarted" in said) == (0, True, False), said
    status, said = certify(**NET, pki_renew_days=900)
    assert (status, "services would be restarted" in said) == (0, True), said
    assert node.file(f"{PKI}/net-1.key").sha256sum == key
    assert node.file(f"{PKI}/net-1.key").user == "tessera"
    assert serial(node, "net-1") != old


def test_other_names_give_another_certificate(node, certify):
    """What the inventory says is what stands in the certificate."""
    status, said = certify(**{**NET, "pki_hosts": ["192.0.2.7"]})
    assert status == 0, said
    text = node.check_output(f"openssl x509 -noout -text -in {PKI}/net-1.pem")
    assert "IP Address:192.0.2.7" in text
    assert "net-1.example" not in text
    assert certify(**NET)[0] == 0


def test_rekey_revokes_what_it_replaces(node, certify):
    """A new key for the same owner; the old certificate is on the list that the host has."""
    key, old = node.file(f"{PKI}/net-1.key").sha256sum, serial(node, "net-1").split("=")[1]
    status, said = certify(**NET, pki_rekey=True)
    assert status == 0, said
    new = node.file(f"{PKI}/net-1.key")
    assert new.sha256sum != key
    assert (new.user, new.mode) == ("tessera", 0o600)
    revoked = node.check_output(f"openssl crl -noout -text -in {PKI}/crl.pem")
    assert old in revoked
    assert serial(node, "net-1").split("=")[1] not in revoked
    assert "changed=0" in certify(**NET)[1]


def test_a_revoked_host_stays_out_until_it_gets_a_new_key(node, certify):
    """The next run does not give it a certificate again by accident."""
    status, said = certify(**CLIENT, revoke=True, certify=False)
    assert (status, "list would be read again" in said) == (0, True), said
    status, said = certify(**CLIENT)
    assert status != 0
    assert "was revoked. When this host is to be trusted again" in said
    check = f"{PROGRAM} pki check --ca {PKI}/ca.pem --crl {PKI}/crl.pem {PKI}/platform.pem"
    assert node.run(check).rc == 5
    assert certify(**CLIENT, pki_rekey=True)[0] == 0
    assert node.run(check).rc == 0
    assert "changed=0" in certify(**CLIENT)[1]


def test_the_authority_signs_only_what_the_operator_said(authority, node):
    """A request by the host itself for another name is refused."""
    made = f"{PROGRAM} pki request --into /root/other --kind client platform"
    csr = node.file(node.check_output(made)).content_string
    sign = f"{PROGRAM} pki sign-request --authority {AUTHORITIES}/consortium --kind client"
    refused = authority.run(f"printf %s '{csr}' | {sign} --name auditor -")
    assert refused.rc == 1
    assert "is for CN=platform, and not for CN=auditor" in refused.stderr
    node.check_output("rm -r /root/other")
