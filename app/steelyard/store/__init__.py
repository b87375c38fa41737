"""The entity database and the vault: tables, sessions, migrations, encryption at rest."""
