"""How a request to one of the platform's APIs may fail, in the SmartBox's own words; its answer."""

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from steelyard.smartbox.errors import PlatformProblem, PlatformUnreached, PlatformUntrusted

BAD_CERTIFICATE = "the platform's certificate does not hold (is the SmartBox's clock right?)"
# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL's x509_vfy.h.
_WRONG_TIME = (9, 10)


@contextmanager
def failures_told(url: str) -> Iterator[None]:
    """Turn what aiohttp raises into the subclasses of PlatformProblem, with the URL."""
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        told = getattr(error.certificate_error, "verify_message", "") or "it is not trusted"
        code = getattr(error.certificate_error, "verify_code", 0)
        raise PlatformUntrusted(
            f"{url}: {BAD_CERTIFICATE}: {told}", by_time=code in _WRONG_TIME
        ) from None
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise PlatformUnreached(f"{url}: {type(error).__name__}: {error}") from None
    except TimeoutError:
        raise PlatformProblem(f"{url}: no answer in time") from None
    except UnicodeError:  # by the codec of names, before anything is asked
        raise PlatformUnreached(f"{url}: the host's name cannot be looked up") from None
    except (aiohttp.ClientError, OSError) as error:
        raise PlatformProblem(f"{url}: {type(error).__name__}: {error}") from None


async def read_bounded(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The whole body of an answer. Raises PlatformProblem for one of more than `most` bytes."""
    parts = bytearray()
    async for part in response.content.iter_chunked(65_536):
        parts += part
        if len(parts) > most:
            raise PlatformProblem("the platform's answer is too long")
    return bytes(parts)
