"""The settings of a host's backups."""

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from steelyard.settings import Part, Section

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Unit = Annotated[str, Field(pattern=r"^[A-Za-z0-9:_.@\\-]+\.(service|timer|socket|target)$")]
Database = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_$-]{0,62}$")]


def _check_absolute(path: Path) -> Path:
    if not path.is_absolute() or ".." in path.parts or path == Path("/"):
        raise ValueError("must be an absolute path below /, without ..")
    return path


Absolute = Annotated[Path, AfterValidator(_check_absolute)]


class RepositorySettings(Part):
    """A place that restic keeps backups in."""

    name: Name = Field(description="Its name here.")
    url: str = Field(min_length=1, description="Its place, as restic writes it.")
    password_file: Absolute = Field(description="File with its password.")
    options: tuple[str, ...] = Field(default=(), description="restic's options (-o).")
    s3_credentials_file: Absolute | None = Field(
        default=None, description="AWS credentials file of an S3 repository."
    )


class SetSettings(Part):
    """What is backed up and restored together."""

    name: Name = Field(description="Its name.")
    repository: Name = Field(description="The repository that it goes to.")
    paths: tuple[Absolute, ...] = Field(
        default=(), description="Files and directories, as they are once the units are stopped."
    )
    exclude: tuple[str, ...] = Field(default=(), description="Patterns that are left out.")
    sqlite: tuple[Absolute, ...] = Field(
        default=(), description="SQLite databases: copied while they are in use."
    )
    postgresql: tuple[Database, ...] = Field(
        default=(), description="PostgreSQL databases of this host: dumped while they are in use."
    )
    stop: tuple[Unit, ...] = Field(
        default=(),
        description="Units that are stopped for the copy, in this order, and started again in "
        "the reverse order.",
    )
    stop_for_restore: tuple[Unit, ...] = Field(
        default=(), description="Further units, stopped before those while the set is restored."
    )

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        if not (self.paths or self.sqlite or self.postgresql):
            raise ValueError("must name paths, sqlite or postgresql")
        return self


class BackupSettings(Section):
    """Backups of this host: what, where to, and for how long."""

    section: ClassVar[str] = "backup"

    host: str = Field(min_length=1, description="Name of this host in the repositories.")
    repositories: tuple[RepositorySettings, ...] = Field(
        min_length=1, description="The repositories."
    )
    sets: tuple[SetSettings, ...] = Field(default=(), description="The sets.")
    keep_daily: int = Field(default=14, ge=0, description="Daily backups that are kept.")
    keep_weekly: int = Field(default=8, ge=0, description="Weekly backups that are kept.")
    keep_monthly: int = Field(default=12, ge=0, description="Monthly backups that are kept.")
    state_directory: Absolute = Field(
        default=Path("/var/lib/steelyard-backup"),
        description="Directory of copies under way, restic's cache and what became of the sets.",
    )
    runtime_directory: Absolute = Field(
        default=Path("/run/steelyard-backup"),
        description="Directory that tells which units are stopped.",
    )
    metrics_directory: Absolute | None = Field(
        default=None, description="Directory of node_exporter's text files."
    )
    database_user: str = Field(
        default="postgres", description="System user as whom PostgreSQL is spoken to."
    )
    restic: str = Field(default="restic", description="restic's program.")
    systemctl: str = Field(default="systemctl", description="systemctl's program.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [one.name for one in self.sets]
        repositories = [one.name for one in self.repositories]
        for kind, listed in (("set", names), ("repository", repositories)):
            twice = sorted({name for name in listed if listed.count(name) > 1})
            if twice:
                raise ValueError(f"there are two of the {kind} {twice[0]}")
        for one in self.sets:
            if one.repository not in repositories:
                raise ValueError(
                    f"set {one.name}: repository {one.repository} must be one of "
                    f"{', '.join(repositories)}"
                )
        if not (self.keep_daily or self.keep_weekly or self.keep_monthly):
            raise ValueError("keep_daily, keep_weekly or keep_monthly must be more than 0")
        return self
