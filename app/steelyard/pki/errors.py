"""What can go wrong with authorities and certificates."""

from steelyard.errors import Problem


class PkiProblem(Problem):
    """Base of what the certificate room refuses."""

    slug = "pki"
    title = "The certificate request cannot be met"


class FileExists(PkiProblem):
    """A key or an authority would be overwritten; keys are never replaced silently."""

    status = 409
    slug = "pki-file-exists"
    title = "The file exists already"
    hint = "Move it away first, or choose another directory."


class AuthorityUnusable(PkiProblem):
    """The authority's directory is missing something, or its parts do not belong together."""

    slug = "authority-unusable"
    title = "The certificate authority cannot be used"


class InvalidSubject(PkiProblem):
    """A name, serial or host that a certificate cannot carry."""

    status = 422
    slug = "invalid-subject"
    title = "The certificate's subject is not valid"


class UnknownCertificate(PkiProblem):
    """The certificate was not issued by this authority."""

    status = 404
    slug = "unknown-certificate"
    title = "This authority did not issue the certificate"


class RequestRefused(PkiProblem):
    """A certificate request that the authority does not sign."""

    status = 422
    slug = "pki-request-refused"
    title = "The certificate request is not signed"


class KeyUnusable(PkiProblem):
    """A private key, or the certificate for it, that cannot be taken into use."""

    slug = "pki-key-unusable"
    title = "The key cannot be used"
