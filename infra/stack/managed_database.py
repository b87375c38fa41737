"""What the roles are told of a database that the provider runs."""

# The application's own, beside the provider's master, whose password the provider changes.
APPLICATION_USER = "platform"
PASSWORD_FILE = "/etc/steelyard/platform/database.password"  # noqa: S105 - a place
CA_FILE = "/etc/steelyard/database/ca.pem"


def database_ca_url(region: str) -> str:
    """Where the provider has the authorities of its databases in a region (RDS user guide)."""
    return f"https://truststore.pki.rds.amazonaws.com/{region}/{region}-bundle.pem"
