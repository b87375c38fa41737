"""What stops a demo before it could show anything."""

from steelyard.errors import Problem


class DemoFailed(Problem):
    """A step of the demo did not do what it must; one sentence says which and what was seen."""

    slug = "demo-failed"
    title = "The demo failed"
