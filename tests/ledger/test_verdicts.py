"""What a refused transaction means, as judged by what each engine really answers."""

import pytest
from builders import ticket

from steelyard.ledger import contract
from steelyard.ledger.errors import (
    PartyUnreachable,
    PrivacyManagerUnavailable,
    TransactionFailed,
)
from steelyard.ledger.jsonrpc import JsonRpc, NodeError
from steelyard.ledger.node import Node
from steelyard.ledger.refusals import Verdict, judge, problem_of
from steelyard.ledger.signer import PrivateTransaction, SignedTransaction, sign
from steelyard.ledger.tessera import Tessera

NOBODY = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
GAS = 10_000_000


class Hand:
    """Signs and sends past the ledger, and tells how a refusal is judged."""

    def __init__(self, session, writer) -> None:
        self.ref, self.writer = writer.view.node, writer
        self.node = Node(JsonRpc(session, self.ref.rpc_url, self.ref.name, 10), self.ref.name)
        self._tessera = Tessera(session, self.ref.tessera_url, self.ref.name, 10)

    async def signed(
        self, nonce: int, digest: bytes | None = None, gas: int = GAS
    ) -> SignedTransaction:
        """A registering transaction; its payload is stored unless a name is given."""
        if digest is None:
            payload = contract.encode_registration([ticket(nonce)])
            digest = await self._tessera.store_raw(payload, self.ref.tessera_key)
        transaction = PrivateTransaction(nonce, gas, self.writer.view.address, digest)
        return sign(self.writer.key, transaction)

    async def private(self, signed: SignedTransaction, *parties: str) -> None:
        await self.node.send_private(signed.raw, parties or self.writer.parties, 20)

    async def verdict(self, sending) -> tuple[Verdict, type]:
        """What is made of the refusal, and the problem that a caller would be told."""
        with pytest.raises(NodeError) as caught:
            await sending
        return judge(caught.value), type(problem_of(caught.value, "node-1"))


@pytest.fixture
def hand(session, writer) -> Hand:
    return Hand(session, writer)


async def test_a_nonce_that_is_used(hand: Hand) -> None:
    """In a block, or by another that waits."""
    used = await hand.signed(0)
    assert (await hand.verdict(hand.private(used)))[0] is Verdict.NONCE_USED
    await hand.private(await hand.signed(7))  # waits behind a gap
    assert (await hand.verdict(hand.private(await hand.signed(7))))[0] is Verdict.NONCE_USED


async def test_a_transaction_that_is_known(hand: Hand) -> None:
    """Its payload was distributed; at the pool's own door it is known."""
    waiting = await hand.signed(7)
    await hand.private(waiting)
    assert (await hand.verdict(hand.private(waiting)))[0] is Verdict.DISTRIBUTED
    assert (await hand.verdict(hand.node.send_raw(waiting.raw, 20)))[0] is Verdict.KNOWN


async def test_a_payload_that_was_distributed_in_vain(hand: Hand) -> None:
    """The pool refused the nonce: the payload is with the parties, the transaction nowhere."""
    used = await hand.signed(0)
    assert (await hand.verdict(hand.private(used)))[0] is Verdict.NONCE_USED
    assert (await hand.verdict(hand.private(used)))[0] is Verdict.DISTRIBUTED
    assert await hand.node.transaction(used.hash) is None


async def test_what_is_refused_leaves_the_nonce(hand: Hand) -> None:
    """Each refusal has its named problem, and the nonce can be used at once."""
    nobody = hand.private(await hand.signed(1), NOBODY)
    assert await hand.verdict(nobody) == (Verdict.REFUSED, PartyUnreachable)
    half = await hand.signed(1)
    both = hand.private(half, *hand.writer.parties, NOBODY)
    assert await hand.verdict(both) == (Verdict.REFUSED, PartyUnreachable)
    pushed = hand.private(half)
    assert await hand.verdict(pushed) == (Verdict.REFUSED, PrivacyManagerUnavailable)
    unknown = hand.private(await hand.signed(1, bytes([5] * 64)))
    assert await hand.verdict(unknown) == (Verdict.REFUSED, PrivacyManagerUnavailable)
    misspelt = hand.private(await hand.signed(1), "no key!")
    assert await hand.verdict(misspelt) == (Verdict.REFUSED, PrivacyManagerUnavailable)
    for gas in (20_000, 2_000_000_000):
        poor = hand.private(await hand.signed(1, gas=gas))
        assert await hand.verdict(poor) == (Verdict.REFUSED, TransactionFailed)
    good = await hand.signed(1)
    await hand.private(good)
    while (mined := await hand.node.mined(good.hash)) is None:
        pass
    assert mined.succeeded
