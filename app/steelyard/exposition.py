"""Prometheus' text format, for node_exporter's text files: written, and taken over."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

SUFFIXES = ("_bucket", "_count", "_sum", "_total", "_created")


@dataclass(slots=True)
class Family:
    """A metric and its samples: labels, and the value as it is written."""

    meaning: str
    kind: str = "gauge"
    samples: list[str] = field(default_factory=list)


class Exposition:
    """All metrics of one round, each family once, as the format demands."""

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}

    def set(self, name: str, meaning: str, value: float, **labels: str) -> None:
        """One sample of a gauge."""
        family = self._families.setdefault(name, Family(meaning))
        family.samples.append(f"{name}{_labels(labels)} {value!r}")

    def take_over(self, page: str, prefixes: Sequence[str]) -> None:
        """The families of another page whose names begin with one of these."""
        for name, family in _families(page).items():
            if name.startswith(tuple(prefixes)) and family.samples:
                self._families.setdefault(name, family)

    def text(self) -> str:
        """The page."""
        lines: list[str] = []
        for name, family in sorted(self._families.items()):
            lines.append(f"# HELP {name} {family.meaning}")
            lines.append(f"# TYPE {name} {family.kind}")
            lines += family.samples
        return "\n".join(lines) + "\n"


def _families(page: str) -> dict[str, Family]:
    families: dict[str, Family] = {}
    for line in page.splitlines():
        if line.startswith("# "):
            words = line.split(" ", 3)
            if len(words) == 4 and words[1] in {"HELP", "TYPE"}:
                family = families.setdefault(words[2], Family("", "untyped"))
                if words[1] == "HELP":
                    family.meaning = words[3]
                else:
                    family.kind = words[3]
        elif line and not line.startswith("#"):
            name = line.split("{", 1)[0].split(" ", 1)[0]
            families.setdefault(_owner(name, families), Family("", "untyped")).samples.append(line)
    return families


def _owner(name: str, families: Mapping[str, Family]) -> str:
    return next(iter(_candidates(name, families)), name)


def _candidates(name: str, families: Mapping[str, Family]) -> Iterator[str]:
    if name in families:
        yield name
    for suffix in SUFFIXES:
        if name.endswith(suffix) and name.removesuffix(suffix) in families:
            yield name.removesuffix(suffix)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    quoted = (f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items()))
    return "{" + ",".join(quoted) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
