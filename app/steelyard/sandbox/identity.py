"""Who is in a consortium: the privacy managers' keys, the chain id, the ports last used."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from steelyard.sandbox.errors import SandboxProblem


@dataclass(frozen=True, slots=True)
class Identity:
    """`ports` are a node's and its privacy manager's, in turn; empty when they are still free."""

    chain_id: int
    keys: tuple[str, ...]
    ports: tuple[int, ...] = ()

    @classmethod
    def new(cls, nodes: int, chain_id: int) -> Self:
        """A new consortium. The private halves are of no use here: nothing is encrypted."""
        return cls(chain_id, tuple(_new_public_key() for _ in range(nodes)))

    @classmethod
    def read(cls, document: dict[str, Any]) -> Self:
        """The identity that a directory holds. Raises SandboxProblem."""
        try:
            identity = cls(
                int(document["chain_id"]),
                tuple(document["keys"]),
                tuple(int(port) for port in document["ports"]),
            )
            sound = all(len(base64.b64decode(key, validate=True)) == 32 for key in identity.keys)
        except (KeyError, TypeError, ValueError, binascii.Error):
            sound = False
        if not sound:
            raise SandboxProblem("the directory's consortium.json is not one of a sandbox")
        return identity

    def document(self) -> dict[str, Any]:
        """What `read` reads."""
        return {"chain_id": self.chain_id, "keys": list(self.keys), "ports": list(self.ports)}


def _new_public_key() -> str:
    return base64.b64encode(X25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
