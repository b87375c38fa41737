"""What a caller sees over HTTP: problems, limits, authentication, documentation, metrics."""

import asyncio
import contextlib
import io
import json
from dataclasses import dataclass
from html.parser import HTMLParser
from ipaddress import ip_network
from typing import Any

import pytest
import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict

from steelyard.errors import InvalidRequest
from steelyard.web.endpoint import Call, Endpoint, Reply, Response
from steelyard.web.errors import Conflict, InvalidToken
from steelyard.web.logs import configure_logging
from steelyard.web.pages import Page, PageQuery
from steelyard.web.ratelimit import RateLimiter
from steelyard.web.settings import Limits


class Draft(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str


class View(BaseModel):
    id: int
    name: str


@dataclass(frozen=True)
class Person:
    id: str
    role: str


class Tokens:
    """Knows two tokens."""

    async def authenticate(self, token: str) -> Person:
        if token in {"reader", "writer"}:
            return Person(f"the-{token}", token)
        raise InvalidToken("The token is not known.")


def endpoint(handler: Any, method: str = "GET", path: str = "/v1/things", **options: Any):
    values = {
        "method": method,
        "path": path,
        "handler": handler,
        "operation_id": f"{method.lower()}Things",
        "summary": "Things",
        "responses": {200: Response.json(View, "A thing.")},
        "public": True,
    }
    return Endpoint(**(values | options))


async def echo(call: Call[Draft, Any]) -> Reply:
    return Reply(View(id=1, name=call.body.name))


async def test_problems_have_the_form_of_rfc_9457(serve) -> None:
    """Type, title, status, detail and errors; the content type, the request id and no caching."""

    async def refuse(call: Call[None, Any]) -> Reply:
        raise Conflict("Twice.", headers={"X-Extra": "1"})

    client = await serve(endpoint(refuse))
    response = await client.get("/v1/things", headers={"X-Request-Id": "from-the-caller"})
    assert response.status == 409
    assert response.content_type == "application/problem+json"
    assert await response.json(content_type=None) == {
        "type": "urn:steelyard:problem:conflict",
        "title": "In conflict with what is there",
        "status": 409,
        "detail": "Twice.",
    }
    assert response.headers["X-Request-Id"] == "from-the-caller"
    assert response.headers["X-Extra"] == "1"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Server"] == "steelyard"


@pytest.mark.parametrize("given", ["", "short", "x" * 65, "with space", "ünïcode", 'quote"'])
async def test_a_bad_request_id_is_replaced(serve, given: str) -> None:
    """What is no sane identifier does not come back, nor into the log."""
    client = await serve(endpoint(echo))
    response = await client.get("/healthz", headers={"X-Request-Id": given})
    assert len(response.headers["X-Request-Id"]) == 32


async def test_a_fault_of_ours_says_nothing_and_is_logged(serve) -> None:
    """500 without any word of the exception; the log has it, under the same request id."""

    async def fail(call: Call[None, Any]) -> Reply:
        password = "hunter2"  # noqa: F841 — a local variable that must not be shown
        raise RuntimeError("the inner words")

    client = await serve(endpoint(fail))
    stream = io.StringIO()
    configure_logging("info", stream)
    try:
        response = await client.get("/v1/things")
    finally:
        structlog.reset_defaults()
    body = await response.text()
    assert response.status == 500
    assert json.loads(body)["type"] == "urn:steelyard:problem:internal"
    assert "inner words" not in body
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    (fault,) = [line for line in lines if line["event"] == "unexpected error"]
    assert "the inner words" in fault["exception"]
    assert fault["request_id"] == response.headers["X-Request-Id"]
    assert '= "hunter2"' not in fault["exception"].replace('password = "hunter2"', "", 1), (
        "the source line at most, never a value"
    )
    (access,) = [line for line in lines if line["event"] == "request"]
    assert (access["status"], access["route"]) == (500, "/v1/things")


async def test_aiohttps_own_errors_are_problems(serve) -> None:
    """404 and 405 of the router are rendered like ours."""
    client = await serve(endpoint(echo, "POST", body=Draft))
    for method, path, status, slug in (
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/v1/things/", 404, "not-found"),
        ("GET", "/v1/things", 405, "method-not-allowed"),
        ("PROPFIND", "/v1/things", 405, "method-not-allowed"),
    ):
        response = await client.request(method, path)
        assert response.status == status
        body = await response.json(content_type="application/problem+json")
        assert body["type"] == f"urn:steelyard:problem:{slug}"
        if status == 405:
            assert response.headers["Allow"] == "POST"


def complete(answer: bytes) -> bool:
    """Whether the whole of the final response is there."""
    final = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    head, end, body = final.partition(b"\r\n\r\n")
    lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    return bool(end and lengths) and len(body) >= int(lengths[0].split(b":")[1])


async def raw(client: Any, *parts: bytes, pause: float = 0.0) -> bytes:
    """What the server answers to bytes on a socket."""
    reader, writer = await asyncio.open_connection(client.server.host, client.server.port)
    with contextlib.suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
    answer = b""
    async with asyncio.timeout(5):
        while not complete(answer) and (chunk := await reader.read(65536)):
            answer += chunk
    writer.close()
    return answer


HEAD = b"POST /v1/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


async def test_a_body_that_does_not_arrive_is_given_up(serve) -> None:
    """408 after the time allowed, and the connection is closed."""
    called = []

    async def handler(call: Call[Draft, Any]) -> Reply:
        called.append(call)
        return Reply()

    client = await serve(endpoint(handler, "POST", body=Draft), limits=Limits(read_seconds=0.1))
    answer = await raw(client, HEAD + b'Content-Length: 100\r\n\r\n{"name"')
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"Connection: close" in answer
    assert b"urn:steelyard:problem:read-timeout" in answer
    assert called == []


@pytest.mark.parametrize(
    "head", [b"Content-Length: 3000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nbb8\r\n"]
)
async def test_a_body_that_is_too_large_is_refused(serve, head: bytes) -> None:
    """413, with and without the length known beforehand."""
    client = await serve(endpoint(echo, "POST", body=Draft), limits=Limits(max_body_bytes=2000))
    answer = await raw(client, HEAD + head + b'{"name": "' + b"x" * 2990)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"at most 2000 bytes" in answer


async def test_a_body_that_is_cut_off_calls_no_handler(serve) -> None:
    """A connection that closes in the middle of a body leaves nothing behind."""
    called = []

    async def handler(call: Call[Draft, Any]) -> Reply:
        called.append(call)
        return Reply()

    client = await serve(endpoint(handler, "POST", body=Draft))
    reader, writer = await asyncio.open_connection(client.server.host, client.server.port)
    writer.write(HEAD + b'Content-Length: 14\r\n\r\n{"name": "x"')
    await writer.drain()
    writer.close()
    await reader.read()
    assert (await client.get("/healthz")).status == 200
    assert called == []


async def test_bad_chunks_are_refused(serve) -> None:
    """A broken transfer coding is a 400, not a fault of ours."""
    client = await serve(endpoint(echo, "POST", body=Draft))
    answer = await raw(client, HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n")
    assert b" 400 Bad Request\r\n" in answer
    assert b"Traceback" not in answer


async def test_a_body_is_asked_for_only_when_it_is_wanted(serve) -> None:
    """100-continue is sent to a caller who may go on, and not to one who is refused anyway."""
    public = endpoint(echo, "POST", body=Draft)
    private = endpoint(echo, "POST", "/v1/private", body=Draft, public=False, operation_id="x")
    client = await serve(public, private, authenticator=Tokens())
    head = HEAD + b"Content-Length: 13\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    answer = await raw(client, head, b'{"name": "x"}', pause=0.05)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")
    answer = await raw(client, head.replace(b"/v1/things", b"/v1/private"))
    assert answer.startswith(b"HTTP/1.1 401")
    answer = await raw(client, head.replace(b"100-continue", b"miracles"))
    assert answer.startswith(b"HTTP/1.1 417")


async def test_work_that_takes_too_long_is_given_up(serve) -> None:
    """503 with Retry-After, and the handler is cancelled."""
    cancelled = asyncio.Event()

    async def slow(call: Call[None, Any]) -> Reply:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return Reply()

    client = await serve(
        endpoint(slow),
        endpoint(slow, path="/v1/other", timeout=0.05, operation_id="x"),
        limits=Limits(handler_seconds=0.05),
    )
    for path in ("/v1/things", "/v1/other"):
        cancelled.clear()
        response = await client.get(path)
        assert response.status == 503
        assert response.headers["Retry-After"] == "1"
        assert cancelled.is_set()


async def test_a_handlers_own_timeout_is_a_fault(serve) -> None:
    """A TimeoutError that the handler lets out is not taken for the server's limit."""

    async def fail(call: Call[None, Any]) -> Reply:
        raise TimeoutError

    client = await serve(endpoint(fail))
    assert (await client.get("/v1/things")).status == 500


async def test_a_stream_that_fails_is_cut_off(serve) -> None:
    """After the status was sent, the only way to say 'not complete' is to cut the connection."""

    async def stream(call: Call[None, Any]) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(call.request)
        await response.write(b"half")
        raise RuntimeError("in the middle")

    client = await serve(endpoint(stream, responses={200: Response("", {"text/csv": None})}))
    response = await client.get("/v1/things")
    assert response.status == 200
    assert response.headers["X-Request-Id"]
    with pytest.raises(Exception, match=r"(?i)not completed|disconnect|payload|closed"):
        await response.read()
    assert (await client.head("/v1/things")).status == 405


async def test_who_may_come_in(serve) -> None:
    """401 without or with a bad token, 403 without the role; the challenges are RFC 6750's."""

    async def whoami(call: Call[None, Any]) -> Reply:
        return Reply({"id": call.caller.id})

    client = await serve(endpoint(whoami, public=False, roles={"writer"}), authenticator=Tokens())
    for given, status, challenge in (
        (None, 401, 'Bearer realm="steelyard"'),
        ("Bearer nobody", 401, 'Bearer realm="steelyard", error="invalid_token"'),
        ("Basic eDp5", 401, 'Bearer realm="steelyard", error="invalid_token"'),
        ("Bearer", 401, 'Bearer realm="steelyard", error="invalid_token"'),
        ("Bearer a b", 401, 'Bearer realm="steelyard", error="invalid_token"'),
        ("Bearer " + "x" * 5000, 401, 'Bearer realm="steelyard", error="invalid_token"'),
        ("Bearer reader", 403, None),
        ("Bearer writer", 200, None),
        ("bearer  writer", 200, None),
    ):
        headers = {"Authorization": given} if given else {}
        response = await client.get("/v1/things", headers=headers)
        assert (response.status, response.headers.get("WWW-Authenticate")) == (status, challenge)
    response = await client.get("/v1/things", headers={"Authorization": "Bearer reader"})
    assert "needs the role writer" in await response.text()


async def test_a_private_endpoint_needs_an_authenticator(serve) -> None:
    """Forgetting it fails at the start, not open."""
    with pytest.raises(ValueError, match="needs an authenticator"):
        await serve(endpoint(echo, public=False))


async def test_a_client_that_asks_too_fast_waits(serve) -> None:
    """429 with Retry-After, as a problem; every path counts."""
    client = await serve(endpoint(echo, "POST", body=Draft), limiter=RateLimiter(0.001, 2))
    assert [(await client.get("/healthz")).status for _ in range(2)] == [200, 200]
    response = await client.get("/nowhere")
    assert response.status == 429
    assert int(response.headers["Retry-After"]) > 1
    assert (await response.json(content_type=None))["type"].endswith(":too-many-requests")


async def test_readiness_names_what_fails(serve) -> None:
    """/readyz is 503 with the checks' names, without their words; /healthz stays 200."""

    async def good() -> None:
        return

    async def bad() -> None:
        raise InvalidRequest("secret words")

    client = await serve(ready_checks={"database": good, "ledger": bad})
    response = await client.get("/readyz")
    body = await response.text()
    assert response.status == 503
    assert "ledger" in body
    assert "database" not in body
    assert "secret" not in body
    assert (await client.get("/healthz")).status == 200
    ready = await serve(ready_checks={"database": good})
    assert (await (await ready.get("/readyz")).json()) == {
        "status": "ready",
        "checks": {"database": "ok"},
    }


async def test_metrics_count_by_template(serve) -> None:
    """Requests are counted by route template and status; what a caller made up is no label."""
    client = await serve(endpoint(echo, "POST", "/v1/things/{id}", body=Draft))
    for name in ("a", "b"):
        assert (await client.post(f"/v1/things/{name}", json={"name": "x"})).status == 200
    await client.request("PROPFIND", "/secret")
    text = await (await client.get("/metrics")).text()
    count = 'steelyard_http_requests_total{method="POST",route="/v1/things/{id}",status="200"} 2.0'
    assert count in text
    unmatched = 'steelyard_http_requests_total{method="other",route="(unmatched)",status="404"} 1.0'
    assert unmatched in text
    assert "steelyard_http_requests_in_flight 1.0" in text
    assert "secret" not in text


async def test_failures_of_the_server_are_counted_by_type(serve) -> None:
    """A caller's mistakes are not: an alarm hangs on it."""

    async def broken(call) -> Reply:
        raise RuntimeError("the inner words")

    client = await serve(endpoint(broken, "GET", "/v1/broken"))
    await client.get("/v1/broken")
    await client.get("/nowhere")
    text = await (await client.get("/metrics")).text()
    assert 'steelyard_http_problems_total{type="internal"} 1.0' in text
    assert text.count("steelyard_http_problems_total{") == 1


async def test_two_applications_count_for_themselves(serve) -> None:
    """Each has a registry of its own."""
    first, second = await serve(), await serve()
    await first.get("/nowhere")
    assert "unmatched" not in await (await second.get("/metrics")).text()


async def test_metrics_are_for_the_networks_that_may(serve) -> None:
    """For others the path does not exist, and answers like any other that does not."""
    client = await serve(metrics_networks=[ip_network("192.0.2.0/24")])
    metrics, missing = await client.get("/metrics"), await client.get("/nowhere")
    assert (metrics.status, await metrics.text()) == (missing.status, await missing.text())


async def test_head_is_answered_without_a_body(serve) -> None:
    """HEAD has the headers of GET."""

    async def show(call: Call[None, Any]) -> Reply:
        return Reply(View(id=1, name="x"), headers={"ETag": '"1"'})

    client = await serve(endpoint(show))
    response = await client.head("/v1/things")
    assert (response.status, await response.read()) == (200, b"")
    assert response.headers["ETag"] == '"1"'
    assert int(response.headers["Content-Length"]) > 0


class Filters(PageQuery):
    name: str | None = None


def documented() -> list[Endpoint]:
    return [
        endpoint(echo, "POST", body=Draft, body_example={"name": "<b>x</b>"}, public=False),
        endpoint(echo, query=Filters, responses={200: Response.json(Page[View], "A page.")}),
        endpoint(
            echo,
            "DELETE",
            "/v1/things/{id}",
            conditional=True,
            public=False,
            roles={"writer"},
            problems=(Conflict,),
            responses={204: Response("Gone.")},
        ),
    ]


async def test_the_document_says_what_is_served(serve) -> None:
    """Every route with its parameters, bodies, answers, problems and security; every reference
    leads somewhere.
    """
    client = await serve(*documented(), authenticator=Tokens())
    text = await (await client.get("/openapi.json")).text()
    document = json.loads(text)
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in client.app.router.routes()
        if route.method != "HEAD"
    }
    assert served == {(method, path) for path, item in document["paths"].items() for method in item}
    delete = document["paths"]["/v1/things/{id}"]["delete"]
    assert [(p["name"], p["in"], p["required"]) for p in delete["parameters"]] == [
        ("id", "path", True),
        ("If-Match", "header", True),
    ]
    assert set(delete["responses"]) >= {"204", "401", "403", "409", "412", "428", "500"}
    assert delete["security"] == [{"bearer": []}]
    listed = document["paths"]["/v1/things"]["get"]
    assert listed["security"] == []
    limit = next(p for p in listed["parameters"] if p["name"] == "limit")
    assert (limit["schema"]["minimum"], limit["schema"]["maximum"]) == (1, 200)
    posted = document["paths"]["/v1/things"]["post"]["requestBody"]["content"]
    assert posted["application/json"]["schema"] == {"$ref": "#/components/schemas/Draft"}
    schemas = document["components"]["schemas"]
    references = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert references <= set(schemas)


class DocsPage(HTMLParser):
    """What the page asks a browser to load, its headings and its anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: list[str] = []
        self.links: set[str] = set()
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        self.loaded += [v for n, v in values.items() if n in {"src", "srcset", "action"} and v]
        if tag in {"script", "link", "img", "iframe"}:
            self.loaded.append(tag)
        if (target := values.get("href", "") or "").startswith("#"):
            self.links.add(target[1:])
        if values.get("id"):
            self.ids.add(str(values["id"]))


async def test_the_docs_page_stands_alone(serve) -> None:
    """No outside asset, no script; a language, headings, captions, links that lead somewhere."""
    client = await serve(*documented(), authenticator=Tokens())
    response = await client.get("/docs")
    text = await response.text()
    assert response.content_type == "text/html"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    parser = DocsPage()
    parser.feed(text)
    assert parser.loaded == []
    assert '<html lang="en">' in text
    assert {"h1", "main", "nav", "table", "caption", "th"} <= set(parser.tags)
    assert parser.tags.count("h1") == 1
    assert parser.links <= parser.ids
    assert "<b>x</b>" not in text, "what an example holds is escaped"
    assert "deleteThings" in parser.ids
