"""The floors of the house, and a checker of imports against them: syntax trees in, sentences out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

# Where a module's name begins → its floor. The longest match counts. This is the table of ARCHITECTURE.md.
FLOORS: dict[str, float] = {
    "hapistore.lazy": 0,
    "hapistore_format": 1,
    "hapistore.errors": 1.5,
    "hapistore.units": 1.5,
    "hapistore.threads": 1.5,
    "hapistore.appearing": 1.6,
    "hapistore.stores": 2,
    "hapistore.images": 2,
    "hapistore.planning": 2,
    "hapistore.catalog": 3,
    "hapistore.cache": 3,
    "hapistore.ingestion": 4,
    "hapistore.models": 4,
    "hapistore.read": 4,
    "hapistore.extraction": 5,
    "hapistore.testing": 5.5,
    "hapistore.service": 6,
    "hapistore.prepare": 7,
    "hapistore": 7,  # the face, __init__.py
    "hapistore_torch": 8,
    "hapistore.cli": 9,
    "hapistore.demo": 9,
    "hapistore.pages": 9,
    "hapistore.__main__": 10,
}
# Verbs of the command line run the demo and write the pages, which know nothing of it; the face shows `prepare`.
SAME_FLOOR = {
    ("hapistore.cli", "hapistore.demo"),
    ("hapistore.cli", "hapistore.pages"),
    ("hapistore", "hapistore.prepare"),
}
# Floors allow it, the column "must not know" does not.
MUST_NOT_KNOW = {
    "hapistore.images": {"hapistore_format"},
    "hapistore.planning": {"hapistore_format", "hapistore.threads", "pyarrow"},
    "hapistore.models": {"hapistore.stores", "hapistore.catalog"},
    "hapistore.cli": {"hapistore_torch"},
}
MAY_IMPORT_TORCH = {
    "hapistore.models",
    "hapistore.extraction",
    "hapistore.prepare",
    "hapistore.demo",
    "hapistore_torch",
}
# Lazy faces import by a name that a syntax tree does not show; nobody else may.
MAY_IMPORT_BY_NAME = {"hapistore.lazy", "hapistore.cli.main", "hapistore.models.packages"}
OURS = ("hapistore", "hapistore_format", "hapistore_torch")


def room_of(module: str) -> str | None:
    """The entry of the table that a module belongs to; None where there is none."""
    parts = module.split(".")
    if parts[0] not in OURS:
        return None
    if parts == ["hapistore"]:
        return "hapistore"
    top = parts[0] if parts[0] != "hapistore" else ".".join(parts[:2])
    return top if top in FLOORS else None


def module_name(path: Path, root: Path) -> str:
    """``hapistore/read/order.py`` below its source root as ``hapistore.read.order``."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source: str, module: str, *, is_package: bool, modules: set[str]) -> Iterator[tuple[int, str, str]]:
    """Every import wherever it stands: (line, absolute module, name taken from it or "").

    ``from . import x`` imports the module ``x`` where there is one in ``modules``.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, is_package)
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield (node.lineno, whole, "") if whole in modules else (node.lineno, base, alias.name)


def _absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    package = module.split(".") if is_package else module.split(".")[:-1]
    package = package[: len(package) - (node.level - 1)]
    return ".".join([*package, *([node.module] if node.module else [])])


def violations(
    source: str,
    module: str,
    *,
    is_package: bool = False,
    modules: set[str],
    public: set[str],
) -> list[str]:
    """What of a file's imports the house does not allow, a sentence each.

    Args:
        modules: every module there is; public: names of ``hapistore.__all__``.
    """
    room = room_of(module)
    if room is None:
        return [f"{module} is in no room of the table: give it a floor there"]
    found = []
    for line, target, name in imports_of(source, module, is_package=is_package, modules=modules):
        reason = _reason(room, module, target, name, public)
        if reason:
            found.append(f"{module}:{line} imports {target}{f' ({name})' if name else ''}: {reason}")
    return found


def _reason(room: str, module: str, target: str, name: str, public: set[str]) -> str:
    top = target.split(".")[0]
    if top in ("torch", "torchvision", "torchdata") and room not in MAY_IMPORT_TORCH:
        return "torch lives in " + ", ".join(sorted(MAY_IMPORT_TORCH))
    if top == "importlib" and name in ("", "import_module") and module not in MAY_IMPORT_BY_NAME:
        return "importing by name hides an import from this check"
    other = room_of(target)
    forbidden = MUST_NOT_KNOW.get(room, set())
    if other in forbidden or top in forbidden:
        return f"{room} must not know it"
    if top not in OURS or other == room:
        return ""
    if other is None:
        return "it is in no room of the table"
    if room == "hapistore_torch":
        return "" if target == "hapistore" and name in public else "bindings use public names of hapistore only"
    if FLOORS[other] > FLOORS[room]:
        return f"it lies above, on floor {FLOORS[other]}"
    if FLOORS[other] == FLOORS[room] and (room, other) not in SAME_FLOOR:
        return "rooms on one floor do not import each other"
    return ""
