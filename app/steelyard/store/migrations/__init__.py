"""The database's schema, revision by revision (Alembic), shipped inside of the package."""
