"""What can go wrong with an image."""


class ImageProblem(Exception):
    """An image, or a part of it, could not be made or is not what it should be; one sentence."""
