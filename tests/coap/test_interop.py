"""Clients that we did not write speak with our server, and are refused like our own."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from coap_harness import Bench

from steelyard.coap.senml import Sample, encode

LIBCOAP = ("coap-client-openssl", "coap-client-gnutls")


def need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed (Debian: libcoap3-bin, openssl)")


async def run(*arguments: str, stdin: bytes = b"", seconds: float = 30) -> str:
    """The program's whole output; libcoap's clients end with status 0 whatever happens."""
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(stdin), seconds)
    except TimeoutError:
        process.kill()
        output, _ = await process.communicate()
    return output.decode(errors="replace")


def libcoap_files(bench: Bench, name: str) -> list[str]:
    files = bench.pki.credentials(name)
    pairs = {"-c": files.certificate, "-j": files.private_key, "-R": files.authority}
    return [str(part) for pair in pairs.items() for part in pair]


@pytest.mark.parametrize("program", LIBCOAP)
async def test_libcoap_sends_a_sample(bench: Bench, program: str, tmp_path: Path) -> None:
    """Libcoap's client, on OpenSSL and on GnuTLS, POSTs SenML and gets its name."""
    need(program)
    server = await bench.server()
    host, port = server.address
    payload = tmp_path / "sample"
    payload.write_bytes(encode([Sample(7, 1_605_160_889.0)]))
    files = libcoap_files(bench, "LC-1")
    await run(
        *(program, "-B", "20", "-m", "post", "-t", "112", "-f", str(payload), *files),
        f"coaps://{host}:{port}/samples",
    )
    assert bench.samples == [("LC-1", [Sample(7, 1_605_160_889.0)])]
    who = await run(program, "-B", "20", *files, f"coaps://{host}:{port}/who")
    assert "LC-1" in who


@pytest.mark.parametrize("program", LIBCOAP)
async def test_libcoap_is_refused(bench: Bench, program: str) -> None:
    """A foreign client with a server's certificate gets nothing."""
    need(program)
    server = await bench.server()
    host, port = server.address
    output = await run(
        program, "-B", "3", *libcoap_files(bench, "SB-1"), f"coaps://{host}:{port}/who"
    )
    assert "SB-1" not in output.replace("SB-1.pem", "").replace("SB-1.key", "")
    assert server.counters.handshakes_ok == 0
    assert server.counters.handshakes_refused["wrong-purpose"] >= 1


async def s_client(
    bench: Bench, *options: str, name: str | None = "LC-1", ccm8: bool = False
) -> str:
    need("openssl")
    server = await bench.server(replace(bench.pki.credentials("SB-1"), ccm8=ccm8))
    host, port = server.address
    own = (
        []
        if name is None
        else [
            *("-cert", str(bench.pki.directory / f"{name}.pem")),
            *("-key", str(bench.pki.directory / f"{name}.key")),
        ]
    )
    return await run(
        *("openssl", "s_client", "-dtls1_2", "-connect", f"{host}:{port}", "-brief"),
        *("-CAfile", str(bench.pki.authority.certificate_path), *own, *options),
        # What makes s_client quit, so that the handshake alone is seen.
        stdin=b"Q\n",
        seconds=10,
    )


@pytest.mark.parametrize(
    ("options", "cipher"),
    [
        ((), "ECDHE-ECDSA-AES128-GCM-SHA256"),
        (("-cipher", "ECDHE-ECDSA-AES128-CCM"), "ECDHE-ECDSA-AES128-CCM"),
        (
            ("-cipher", "ECDHE-ECDSA-AES128-CCM:ECDHE-ECDSA-AES128-GCM-SHA256"),
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
    ],
)
async def test_openssl_handshake(bench: Bench, options: tuple[str, ...], cipher: str) -> None:
    """s_client verifies our chain; GCM is what the server prefers, CCM what it takes as well."""
    output = await s_client(bench, *options)
    assert "Protocol version: DTLSv1.2" in output
    assert f"Ciphersuite: {cipher}\n" in output
    assert "Verification: OK" in output


@pytest.mark.parametrize(
    ("ccm8", "sentence"), [(False, "handshake failure"), (True, "ECDHE-ECDSA-AES128-CCM8\n")]
)
async def test_ccm8_only_where_it_is_wanted(bench: Bench, ccm8: bool, sentence: str) -> None:
    """The suite with short tags is spoken only by a server that was told to."""
    cipher = "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0"
    assert sentence in await s_client(bench, "-cipher", cipher, ccm8=ccm8)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("-cipher", "ECDHE-RSA-AES128-GCM-SHA256"), "handshake failure"),
        (("-groups", "X448"), "handshake failure"),
    ],
)
async def test_openssl_without_common_ground(
    bench: Bench, options: tuple[str, ...], sentence: str
) -> None:
    """Other ciphers and curves find no common ground."""
    assert sentence in await s_client(bench, *options)


async def test_openssl_without_certificate(bench: Bench) -> None:
    """Who shows no certificate is refused, and counted so."""
    output = await s_client(bench, name=None)
    assert "alert" in output
    server = bench._open[0]
    assert server.counters.handshakes_refused == {"no-certificate": 1}


async def test_dtls_1_0_is_refused(bench: Bench) -> None:
    """Only DTLS 1.2 is spoken."""
    need("openssl")
    server = await bench.server()
    host, port = server.address
    output = await run(
        *("openssl", "s_client", "-dtls1", "-cipher", "ALL:@SECLEVEL=0", "-brief"),
        *("-connect", f"{host}:{port}"),
        seconds=5,
    )
    assert "DTLSv1\n" not in output
    assert server.counters.datagrams_in > 0
    assert server.counters.handshakes_ok == 0
