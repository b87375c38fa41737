"""DTLS 1.2 records and datagrams (RFC 6347, sections 4.1 and 4.2).

OpenSSL's memory BIOs are streams and lose the datagrams' boundaries. What comes in is cut into
records and fed one by one; what goes out is cut at the record headers and packed into datagrams.
"""

HEADER_LENGTH = 13
_CONTENT_TYPES = range(20, 24)  # change cipher spec, alert, handshake, application data
_HANDSHAKE = 22
_CLIENT_HELLO = 1
_VERSION_MAJOR = 0xFE
_HANDSHAKE_HEADER_LENGTH = 12
_RANDOM = slice(HEADER_LENGTH + _HANDSHAKE_HEADER_LENGTH + 2, 59)


def split_records(datagram: bytes) -> list[bytes]:
    """The whole records at the start of a datagram; a malformed or cut-off rest is dropped.

    Joined again, the records are a prefix of the datagram.
    """
    records = []
    start = 0
    while len(datagram) - start >= HEADER_LENGTH:
        if datagram[start] not in _CONTENT_TYPES or datagram[start + 1] != _VERSION_MAJOR:
            break
        body = int.from_bytes(datagram[start + 11 : start + 13], "big")
        end = start + HEADER_LENGTH + body
        if end > len(datagram):
            break
        records.append(datagram[start:end])
        start = end
    return records


def pack_records(flight: bytes, mtu: int) -> list[bytes]:
    """Datagrams of at most `mtu` bytes that hold the flight's records whole and in order.

    A record longer than that travels alone. Raises ValueError for what is no row of records.
    """
    datagrams: list[bytes] = []
    records = split_records(flight)
    if sum(map(len, records)) != len(flight):
        raise ValueError("not a row of whole DTLS records")
    for record in records:
        if datagrams and len(datagrams[-1]) + len(record) <= mtu:
            datagrams[-1] += record
        else:
            datagrams.append(record)
    return datagrams


def is_client_hello(datagram: bytes) -> bool:
    """Whether a datagram starts with the first fragment of a plain ClientHello."""
    return (
        len(datagram) >= _RANDOM.stop
        and datagram[0] == _HANDSHAKE
        and datagram[1] == _VERSION_MAJOR
        and datagram[3:5] == b"\0\0"  # epoch 0: not yet encrypted
        and datagram[HEADER_LENGTH] == _CLIENT_HELLO
        and datagram[19:22] == b"\0\0\0"  # fragment offset
    )


def client_random(client_hello: bytes) -> bytes:
    """The ClientHello's random: the same in every copy of one handshake, with cookie or without."""
    return client_hello[_RANDOM]
