"""The shape of the code (docs/architecture.md): who may import whom, where SQL lives, and who reads the clock."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("hub", "devices", "dicom", "ecg")

# Lower first; a domain imports only itself and what stands before it.
ORDER = (
    "core", "people", "orders", "telemetry", "imaging", "alarms", "ingest", "reading", "operations", "consult",
)  # fmt: skip
# Rooms of hub/imaging; each imports only itself and what stands before it.
ROOMS = ("index", "pictures", "intake", "dimse", "dicomweb")
# Modules of hub/ that stand above every domain.
COMPOSERS = {
    "app",
    "background",
    "cli",
    "cli_dicom",
    "cli_ecg",
    "demo",
    "demo_district",
    "demo_ecg",
    "demo_images",
    "keeping",
    "querier",
    "receiver",
    "simulate",
}
# Folders of hub/ without code.
DATA_FOLDERS = {"migrations", "web"}

# What a pure package may import besides the standard library and itself.
PURE: dict[str, set[str]] = {
    "devices": {"numpy", "cbor2", "zstandard"},
    "ecg": {"numpy", "scipy"},
    "ecg.formats": {"numpy", "scipy", "wfdb", "pyedflib", "defusedxml"},
    "dicom": {"numpy", "pydicom", "dicomanonymizer"},
    "dicom.pixels": {"numpy", "pydicom", "imagecodecs"},
}
# A pure package has no socket, database, clock, environment or loop of its own.
IMPURE = {
    "asyncio",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "multiprocessing",
    "sqlite3",
    "time",
    "logging",
}

EDGES = {
    "routes", "mark_routes", "image_routes", "worker", "live", "feed", "links", "dimse", "dicomweb", "qido",
    "wado", "scu", "signalling", "relay",
}  # fmt: skip
# Sockets, which services must not know.
SOCKETS = ("aiohttp", "paho", "aiortc", "pynetdicom", "hub.core.http", "hub.core.streams", "hub.core.mqtt")
SQL = re.compile(r"\b(SELECT\b.*\bFROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b", re.DOTALL)

CLOCK_CALLS = {"now", "utcnow", "today", "time", "monotonic", "time_ns", "monotonic_ns"}
CLOCK_OWNERS = {"datetime", "date", "time", "Date"}
FILE_LINES = 400
FUNCTION_LINES = 60
VAGUE = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


@cache
def modules() -> dict[str, Path]:
    """Every module of the product by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def imports(name: str) -> frozenset[str]:
    """What a module imports, at any depth, resolved to modules of ours where there is one."""
    found = set()
    for node in ast.walk(tree(modules()[name])):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            assert node.module is not None
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            ours = inner & modules().keys()
            found |= ours or {node.module}
    return frozenset(found)


def domain(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == "hub" and len(parts) > 1 else None


def of(package: str) -> Iterator[str]:
    return (name for name in modules() if name == package or name.startswith(package + "."))


def test_every_folder_and_file_of_hub_has_its_place() -> None:
    folders = {path.name for path in (ROOT / "hub").iterdir() if path.is_dir() and path.name != "__pycache__"}
    files = {path.stem for path in (ROOT / "hub").glob("*.py")}
    assert folders <= set(ORDER) | DATA_FOLDERS
    assert files <= COMPOSERS | {"__init__"}


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_know_nobody(package: str) -> None:
    for name in of(package):
        allowed = next(PURE[p] for p in sorted(PURE, key=len, reverse=True) if f"{name}.".startswith(p + "."))
        tops = {imported.split(".")[0] for imported in imports(name)} - {package.split(".")[0]}
        assert tops - sys.stdlib_module_names <= allowed, name
        assert not tops & IMPURE, name
        named = {node.attr for node in ast.walk(tree(modules()[name])) if isinstance(node, ast.Attribute)}
        assert not named & {"environ", "getenv"}, name


@pytest.mark.parametrize("name", ORDER)
def test_a_domain_imports_only_lower_ones(name: str) -> None:
    lower = set(ORDER[: ORDER.index(name) + 1])
    for module in of(f"hub.{name}"):
        for imported in imports(module):
            reached = domain(imported)
            assert reached is None or reached in lower, f"{module} imports {imported}"


def test_rooms_of_imaging_import_only_lower_ones() -> None:
    place = "hub.imaging."
    found = {name: name.removeprefix(place).split(".")[0] for name in modules() if name.startswith(place)}
    assert set(found.values()) == set(ROOMS)
    for name, room in found.items():
        others = {found[other] for other in imports(name) & found.keys()} - {room}
        assert all(ROOMS.index(other) < ROOMS.index(room) for other in others), f"{name} imports {others}"


def test_nothing_imports_in_a_circle() -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in done:
            return
        for imported in imports(name) & modules().keys():
            visit(imported, (*path, name))
        done.add(name)

    for name in modules():
        visit(name, ())


@pytest.mark.parametrize("name", ORDER[1:])
def test_services_know_no_sockets_and_edges_no_sql(name: str) -> None:
    for module in of(f"hub.{name}"):
        if module.rsplit(".", 1)[-1] in EDGES:
            assert not list(_sql(module)), f"{module} holds SQL"
        else:
            sockets = [i for i in imports(module) if any(f"{i}.".startswith(f"{s}.") for s in SOCKETS)]
            assert not sockets, f"{module} imports {sockets}"


def _sql(module: str) -> Iterator[str]:
    for node in ast.walk(tree(modules()[module])):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.search(node.value):
            yield node.value


def test_only_the_clock_reads_the_clock() -> None:
    for name, path in modules().items():
        if name == "hub.core.clock":
            continue
        for node in ast.walk(tree(path)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = node.func.value
            reads = isinstance(owner, ast.Name) and owner.id in CLOCK_OWNERS and node.func.attr in CLOCK_CALLS
            assert not reads, f"{name}:{node.lineno} reads the clock"


def test_files_and_functions_stay_short_and_say_what_they_are_for() -> None:
    assert [fault for name in modules() for fault in _faults(name)] == []


def _faults(name: str) -> Iterator[str]:
    text = modules()[name].read_text(encoding="utf-8")
    if VAGUE & set(name.split(".")):
        yield f"{name} is a vague name"
    if (lines := len(text.splitlines())) > FILE_LINES:
        yield f"{name} has {lines} lines"
    if not ast.get_docstring(tree(modules()[name])):
        yield f"{name} does not say what it is for"
    for node in ast.walk(tree(modules()[name])):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES:
                yield f"{name}.{node.name} has {lines} lines"


def test_our_import_names_belong_to_us_alone() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shipped = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert shipped == {package for package in PACKAGES if (ROOT / package).exists()}
    owners = metadata.packages_distributions()
    for package in shipped:
        assert set(owners.get(package, [])) <= {"telehub"}, f"{package} is also in {owners[package]}"
