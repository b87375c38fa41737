"""What can go wrong in the store and the vault."""

from typing import ClassVar

from steelyard.errors import Problem


class DatabaseUnavailable(Problem):
    """The database does not answer, or not in time."""

    status = 503
    slug = "database-unavailable"
    title = "The database is not available"
    hint = "Nothing was changed; send the request again."


class SchemaMismatch(Problem):
    """The database's tables are not those of this version of the program."""

    slug = "schema-mismatch"
    title = "The database has other tables than this version needs"
    hint = "Run 'steelyard database upgrade'."


class ChangedMeanwhile(Problem):
    """The entity was changed by somebody else between reading and writing."""

    status = 412
    slug = "changed-meanwhile"
    title = "The entity was changed meanwhile"
    hint = "Read it again and repeat the change with its new ETag."


class Taken(Problem):
    """A name, serial or node that is in use and must be unique; `constraint` says which."""

    status = 409
    slug = "taken"
    title = "The name is in use"

    def __init__(self, detail: str, constraint: str) -> None:
        super().__init__(detail)
        self.constraint = constraint


class InUse(Problem):
    """A row that another one needs, or that names one that is not there."""

    status = 409
    slug = "in-use"
    title = "Other entities depend on this one"


class VaultTampered(Problem):
    """A sealed value does not open: it, or the place where it stands, is not what was sealed.

    The sentence names the row, never the value. `recorded` says whether the audit log has it.
    """

    slug = "vault-tampered"
    title = "A stored value failed its integrity check"
    hint = "The operator finds the row in the audit log."
    reason: ClassVar[str] = "authentication failed"

    def __init__(self, table: str, row: str, column: str) -> None:
        super().__init__(f"the stored value {table}/{row}/{column} failed its integrity check")
        self.table = table
        self.row = row
        self.column = column
        self.recorded = False


class VaultKeyUnknown(VaultTampered):
    """A sealed value names a key that the key ring does not hold."""

    reason = "unknown key"


class VaultFormat(VaultTampered):
    """A sealed value is not of the vault's form at all."""

    reason = "malformed"


class RowTampered(VaultTampered):
    """A row's plain columns are not what its seal says, or a row is missing or too many."""

    reason = "not what was sealed"


class AuditChainBroken(Problem):
    """Rows of the audit log were edited, removed or added outside the program."""

    slug = "audit-chain-broken"
    title = "The audit log was tampered with"
