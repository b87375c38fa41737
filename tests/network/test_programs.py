"""Programs are taken from the operator, else from the mirror or the release, never unverified."""

import hashlib
import io
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fakeprograms import FAKE, write_jar, write_program

from steelyard.network.download import ATTEMPTS, Archive, fetched
from steelyard.network.errors import DownloadFailed, MissingProgram
from steelyard.network.programs import find_programs
from steelyard.network.settings import NetworkSettings


class Mirror:
    """A web server with files, and troubles to be had once each."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.troubles: list[str] = []
        self.asked: list[str] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.asked.append(self.path)
                trouble = mirror.troubles.pop(0) if mirror.troubles else ""
                if trouble.isdigit():
                    self.send_error(int(trouble))
                    return
                content = mirror.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if trouble == "cut" else content)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    one = Mirror()
    yield one
    one.server.shutdown()
    one.server.server_close()


def tar(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            information = tarfile.TarInfo(name)
            information.size, information.mode = len(content), 0o755
            archive.addfile(information, io.BytesIO(content))
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fetch(mirror: Mirror, tmp_path: Path, checksum: str) -> Path:
    archive = Archive(f"{mirror.url}/a.tar.gz", checksum)
    return fetched(archive, tmp_path / "cache" / "a", pause=lambda _: None)


def left(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache").iterdir())


def test_a_verified_archive_is_unpacked_and_kept(mirror: Mirror, tmp_path: Path) -> None:
    """The second time nobody is asked."""
    mirror.files["/a.tar.gz"] = tar(geth=b"program")
    checksum = sha256(mirror.files["/a.tar.gz"])
    assert (fetch(mirror, tmp_path, checksum) / "geth").read_bytes() == b"program"
    assert fetch(mirror, tmp_path, checksum) == tmp_path / "cache" / "a"
    assert mirror.asked == ["/a.tar.gz"]
    assert left(tmp_path) == [tmp_path / "cache" / "a"]


def test_a_wrong_checksum_leaves_nothing(mirror: Mirror, tmp_path: Path) -> None:
    """It is not tried again either: the same would come."""
    mirror.files["/a.tar.gz"] = tar(geth=b"program")
    with pytest.raises(DownloadFailed, match=f"and not {64 * '0'}: it was thrown away"):
        fetch(mirror, tmp_path, 64 * "0")
    assert left(tmp_path) == []
    assert len(mirror.asked) == 1


@pytest.mark.parametrize("trouble", ["cut", "503", "429"])
def test_a_passing_trouble_is_overcome(mirror: Mirror, tmp_path: Path, trouble: str) -> None:
    """A transfer that was cut off, or a busy server, is asked again."""
    mirror.files["/a.tar.gz"] = tar(geth=b"program" * 100)
    mirror.troubles = [trouble] * (ATTEMPTS - 1)
    fetch(mirror, tmp_path, sha256(mirror.files["/a.tar.gz"]))
    assert len(mirror.asked) == ATTEMPTS


def test_a_lasting_cut_off_is_one_sentence(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["/a.tar.gz"] = content = tar(geth=b"program" * 100)
    mirror.troubles = ["cut"] * ATTEMPTS
    with pytest.raises(DownloadFailed, match=rf"in 3 attempts: .*{len(content) // 2}"):
        fetch(mirror, tmp_path, sha256(content))
    assert left(tmp_path) == []


def test_what_is_not_there_is_not_asked_for_again(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="the server answers 404"):
        fetch(mirror, tmp_path, 64 * "0")
    assert len(mirror.asked) == 1


def test_nobody_there_is_one_sentence(mirror: Mirror, tmp_path: Path) -> None:
    mirror.server.shutdown()
    mirror.server.server_close()
    with pytest.raises(DownloadFailed, match=r"in 3 attempts: .*refused"):
        fetch(mirror, tmp_path, 64 * "0")


def test_an_archive_cannot_write_beside_its_directory(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["/a.tar.gz"] = content = tar(**{"../outside": b"x"})
    with pytest.raises(DownloadFailed, match="cannot be unpacked"):
        fetch(mirror, tmp_path, sha256(content))
    assert left(tmp_path) == []


def test_what_is_no_archive_is_one_sentence(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["/a.tar.gz"] = b"hello"
    with pytest.raises(DownloadFailed, match="cannot be unpacked"):
        fetch(mirror, tmp_path, sha256(b"hello"))


def jdk(java: Path) -> str:
    return str(java.parent.parent)


def settings(mirror: Mirror, tmp_path: Path, **more) -> NetworkSettings:
    return NetworkSettings(cache_directory=tmp_path / "cache", mirror_url=mirror.url, **more)


def test_the_mirror_serves_what_the_operator_did_not_name(
    mirror: Mirror, tmp_path: Path, java: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both programs, under their makers' names; the release is not asked."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    geth = tar(geth=f'#!/bin/sh\nexec {sys.executable} {FAKE} geth "$@"\n'.encode())
    jar = write_jar(tmp_path / "made.jar").read_bytes()
    mirror.files = {"/geth_v24.4.1_linux_amd64.tar.gz": geth, "/tessera-app.jar": jar}
    found = find_programs(
        settings(
            mirror,
            tmp_path,
            geth_checksum=sha256(geth),
            tessera_archive="tessera-app.jar",
            tessera_checksum=sha256(jar),
        ),
        {"JAVA_HOME": jdk(java)},
    )
    assert found.geth_version == "24.4.1"
    assert found.tessera.uber_jar
    assert mirror.asked == list(mirror.files)


def test_the_release_is_held_to_its_pinned_checksum(
    mirror: Mirror, tmp_path: Path, java: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any setting the checksum of GoQuorum 24.4.1 for Linux amd64 is the known one."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    mirror.files["/v24.4.1/geth_v24.4.1_linux_amd64.tar.gz"] = tar(geth=b"another")
    release = NetworkSettings(
        cache_directory=tmp_path / "cache", geth_release_url=mirror.url + "/v{version}"
    )
    with pytest.raises(DownloadFailed, match="and not 2a200c8c51f406b1"):
        find_programs(release, {"STEELYARD_TESSERA": "/unused", "JAVA_HOME": jdk(java)})


def test_geth_without_a_known_checksum_is_refused(
    mirror: Mirror, tmp_path: Path, java: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(MissingProgram, match="no known checksum for linux_arm64"):
        find_programs(
            settings(mirror, tmp_path), {"STEELYARD_TESSERA": "/unused", "JAVA_HOME": jdk(java)}
        )
    assert mirror.asked == []


@pytest.mark.parametrize(
    ("given", "missing"),
    [({}, "mirror_url"), ({"mirror_url": "http://127.0.0.1:9"}, "tessera_checksum")],
)
def test_tessera_is_never_fetched_unverified(java: Path, given, missing: str) -> None:
    """And as it is missing, nothing else is fetched either: there is no geth here."""
    with pytest.raises(MissingProgram, match=rf"set STEELYARD_TESSERA .*\({missing} is not set\)"):
        find_programs(NetworkSettings(**given), {"JAVA_HOME": jdk(java)})


def test_a_geth_that_is_none_is_one_sentence(tmp_path: Path, java: Path) -> None:
    """Missing; not to be run; another chain's."""
    cases = {
        "is not a file": tmp_path / "missing",
        "cannot be run: Exec format error": write_program(tmp_path / "arm", "\x7fELF"),
        "it is not GoQuorum's geth": write_program(tmp_path / "eth", "#!/bin/sh\necho Geth\n"),
    }
    for sentence, path in cases.items():
        with pytest.raises(MissingProgram, match=sentence):
            find_programs(
                NetworkSettings(),
                {
                    "STEELYARD_GETH": str(path),
                    "STEELYARD_TESSERA": "/unused",
                    "JAVA_HOME": jdk(java),
                },
            )
