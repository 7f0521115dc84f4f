"""Buckets: URLs and options taken apart, and errors that say what to check, from a real server."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import uuid
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hapistore.errors import NotFound, StoreError, TransientError, UsageError
from hapistore.stores import open_store
from hapistore.stores.known_servers import _server
from hapistore.stores.remote import RemoteStore
from hapistore.stores.remote_options import RemoteOptions, RemoteUrl, client_options
from hapistore.stores.retry_after import parse_retry_after
from hapistore.stores.signed_head import Head


@pytest.fixture
def no_credentials(monkeypatch, tmp_path):
    """An environment and a home that say nothing."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


class TestUrls:
    def test_a_url_is_taken_apart(self):
        url = RemoteUrl.parse("s3://bucket/a/b?endpoint=http://127.0.0.1:8333&region=eu-west-1")
        assert (url.scheme, url.bucket, url.prefix) == ("s3", "bucket", "a/b")
        assert RemoteUrl.parse(str(url)) == url
        assert RemoteUrl.parse("gs://bucket").prefix == RemoteUrl.parse("gs://bucket/").prefix == ""

    @pytest.mark.parametrize(
        "text",
        ["s3://", "s3:///x", "s3://b/../x", "s3://b/.hidden", "s3://b/a b", "s3://b/x?color=red", "s3://user:pw@b/x"],
    )
    def test_others_are_refused(self, text):
        with pytest.raises((UsageError, StoreError)):
            open_store(text)

    def test_an_unknown_scheme_is_told_the_known_ones(self):
        with pytest.raises(UsageError, match=r"s3://, gs://, az://"):
            open_store("ftp://x/y")

    def test_opening_asks_nothing_of_the_store(self):
        assert open_store("s3://bucket/x?endpoint=http://127.0.0.1:9").url.startswith("s3://bucket/x")


class TestOptions:
    def options(self, text: str, **options):
        return client_options(RemoteUrl.parse(text), RemoteOptions(**options))

    def test_an_endpoint_means_paths_and_plain_http_only_where_it_says_so(self, no_credentials):
        found = self.options("s3://b/x?endpoint=http://127.0.0.1:1")
        assert found["client_options"]["allow_http"] and not found["virtual_hosted_style_request"]
        found = self.options("s3://b/x", endpoint="https://minio.example")
        assert not found["client_options"]["allow_http"] and not found["virtual_hosted_style_request"]
        assert self.options("s3://b/x")["virtual_hosted_style_request"]
        assert self.options("s3://b/x?endpoint=https://x.example&addressing=virtual")["virtual_hosted_style_request"]

    def test_the_usual_files_are_read(self, no_credentials, monkeypatch):
        folder = no_credentials / ".aws"
        folder.mkdir()
        (folder / "credentials").write_text("[default]\naws_access_key_id = A\n[lab]\naws_access_key_id = L\n")
        (folder / "config").write_text("[profile lab]\nregion = eu-north-1\nendpoint_url = https://lab.example\n")
        assert self.options("s3://b/x")["access_key_id"] == "A"
        monkeypatch.setenv("AWS_PROFILE", "lab")
        found = self.options("s3://b/x")
        assert (found["access_key_id"], found["region"], found["endpoint"]) == (
            "L",
            "eu-north-1",
            "https://lab.example",
        )
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "E")
        found = self.options("s3://b/x")  # the environment counts, and obstore reads it
        assert "access_key_id" not in found and found["region"] == "eu-north-1"

    def test_a_broken_file_is_named(self, no_credentials):
        (no_credentials / ".aws").mkdir()
        (no_credentials / ".aws" / "credentials").write_text("no section = at all")
        with pytest.raises(UsageError, match="credentials or config file cannot be read"):
            self.options("s3://b/x")

    def test_an_azure_connection_string(self, monkeypatch):
        text = "DefaultEndpointsProtocol=http;AccountName=dev;AccountKey=a2V5==;BlobEndpoint=http://127.0.0.1:1/dev;"
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
        found = self.options("az://container/x")
        assert (found["account_name"], found["account_key"], found["endpoint"]) == (
            "dev",
            "a2V5==",
            "http://127.0.0.1:1/dev",
        )

    def test_timeouts_are_positive(self):
        with pytest.raises(UsageError):
            RemoteOptions(stall_timeout_s=0)


class TestErrors:
    """What a user is told, each from a real answer."""

    def test_a_wrong_key(self, seaweedfs, monkeypatch):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        store = open_store(seaweedfs.url("x"))
        for request in (lambda: store.get("a"), lambda: store.create("a", b"x"), lambda: list(store.list())):
            with pytest.raises(
                StoreError, match=r"failed 3 times .*403 .*SignatureDoesNotMatch.*check the cr"
            ) as caught:
                request()
            assert not isinstance(caught.value, NotFound)

    def test_a_bucket_that_is_not_there(self, seaweedfs):
        store = open_store(seaweedfs.url("x", bucket="never-made"))
        for request in (lambda: store.get("a"), lambda: list(store.list())):
            with pytest.raises(StoreError, match="no such bucket; check the bucket's name") as caught:
                request()
            assert not isinstance(caught.value, NotFound)

    def test_nobody_listening(self, seaweedfs):
        store = RemoteStore("s3://bucket/x?endpoint=http://127.0.0.1:9&region=us-east-1")
        with pytest.raises(TransientError, match="no connection to the store; check that the endpoint"):
            store.get("a")

    def test_errors_are_a_line_and_hold_no_signature(self, seaweedfs, monkeypatch):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        with pytest.raises(StoreError) as caught:
            open_store(seaweedfs.url("x")).get("a")
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
        error: BaseException | None = caught.value
        while error is not None:  # obstore's own text has it, and would be in every traceback
            assert "Signature=" not in str(error)
            error = error.__cause__

    def test_what_is_found_out_of_a_real_store(self, seaweedfs):
        found = open_store(seaweedfs.url(uuid.uuid4().hex)).capabilities
        assert found.atomic_create and found.consistent_list

    def test_a_store_pickles_with_its_options(self, seaweedfs):
        store = open_store(seaweedfs.url(uuid.uuid4().hex), sole_writer=True)
        store.create("a", b"x")
        copy = pickle.loads(pickle.dumps(store))
        assert copy.sole_writer and bytes(copy.get("a")) == b"x"
        assert b"not-a-secret" not in pickle.dumps(store)


class Busy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response_only(503)
        self.send_header("Retry-After", "7")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format, *args):
        """Quiet."""


def test_what_a_busy_store_asks_for_is_known(seaweedfs):
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        store = RemoteStore(f"s3://bucket/x?endpoint=http://127.0.0.1:{server.server_port}&region=us-east-1")
        with pytest.raises(TransientError, match="503") as caught:
            store.get("a")
        server.shutdown()
    assert (caught.value.throttled, caught.value.retry_after_s) == (True, 7.0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), ("7", 7.0), ("0", 0.0), ("99999", 300.0), ("soon", None), ("-3", None), ("", None)],
)
def test_retry_after_in_seconds(value, expected):
    assert parse_retry_after(value) == expected


def test_retry_after_as_a_date():
    assert parse_retry_after("Fri, 31 Dec 1999 23:59:59 GMT") == 0
    assert parse_retry_after("Fri, 31 Dec 2199 23:59:59 GMT") == 300


def test_a_folder_needs_no_obstore():
    program = "import sys, hapistore as hs; hs.open_store('x'); sys.exit('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize(
    ("headers", "server"),
    [
        ({"Server": "AmazonS3"}, "AmazonS3"),
        ({"Server": "SeaweedFS 8000GB 4.48"}, "SeaweedFS 8000GB 4.48"),
        ({"X-Openstack-Request-Id": "tx1", "Server": "AmazonS3"}, "Swift"),
        ({}, ""),
    ],
)
def test_servers_are_known_by_their_headers(headers, server):
    message = Message()
    for name, value in headers.items():
        message[name] = value
    assert _server(Head(404, message)) == server
    assert _server(None) == ""


LARGE_BYTES = (128 << 20) + 1  # in parts


def test_an_upload_in_parts_that_fails_is_aborted(seaweedfs, faulty_proxy):
    where = uuid.uuid4().hex
    store = RemoteStore(seaweedfs.url(where).replace(seaweedfs.endpoint, faulty_proxy.endpoint))
    faulty_proxy.rate, faulty_proxy.ways, faulty_proxy.only = 1.0, ("refused",), "partNumber=3"
    with pytest.raises(TransientError, match="503"):
        store.put("large", bytes(LARGE_BYTES))
    # Parts that were on their way may come after it, and find no upload any more.
    passed = [(method, status) for method, path, status in faulty_proxy.passed if "uploadId=" in path]
    assert ("DELETE", 204) in passed
    assert set(passed[passed.index(("DELETE", 204)) + 1 :]) <= {("PUT", 404)}
    with pytest.raises(NotFound):
        open_store(seaweedfs.url(where)).get("large")


UPLOAD = """
import resource, sys
from hapistore.stores import open_store

def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

store, data = open_store(sys.argv[1]), b"x" * int(sys.argv[2])
store.put("small", b"x")
before = peak_mib()
store.put("large", data)
assert store.head("large").bytes == len(data)
print(peak_mib() - before)
"""


def test_an_upload_in_parts_takes_little_memory(seaweedfs, environment):
    command = [sys.executable, "-c", UPLOAD, seaweedfs.url(uuid.uuid4().hex), str(LARGE_BYTES)]
    done = subprocess.run(command, env={**environment, **seaweedfs.environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 80  # four parts of 16 MiB at most; a copy would take 128
