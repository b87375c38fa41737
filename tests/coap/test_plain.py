"""Plain POSTs are read as aiocoap reads them, and answered at once or by aiocoap."""

import pytest
from aiocoap import CHANGED, CON, CONTENT, GET, NON, POST, Message, Unreliable
from aiocoap.numbers.codes import Code
from aiocoap.numbers.types import ACK
from coap_harness import Bench, until
from hypothesis import given
from hypothesis import strategies as st

from steelyard.coap.errors import InvalidPayload
from steelyard.coap.plain import PlainPost, answer_to, read_plain_post
from steelyard.coap.prompt import PromptResource, PromptSite
from steelyard.coap.resources import Request
from steelyard.coap.server import create_coap_server

texts = st.lists(st.text(max_size=40), max_size=3)


def as_aiocoap_reads(data: bytes) -> PlainPost:
    message = Message.decode(data)
    assert (message.mtype, message.code) == (CON, POST)
    option = message.opt
    return PlainPost(
        message.mid,
        message.token,
        option.uri_path,
        option.uri_query,
        option.content_format,
        message.payload,
    )


@given(
    path=st.lists(st.text(max_size=40), min_size=1, max_size=3),
    queries=texts,
    token=st.binary(max_size=8),
    content_format=st.none() | st.integers(0, 65535),
    host=st.none() | st.text(min_size=1, max_size=20),
    port=st.none() | st.integers(0, 65535),
    payload=st.binary(max_size=50),
)
def test_every_plain_post_is_read(path, queries, token, content_format, host, port, payload):
    """Whatever aiocoap's client makes of a POST, with what a cell may say."""
    message = Message(code=POST, payload=payload, content_format=content_format)
    message.mtype, message.mid, message.token = CON, 4711, token
    message.opt.uri_path, message.opt.uri_query = path, queries
    message.opt.uri_host, message.opt.uri_port = host, port
    data = message.encode()
    assert read_plain_post(data) == as_aiocoap_reads(data)


options = st.binary(max_size=30) | st.lists(
    st.sampled_from([b"\xb6weight", b"\x11p", b"\x41=", b"\xff", b"\0", b"\x80", b"\xd1\x05x"])
).map(b"".join)


@given(first=st.sampled_from([0x40, 0x42, 0x48, 0x4F, 0x50, 0x60, 0x80]), rest=options)
def test_nothing_is_read_otherwise_than_by_aiocoap(first: int, rest: bytes) -> None:
    """Of any bytes, either aiocoap reads the same or they are left to it."""
    data = bytes([first, POST]) + b"\x12\x67" + rest
    post = read_plain_post(data)
    if post is not None:
        assert post == as_aiocoap_reads(data)


@pytest.mark.parametrize(
    "change",
    [
        {"code": GET},
        {"mtype": NON},
        {"no_response": 2},
        {"observe": 0},
        {"accept": 60},
        {"proxy_scheme": "coap"},
        {"block1": (0, True, 2)},
        {"if_none_match": True},
    ],
)
def test_anything_else_is_left_to_aiocoap(change: dict[str, object]) -> None:
    """Other methods and types, and every option that is not plain."""
    message = Message(code=change.pop("code", POST), payload=b"x")
    message.mtype, message.mid, message.token = change.pop("mtype", CON), 1, b""
    for name, value in change.items():
        setattr(message.opt, name, value)
    assert read_plain_post(message.encode()) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x40\x02\x00",
        b"\x49\x02\x00\x01123456789",  # a token of nine bytes
        b"\x44\x02\x00\x01ab",  # a token that is cut off
        b"\x40\x02\x00\x01\xb6weigh",  # an option that is cut off
        b"\x40\x02\x00\x01\xbd",  # a length that is cut off
        b"\x40\x02\x00\x01\xff",  # a marker without a payload
        b"\x40\x02\x00\x01\xc1\x70\x01\x32",  # two content formats
        b"\x40\x02\x00\x01\xb1\xe9",  # a path that is not UTF-8
        b"\x40\x02\x00\x01\xbe\x00\x00",  # a length in two bytes
    ],
)
def test_malformed_messages_are_left_to_aiocoap(data: bytes) -> None:
    """It knows what RFC 7252 wants done with each."""
    assert read_plain_post(data) is None


def test_the_answer_is_piggybacked() -> None:
    """In the acknowledgement, with the request's id and token (RFC 7252, 5.2.1)."""
    post = PlainPost(4711, b"tok", (), (), None, b"")
    answer = Message.decode(answer_to(post, Message(code=CHANGED, payload=b"p")))
    assert (answer.mtype, answer.mid, answer.token) == (ACK, 4711, b"tok")
    assert (answer.code, answer.payload) == (CHANGED, b"p")


class Both(PromptResource):
    """Answers at once what begins with `now`; aiocoap renders the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.prompt: list[bytes] = []
        self.rendered: list[bytes] = []

    def post(self, request: Request) -> Message | None:
        if not request.payload.startswith(b"now"):
            return None
        self.prompt.append(request.payload)
        if request.payload == b"now wrong":
            raise InvalidPayload("that is wrong")
        if request.payload == b"now broken":
            raise RuntimeError("the resource is broken")
        return Message(code=CHANGED, payload=request.sender.name.encode())

    async def render_post(self, request: Message) -> Message:
        self.rendered.append(request.payload)
        return Message(code=CHANGED, payload=b"rendered")

    async def render_get(self, request: Message) -> Message:
        return Message(code=CONTENT, payload=b"got")


class Line:
    """A server with `Both`, and a client."""

    def __init__(self, resource: Both, client, address: tuple[str, int]) -> None:
        self.resource, self.client = resource, client
        self._uri = "coaps://{}:{}/both".format(*address)

    async def ask(self, payload: bytes, **options: object) -> Message:
        message = Message(**({"code": POST, "payload": payload, "uri": self._uri} | options))
        return await self.client.request(message).response


@pytest.fixture
async def line(bench: Bench):
    resource, site = Both(), PromptSite()
    site.add_resource(["both"], resource)
    server = await create_coap_server(site, ("127.0.0.1", 0), bench.pki.credentials("SB-1"))
    yield Line(resource, await bench.client(), server.address)
    await server.shutdown()


async def test_a_prompt_answer_knows_its_sender_and_makes_no_task(line: Line) -> None:
    """The cell of the certificate; aiocoap's resource is not asked."""
    answer = await line.ask(b"now")
    assert (answer.code, answer.payload) == (CHANGED, b"LC-1")
    assert (line.resource.prompt, line.resource.rendered) == ([b"now"], [])


async def test_what_must_wait_is_rendered_once(line: Line) -> None:
    """So are other methods, blocks and messages that want no acknowledgement."""
    assert (await line.ask(b"later")).payload == b"rendered"
    assert (await line.ask(b"", code=GET)).payload == b"got"
    assert (await line.ask(b"now" + bytes(5000))).payload == b"rendered"
    assert (await line.ask(b"now", transport_tuning=Unreliable)).payload == b"rendered"
    assert [len(one) for one in line.resource.rendered] == [5, 5003, 3]
    assert line.resource.prompt == []


async def test_problems_and_faults_are_answered(line: Line) -> None:
    """A Problem by its code and sentence; a fault of ours by 5.00, and the server goes on."""
    wrong, broken = await line.ask(b"now wrong"), await line.ask(b"now broken")
    assert (wrong.code, wrong.payload) == (Code.BAD_REQUEST, b"that is wrong")
    assert (broken.code, broken.payload) == (Code.INTERNAL_SERVER_ERROR, b"")
    assert (await line.ask(b"now")).code == CHANGED


async def test_a_repeated_prompt_request_is_taken_once(line: Line) -> None:
    """The first answer comes again, byte for byte (RFC 7252, 4.2)."""
    await line.ask(b"now")
    (channel,) = line.client._links.values()
    answers: list[bytes] = []
    channel.deliver = lambda _, data: answers.append(data)
    message = Message(code=POST, payload=b"now again")
    message.opt.uri_path = ("both",)
    message.mtype, message.mid, message.token = CON, 4711, b"tt"
    for count in (1, 2, 3):
        channel.send(message.encode(), expects_answer=True)
        await until(lambda count=count: len(answers) == count, "an answer each")
    assert line.resource.prompt == [b"now", b"now again"]
    assert len(set(answers)) == 1
