"""The steps of a station's image: `python -m infra.images STEP`. playbooks/image.yml runs them."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from infra.images import build
from infra.images.errors import ImageProblem
from infra.images.outputs import Outputs
from infra.images.signing import make_key


def main() -> int:
    """Exit status 0, or 1 with a sentence."""
    options = _parser().parse_args()
    # A step writes into a root's tree as other users see it, whatever the caller's own mask.
    os.umask(0o022)
    try:
        _step(options)
    except ImageProblem as problem:
        sys.stderr.write(f"image: {problem}\n")
        return 1
    except OSError as error:
        reason = error.strerror or str(error)
        named = reason if error.filename is None else f"{error.filename}: {reason}"
        sys.stderr.write(f"image: {named}\n")
        return 1
    return 0


def _step(options: argparse.Namespace) -> None:
    if options.step == "key":
        make_key(options.file)
        return
    workshop = build.Workshop(options.work.resolve(), options.cache.resolve())
    workshop.directory.mkdir(parents=True, exist_ok=True)
    if options.step == "lock":
        epoch = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
        print(f"{build.lock(workshop, options.snapshot, epoch)} packages")
    elif options.step == "root":
        print(build.root(workshop, options.snapshot))
    elif options.step == "roles":
        build.roles(workshop, json.loads(options.variables.read_text("utf-8")))
    else:
        outputs = Outputs(options.output.resolve(), options.version)
        key = options.key.resolve()
        build.card(workshop, outputs, key=key, url=options.url, commit=options.commit)
        print(outputs.path(".img.xz"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.images", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    key = steps.add_parser("key", help="make a key that signs images and updates")
    key.add_argument("file", type=Path)
    lock = steps.add_parser("lock", help="resolve the packages anew into images/packages.lock")
    root = steps.add_parser("root", help="make the root of the locked packages")
    roles = steps.add_parser("roles", help="apply the roles to a fresh root")
    roles.add_argument("--variables", type=Path, required=True, help="JSON, for images/root.yml")
    card = steps.add_parser("card", help="make the image and everything beside it")
    card.add_argument("--output", type=Path, required=True)
    card.add_argument("--version", required=True)
    card.add_argument("--key", type=Path, required=True, help="private key that signs")
    card.add_argument(
        "--url", default="", help="URL of the directory from which the image will be downloaded"
    )
    card.add_argument("--commit", default="", help="the commit of this checkout")
    for one in (lock, root, roles, card):
        one.add_argument("--work", type=Path, default=Path("build/image-work"))
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        one.add_argument("--cache", type=Path, default=cache / "steelyard" / "image")
    for one in (lock, root):
        one.add_argument("--snapshot", default="", help="URL of a snapshot of Debian's archives")
    return parser


if __name__ == "__main__":
    sys.exit(main())
