"""What can go wrong between a display and the SmartBox."""

from steelyard.errors import Problem


class ForeignRequest(Problem):
    """A request that no page of this display makes: another host's name, or another page's."""

    status = 403
    slug = "foreign-request"
    title = "This request does not come from the display"


class PasswordWanted(Problem):
    """A display on another machine has not said the password, or a wrong one."""

    status = 401
    slug = "display-password"
    title = "The display's password is wanted"


class TooManyGuesses(Problem):
    """Wrong passwords came too often from one address."""

    status = 429
    slug = "display-guesses"
    title = "Too many wrong passwords came from this address"


class TooManyDisplays(Problem):
    """As many displays are open as a SmartBox serves at once."""

    status = 503
    slug = "too-many-displays"
    title = "Too many displays are open"
    hint = "Close a page of the display that nobody looks at."


class NoSuchTicket(Problem):
    """The SmartBox has emitted no ticket with this id."""

    status = 404
    slug = "no-such-ticket"
    title = "There is no such ticket at this SmartBox"


class NoCode(Problem):
    """A ticket that is not registered has no receipt, so no code that could be verified."""

    status = 409
    slug = "no-receipt-yet"
    title = "The ticket has no receipt yet"


class NoSuchPage(Problem):
    """The display has no page at this address."""

    status = 404
    slug = "no-such-page"
    title = "There is no such page"
