"""The consortium as its tests see it: machines, the two customers' log-ins, the nodes."""

import consortia
import pytest


@pytest.fixture(scope="session")
def machines():
    return consortia.Machines()


@pytest.fixture(scope="session")
def consortium():
    """The description that the machines were set up from."""
    return consortia.description()


@pytest.fixture(scope="session")
def customers(machines, tmp_path_factory):
    """Each customer's own view of the APIs, when all weighings have become tickets."""
    found = {
        name: consortia.Api(
            machines, "platform", tmp_path_factory.mktemp(name), f"user@{name}.example"
        )
        for name in ("customer-1", "customer-2")
    }
    consortia.wait_for(
        "300 tickets a customer", lambda: all(one.count() >= 300 for one in found.values())
    )
    return found


@pytest.fixture(scope="session")
def nodes(machines):
    """The ledger's nodes, as the roles were told of them."""
    return consortia.nodes(machines)
