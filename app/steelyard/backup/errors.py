"""What can go wrong with a backup or its restoration."""

from steelyard.errors import Problem


class BackupFailed(Problem):
    """A set was not backed up, or a repository not looked after."""

    slug = "backup-failed"
    title = "The backup failed"


class RestoreRefused(Problem):
    """A restoration would replace what lives; nothing was changed."""

    status = 409
    slug = "restore-refused"
    title = "The restoration was refused"


class RestoreFailed(Problem):
    """A restoration did not come to its end."""

    slug = "restore-failed"
    title = "The restoration failed"
