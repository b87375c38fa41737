"""Why something is not flashed."""


class FlashRefused(Exception):
    """One sentence: what is wrong, by its name, and what is allowed."""
