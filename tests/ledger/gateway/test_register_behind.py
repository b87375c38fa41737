"""The tests of registering, through a gateway."""

from test_register import *  # noqa: F403

# It asks the node for an estimate, which the ledger never does and the gateway does not pass on.
del test_too_little_gas_for_a_batch_halves_it  # noqa: F821
