"""A password that nobody chose."""

import secrets


def make_password(login: str, octets: int = 18) -> str:
    """A random one of at least `octets` octets of entropy, in characters of base64url.

    The rules refuse one that holds the log-in, and three random characters are `ops` or `bob` once
    in a thousand passwords: such a one is not given.
    """
    names = {login.casefold(), login.casefold().partition("@")[0]}
    while True:
        password = secrets.token_urlsafe(octets)
        if not any(name in password.casefold() for name in names if len(name) >= 3):
            return password
