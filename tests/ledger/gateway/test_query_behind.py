"""The tests of reading, through a gateway."""

from test_query import *  # noqa: F403
