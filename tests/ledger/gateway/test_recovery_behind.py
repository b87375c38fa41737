"""The tests of lost answers, through a gateway."""

from test_recovery import *  # noqa: F403
