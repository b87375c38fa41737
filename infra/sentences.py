"""Errors of dynamic providers as one sentence: Pulumi shows whatever traceback there is."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def in_a_sentence(*kinds: type[Exception]) -> Iterator[None]:
    """Errors of these kinds are told without a traceback; of others it is wanted.

    Only in the process that serves dynamic providers, whose limit is nobody else's.
    """
    try:
        yield
    except kinds:
        if _serves_providers():
            sys.tracebacklimit = 0
        raise


def _serves_providers() -> bool:
    specification = getattr(sys.modules["__main__"], "__spec__", None)
    return specification is not None and specification.name == "pulumi.dynamic.__main__"
