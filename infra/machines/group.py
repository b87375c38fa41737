"""A group of machines in a directory: made, booted, cut off, and ended without a trace."""

import ipaddress
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from infra.machines import machine, network, state
from infra.machines.errors import MachineProblem
from infra.machines.network import Wire
from infra.machines.programs import check_here, run
from infra.machines.roots import RootImage, kept_root, unpack
from infra.machines.state import GroupRecord, MachineRecord
from steelyard.network import processes

KEY_FILE = "ssh-key"
KNOWN_HOSTS_FILE = "known-hosts"
_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """What a machine is to be. `online`: packages can be fetched from it."""

    name: str
    image: RootImage = field(default_factory=RootImage)
    online: bool = True


class MachineGroup:
    """The machines of one directory. Every call is one step after another: no two at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._record = state.read_group(self.directory)
        self._keeping = Lock()

    @property
    def machines(self) -> dict[str, MachineRecord]:
        """The machines by their names."""
        return {one.name: one for one in self._record.machines} if self._record else {}

    @property
    def key_file(self) -> Path:
        """The private key by which the machines' operator is reached."""
        return self.directory / KEY_FILE

    @property
    def known_hosts_file(self) -> Path:
        """The machines' host keys, as ssh reads them."""
        return self.directory / KNOWN_HOSTS_FILE

    @property
    def own_address(self) -> str:
        """The computer's address on the bridge. Raises MachineProblem without machines."""
        if self._record is None:
            raise MachineProblem(f"{self.directory} has no machines")
        return self._record.own_address

    def up(self, specs: Sequence[MachineSpec]) -> None:
        """Make and boot what is missing of these machines; what runs is left alone.

        When one cannot be made, those that this call made are ended. Raises MachineProblem.
        """
        check_here()
        self._check(specs)
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        missing = [one for one in specs if one.name not in self.machines]
        tars = {one.image: kept_root(one.image) for one in missing}
        record = self._started()
        try:
            made = [self._make(record, one, tars[one.image]) for one in missing]
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(lambda pair: self._boot(*pair), zip(missing, made, strict=True)))
        except BaseException:
            for spec in missing:
                self.remove(spec.name)
            if not self.machines:
                self.down()
            raise

    def start(self, name: str, *, online: bool = True) -> None:
        """Boot a machine that was stopped or killed, or that went with the computer's own end."""
        record = self._machine(name)
        if self._record is None:
            return
        if record.nspawn is None or not processes.alive(record.nspawn):
            network.restore_wire(self._wire(self._record))
            self._boot(MachineSpec(name, online=online), record)

    def stop(self, name: str) -> None:
        """Power a machine off in order; its disk stays."""
        machine.stop(self._machine(name))
        self._keep()

    def kill(self, name: str) -> None:
        """Cut a machine's power; its disk stays as it is."""
        machine.kill(self._machine(name))
        self._keep()

    def remove(self, name: str) -> None:
        """End a machine and throw its disk away; nothing happens where there is none."""
        record = self.machines.get(name)
        if record is None or self._record is None:
            return
        machine.stop(record)
        shutil.rmtree(record.root, ignore_errors=True)
        self._record.machines.remove(record)
        self._keep()

    def down(self) -> None:
        """End every machine, throw the disks away, and remove the bridge. Safe to repeat."""
        if self._record is None:
            return
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(machine.stop, self._record.machines))
        for name in list(self.machines):
            self.remove(name)
        network.remove_wire(self._record.bridge)
        for path in (self.key_file, self.key_file.with_suffix(".pub"), self.known_hosts_file):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.directory / "roots", ignore_errors=True)
        state.forget_group(self.directory)
        self._record = None

    def _started(self) -> GroupRecord:
        if self._record is None:
            if not self.key_file.exists():
                comment = ("-C", "steelyard-machines", "-N", "")
                run(["ssh-keygen", "-q", "-t", "ed25519", *comment, "-f", self.key_file])
            wire = network.make_wire(str(self.directory))
            self._record = GroupRecord(
                group=str(self.directory),
                bridge=wire.bridge,
                own_address=wire.own_address,
                prefix=wire.prefix,
            )
            self._keep()
        return self._record

    def _make(self, group: GroupRecord, spec: MachineSpec, tar: Path) -> MachineRecord:
        wire = self._wire(group)
        taken = {one.address for one in group.machines}
        place = next(n for n in range(200) if wire.address(n) not in taken)
        root = self.directory / "roots" / spec.name
        shutil.rmtree(root, ignore_errors=True)
        record = MachineRecord(
            name=spec.name,
            address=wire.address(place),
            root=str(root),
            control_group=f"{group.bridge}-{spec.name}",
        )
        group.machines.append(record)
        self._keep()
        unpack(tar, root)
        public_key = self.key_file.with_suffix(".pub").read_text("ascii")
        machine.prepare(root, spec.name, record.address, wire, public_key)
        self._note_host_key(record)
        return record

    def _note_host_key(self, record: MachineRecord) -> None:
        key = (Path(record.root) / "etc/ssh/ssh_host_ed25519_key.pub").read_text("ascii").split()
        line = f"{record.address} {key[0]} {key[1]}\n"
        known: list[str] = []
        with suppress(FileNotFoundError):
            known = self.known_hosts_file.read_text("ascii").splitlines(keepends=True)
        others = [one for one in known if not one.startswith(f"{record.address} ")]
        self.known_hosts_file.write_text("".join([*others, line]), "ascii")

    def _boot(self, spec: MachineSpec, record: MachineRecord) -> None:
        if self._record is None:
            raise MachineProblem(f"{self.directory} has no machines")
        log = self.directory / f"{record.name}.log"
        try:
            machine.boot(record, self._record.bridge, online=spec.online, log=log)
        finally:
            self._keep()

    @staticmethod
    def _wire(group: GroupRecord) -> Wire:
        interface = ipaddress.IPv4Interface(f"{group.own_address}/{group.prefix}")
        return Wire(group.bridge, interface.network)

    def _machine(self, name: str) -> MachineRecord:
        try:
            return self.machines[name]
        except KeyError:
            known = ", ".join(sorted(self.machines)) or "none"
            raise MachineProblem(f"there is no machine {name} here: {known}") from None

    @staticmethod
    def _check(specs: Sequence[MachineSpec]) -> None:
        names = [one.name for one in specs]
        for name in names:
            if not name.replace("-", "").isalnum() or not name.islower() or len(name) > 40:
                raise MachineProblem(
                    f"machine {name}: a name has lower case letters, digits and hyphens, 40 at most"
                )
            if names.count(name) > 1:
                raise MachineProblem(f"two machines are called {name}")

    def _keep(self) -> None:
        # Machines are booted side by side.
        with self._keeping:
            if self._record is not None and self.directory.is_dir():
                state.write_group(self.directory, self._record)
