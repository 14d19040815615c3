"""The stack's own authority and certificate: private, kept once they are there, and trusted by a strict client."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local_stack import certificates
from local_stack.home import Home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("stack"))
    certificates.ensure(home)
    return home


def handshake(home: Home, authorities: Path, name: str) -> dict[str, object]:
    """What a client that trusts the authorities sees of the server's certificate."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(certificates.certificate_file(home), certificates.key_file(home))
    client_context = ssl.create_default_context(cafile=str(authorities))
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server_context.wrap_socket(server.accept()[0], server_side=True) as connection:
                connection.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        with client_context.wrap_socket(
            socket.create_connection(server.getsockname()), server_hostname=name
        ) as connection:
            seen = connection.getpeercert()
        thread.join()
    assert seen
    return seen


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("authorities", [certificates.authority_file, certificates.bundle_file])
def test_a_strict_client_trusts_the_server_under_both_names(home: Home, authorities: object, name: str) -> None:
    assert callable(authorities)
    assert handshake(home, authorities(home), name)


def test_a_certificate_is_valid_from_yesterday_for_ten_years(home: Home) -> None:
    seen = handshake(home, certificates.authority_file(home), "localhost")
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(seen["notAfter"])), UTC)
    begins = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(seen["notBefore"])), UTC)
    assert ends - begins == timedelta(days=3651)


def test_only_the_owner_may_read_the_key_and_its_folder(home: Home) -> None:
    assert certificates.key_file(home).stat().st_mode & 0o077 == 0
    assert home.tls.stat().st_mode & 0o077 == 0


def test_the_bundle_holds_the_other_authorities_only_if_they_are_trusted(home: Home, tmp_path: Path) -> None:
    alone = Home(tmp_path)
    certificates.ensure(alone, trusts_others=False)
    assert certificates.bundle_file(alone).read_text() == certificates.authority_file(alone).read_text()
    assert certificates.bundle_file(home).read_text().count("BEGIN CERTIFICATE") > 50


def test_what_is_there_is_kept_and_an_incomplete_set_made_again(tmp_path: Path) -> None:
    home = Home(tmp_path)
    certificates.ensure(home)
    files = (certificates.key_file(home), certificates.certificate_file(home), certificates.bundle_file(home))
    before = [file.read_bytes() for file in files]
    certificates.ensure(home)
    assert [file.read_bytes() for file in files] == before
    certificates.bundle_file(home).unlink()
    certificates.ensure(home)
    assert certificates.key_file(home).read_bytes() != before[0]
