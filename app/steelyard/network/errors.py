"""What stops a local network."""

from steelyard.errors import Problem


class NetworkProblem(Problem):
    """A local network cannot do what was asked; the sentence says why."""

    slug = "network"
    title = "The local network cannot do that"


class MissingProgram(NetworkProblem):
    """An engine's program is not there, or is not what it should be."""

    slug = "network-program"
    title = "An engine's program is missing"


class DownloadFailed(NetworkProblem):
    """A program could not be fetched whole, or is not what its checksum says."""

    slug = "network-download"
    title = "A program could not be downloaded"
    hint = (
        "Without the download: name the programs by STEELYARD_GETH and STEELYARD_TESSERA, or a "
        "mirror by STEELYARD_NETWORK_MIRROR_URL."
    )


class WrongJava(NetworkProblem):
    """There is no Java, or it is older than this Tessera needs."""

    slug = "network-java"
    title = "Java is missing or too old"


class PortOccupied(NetworkProblem):
    """Another process listens where one of this network's must."""

    slug = "network-port"
    title = "A port is occupied"


class EngineEnded(NetworkProblem):
    """An engine ended during the start; the end of its log is in the sentence."""

    slug = "network-engine-ended"
    title = "An engine ended during the start"


class UnfitTessera(NetworkProblem):
    """A Tessera runs with which this GoQuorum would make no private transaction."""

    slug = "network-tessera"
    title = "The Tessera does not fit the node"


class StartTimeout(NetworkProblem):
    """The network did not come to life in time; the sentence says who is waited for."""

    slug = "network-start-timeout"
    title = "The network did not start in time"


class Abandoned(NetworkProblem):
    """The start was stopped from outside; what it had started is ended again."""

    slug = "network-abandoned"
    title = "The start was stopped"


class ForeignDirectory(NetworkProblem):
    """The directory holds something else, or another network than the one asked for."""

    slug = "network-directory"
    title = "The directory is not this network's"


class CorruptState(NetworkProblem):
    """A file that the network needs to find its processes and keys cannot be read."""

    slug = "network-state"
    title = "The network's state cannot be read"
    hint = (
        "Keys and chain are kept beside it: put the file back from a copy, or start another "
        "network in an empty directory."
    )
