"""A provisioning that dies anywhere is finished by the next one."""

import asyncio
import contextlib
import itertools

import pytest

from provision_world import ADMINISTRATOR, description
from registry_world import bootstrap, node_draft, running_api
from steelyard.ledger.protocol import NodeRef
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ledger.settings import LedgerSettings
from steelyard.provision.client import Management
from steelyard.provision.document import Description
from steelyard.provision.secrets import SecretsDirectory
from steelyard.provision.service import Provisioner
from steelyard.ticket import TicketFilter


class Killed(BaseException):
    """The process is no more."""


class Mortal(Management):
    """Dies when it is about to read the answer to its n-th change (or before it asks)."""

    left = 10**9
    before = False

    async def _ask(self, method, path, **arguments):
        counts = method != "GET" and not path.startswith("/oauth2")
        self.left -= counts
        if counts and self.left < 0:
            if not self.before:
                await super()._ask(method, path, **arguments)
            raise Killed
        return await super()._ask(method, path, **arguments)


async def whole(api, secrets) -> None:
    """Everything is there once, and every station can log in with its file."""
    result = Provisioner(api, SecretsDirectory(secrets), trial=True)
    await result.apply(Description.model_validate(description()))
    assert result.result.changed == []


@pytest.mark.slow
@pytest.mark.parametrize("before", [True, False], ids=["before it asked", "before it was told"])
async def test_a_kill_anywhere_is_made_good(secrets, store, migrated_sqlite, tmp_path, before):
    """Die at the first change, at the second, and so on, each time from nothing."""
    wanted = Description.model_validate(description())
    template = store.url.removeprefix("sqlite:///")
    for count in itertools.count():
        path = tmp_path / f"{count}.db"
        path.write_bytes(migrated_sqlite.read_bytes())
        path.chmod(0o600)
        kept = tmp_path / f"secrets-{count}"
        settings = store.model_copy(update={"url": f"sqlite:///{path}"})
        assert template != str(path)
        async with running_api(secrets, settings) as api:
            await bootstrap(api)
            mortal = Mortal(api.session, api.url, ADMINISTRATOR)
            mortal.left, mortal.before = count, before
            died = False
            try:
                await Provisioner(mortal, SecretsDirectory(kept)).apply(wanted)
            except Killed:
                died = True
            heir = Management(api.session, api.url, ADMINISTRATOR)
            second = Provisioner(heir, SecretsDirectory(kept))
            await second.apply(wanted)
            await whole(heir, kept)
            for name, told in second.result.stations.items():
                secret = (kept / f"station-{name}.secret").read_text().strip()
                assert await api.station_token(told["client_id"], secret)
            password = (kept / "user-ops@acme.example.password").read_text().strip()
            assert await api.token("ops@acme.example", password)
            if not died:
                assert second.result.changed == []
                break
    assert count > 15


async def test_a_kill_while_credentials_are_replaced(bed):
    """The old file is gone before the old secret ends, so the next run makes new ones."""
    wanted = Description.model_validate(description())
    await Provisioner(bed.client(), SecretsDirectory(bed.secrets)).apply(wanted)
    mortal = Mortal(bed.api.session, bed.api.url, ADMINISTRATOR)
    mortal.left = 0
    with pytest.raises(Killed):
        await Provisioner(mortal, SecretsDirectory(bed.secrets)).new_credentials(["north"])
    heir = Provisioner(bed.client(), SecretsDirectory(bed.secrets))
    await heir.apply(wanted)
    assert heir.result.changed == ["station north has new credentials"]
    client = heir.result.stations["north"]["client_id"]
    assert await bed.api.station_token(client, bed.secret("north"))


async def test_a_kill_while_a_station_is_removed(bed):
    """Wherever it dies, the repeat removes the station with all that it has."""
    wanted = Description.model_validate(description())
    for count in range(7):
        document = description()
        station = document["customers"][0]["stations"][0]
        station["name"] = f"north-{count}"
        if count:
            name = f"more-{count}"
            document["nodes"].append(node_draft(name, "station"))
            station["node"] = name
        wanted = Description.model_validate(document)
        await Provisioner(bed.client(), SecretsDirectory(bed.secrets)).apply(wanted)
        mortal = Mortal(bed.api.session, bed.api.url, ADMINISTRATOR)
        mortal.left = count
        with contextlib.suppress(Killed):
            await Provisioner(mortal, SecretsDirectory(bed.secrets)).remove_station(
                f"north-{count}"
            )
        await Provisioner(bed.client(), SecretsDirectory(bed.secrets)).remove_station(
            f"north-{count}"
        )
        assert await bed.client().entities("weighbridges") == []
        left = {one["name"] for one in await bed.client().entities("stations")}
        assert left == {"south", "east"}
        assert not list(bed.secrets.glob("station-north*"))


async def test_a_registration_under_way_is_waited_for(bed, monkeypatch):
    """The API says when to come back; it does, and finishes."""
    pauses = []
    monkeypatch.setattr("steelyard.provision.client.asyncio.sleep", _noting(pauses))

    class Busy(Management):
        busy = 2

        async def _ask(self, method, path, **arguments):
            answer = await super()._ask(method, path, **arguments)
            if (method, path) == ("GET", "/v1/customers") and self.busy:
                self.busy -= 1
                return type(answer)(429, {"detail": "Wait."}, {"Retry-After": "7"})
            return answer

    api = Busy(bed.api.session, bed.api.url, ADMINISTRATOR)
    await Provisioner(api, SecretsDirectory(bed.secrets)).apply(
        Description.model_validate(description())
    )
    assert pauses == [7, 7]


def _noting(pauses):
    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    return sleep


async def test_contracts_are_deployed_at_the_described_nodes(secrets, store, tmp_path):
    """On the sandbox: each contract is at its station's node and its customer's, nowhere else."""
    pytest.importorskip("pyrevm", reason="the sandbox needs pyrevm")
    import aiohttp

    from steelyard.ledger.protocol import ContractView
    from steelyard.sandbox.consortium import Consortium

    document = description()
    async with (
        Consortium(nodes=7, block_period=0.05) as consortium,
        aiohttp.ClientSession() as session,
    ):
        for node, real in zip(document["nodes"], consortium.network["nodes"], strict=True):
            node |= {key: real[key] for key in ("rpc_url", "tessera_url", "tessera_public_key")}
        ledger = QuorumLedger(session, LedgerSettings())
        async with running_api(secrets, store, ledger=ledger) as api:
            await bootstrap(api)
            client = Management(api.session, api.url, ADMINISTRATOR)
            made = Provisioner(client, SecretsDirectory(tmp_path / "kept"))
            await made.apply(Description.model_validate(document))
            password = (tmp_path / "kept/user-ops@acme.example.password").read_text().strip()
            user = await api.token("ops@acme.example", password)
            for name, node in (("north", "node-3"), ("south", "node-2")):
                station = made.result.stations[name]["id"]
                place = (await api.call("GET", f"/v1/stations/{station}/contract", user)).json
                seen = [
                    one["name"]
                    for one in document["nodes"]
                    if await _sees(ledger, ContractView(place["contract_address"], _ref(one)))
                ]
                assert seen == ["b-admin", node]
        await ledger.close()


def _ref(node) -> NodeRef:
    return NodeRef(node["name"], node["rpc_url"], node["tessera_url"], node["tessera_public_key"])


async def _sees(ledger, view) -> bool:
    from steelyard.errors import Problem

    try:
        async with asyncio.timeout(10):
            await ledger.count(view, TicketFilter())
    except Problem:
        return False
    return True
