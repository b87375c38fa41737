"""Backups of a host: named sets, consistent by themselves, in encrypted repositories of restic."""
