"""Where a service may listen: what others reach takes TLS and tokens, and both are looked at before it starts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import flight

from hapistore.errors import UsageError
from hapistore.service.tenancy.binding import Binding


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Certificates and keys of two."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, to make certificates")
    folder = tmp_path_factory.mktemp("tls")
    for name in ("one", "two"):
        run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")  # fmt: skip
        (folder / f"{name}.key").chmod(0o600)
    run("rsa", "-aes256", "-passout", "pass:x", "-in", folder / "one.key", "-out", folder / "locked.key")
    (folder / "locked.key").chmod(0o600)
    return folder


def run(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("listen", "host", "port", "location"),
    [
        ("127.0.0.1:8815", "127.0.0.1", 8815, "grpc://127.0.0.1:8815"),
        ("127.9.8.7:0", "127.9.8.7", 0, "grpc://127.9.8.7:0"),
        ("[::1]:8815", "::1", 8815, "grpc://[::1]:8815"),
        ("localhost:65535", "localhost", 65535, "grpc://localhost:65535"),
        ("[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", 1, "grpc://[::ffff:127.0.0.1]:1"),
    ],
)
def test_loopback_goes_without(listen, host, port, location):
    binding = Binding.parse(listen)
    assert (binding.host, binding.port, binding.location()) == (host, port, location)
    assert binding.tls() is None and binding.url(7).endswith(":7")


def test_the_default_is_loopback():
    assert Binding().location() == "grpc://127.0.0.1:8815"


@pytest.mark.parametrize("listen", ["0.0.0.0:8815", "[::]:8815", "192.0.2.1:1", "[2001:db8::1]:1", "8.8.8.8:0"])
def test_what_others_reach_takes_both(listen, made, tmp_path):
    pair = {"cert": made / "one.pem", "key": made / "one.key"}
    tokens = {"tokens": tmp_path / "tenants.toml"}
    with pytest.raises(UsageError, match="give --tls-cert and --tls-key and --tokens, listen on 127.0.0.1:8815, or"):
        Binding.parse(listen)
    with pytest.raises(UsageError, match="give --tokens, listen"):
        Binding.parse(listen, **pair)
    with pytest.raises(UsageError, match="give --tls-cert and --tls-key, listen"):
        Binding.parse(listen, **tokens)
    assert Binding.parse(listen, **pair, **tokens).location().startswith("grpc+tls://")
    assert Binding.parse(listen, insecure=True).location() == f"grpc://{listen}"


@pytest.mark.parametrize(
    "listen",
    [
        *("", ":8815", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "::1:8815"),
        *("[::1]", "[::1:8815", "a b:1", "http://127.0.0.1:1", "127.0.0.1:1/x", "u@127.0.0.1:1", "127.0.0.1:\u0661"),
        *("127.0.0.1:1\n", "x" * 5000 + ":1", "no-such-host.invalid:1", "[::g]:1", "0x7f.1.2.3.4.5:1", "..:1"),
    ],
)
def test_no_address(listen):
    with pytest.raises(UsageError) as caught:
        Binding.parse(listen)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 12_000


def test_a_name_counts_by_all_its_addresses(monkeypatch):
    def resolve(host, port, **_):
        return [(2, 1, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr("hapistore.service.tenancy.binding.socket.getaddrinfo", resolve)
    addresses = ["127.0.0.1", "192.0.2.1"]
    with pytest.raises(UsageError, match="can be reached from other machines"):
        Binding.parse("here:1")
    addresses = ["127.0.0.1", "127.0.1.1"]
    assert Binding.parse("here:1").host == "here"


class TestCertificates:
    def test_a_pair(self, made):
        binding = Binding.parse("127.0.0.1:0", cert=made / "one.pem", key=made / "one.key")
        assert binding.location() == "grpc+tls://127.0.0.1:0"
        assert binding.tls() == ((made / "one.pem").read_bytes(), (made / "one.key").read_bytes())

    def test_flight_takes_it(self, made):
        binding = Binding.parse("localhost:0", cert=made / "one.pem", key=made / "one.key")
        with flight.FlightServerBase(binding.location(), tls_certificates=[binding.tls()]) as server:
            url, roots = binding.url(server.port), (made / "one.pem").read_bytes()
            with flight.FlightClient(url, tls_root_certs=roots) as client, pytest.raises(pa.ArrowNotImplementedError):
                list(client.list_actions())  # this server does nothing; but it was heard
            clear = flight.FlightClient(url.replace("+tls", ""))
            with clear, pytest.raises((flight.FlightUnavailableError, flight.FlightTimedOutError)):
                list(clear.list_actions(flight.FlightCallOptions(timeout=20)))

    @pytest.mark.parametrize(
        ("cert", "key", "said"),
        [
            ("one.pem", None, "--tls-cert is given without --tls-key"),
            (None, "one.key", "--tls-key is given without --tls-cert"),
            ("one.pem", "two.key", "no certificate and its key"),
            ("one.key", "one.pem", "others can use this key|no certificate and its key"),
            ("one.pem", "locked.key", "password"),
            ("absent.pem", "one.key", "absent.pem cannot be read"),
            ("one.pem", "absent.key", "absent.key cannot be read"),
            (".", "one.key", "cannot be read"),
        ],
    )
    def test_what_is_no_pair(self, made, cert, key, said):
        with pytest.raises(UsageError, match=said):
            Binding.parse("127.0.0.1:0", cert=cert and made / cert, key=key and made / key)

    @pytest.mark.parametrize(
        "data", [b"", b"\0\xff" * 100, b"-----BEGIN CERTIFICATE-----\nAAAA\n", b"-----BEGIN " * 200_000]
    )
    def test_what_is_no_certificate(self, made, tmp_path, data):
        (tmp_path / "bad.pem").write_bytes(data)
        with pytest.raises(UsageError, match="bad.pem"):
            Binding.parse("127.0.0.1:0", cert=tmp_path / "bad.pem", key=made / "one.key")

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
    def test_a_key_is_its_owners(self, made, tmp_path, mode):
        key = tmp_path / "open.key"
        shutil.copy(made / "one.key", key)
        key.chmod(mode)
        with pytest.raises(UsageError, match=f"open.key: others can use this key .*; chmod 600 {key}"):
            Binding.parse("127.0.0.1:0", cert=made / "one.pem", key=key)
