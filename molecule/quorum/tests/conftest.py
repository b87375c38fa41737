"""What the tests of the scenario share."""

import json

import pytest

from ledger import NODES, STEELYARD


@pytest.fixture(scope="module")
def keys(host):
    """The public halves of the nodes' keys, by the nodes' names."""
    with host.sudo():
        return {
            node.name: json.loads(
                host.check_output(f"{STEELYARD} node show-keys --directory {node.directory}")
            )
            for node in NODES
        }
