"""Every table in the documents, made from ``results/*.json``: ``python -m benchmarks.tables``.

A table stands between ``<!-- table NAME -->`` and ``<!-- end -->``; only what is between is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from .caching import cache_link_table, cache_table
from .extraction import extract_table, forward_table, jobs_table, memory_table, plan_table
from .features import augmentation_table, codecs_table, gather_table, probe_table
from .paper import bytes_table, epochs_table, links_table, networks_table
from .paper_storage import adaptation_table, batches_table, tenants_table, weak_table
from .planning import planner_oracle_table, planner_real_table
from .reading import read_cold_table, read_table
from .serving import service_tenants_table, service_through_table, two_tier_table
from .storing import demo_table, ingest_table, stores_table

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = ("README.md", "benchmarks/RESULTS.md", "docs/augmentation.md")

TABLES: dict[str, Callable[[], str]] = {
    "demo": demo_table,
    "codecs": codecs_table,
    "gather": gather_table,
    "probe": probe_table,
    "augmentation": augmentation_table,
    "forward": forward_table,
    "extract": extract_table,
    "read": read_table,
    "read_cold": read_cold_table,
    "cache": cache_table,
    "cache_link": cache_link_table,
    "memory": memory_table,
    "stores": stores_table,
    "ingest": ingest_table,
    "plan": plan_table,
    "jobs": jobs_table,
    "planner_oracle": planner_oracle_table,
    "planner_real": planner_real_table,
    "two_tier": two_tier_table,
    "service_through": service_through_table,
    "service_tenants": service_tenants_table,
    "paper_epochs": epochs_table,
    "paper_networks": networks_table,
    "paper_links": links_table,
    "paper_weak": weak_table,
    "paper_bytes": bytes_table,
    "paper_batches": batches_table,
    "paper_adaptation": adaptation_table,
    "paper_tenants": tenants_table,
}


def fill(text: str) -> str:
    """A document with every table replaced by a fresh one."""

    def replace(match: re.Match[str]) -> str:
        return f"<!-- table {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->\n.*?<!-- end -->", replace, text, flags=re.DOTALL)


def main() -> None:
    """Rewrite the documents."""
    for name in DOCUMENTS:
        path = ROOT / name
        path.write_text(fill(path.read_text()))


if __name__ == "__main__":
    main()
