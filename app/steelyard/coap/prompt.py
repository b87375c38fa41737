"""Resources that can answer at once: no task, no pipe, no message object of aiocoap's.

That is what a message cost most of (decisions/coap-plain-posts.md). A resource that would have to
wait says so, and aiocoap renders it.
"""

from collections.abc import Sequence

import structlog
from aiocoap import Message
from aiocoap.numbers.codes import Code
from aiocoap.resource import Site

from steelyard.coap.identity import PeerIdentity
from steelyard.coap.plain import PlainPost, answer_to
from steelyard.coap.resources import ProblemResource, Request
from steelyard.errors import Problem

log = structlog.get_logger(__name__)


class PromptResource(ProblemResource):
    """A resource that answers some POSTs without waiting for anything."""

    def post(self, request: Request) -> Message | None:
        """The answer; None where it must wait: then nothing was done, and `render_post` follows.

        May raise any Problem.
        """
        raise NotImplementedError

    def answer(self, request: Request) -> Message | None:
        """The answer, a Problem as its CoAP code."""
        try:
            return self.post(request)
        except Problem as problem:
            return self.refuse(problem)


class PromptSite(Site):  # type: ignore[misc] # aiocoap has no types
    """A site that asks its prompt resources itself."""

    def __init__(self) -> None:
        super().__init__()
        self._prompt: dict[tuple[str, ...], PromptResource] = {}

    def add_resource(self, path: Sequence[str], resource: object) -> None:
        """Add a resource at an absolute path."""
        super().add_resource(path, resource)
        if isinstance(resource, PromptResource):
            self._prompt[tuple(path)] = resource

    def answer(self, peer: PeerIdentity | None, post: PlainPost) -> bytes | None:
        """What is to be sent back; None where aiocoap has to render the request."""
        resource = self._prompt.get(post.path)
        if resource is None:
            return None
        request = Request(peer, post.content_format, post.queries, post.payload)
        try:
            answer = resource.answer(request)
        except Exception:
            # As aiocoap has it: one request that fails is no reason to fail.
            log.exception("a request could not be answered", path=post.path)
            answer = Message(code=Code.INTERNAL_SERVER_ERROR)
        return None if answer is None else answer_to(post, answer)
