"""Ansible's values as Python's own."""

from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """Ansible's containers hold values that are made when Python asks: others do not ask."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value
