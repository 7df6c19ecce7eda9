"""Mail over TLS, both ways, to a real server of this machine with a certificate of its own."""

from __future__ import annotations

import base64
import shutil
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from digits.config import Settings
from digits.domain.notifications import Message
from digits.supervisor.notifications import send_mail

MESSAGE = Message("done", "Done: net", "accuracy 0.9 at epoch 3", "", {})
LOGIN = b"AUTH PLAIN " + base64.b64encode(b"\0anna\0secret")


class MailServer(socketserver.ThreadingTCPServer):
    """Keeps what clients say; `implicit`: encrypted from the first byte."""

    def __init__(self, certificate: ssl.SSLContext, *, implicit: bool) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.certificate = certificate
        self.implicit = implicit
        self.plain: list[bytes] = []  # what everybody on the way could read
        self.secret: list[bytes] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, *_: object) -> None:
        """A client that does not trust the certificate hangs up."""


class Session(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        encrypted = self.server.implicit
        if encrypted:
            self.encrypt()
        self.say(b"220 mail")
        body = False
        while line := self.rfile.readline().strip(b"\r\n") if not body else self.rfile.readline():
            (self.server.secret if encrypted else self.server.plain).append(line)
            command = line.upper()
            if body:
                body = line != b".\r\n"
                if not body:
                    self.say(b"250 kept")
            elif command.startswith(b"EHLO"):
                self.say(b"250-mail", b"250-AUTH PLAIN" if encrypted else b"250-STARTTLS", b"250 8BITMIME")
            elif command == b"STARTTLS":
                self.say(b"220 go on")
                self.encrypt()
                encrypted = True
            elif command == b"DATA":
                self.say(b"354 go on")
                body = True
            else:
                self.say(b"235 welcome" if command.startswith(b"AUTH") else b"221 bye" if command == b"QUIT" else b"250 fine")

    def say(self, *lines: bytes) -> None:
        self.wfile.write(b"".join(line + b"\r\n" for line in lines))

    def encrypt(self) -> None:
        self.connection = self.server.certificate.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)  # type: ignore[assignment]

    def finish(self) -> None:
        self.rfile.close()
        self.wfile.close()
        self.connection.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that signs itself."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl is installed")
    folder = tmp_path_factory.mktemp("certificate")
    files = {"-keyout": folder / "key.pem", "-out": folder / "certificate.pem"}
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, *(str(word) for pair in files.items() for word in pair)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["-out"], files["-keyout"])
    return files["-out"], context


@pytest.fixture(params=["starttls", "ssl"])
def mail(request: pytest.FixtureRequest, certificate: tuple[Path, ssl.SSLContext]) -> Iterator[tuple[MailServer, Settings]]:
    with MailServer(certificate[1], implicit=request.param == "ssl") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        settings = Settings(
            smtp_host="127.0.0.1",
            smtp_port=server.port,
            smtp_security=request.param,
            smtp_user="anna",
            smtp_password="secret",
            smtp_from="digits@example.org",
        )
        yield server, settings
        server.shutdown()
        thread.join()


def test_it_is_delivered_encrypted_with_the_log_in(
    mail: tuple[MailServer, Settings], certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, settings = mail
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))  # whom this machine trusts
    send_mail(settings, "bob@example.org", MESSAGE)
    said = b"\n".join(server.secret)
    assert LOGIN in server.secret
    assert b"Subject: [digits] Done: net" in said
    assert b"accuracy 0.9 at epoch 3" in said
    assert [line.split()[0] for line in server.plain] == ([] if server.implicit else [b"ehlo", b"STARTTLS"])


def test_nothing_is_said_to_a_server_that_nobody_vouches_for(mail: tuple[MailServer, Settings]) -> None:
    server, settings = mail
    with pytest.raises(OSError, match="certificate verify failed"):
        send_mail(settings, "bob@example.org", MESSAGE)
    assert server.secret == []
    assert b"secret" not in b"".join(server.plain)
