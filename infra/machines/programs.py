"""The programs that machines need, and how they are called."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from infra.machines.errors import MachineProblem, NotHere

# Program, and Debian's package that brings it.
NEEDED = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "slirp4netns": "slirp4netns",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "ssh-keygen": "openssh-client",
    "tar": "tar",
}
# Without the Debian administrator's directories a service's path may not find `ip`.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def why_not_here() -> str | None:
    """Why this computer cannot make machines, or None where it can."""
    if os.geteuid() != 0:
        return "machines need root"
    missing = sorted({package for name, package in NEEDED.items() if not shutil.which(name)})
    if missing:
        return f"machines need the Debian packages {', '.join(missing)}"
    if not Path("/sys/fs/cgroup").is_mount():
        return "machines need control groups (/sys/fs/cgroup)"
    return None


def check_here() -> None:
    """Raises NotHere with the reason of `why_not_here`."""
    reason = why_not_here()
    if reason is not None:
        raise NotHere(reason)


def run(command: Sequence[str | Path], *, seconds: float = 60) -> str:
    """The standard output of a program that must succeed; MachineProblem with its last words."""
    words = [str(word) for word in command]
    environment = {**os.environ, "PATH": _PATH, "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(  # noqa: S603 - the callers' own arguments
            words, capture_output=True, text=True, timeout=seconds, env=environment, check=False
        )
    except FileNotFoundError:
        raise NotHere(f"{words[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise MachineProblem(f"{words[0]} did not end within {seconds:g} s") from None
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise MachineProblem(f"{' '.join(words[:3])} … failed ({done.returncode}): {last}")
    return done.stdout
