"""Where a service listens, and what it must have to listen there."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

from ...errors import UsageError

DEFAULT_LISTEN = "127.0.0.1:8815"
_MOST_PEM_BYTES = 1 << 20
_OTHERS_READ = 0o077
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\[\]:/@\s]+)):(?P<port>\d{1,5})")


@dataclass(frozen=True, kw_only=True)
class Binding:
    """An address, checked together with what protects it.

    Only what reaches nobody else goes without TLS and tokens: a token that crosses a network in clear is anybody's, and
    TLS without tokens lets everybody in, privately.

    Args:
        listen: ``HOST:PORT``, of IPv6 ``[::1]:PORT``; port 0 takes one that is free.
        cert, key: PEM files for TLS. tokens: the file of tenants.
        insecure: said by somebody who knows that nobody else can reach the address.

    Raises:
        UsageError: it may not be listened there; the message says what to give.
    """

    listen: str = DEFAULT_LISTEN
    cert: Path | None = None
    key: Path | None = None
    tokens: Path | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        self._split()
        if (self.cert is None) != (self.key is None):
            given, absent = ("--tls-cert", "--tls-key") if self.key is None else ("--tls-key", "--tls-cert")
            raise UsageError(f"{given} is given without {absent}; TLS takes both")
        if self.cert is not None and self.key is not None:
            _check_pair(self.cert, self.key)
        if self.insecure or self.is_loopback:
            return
        missing = [
            what
            for what, given in (("--tls-cert and --tls-key", self.cert), ("--tokens", self.tokens))
            if given is None
        ]
        if missing:
            raise UsageError(
                f"{self.listen} can be reached from other machines: give {' and '.join(missing)}, listen on "
                f"{DEFAULT_LISTEN}, or say --insecure if nobody else can reach it"
            )

    @classmethod
    def parse(
        cls,
        listen: str,
        *,
        cert: Path | None = None,
        key: Path | None = None,
        tokens: Path | None = None,
        insecure: bool = False,
    ) -> Binding:
        """The same, as the command line says it."""
        return cls(listen=listen, cert=cert, key=key, tokens=tokens, insecure=insecure)

    @property
    def host(self) -> str:
        """Without brackets."""
        return self._split()[0]

    @property
    def port(self) -> int:
        return self._split()[1]

    @property
    def is_loopback(self) -> bool:
        """Whether every address that the host's name stands for is this machine's own."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, UnicodeError) as error:
            raise UsageError(f"{self.listen}: {self.host} is no address of a machine: {error}") from error
        return all(_is_loopback(str(address[0])) for *_, address in found)

    def location(self) -> str:
        """What Flight listens on."""
        return self.url(self.port)

    def url(self, port: int) -> str:
        """What clients connect to.

        Args:
            port: the one that was taken, where this says 0.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"grpc{'+tls' if self.cert else ''}://{host}:{port}"

    def tls(self) -> tuple[bytes, bytes] | None:
        """Certificate and key in PEM, for Flight; None where it goes without.

        Raises:
            UsageError: they cannot be read any more.
        """
        return (_read(self.cert), _read(self.key)) if self.cert is not None and self.key is not None else None

    def _split(self) -> tuple[str, int]:
        match = _ADDRESS.fullmatch(self.listen)
        port = int(match["port"]) if match else -1
        if match is None or not match["port"].isascii() or port > 65_535:
            raise UsageError(f"{self.listen!r:.200} is no address; write it like {DEFAULT_LISTEN} or [::1]:8815")
        return match["six"] or match["host"], port


def _is_loopback(address: str) -> bool:
    one = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(one, "ipv4_mapped", None)  # ::ffff:127.0.0.1
    return (mapped or one).is_loopback


def _check_pair(cert: Path, key: Path) -> None:
    """The files can be read, by the right ones only, and belong to each other."""
    for path in (cert, key):
        _read(path)
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & _OTHERS_READ:
        raise UsageError(f"{key}: others can use this key (mode {mode:04o}); chmod 600 {key}")
    try:
        # A password is asked for on the terminal otherwise, and Flight cannot be given one.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise UsageError(
            f"{cert} and {key} are no certificate and its key in PEM, without a password: {error}"
        ) from error


def _no_password() -> bytes:
    raise ValueError("the key has a password")


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_PEM_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > _MOST_PEM_BYTES or b"-----BEGIN " not in data:
        raise UsageError(f"{path} is no PEM file: it should have a line -----BEGIN …-----")
    return data
