"""What the transport counted, as a plain object for metrics."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class TransportCounters:
    """Counts since the start; `peers` and `handshakes_open` are the present numbers.

    `handshakes_refused` and `sessions_ended` count by reason. `junk` are datagrams that belong to
    no session and open none; `undecodable` are decrypted messages that are not CoAP;
    `decode_errors` are payloads that are not what the resource reads; `foreign_payloads` are
    payloads that name another cell than the certificate does; `foreign_stations` are requests of
    load cells whose certificate names another station; `hellos_deferred` are those that came while
    as many handshakes were open as may be.
    """

    peers: int = 0
    handshakes_open: int = 0
    cookies_sent: int = 0
    hellos_deferred: int = 0
    handshakes_ok: int = 0
    handshakes_refused: Counter[str] = field(default_factory=Counter)
    sessions_ended: Counter[str] = field(default_factory=Counter)
    junk: int = 0
    undecodable: int = 0
    decode_errors: int = 0
    foreign_payloads: int = 0
    foreign_stations: int = 0
    reconnects: int = 0
    datagrams_in: int = 0
    datagrams_out: int = 0
