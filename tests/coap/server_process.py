"""A CoAP server as a process of its own, for tests that kill it: PORT and the PKI's directory."""

import asyncio
import sys
from pathlib import Path

from aiocoap import CHANGED, Message
from aiocoap.resource import Resource, Site

from steelyard.coap.credentials import Credentials
from steelyard.coap.server import create_coap_server


class Samples(Resource):
    async def render_post(self, request: Message) -> Message:
        del request
        return Message(code=CHANGED)


async def main(port: int, pki: Path) -> None:
    site = Site()
    site.add_resource(["samples"], Samples())
    own = Credentials(pki / "SB-1.pem", pki / "SB-1.key", pki / "devices" / "authority.pem")
    server = await create_coap_server(site, ("127.0.0.1", port), own)
    print(server.address[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
