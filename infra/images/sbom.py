"""What is in an image, as SPDX 2.3 says it in JSON."""

import datetime as dt
import email.parser
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from infra.images.lock import Lock, Package

_NOBODY = "NOASSERTION"


def software_list(
    lock: Lock, distributions: Iterable[tuple[str, str]], *, version: str, sha256: str
) -> dict[str, Any]:
    """The document: what the image has of the lock, and not what the build used on the way.

    `distributions` are Python's, by name and version; `sha256` is the image's.
    """
    when = dt.datetime.fromtimestamp(lock.epoch, dt.UTC)
    image = _package(
        "Image",
        f"steelyard-station-{version}",
        version,
        purl=f"pkg:generic/steelyard-station@{quote(version)}",
        sha256=sha256,
    )
    contained = [*lock.used_for("root"), *lock.used_for("payload")]
    parts = [_debian(one) for one in sorted(contained)]
    parts += [_python(name, number) for name, number in sorted(distributions)]
    relationships = [
        {
            "spdxElementId": image["SPDXID"],
            "relationshipType": "CONTAINS",
            "relatedSpdxElement": part["SPDXID"],
        }
        for part in parts
    ]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": image["name"],
        "documentNamespace": f"urn:sha256:{sha256}",
        "creationInfo": {
            "created": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Tool: steelyard-infra.images"],
        },
        "packages": [image, *parts],
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": image["SPDXID"],
            },
            *relationships,
        ],
    }


def python_distributions(root: Path) -> list[tuple[str, str]]:
    """Name and version of what is installed in the root's virtual environments."""
    found = set()
    for path in root.glob("opt/steelyard/*/releases/*/venv/lib/python*/site-packages/*.dist-info"):
        told = email.parser.HeaderParser().parsestr((path / "METADATA").read_text("utf-8"))
        found.add((str(told["Name"]), str(told["Version"])))
    return sorted(found)


def _debian(one: Package) -> dict[str, Any]:
    version = quote(one.version, safe="")
    purl = f"pkg:deb/debian/{quote(one.name)}@{version}?arch={one.architecture}"
    return _package(f"deb-{one.name}", one.name, one.version, purl=purl, sha256=one.sha256)


def _python(name: str, version: str) -> dict[str, Any]:
    plain = re.sub(r"[-_.]+", "-", name).lower()
    return _package(f"pypi-{plain}", name, version, purl=f"pkg:pypi/{plain}@{quote(version)}")


def _package(
    identity: str, name: str, version: str, *, purl: str, sha256: str | None = None
) -> dict[str, Any]:
    known: dict[str, Any] = {
        "SPDXID": f"SPDXRef-{re.sub(r'[^A-Za-z0-9.-]', '-', identity)}",
        "name": name,
        "versionInfo": version,
        "downloadLocation": _NOBODY,
        "filesAnalyzed": False,
        "licenseConcluded": _NOBODY,
        "licenseDeclared": _NOBODY,
        "copyrightText": _NOBODY,
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": purl,
            }
        ],
    }
    if sha256 is not None:
        known["checksums"] = [{"algorithm": "SHA256", "checksumValue": sha256}]
    return known
