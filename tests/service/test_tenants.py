"""Tenants' files: what `hapistore token` writes is read back, what is wrong is named, and no token stands in them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from hapistore.cli import main
from hapistore.errors import UsageError
from hapistore.service.tenancy.new_token import add_token, new_token
from hapistore.service.tenancy.tenants import ANYBODY, Tenant, TenantFile, is_tenant_name, read_tenants, token_sha256

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="reading TOML takes Python 3.11")

HASH, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "tenants.toml"


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def run(*arguments: str) -> str:
    done = CliRunner().invoke(main, ["token", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return done.stdout


settings = st.fixed_dictionaries(
    {},
    optional={
        "weight": st.floats(1e-3, 1e6),
        "datasets": st.lists(st.from_regex(r"[a-z0-9._*?\[\]!-]{1,20}", fullmatch=True), min_size=1, max_size=4),
        "max-requests": st.integers(1, 1_000_000),
        "max-bytes": st.sampled_from(["1", "256MiB", "1.5GB"]),
        "memory": st.sampled_from(["4096", "2GiB", "1TB"]),
        "may-drain": st.just(True),
    },
)
names = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True).filter(is_tenant_name)


def as_arguments(given: dict) -> list[str]:
    arguments = []
    for field, value in given.items():
        if field == "may-drain":
            arguments.append("--may-drain")
        else:
            arguments += [f"--{field}={one}" for one in (value if isinstance(value, list) else [value])]
    return arguments


class TestToken:
    @given(steps=st.lists(st.tuples(names, settings), min_size=1, max_size=5))
    def test_what_was_asked_for_is_read_back(self, tmp_path_factory, steps):
        path = tmp_path_factory.mktemp("tokens") / "tenants.toml"
        expected: dict[str, dict] = {}
        tokens = []
        for name, given_now in steps:
            tokens.append((name, run(f"--file={path}", *as_arguments(given_now), "--", name).strip()))
            expected.setdefault(name, {}).update(given_now)
        file = TenantFile(path)
        assert [one.name for one in file.tenants] == list(expected)
        for name, token in tokens:
            found = file.find(token)
            assert found is not None and found.name == name
            asked = expected[name]
            assert found.weight == asked.get("weight", 1.0)
            assert found.datasets == (tuple(asked["datasets"]) if "datasets" in asked else None)
            assert found.max_requests == asked.get("max-requests", Tenant(name="x").max_requests)
            assert found.may_drain == asked.get("may-drain", False)
            sizes = {"256MiB": 256 << 20, "1.5GB": 1_500_000_000, "2GiB": 2 << 30, "1TB": 10**12, "4096": 4096, "1": 1}
            assert found.memory_bytes == (sizes[asked["memory"]] if "memory" in asked else None)
            assert found.max_bytes == (
                sizes[asked["max-bytes"]] if "max-bytes" in asked else Tenant(name="x").max_bytes
            )
        assert all(token not in path.read_text() for _, token in tokens)

    def test_a_token_is_long_and_recognisable_and_its_plain_hash_is_kept(self, path):
        token = run("alice", "--file", str(path)).strip()
        assert re.fullmatch(r"hapi_[A-Za-z0-9_-]{43}", token)
        assert hashlib.sha256(token.encode()).hexdigest() in path.read_text()
        assert path.stat().st_mode & 0o777 == 0o600
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]

    def test_json(self, path):
        said = json.loads(run("alice", "--file", str(path), "--json"))
        assert said.keys() == {"tenant", "token", "file"}
        found = TenantFile(path).find(said["token"])
        assert found is not None and found.name == said["tenant"] == "alice"

    def test_comments_and_other_tenants_stay_to_the_letter(self, path):
        before = f"""# who may use the service
[tenants.alice] # of the lab
# until the summer
token_sha256 = ["{HASH}"] # laptop
weight = 2 # twice
datasets = [
    "pets*", # her own
]

# bob is asked first
[tenants."bob"]
token_sha256 = [
  "{OTHER}",
]
"""
        write(path, before)
        token = add_token(path, "alice", {"weight": 3.0})
        after = path.read_text()
        assert after.count("\n") > before.count("\n")
        for line in ("# who may use", "[tenants.alice] # of the lab", "# until", "# laptop", '"pets*", # her own'):
            assert line in after
        assert after.endswith(before[before.index("# bob is asked first") :])
        alice, bob = read_tenants(path)
        assert alice.hashes == (token_sha256(token), HASH) and bob.hashes == (OTHER,)
        assert (alice.tenant.weight, alice.tenant.datasets) == (3.0, ("pets*",))

    @pytest.mark.parametrize(
        "text",
        [
            f'tenants = {{ alice = {{ token_sha256 = ["{HASH}"] }} }}\n',
            f'[tenants]\nalice.token_sha256 = ["{HASH}"]\n',
            f'[tenants."alice"]\ntoken_sha256 = ["{HASH}"]\n',
            f'[tenants.alice]\n"token_sha256" = ["{HASH}"]\n',
        ],
    )
    def test_what_cannot_be_changed_by_lines_is_left_alone(self, path, text):
        write(path, text)
        with pytest.raises(UsageError):
            add_token(path, "alice", {"datasets": ["x"]})
        assert path.read_text() == text

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["a b"], "no tenant's name"),
            (["anybody"], "no tenant's name"),
            (["x" * 65], "no tenant's name"),
            (["alice", "--weight=0"], "field weight"),
            (["alice", "--weight=nan"], "TOML|field weight"),
            (["alice", "--datasets=Pets"], "field datasets"),
            (["alice", "--max-bytes=much"], "field max-bytes"),
            (["alice", "--max-requests=0"], "field max-requests"),
        ],
    )
    def test_what_cannot_be_is_refused_and_nothing_written(self, path, arguments, said):
        done = CliRunner().invoke(main, ["token", *arguments, "--file", str(path)])
        assert done.exit_code == 2 and re.search(said, done.stderr)
        assert not path.exists() and done.stdout == ""

    def test_two_at_once_lose_no_token(self, path):
        tokens: list[str] = []
        threads = [
            threading.Thread(target=lambda name=name: tokens.append(add_token(path, name, {})))
            for name in ["alice", "bob"] * 8
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        file = TenantFile(path)
        assert len(tokens) == 16 and all(file.find(token) for token in tokens)

    def test_who_may_read_the_file_may_go_on(self, path):
        add_token(path, "alice", {})
        path.chmod(0o640)
        add_token(path, "bob", {})
        assert path.stat().st_mode & 0o777 == 0o640

    def test_a_link_stays_one(self, path, tmp_path):
        (tmp_path / "real").mkdir()
        path.symlink_to("real/tenants.toml")
        add_token(path, "alice", {})
        assert path.is_symlink() and [one.name for one in TenantFile(path).tenants] == ["alice"]


GOOD = f'token_sha256 = ["{HASH}"]\n'


class TestFile:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "has no tenants"),
            ("tenants = 1", "expected nothing but"),
            ("x = 1", "found x"),
            ("[tenants", "no TOML"),
            ("a = " + "[" * 5000, "no TOML"),
            ("a = " + "9" * 5000, "no TOML"),
            ("[tenants]\nalice = 3", "tenant alice: found 3"),
            (f"[tenants.'a b']\n{GOOD}", "no tenant's name"),
            (f"[tenants.anybody]\n{GOOD}", "no tenant's name"),
            ("[tenants.alice]\n", "field token_sha256: it is absent"),
            ("[tenants.alice]\ntoken_sha256 = 'x'", "field token_sha256: found 'x'"),
            (f"[tenants.alice]\ntoken_sha256 = ['{HASH.upper()}']", "field token_sha256"),
            (f"[tenants.alice]\ntoken_sha256 = ['{HASH}', '{HASH}']", "at tenant alice already"),
            (f"[tenants.alice]\n{GOOD}[tenants.bob]\n{GOOD}", "tenant bob, field token_sha256: .* at tenant alice"),
            (f"[tenants.alice]\n{GOOD}token = 'x'", "field token: there is no such field"),
            *(
                (f"[tenants.alice]\n{GOOD}{line}", f"tenant alice, field {line.split()[0]}: found")
                for line in (
                    "weight = 0", "weight = -1", "weight = true", "weight = 'x'", "weight = nan", "weight = inf",
                    "datasets = 'pets'", "datasets = []", "datasets = [1]", "datasets = ['']", "datasets = ['a/b']",
                    "max-requests = 0", "max-requests = 1.5", "max-requests = true",
                    "max-bytes = 'x'", "max-bytes = 0", "max-bytes = true", "max-bytes = 1.5",
                    f"memory = '{'9' * 400}'", "memory = '0'", "may-drain = 1",
                )
            ),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_named(self, path, text, said):
        write(path, text)
        with pytest.raises(UsageError, match=said) as caught:
            TenantFile(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)

    @pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
    def test_a_file_that_others_can_write_is_refused(self, path, mode):
        write(path, f"[tenants.alice]\n{GOOD}", mode)
        with pytest.raises(UsageError, match="others can write it"):
            TenantFile(path)
        with pytest.raises(UsageError, match="others can write it"):
            add_token(path, "bob", {})

    @pytest.mark.skipif(os.geteuid() != 0, reason="giving files away takes root")
    def test_so_is_one_of_another_user(self, path):
        write(path, f"[tenants.alice]\n{GOOD}")
        os.chown(path, 12345, -1)
        with pytest.raises(UsageError, match="user 12345"):
            TenantFile(path)

    @pytest.mark.parametrize("content", [None, b"\xff", b"#" * (5 << 20)])
    def test_what_cannot_be_read(self, path, content):
        if content is not None:
            path.write_bytes(content)
            path.chmod(0o600)
        with pytest.raises(UsageError, match=str(path)):
            TenantFile(path)

    @pytest.mark.parametrize(
        "token",
        ["", "hapi_", "ü", "\udcff", "x" * 10_000_000, HASH, new_token()],
        ids=["none", "its beginning", "not ASCII", "not text", "long", "a hash", "another's"],
    )
    def test_a_wrong_token_finds_nobody(self, path, token):
        write(path, f"[tenants.alice]\n{GOOD}")
        assert TenantFile(path).find(token) is None

    def test_every_hash_is_compared(self, path, monkeypatch):
        tokens = [add_token(path, name, {}) for name in ("alice", "bob", "carol")]
        file, compared = TenantFile(path), []
        monkeypatch.setattr(
            "hapistore.service.tenancy.tenants.hmac.compare_digest", lambda a, b: compared.append(a) or a == b
        )
        for token in (*tokens, "hapi_x"):
            compared.clear()
            file.find(token)
            assert len(compared) == 3

    def test_reading_again(self, path):
        first = add_token(path, "alice", {})
        file = TenantFile(path)
        second = add_token(path, "bob", {})
        assert file.find(second) is None
        file.reload()
        found = file.find(second)
        assert found is not None and found.name == "bob" and file.find(first)
        write(path, "[tenants.eve]\nnonsense = 1")
        with pytest.raises(UsageError, match="nonsense"):
            file.reload()
        assert file.find(first) and file.find(second) and [one.name for one in file.tenants] == ["alice", "bob"]


def test_patterns_allow():
    assert ANYBODY.allows("pets") and Tenant(name="x").allows("pets")
    tenant = Tenant(name="x", datasets=("pets*", "cells"))
    assert [name for name in ("pets", "pets-2", "cells", "cells2", "mypets", "") if tenant.allows(name)] == [
        "pets", "pets-2", "cells",
    ]  # fmt: skip
