"""An inventory's own files, as they are before anything in them is decrypted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from infra.consortium.checks import plain_secrets

_VARIABLES = ("group_vars", "host_vars")
_ENDINGS = {"", ".yml", ".yaml", ".json"}


class _Encrypted:
    """What stands behind a tag (`!vault`): nothing that is read here."""


class _Loader(yaml.SafeLoader):
    """Reads YAML with tags that only Ansible knows."""


def _opaque(loader: _Loader, suffix: str, node: yaml.Node) -> _Encrypted:
    del loader, suffix, node
    return _Encrypted()


_Loader.add_multi_constructor("!", _opaque)


def secrets_in_files(sources: list[str]) -> list[str]:
    """One sentence for each secret in plain text, with its file.

    `sources` are inventories: files, or directories of them, with group_vars and host_vars beside.
    Files that are no YAML are left to Ansible, which reads them itself.
    """
    found = []
    for path in _files(sources):
        document = _read(path)
        if isinstance(document, dict):
            found += [f"{path}: {sentence}" for sentence in plain_secrets(document)]
    return found


def _files(sources: list[str]) -> Iterator[Path]:
    seen: set[Path] = set()
    for source in sources:
        path = Path(source)
        places = [path] if path.is_file() else [one for one in path.glob("*") if one.is_file()]
        base = path.parent if path.is_file() else path
        for name in _VARIABLES:
            places += [one for one in (base / name).rglob("*") if one.is_file()]
        for place in sorted(places):
            if place.suffix in _ENDINGS and place not in seen:
                seen.add(place)
                yield place


def _read(path: Path) -> Any:
    try:
        return yaml.load(path.read_text("utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
