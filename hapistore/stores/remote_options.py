"""From a bucket's URL, the environment and the usual files to the options that obstore takes."""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ..errors import UsageError
from .protocol import check_name

SCHEMES = ("s3", "gs", "az")
_IN_URL = {"endpoint", "region", "addressing"}


@dataclass(frozen=True, kw_only=True)
class RemoteOptions:
    """How to talk to a bucket.

    Attributes:
        endpoint: of a store that is not the provider's own, e.g. ``http://127.0.0.1:8333``.
        region: of S3.
        path_style: whether the bucket is part of the path, not of the host. Default: with an endpoint, yes.
        connect_timeout_s: for a connection; stall_timeout_s: between two pieces of an answer.
    """

    endpoint: str | None = None
    region: str | None = None
    path_style: bool | None = None
    connect_timeout_s: float = 5.0
    stall_timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if self.connect_timeout_s <= 0 or self.stall_timeout_s <= 0:
            raise UsageError("a timeout is a positive number of seconds")


@dataclass(frozen=True, kw_only=True)
class RemoteUrl:
    """``s3://bucket/prefix?endpoint=…&region=…&addressing=path`` taken apart.

    Attributes:
        scheme: ``s3``, ``gs`` or ``az``; bucket; prefix: without slashes at its ends, may be empty.
        options: what stands behind the question mark.
    """

    scheme: str
    bucket: str
    prefix: str
    options: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> RemoteUrl:
        """Take a URL apart.

        Raises:
            UsageError: it names no bucket, or says what is not known.
        """
        parts = urlsplit(text)
        prefix = unquote(parts.path).strip("/")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if parts.scheme not in SCHEMES or not parts.netloc or "@" in parts.netloc:
            raise UsageError(f"store {text} is no s3://bucket/prefix, gs://bucket/prefix or az://container/prefix")
        if prefix:
            check_name(prefix)
        unknown = sorted(set(options) - _IN_URL)
        if unknown:
            known = ", ".join(sorted(_IN_URL))
            raise UsageError(f"store {text} has the option {unknown[0]!r}; there are {known}")
        if options.get("addressing", "path") not in ("path", "virtual"):
            raise UsageError(f"store {text}: addressing is path or virtual, not {options['addressing']!r}")
        return cls(scheme=parts.scheme, bucket=parts.netloc, prefix=prefix, options=options)

    def __str__(self) -> str:
        query = "&".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.scheme}://{self.bucket}/{self.prefix}".rstrip("/") + (f"?{query}" if query else "")


def client_options(url: RemoteUrl, options: RemoteOptions) -> dict[str, Any]:
    """Keyword arguments of obstore's store classes; retries are ours."""
    endpoint = url.options.get("endpoint") or options.endpoint
    chosen = _CHOOSE[url.scheme](url, options, endpoint)
    actual = chosen.get("endpoint") or ""
    return {
        **chosen,
        "client_options": {
            "allow_http": actual.startswith("http://"),
            "connect_timeout": timedelta(seconds=options.connect_timeout_s),
            "read_timeout": timedelta(seconds=options.stall_timeout_s),
            # Of a whole answer: what is large takes long. Stalls are found by the one above.
            "timeout": timedelta(hours=12),
        },
        "retry_config": {"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
    }


def _s3(url: RemoteUrl, options: RemoteOptions, endpoint: str | None) -> dict[str, Any]:
    chosen = _aws_profile()
    given = {"endpoint": endpoint, "region": url.options.get("region") or options.region}
    chosen.update({key: value for key, value in given.items() if value})
    if not endpoint and (os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")):
        chosen["endpoint"] = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ["AWS_ENDPOINT_URL"]
    # The signature covers a hash of the bytes, which not all servers look at; this one they do, and it costs no other.
    chosen["checksum_algorithm"] = "SHA256"
    path_style = options.path_style if options.path_style is not None else bool(chosen.get("endpoint"))
    if "addressing" in url.options:
        path_style = url.options["addressing"] == "path"
    return {**chosen, "virtual_hosted_style_request": not path_style}


def _aws_profile() -> dict[str, str]:
    """What ``~/.aws`` says of the profile; of credentials only where the environment has none."""
    home = Path.home() / ".aws"
    files = (
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE", home / "credentials"),
        os.environ.get("AWS_CONFIG_FILE", home / "config"),
    )
    parser = configparser.RawConfigParser()
    try:
        parser.read(files, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise UsageError(f"the AWS credentials or config file cannot be read: {error}") from error
    name = os.environ.get("AWS_PROFILE", "default")
    found: dict[str, str] = {}
    for section in (f"profile {name}", name):
        if parser.has_section(section):
            found.update(parser.items(section))
    keys = {
        "aws_access_key_id": "access_key_id",
        "aws_secret_access_key": "secret_access_key",
        "aws_session_token": "session_token",
        "region": "region",
        "endpoint_url": "endpoint",
    }
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        keys = {theirs: ours for theirs, ours in keys.items() if not theirs.startswith("aws_")}
    return {ours: found[theirs] for theirs, ours in keys.items() if theirs in found}


def _gcs(url: RemoteUrl, options: RemoteOptions, endpoint: str | None) -> dict[str, Any]:
    # Credentials: GOOGLE_APPLICATION_CREDENTIALS or what `gcloud auth application-default login` left, by obstore.
    if not endpoint:
        return {}
    raise UsageError("gs:// takes no endpoint; of another store with Google's API use its S3 one")


def _azure(url: RemoteUrl, options: RemoteOptions, endpoint: str | None) -> dict[str, Any]:
    chosen = {}
    text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
    if text:
        parts = dict(part.partition("=")[::2] for part in text.split(";") if part)
        keys = {"AccountName": "account_name", "AccountKey": "account_key", "BlobEndpoint": "endpoint"}
        chosen = {ours: parts[theirs] for theirs, ours in keys.items() if theirs in parts}
    return {**chosen, **({"endpoint": endpoint} if endpoint else {})}


_CHOOSE = {"s3": _s3, "gs": _gcs, "az": _azure}
