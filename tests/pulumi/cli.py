"""The real program `pulumi` on this checkout, with a backend in a directory of the test's own."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.machines.programs import why_not_here

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("pulumi", "pulumi-language-python", "pulumi-resource-pulumi-python")


def why_not() -> str | None:
    """Why no stack can be made here, or None where one can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"no {missing[0]} on the PATH"
    return why_not_here()


class PulumiStack:
    """A stack of target local. `configure` changes what it is to be, every call runs pulumi."""

    def __init__(self, directory: Path, document: Mapping[str, Any]) -> None:
        self.directory = directory / "machines"
        self.name = f"test-{secrets.token_hex(3)}"
        self._file = directory / "stack.yaml"
        passphrase = directory / "passphrase"
        passphrase.write_text(secrets.token_urlsafe(24))
        (directory / "state").mkdir()
        # As `.venv/bin` comes first for whoever works here, so does the environment of the tests.
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PULUMI_HOME": str(directory / "home"),
            "PULUMI_BACKEND_URL": f"file://{directory}/state",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "STEELYARD_STACK": self.name,
        }
        self.document = dict(document)
        self.run("stack", "init", self.name)
        (ROOT / f"Pulumi.{self.name}.yaml").unlink()
        self.configure()

    def configure(self, **changes: Any) -> None:
        """Write the configuration, with some keys changed from now on."""
        self.document |= changes
        local = {"packages": [], **self.document.get("local", {}), "directory": str(self.directory)}
        values = {f"steelyard:{key}": one for key, one in self.document.items()}
        values["steelyard:local"] = local
        self._file.write_text(yaml.safe_dump({"config": values}))

    def run(self, *arguments: str, code: int | None = 0, seconds: float = 600) -> str:
        """What pulumi says; it must end with this exit status."""
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--cwd", str(ROOT)],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        said = done.stdout + done.stderr
        if code is not None:
            assert done.returncode == code, said
        return said

    def on_stack(self, action: str, *arguments: str, **options: Any) -> str:
        """`pulumi ACTION` on this stack, with its configuration."""
        told = ["--stack", self.name, "--config-file", str(self._file), "--suppress-outputs"]
        return self.run(action, *told, *arguments, **options)

    def preview(self, *arguments: str, **options: Any) -> str:
        """What an update would do."""
        return self.on_stack("preview", *arguments, **options)

    def up(self, *arguments: str, **options: Any) -> str:
        """Update."""
        return self.on_stack("up", "--yes", "--skip-preview", *arguments, **options)

    def refresh(self) -> str:
        """See what is really there."""
        return self.on_stack("refresh", "--yes", "--skip-preview")

    def destroy(self, **options: Any) -> str:
        """End everything."""
        return self.on_stack("destroy", "--yes", "--skip-preview", **options)

    def output(self, name: str) -> Any:
        """An output of the stack."""
        return json.loads(self.run("stack", "output", name, "--json", "--stack", self.name))

    def ansible(self, *arguments: str) -> str:
        """Ansible on the stack's machines, by the inventory script."""
        done = subprocess.run(
            ["ansible", "-i", str(ROOT / "scripts/stack_inventory.py"), *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def end(self) -> None:
        """Whatever became of the test, nothing is left on this computer."""
        self.configure(protect=False, leaving=[])
        self.run("state", "unprotect", "--all", "--yes", "--stack", self.name, code=None)
        self.destroy(code=None, seconds=900)
