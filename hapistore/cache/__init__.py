"""The shard cache of a compute node: bounded, shared, crash-proof, and told by readers what they will want."""

from .checking import Finding
from .contents import CachedShard
from .forms import choose_form, preflight
from .lease import Future, Lease
from .names import ShardName
from .policies import POLICIES, Candidate, Policy, choose_victims
from .shard_cache import ShardCache

__all__ = [
    "POLICIES",
    "CachedShard",
    "Candidate",
    "Finding",
    "Future",
    "Lease",
    "Policy",
    "ShardCache",
    "ShardName",
    "choose_form",
    "choose_victims",
    "preflight",
]
