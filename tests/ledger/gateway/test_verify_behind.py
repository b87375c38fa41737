"""The tests of proving, through a gateway."""

from test_verify import *  # noqa: F403
