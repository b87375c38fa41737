"""What stops a provisioning."""

from steelyard.errors import Problem


class ProvisioningFailed(Problem):
    """The description and the platform do not fit together, or the API refused a step."""

    slug = "provisioning-failed"
    title = "The platform is not as it is described"
