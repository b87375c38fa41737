"""What of a JSON-RPC body is passed on."""

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import steelyard.ledger
from gateway_world import PARAMS, call
from steelyard.gateway.envelope import Checked, Refused, check
from steelyard.gateway.methods import METHODS, READING

LEDGER = Path(steelyard.ledger.__file__).parent


def error_of(outcome: Checked | Refused) -> dict:
    assert isinstance(outcome, Refused)
    return json.loads(outcome.body)["error"]


def test_the_list_is_what_the_ledger_room_uses():
    """No method more and no method less than the calls in the ledger's code."""
    used = {
        node.value
        for file in LEDGER.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith(("eth_", "web3_", "net_", "quorum", "admin_", "istanbul_"))
        and node.value.replace("_", "").isalnum()
    }
    assert set(METHODS) == used == set(PARAMS)
    assert set(METHODS) - set(READING) == {
        "eth_sendRawPrivateTransaction",
        "eth_sendRawTransaction",
    }


@pytest.mark.parametrize("method", sorted(PARAMS))
def test_each_method_of_the_list_passes_as_it_is(method):
    """Also in a batch; a client that may only read has all but the two that send."""
    single = call(method, PARAMS[method])
    outcome = check(json.dumps(single).encode(), METHODS, 10)
    assert isinstance(outcome, Checked)
    assert json.loads(outcome.body) == single
    assert outcome.methods == (method,)
    assert outcome.writes == (method not in READING)

    outcome = check(json.dumps([single, single]).encode(), METHODS, 10)
    assert isinstance(outcome, Checked)
    assert json.loads(outcome.body) == [single, single]

    reading = check(json.dumps(single).encode(), READING, 10)
    assert isinstance(reading, Checked) == (method in READING)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_call", [{"to": "0x1", "data": "0x"}, "latest", {"0x1": {"code": "0x"}}]),
        ("eth_call", [{"to": "0x1", "Data": "0x"}, "latest"]),
        ("eth_call", [{"to": "0x1", "gas": "0xffffffff"}, "latest"]),
        ("eth_call", [[], "latest"]),
        ("eth_getLogs", [{"fromBlock": "0x0", "topics": []}]),
        ("eth_getBlockByNumber", ["0x1", "true"]),
        ("eth_getBlockByNumber", ["0x1"]),
        ("eth_sendRawPrivateTransaction", ["0x1"]),
        ("eth_sendRawPrivateTransaction", ["0x1", {"privateFor": [], "privacyFlag": 3}]),
        ("eth_sendRawPrivateTransaction", ["0x1", {"PrivateFor": []}]),
        ("eth_sendRawTransaction", [5]),
        ("eth_blockNumber", [None]),
    ],
)
def test_parameters_that_the_ledger_never_gives_do_not_pass(method, params):
    """State overrides, privacy flags, members in another case: -32602."""
    outcome = check(json.dumps(call(method, params)).encode(), METHODS, 10)
    assert error_of(outcome)["code"] == -32602


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"\xff", -32700),
        (b"{", -32700),
        (b'{"id":1}{"id":2}', -32700),
        (b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber"}', -32700),
        (json.dumps(call()).encode("utf-16"), -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"admin_peers","method":"eth_blockNumber"}', -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[NaN]}', -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[' + b"[" * 5000, -32700),
        (b"[]", -32600),
        (b"7", -32600),
        (b'"eth_blockNumber"', -32600),
        (b"null", -32600),
        (json.dumps([call()] * 11).encode(), -32600),
        (json.dumps(call(id=None)).encode(), -32600),
        (json.dumps(call(id=True)).encode(), -32600),
        (json.dumps(call(id=1.5)).encode(), -32600),
        (json.dumps(call(id=2**53)).encode(), -32600),
        (json.dumps(call(id="x" * 65)).encode(), -32600),
        (json.dumps(call(id=[1])).encode(), -32600),
        (b'{"jsonrpc":"2.0","method":"eth_blockNumber"}', -32600),
        (json.dumps(call(jsonrpc="1.0")).encode(), -32600),
        (json.dumps(call(Method="admin_peers")).encode(), -32600),
        (json.dumps(call(params={"a": 1})).encode(), -32600),
        (json.dumps(call(params=None)).encode(), -32600),
        (json.dumps(call(method=["eth_call"])).encode(), -32600),
        (json.dumps(call("ETH_BLOCKNUMBER")).encode(), -32601),
        (json.dumps(call("eth_blockNumber ")).encode(), -32601),
        (json.dumps(call("eth_blockNumber\0")).encode(), -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[{"data":1e999},"x"]}', -32602),
    ],
)
def test_what_is_no_call_of_ours_is_answered_here(body, code):
    """Each with JSON-RPC's own code, and none of the sentences quotes what was sent."""
    error = error_of(check(body, METHODS, 10))
    assert error["code"] == code
    assert "peers" not in error["message"]


def test_a_method_may_be_written_with_escapes():
    """What is passed on is the name that was compared, not the way it was written."""
    body = b'{"id":1,"jsonrpc":"2.0","params":[],"method":"\\u0065th_blockNumber"}'
    outcome = check(body, METHODS, 10)
    assert isinstance(outcome, Checked)
    assert b'"method":"eth_blockNumber"' in outcome.body


def test_a_batch_with_one_bad_call_is_refused_whole():
    """Every call has its answer, in order; the good ones are told that they were not asked."""
    bad = [call(id=1), call("admin_addPeer", ["enode"], id=2), 7, call(id="four")]
    outcome = check(json.dumps(bad).encode(), METHODS, 10)
    assert isinstance(outcome, Refused)
    answers = json.loads(outcome.body)
    assert [one["id"] for one in answers] == [1, 2, None, "four"]
    assert [one["error"]["code"] for one in answers] == [-32600, -32601, -32600, -32600]
    assert "another call" in answers[0]["error"]["message"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([*PARAMS, "admin_peers", "Eth_call", "personal_unlockAccount"]) | st.text()
ENVELOPES = st.dictionaries(
    st.sampled_from(["jsonrpc", "id", "method", "params", "Method", "extra"]) | st.text(),
    JSON,
    max_size=5,
) | st.builds(
    lambda method, params, call_id: call(method, params, id=call_id),
    NAMES,
    JSON | st.sampled_from(list(PARAMS.values())),
    JSON | st.integers(0, 9),
)


@given(ENVELOPES | st.lists(ENVELOPES, max_size=4) | JSON)
def test_nothing_but_calls_of_the_list_ever_passes(document):
    """What passes means to any reader what was checked; everything else has an answer."""
    outcome = check(json.dumps(document).encode(), METHODS, 3)
    if isinstance(outcome, Refused):
        answers = json.loads(outcome.body)
        for answer in answers if isinstance(answers, list) else [answers]:
            assert answer.keys() == {"jsonrpc", "id", "error"}
        return
    assert outcome.body.isascii()
    passed = json.loads(outcome.body, object_pairs_hook=_once)
    calls = passed if isinstance(passed, list) else [passed]
    assert [one["method"] for one in calls] == list(outcome.methods)
    for one, sent in zip(
        calls, document if isinstance(document, list) else [document], strict=True
    ):
        assert one.keys() == {"jsonrpc", "id", "method", "params"}
        assert one == {"params": []} | sent
        assert one["method"] in METHODS


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_answered(body):
    """No exception, and nothing that passes without being a call."""
    outcome = check(body, METHODS, 3)
    assert isinstance(outcome, Refused) or set(outcome.methods) <= set(METHODS)


def _once(pairs):
    names = [name for name, _ in pairs]
    assert len({name.lower() for name in names}) == len(names)
    return dict(pairs)
