"""Enrolment at the management API: claims, certificates, renewal, revocation."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from sqlalchemy import select, update

from enrolment_kit import FreshDevice, make_settings, wrong
from registry_world import Api, Secrets, World, running_api
from steelyard.errors import Problem
from steelyard.pki.authority import Authority
from steelyard.pki.claims import ClaimCode, is_sealed
from steelyard.pki.issuing import DeviceIssuer
from steelyard.registry.enrolment.models import Certified
from steelyard.registry.enrolment.service import sealed_parts
from steelyard.store.models import Claim, DeviceCertificate
from steelyard.store.settings import StoreSettings

DAY_MS = 86_400_000


@pytest.fixture(scope="session")
def enrolment(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_settings(tmp_path_factory.mktemp("authority") / "devices")


@pytest.fixture
async def api(secrets: Secrets, populated: StoreSettings, enrolment: Any) -> AsyncIterator[Api]:
    """An API that enrols devices."""
    async with running_api(secrets, populated, enrolment=enrolment) as running:
        yield running


@pytest.fixture
async def admin(api: Api) -> str:
    return await api.token("admin@a.test")


async def claim(api: Api, token: str, device_id: str) -> str:
    """A claim code for a device."""
    answer = await api.call("POST", f"/v1/devices/{device_id}/claim", token)
    assert answer.status == 201, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json["code"]


async def enrol(api: Api, code: str, device: FreshDevice | None = None) -> Any:
    return await api.call("POST", "/v1/enrolment", body=(device or FreshDevice()).body(code))


async def revoked(api: Api) -> set[int]:
    """The serial numbers on the revocation list, whose signature is checked."""
    async with api.session.get(f"{api.url}/v1/enrolment/revocations") as response:
        assert response.status == 200
        assert response.content_type == "application/pkix-crl"
        crl = x509.load_der_x509_crl(await response.read())
    return {entry.serial_number for entry in crl}


def certificate_of(answer: Any) -> x509.Certificate:
    return x509.load_pem_x509_certificate(answer.json["certificate"].encode())


async def test_a_smartbox_gets_its_certificate_its_log_in_and_its_configuration(
    api: Api, world: World, admin: str
) -> None:
    """What it needs to run comes with one request, sealed with the code, for the key it made."""
    code = await claim(api, admin, world.ids["box_a"])
    box = FreshDevice("SB-1")
    answer = await enrol(api, code, box)
    assert answer.status == 200, answer.text
    certificate = certificate_of(answer)
    assert certificate.public_key() == box.key.public_key()
    authority = x509.load_pem_x509_certificate(answer.json["authority"].encode())
    certificate.verify_directly_issued_by(authority)
    subject = {one.oid: one.value for one in certificate.subject}
    assert subject == {
        NameOID.ORGANIZATION_NAME: world.ids["station_a"],
        NameOID.COMMON_NAME: "SB-1",
    }
    parsed = ClaimCode.parse(code)
    assert parsed is not None
    certified = Certified(**{name: answer.json[name] for name in Certified.model_fields})
    assert is_sealed(parsed.key(), sealed_parts(certified), bytes.fromhex(answer.json["seal"]))
    configuration = answer.json["configuration"]
    assert configuration["station"] == "station-a"
    assert configuration["weighbridges"] == [
        {
            "name": "wb-1",
            "scale_serial": "WB-1",
            "scale_interval_grams": 20_000,
            "max_capacity_grams": 60_000_000,
            "cells": ["LC-1"],
        }
    ]
    assert await api.station_token(configuration["client_id"], configuration["client_secret"])
    shown = await api.call("GET", f"/v1/devices/{world.ids['box_a']}", admin)
    assert shown.json["certificate_fingerprint"] is not None


async def test_a_code_is_good_for_one_key(api: Api, world: World, admin: str) -> None:
    """Another key is refused; the same one gets its lost answer again, with the old secret dead."""
    code = await claim(api, admin, world.ids["box_a"])
    box = FreshDevice()
    first = await enrol(api, code, box)
    assert first.status == 200
    second = await enrol(api, code)
    assert (second.status, second.json["type"]) == (403, "urn:steelyard:problem:claim-refused")
    again = await enrol(api, code, box)
    assert again.status == 200
    assert again.json["certificate"] == first.json["certificate"]
    old, new = first.json["configuration"], again.json["configuration"]
    answer = await api.form(
        "/oauth2/token",
        grant_type="client_credentials",
        client_id=old["client_id"],
        client_secret=old["client_secret"],
    )
    assert answer.status == 401
    assert await api.station_token(new["client_id"], new["client_secret"])


async def test_of_many_devices_with_one_code_one_gets_in(
    api: Api, world: World, admin: str
) -> None:
    """Ten devices at once: one certificate, and nobody else has anything."""
    code = await claim(api, admin, world.ids["cell_a"])
    answers = await asyncio.gather(*(enrol(api, code) for _ in range(10)))
    statuses = [answer.status for answer in answers]
    # SQLite has one writer at a time: on a busy machine some are told to come again.
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 403, 503}
    async with api.database.session(read_only=True) as session:
        assert len((await session.scalars(select(DeviceCertificate))).all()) == 1


async def test_wrong_proofs_make_a_code_void_and_are_audited(
    api: Api, world: World, admin: str
) -> None:
    """After five of them the right one does not help; an administrator sees each."""
    code = await claim(api, admin, world.ids["cell_a"])
    for _ in range(5):
        assert (await enrol(api, wrong(code))).status == 403
    assert (await enrol(api, code)).status == 403
    log = await api.call("GET", f"/v1/audit?subject_id={world.ids['cell_a']}", admin)
    lines = [
        (one["action"], one["outcome"], one["detail"].get("reason")) for one in log.json["items"]
    ]
    assert lines == [
        ("device.enrol", "refused", "void"),
        *[("device.enrol", "refused", "wrong")] * 5,
        ("device.claim", "success", None),
        ("device.create", "success", None),
    ]
    assert (await enrol(api, await claim(api, admin, world.ids["cell_a"]))).status == 200


async def test_one_address_may_not_guess_for_ever(
    secrets: Secrets,
    populated: StoreSettings,
    enrolment: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After twenty wrong codes it is told to wait."""
    monkeypatch.setattr("steelyard.registry.enrolment.service.ADDRESS_REFILL_SECONDS", 1e6)
    async with running_api(secrets, populated, enrolment=enrolment) as api:
        statuses = [(await enrol(api, ClaimCode.new().shown())).status for _ in range(21)]
    assert statuses == [403] * 20 + [429]


async def test_a_serial_that_reads_like_a_host_is_told_with_the_claim(
    api: Api, world: World, admin: str
) -> None:
    """The authority's certificates are good for no host, and OpenSSL would take it for one."""
    device = await api.make(
        admin,
        "devices",
        station_id=world.ids["station_a"],
        weighbridge_id=world.ids["weighbridge_a"],
        kind="loadcell",
        serial="4711.01",
    )
    answer = await api.call("POST", f"/v1/devices/{device['id']}/claim", admin)
    assert (answer.status, answer.json["type"]) == (409, "urn:steelyard:problem:not-enrollable")
    assert "4711.01" in answer.json["detail"]


async def test_an_expired_or_replaced_code_is_refused(api: Api, world: World, admin: str) -> None:
    """A new code makes the earlier one void; time does the same."""
    first = await claim(api, admin, world.ids["cell_a"])
    second = await claim(api, admin, world.ids["cell_a"])
    assert (await enrol(api, first)).status == 403
    async with api.database.session() as session:
        await session.execute(update(Claim).values(expires_at=1))
    assert (await enrol(api, second)).status == 403


async def test_the_code_is_nowhere_in_the_database(api: Api, world: World, admin: str) -> None:
    """Only its locator is; the digest is a vault value."""
    code = await claim(api, admin, world.ids["cell_a"])
    parsed = ClaimCode.parse(code)
    assert parsed is not None
    await api.database.dispose()
    for path in Path(str(api.database.engine.url.database)).parent.glob("steelyard.db*"):
        content = path.read_bytes()
        assert parsed.secret.encode() not in content
        assert parsed.key() not in content


async def test_a_mix_up_does_not_use_the_code(api: Api, world: World, admin: str) -> None:
    """A device that says another serial is refused, and the right one may come."""
    code = await claim(api, admin, world.ids["cell_a"])
    answer = await enrol(api, code, FreshDevice("LC-9"))
    assert (answer.status, answer.json["type"]) == (
        422,
        "urn:steelyard:problem:pki-request-refused",
    )
    assert "LC-9" in answer.json["detail"]
    assert (await enrol(api, code, FreshDevice("LC-1"))).status == 200


@pytest.mark.parametrize("who", ["admin@b.test", "user@a.test"])
async def test_only_the_own_administrators_claim_and_revoke(
    api: Api, world: World, who: str
) -> None:
    """Another customer's administrator finds no such device; a user may not."""
    token = await api.token(who)
    for verb in ("claim", "revoke"):
        answer = await api.call("POST", f"/v1/devices/{world.ids['box_a']}/{verb}", token)
        assert answer.status == (404 if who == "admin@b.test" else 403)


async def test_a_station_without_cells_is_told_so_before_anybody_goes_there(
    api: Api, world: World, admin: str
) -> None:
    """The claim is refused with what is missing; a claim made before is not used up by it."""
    code = await claim(api, admin, world.ids["box_a"])
    assert (await api.change("DELETE", f"/v1/devices/{world.ids['cell_a']}", admin)).status == 204
    answer = await api.call("POST", f"/v1/devices/{world.ids['box_a']}/claim", admin)
    assert (answer.status, answer.json["type"]) == (409, "urn:steelyard:problem:not-enrollable")
    assert "wb-1" in answer.json["detail"]
    box = FreshDevice()
    assert (await enrol(api, code, box)).status == 409
    station = (await api.call("GET", f"/v1/stations/{world.ids['station_a']}", admin)).json["id"]
    await api.make(
        admin,
        "devices",
        station_id=station,
        weighbridge_id=world.ids["weighbridge_a"],
        kind="loadcell",
        serial="LC-2",
    )
    assert (await enrol(api, code, box)).status == 200


@pytest.fixture
async def enrolled(api: Api, world: World, admin: str) -> tuple[FreshDevice, Any, str]:
    """An enrolled SmartBox: itself, the answer, its token."""
    box = FreshDevice()
    answer = await enrol(api, await claim(api, admin, world.ids["box_a"]), box)
    given = answer.json["configuration"]
    return box, answer, await api.station_token(given["client_id"], given["client_secret"])


async def age(api: Api, days: int) -> None:
    """Make all certificates older in the platform's books."""
    by = days * DAY_MS
    async with api.database.session() as session:
        await session.execute(
            update(DeviceCertificate).values(
                issued_at=DeviceCertificate.issued_at - by,
                not_before=DeviceCertificate.not_before - by,
                not_after=DeviceCertificate.not_after - by,
            )
        )


async def test_a_certificate_is_renewed_for_its_key(
    api: Api, world: World, enrolled: tuple[FreshDevice, Any, str]
) -> None:
    """A new one comes once some of its life has passed; asked again at once, it is the same."""
    box, first, token = enrolled
    body = {"request": box.pem()}
    at_once = await api.call("POST", "/v1/enrolment/renewals", token, body)
    assert at_once.json["certificate"] == first.json["certificate"]
    await age(api, 30)
    renewed = await api.call("POST", "/v1/enrolment/renewals", token, body)
    assert renewed.status == 200, renewed.text
    assert renewed.json["certificate"] != first.json["certificate"]
    assert certificate_of(renewed).public_key() == box.key.public_key()
    again = await api.call("POST", "/v1/enrolment/renewals", token, body)
    assert again.json["certificate"] == renewed.json["certificate"]


async def test_what_does_not_prove_itself_is_not_renewed(
    api: Api, world: World, admin: str, enrolled: tuple[FreshDevice, Any, str]
) -> None:
    """A strange key, another station's token, a user's, an expired certificate: none of them."""
    box, _, token = enrolled
    path, body = "/v1/enrolment/renewals", {"request": box.pem()}
    strange = await api.call("POST", path, token, {"request": FreshDevice().pem()})
    assert (strange.status, strange.json["type"]) == (403, "urn:steelyard:problem:renewal-refused")
    other = await api.station_token(*world.credentials["b"])
    assert (await api.call("POST", path, other, body)).status == 403
    assert (await api.call("POST", path, admin, body)).status == 403
    await age(api, 91)
    assert (await api.call("POST", path, token, body)).status == 403


@pytest.mark.parametrize("how", ["revoke", "disable", "delete"])
async def test_a_revoked_smartbox_is_out_at_once(
    api: Api, world: World, admin: str, enrolled: tuple[FreshDevice, Any, str], how: str
) -> None:
    """Its token, its secret and its certificate are refused, and the list has it."""
    box, first, token = enrolled
    given = first.json["configuration"]
    path = f"/v1/devices/{world.ids['box_a']}"
    if how == "revoke":
        answer = await api.call("POST", f"{path}/revoke", admin)
        assert answer.json == {"revoked_certificates": 1}
    elif how == "disable":
        assert (await api.change("PATCH", path, admin, {"status": "disabled"})).status == 200
    else:
        assert (await api.change("DELETE", path, admin)).status == 204
    body = {"request": box.pem()}
    assert (await api.call("POST", "/v1/enrolment/renewals", token, body)).status == 401
    answer = await api.form(
        "/oauth2/token",
        grant_type="client_credentials",
        client_id=given["client_id"],
        client_secret=given["client_secret"],
    )
    assert answer.status == 401
    assert await revoked(api) == {certificate_of(first).serial_number}


async def test_a_revoked_cell_is_out_and_its_station_goes_on(
    api: Api, world: World, admin: str, enrolled: tuple[FreshDevice, Any, str]
) -> None:
    """The list has the cell, its key is certified no more, and the SmartBox's token is good."""
    _, _, token = enrolled
    cell = FreshDevice()
    first = await enrol(api, await claim(api, admin, world.ids["cell_a"]), cell)
    assert await revoked(api) == set()
    await api.call("POST", f"/v1/devices/{world.ids['cell_a']}/revoke", admin)
    assert await revoked(api) == {certificate_of(first).serial_number}
    renewal = await api.call("POST", "/v1/enrolment/renewals", token, {"request": cell.pem()})
    assert (renewal.status, "revoked" in renewal.json["detail"]) == (403, True)
    code = await claim(api, admin, world.ids["cell_a"])
    assert (await enrol(api, code, cell)).status == 422
    assert (await enrol(api, code)).status == 200


async def test_disabling_a_smartbox_of_the_plays_leaves_its_station_alone(
    api: Api, world: World, admin: str
) -> None:
    """Only what enrolment gave is taken back with a disabling; `revoke` takes it in any case."""
    path = f"/v1/devices/{world.ids['box_a']}"
    assert (await api.change("PATCH", path, admin, {"status": "disabled"})).status == 200
    assert await api.station_token(*world.credentials["a"])
    await api.call("POST", f"{path}/revoke", admin)
    client_id, secret = world.credentials["a"]
    answer = await api.form(
        "/oauth2/token",
        grant_type="client_credentials",
        client_id=client_id,
        client_secret=secret,
    )
    assert answer.status == 401


async def test_a_new_smartbox_takes_the_place_of_the_old_one(
    api: Api, world: World, admin: str, enrolled: tuple[FreshDevice, Any, str]
) -> None:
    """Claimed again, the earlier certificate is revoked, and the earlier token ends."""
    _, first, token = enrolled
    assert (await enrol(api, await claim(api, admin, world.ids["box_a"]))).status == 200
    assert await revoked(api) == {certificate_of(first).serial_number}
    path = f"/v1/stations/{world.ids['station_a']}"
    assert (await api.call("GET", path, token)).status == 401


async def test_the_list_is_fetched_once_as_long_as_it_stays(api: Api) -> None:
    """Its ETag says that nothing is new."""
    url = f"{api.url}/v1/enrolment/revocations"
    async with api.session.get(url) as first:
        etag = first.headers["ETag"]
    async with api.session.get(url, headers={"If-None-Match": etag}) as again:
        assert (again.status, await again.read()) == (304, b"")


async def test_a_deleted_station_has_no_good_certificates(
    api: Api, world: World, enrolled: tuple[FreshDevice, Any, str]
) -> None:
    """They are revoked with it."""
    root = await api.token(world.root)
    path = f"/v1/stations/{world.ids['station_a']}"
    assert (await api.change("DELETE", path, root)).status == 204
    assert await revoked(api) == {certificate_of(enrolled[1]).serial_number}


async def test_without_an_authority_nobody_is_enrolled(
    secrets: Secrets, populated: StoreSettings, world: World
) -> None:
    """Each route says so; a device can be revoked all the same."""
    async with running_api(secrets, populated) as api:
        token = await api.token("admin@a.test")
        path = f"/v1/devices/{world.ids['box_a']}"
        answer = await api.call("POST", f"{path}/claim", token)
        assert (answer.status, answer.json["type"]) == (409, "urn:steelyard:problem:enrolment-off")
        assert (await enrol(api, ClaimCode.new().shown())).status == 409
        assert (await api.call("GET", "/v1/enrolment/revocations")).status == 409
        assert (await api.call("POST", f"{path}/revoke", token)).status == 200


def test_an_authority_that_is_good_for_hosts_is_not_taken(tmp_path: Path) -> None:
    """The consortium's authority does not get onto the platform's host by a slip of the hand."""
    authority = Authority.create(tmp_path / "ca", "Consortium")
    with pytest.raises(Problem, match="no authority for devices alone"):
        DeviceIssuer.load(authority.certificate_path, authority.directory / "authority.key")
