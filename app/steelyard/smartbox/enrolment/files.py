"""What an enrolled SmartBox has in its directory: the names, for whoever only looks for them."""

CONFIG_FILE = "smartbox.toml"
SECRET_FILE = "client-secret"  # noqa: S105 - a file's name
CA_FILE = "ca.pem"
