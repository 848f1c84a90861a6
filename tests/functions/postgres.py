"""A real PostgreSQL server for tests: on a loopback port, over TLS only, gone afterwards."""

from __future__ import annotations

import datetime
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pg8000.native import Connection, DatabaseError, InterfaceError, identifier, literal

HOST = "localhost"
DATABASE = "payments"

# Every statement is logged, the worst case for a password; nothing has to survive a crash.
SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{directory}'
ssl = on
ssl_cert_file = '{directory}/server.pem'
ssl_key_file = '{directory}/server.key'
ssl_min_protocol_version = TLSv1.2
password_encryption = scram-sha-256
log_statement = all
fsync = off
"""
# The socket lies in a directory that only the server and the tests can enter.
ACCESS = """
local all postgres trust
hostssl all all 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True)
class PostgresServer:
    """A running server that listens on ``port`` and keeps its files in ``directory``."""

    directory: Path
    port: int

    @property
    def authority(self) -> Path:
        """Certificate of the authority that signed the server's."""
        return self.directory / "authority.pem"

    @property
    def log(self) -> str:
        """Everything that the server has logged."""
        return (self.directory / "server.log").read_text()

    def run(self, sql: str, database: str = DATABASE) -> list[Any]:
        """Run statements as superuser; returns the rows of the last one."""
        path = str(self.directory / f".s.PGSQL.{self.port}")
        with Connection("postgres", unix_sock=path, database=database, timeout=10) as connection:
            return connection.run(sql) or []

    def connect(self, username: str, password: str) -> Connection:
        """Log in as a client does: over TLS that is verified."""
        return Connection(
            username,
            host=HOST,
            port=self.port,
            database=DATABASE,
            password=password,
            ssl_context=ssl.create_default_context(cafile=self.authority),
            timeout=10,
        )

    def reset(self, admin: str, password: str) -> None:
        """Leave the database to one role, which makes roles and is no superuser."""
        found = self.run("SELECT rolname FROM pg_roles WHERE oid >= 16384")
        roles = ", ".join(identifier(name) for (name,) in found)
        drop = f"DROP OWNED BY {roles} CASCADE; DROP ROLE {roles};" if roles else ""
        role = identifier(admin)
        self.run(f"""
            ALTER DATABASE {DATABASE} OWNER TO postgres;
            {drop}
            CREATE ROLE {role} LOGIN CREATEROLE CREATEDB PASSWORD {literal(password)};
            ALTER DATABASE {DATABASE} OWNER TO {role};
        """)

    def accepts(self, value: dict[str, Any]) -> bool:
        """Whether the user of a secret logs in with its password."""
        try:
            self.connect(value["username"], value["password"]).close()
        except DatabaseError as error:
            if error.args[0]["C"] != "28P01":
                raise
            return False
        return True

    @contextmanager
    def switched(self, setting: str, value: str) -> Iterator[None]:
        """A setting that is on or off, the other way for a while."""
        ((before,),) = self.run(f"SHOW {setting}")
        self._switch(setting, value)
        try:
            yield
        finally:
            self._switch(setting, before)

    def _switch(self, setting: str, value: str) -> None:
        self.run(f"ALTER SYSTEM SET {setting} = {value}")
        self.run("SELECT pg_reload_conf()")
        # The server reads its settings anew when it comes round to it.
        _await(lambda: self.run(f"SHOW {setting}") == [[value]])


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Start a server in a temporary directory; stop it and leave nothing."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as temporary:
        server = PostgresServer(Path(temporary), _free_port())
        data = server.directory / "data"
        data.mkdir(mode=0o700)
        _write_certificates(server.directory)
        user = _server_user()
        if user:
            for path in (server.directory, *server.directory.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)
        options = ["--username=postgres", "--auth=trust", "--locale=C", "--encoding=UTF8"]
        command = _command(user, "initdb", f"--pgdata={data}", "--no-sync", *options)
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        with (data / "postgresql.conf").open("a") as file:
            file.write(SETTINGS.format(port=server.port, directory=server.directory))
        (data / "pg_hba.conf").write_text(ACCESS)
        with (server.directory / "server.log").open("w") as log:
            command = _command(user, "postgres", "-D", str(data))
            process = subprocess.Popen(command, cwd="/", stdout=log, stderr=log)
        try:
            _await(lambda: _answers(server, process))
            server.run(f"CREATE DATABASE {DATABASE}", "postgres")
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(timeout=30)


def _await(condition: Callable[[], bool]) -> None:
    """Return when the condition holds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "the server took more than 30 seconds"
        time.sleep(0.02)


def _answers(server: PostgresServer, process: subprocess.Popen[bytes]) -> bool:
    """Whether a server that is starting takes connections."""
    assert process.poll() is None, f"the server stopped: {server.log}"
    try:
        return bool(server.run("SELECT 1", "postgres"))
    except (DatabaseError, InterfaceError):
        return False


def _server_user() -> pwd.struct_passwd | None:
    """Whom to run the server as: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _binaries() -> Path:
    """Where the server's programs are; Debian keeps them out of the PATH, by version."""
    if given := os.environ.get("POSTGRES_BIN"):
        return Path(given)
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    versions = {int(path.parts[-3]): path.parent for path in installed}
    assert versions, "PostgreSQL's server is not installed: run scripts/setup dev"
    return versions[max(versions)]


def _command(user: pwd.struct_passwd | None, program: str, *arguments: str) -> list[str]:
    """How to run one of the server's programs, as the user where one is given."""
    command = [str(_binaries() / program), *arguments]
    if not user:
        return command
    owner = ["--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"]
    # Killed tests take the server with them.
    return ["setpriv", *owner, "--pdeathsig", "QUIT", *command]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _write_certificates(directory: Path) -> None:
    """Write ``authority.pem``, and ``server.pem`` with ``server.key`` for the host."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _certificate("Authority of a test", authority_key, None, authority_key)
    server = _certificate(HOST, server_key, authority, authority_key)
    (directory / "authority.pem").write_bytes(authority.public_bytes(Encoding.PEM))
    (directory / "server.pem").write_bytes(server.public_bytes(Encoding.PEM))
    key = directory / "server.key"
    key.touch(mode=0o600)
    key.write_bytes(
        server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    """An authority's certificate where there is no issuer, else one for the host of that name."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    is_authority = issuer is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        # Python 3.13 insists on the two of these.
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .add_extension(_key_usage(is_authority), critical=True)
    )
    if not is_authority:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False
        )
    return builder.sign(issuer_key, SHA256())


def _key_usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
