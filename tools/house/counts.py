"""What is counted in the source alone."""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

MOST_CALLS: Final = 45
"""Calls on what is named observer or tracer. Not seen is a method of theirs that is handed on (`observer.fault` to who
only reports faults, as `report`), nor a call of a function that calls them.
"""
MOST_METHODS: Final = 25
MOST_LINES: Final = 400
MOST_PARAMETERS: Final = 7
EXCEPTIONS: Final = Path(__file__).parent / "exceptions.toml"
_MEASURES: Final = {"observer", "tracer"}
_TYPE: Final = re.compile(r"_*([A-Z]+[a-z]\w*)")
_NO_VERBS: Final = re.compile(
    "A|All|Also|An|Another|Any|As|At|Because|Before|Both|But|By|Client|During|Each|Either|Every|For|From|He|How"
    "|However|If|In|It|Its|Many|Most|Neither|No|Nobody|None|Nothing|Of|On|Once|One|Only|Or|Our|Over|Same|She|So|Some"
    "|Somebody|Something|Than|That|The|Their|Then|There|These|They|This|Those|To|Under|Until|We|What|When|Where|Whether"
    "|Which|While|Who|Whoever|Why|With|Within|Without|Yet|You"
)
"""How a docstring begins that says what is, not what its function does; so do plurals, and names of settings and
classes. Another noun in front is not seen; ruff's D401 sees verbs in other forms.
"""
_BARE_VERB: Final = re.compile(r"[A-Z][a-z]*([a-rt-z]|ss)[,.:;]?")
_POINTER: Final = re.compile(r"See (the module|`[\w.]+`)( and `[\w.]+`)?\.")


@dataclass(frozen=True, slots=True)
class Exceptions:
    """What is allowed beside the limits: a reason for each one, numbers that may only fall."""

    classes: dict[str, str]
    modules: dict[str, str]
    pointers: int
    walk: int
    calls: int = MOST_CALLS
    names: dict[str, str] = field(default_factory=dict)
    constructors: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path = EXCEPTIONS) -> "Exceptions":
        """Read them from a file."""
        table = tomllib.loads(path.read_text("utf-8"))
        calls = table.get("calls", {"most": MOST_CALLS})["most"]
        pointers, walk = table["pointers"]["most"], table["walk"]["most"]
        reasons = (table[kind] for kind in ("names", "constructors", "settings"))
        return cls(table["classes"], table["modules"], pointers, walk, calls, *reasons)


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted: places, sizes by ``module`` or ``module.Class``, and the modules that define a name."""

    calls: list[str]
    classes: dict[str, int]
    modules: dict[str, int]
    pointers: list[str]
    docstrings: dict[str, str]
    names: dict[str, list[str]] = field(default_factory=dict)
    constructors: dict[str, int] = field(default_factory=dict)
    verbless: list[str] = field(default_factory=list)
    settings: dict[str, list[int]] = field(default_factory=dict)


def sources(root: Path) -> Iterator[tuple[Path, str]]:
    """The files that are counted, and the names of their modules: those of the service and of the Python client."""
    for base, package in ((root, "app"), (root / "clients/python", "code_racer_client")):
        for path in sorted((base / package).rglob("*.py")):
            yield path, str(path.relative_to(base).with_suffix("")).replace("/", ".")


def count(root: Path) -> Counts:
    """Count the tree under `root`."""
    counts = Counts([], {}, {}, [], {})
    classes: dict[str, _Class] = {}
    for path, name in sources(root):
        text = path.read_text("utf-8")
        tree = ast.parse(text)
        counts.docstrings[name] = " ".join((ast.get_docstring(tree) or "").split())
        counts.modules[name] = len(text.splitlines())
        classes.update(_classes(tree, name))
        counts.constructors.update(_constructors(tree, name))
        counts.pointers.extend(f"{name}:{line}" for line in _pointers(tree))
        counts.verbless.extend(f"{name}:{line}" for line in _verbless(tree))
        for defined in _names(tree):
            counts.names.setdefault(defined, []).append(name)
        if not name.startswith("app.settings") and (lines := list(_takes_all_settings(tree))):
            counts.settings[name] = lines
        if not name.startswith("app.telemetry"):
            counts.calls.extend(f"{name}:{line}" for line in _calls(tree))
    counts.classes.update((name, len(_methods(name, classes))) for name in classes)
    return counts


@dataclass(frozen=True, slots=True)
class _Class:
    """A class's own methods, and the last names of its bases."""

    methods: frozenset[str]
    bases: list[str]


def _classes(tree: ast.Module, module: str) -> Iterator[tuple[str, _Class]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            methods = {one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
            bases = [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases]
            yield f"{module}.{node.name}", _Class(frozenset(methods), bases)


def _methods(name: str, classes: dict[str, _Class]) -> set[str]:
    """Name all methods of a class: its own, and those it inherits from classes of ours."""
    found = set(classes[name].methods)
    module = name.rpartition(".")[0]
    for base in classes[name].bases:
        named = [one for one in classes if one.rpartition(".")[2] == base and one != name]
        for one in [one for one in named if one.rpartition(".")[0] == module] or named:
            found |= _methods(one, classes)
    return found


def _constructors(tree: ast.Module, module: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        for one in node.body:
            if isinstance(one, ast.FunctionDef) and one.name == "__init__":
                taken = one.args
                yield f"{module}.{node.name}", len([*taken.posonlyargs, *taken.args, *taken.kwonlyargs]) - 1


def _takes_all_settings(tree: ast.Module) -> Iterator[int]:
    """Find the lines of parameters, and of fields of records, that are all `Settings`."""
    for node in ast.walk(tree):
        taken = node.annotation if isinstance(node, ast.arg | ast.AnnAssign) else None
        if taken is not None and re.search(r"\bSettings\b", ast.unparse(taken)):
            yield taken.lineno


def _names(tree: ast.Module) -> Iterator[str]:
    """Name the classes and the aliases of types that a module defines; `_Lamp` is read as `Lamp` is."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        names = (
            [node.name] if isinstance(node, ast.ClassDef) else [one.id for one in targets if isinstance(one, ast.Name)]
        )
        yield from (found[1] for found in map(_TYPE.fullmatch, names) if found)


def _pointers(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None and _POINTER.fullmatch(" ".join(text.split())):
                yield node.lineno


def _verbless(tree: ast.Module) -> Iterator[int]:
    """Find functions, but no properties, whose docstring begins with no verb."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if any(ast.unparse(one).endswith("property") for one in node.decorator_list):
            continue
        first, *_ = (ast.get_docstring(node) or "Do").split()
        if _NO_VERBS.fullmatch(first.rstrip(",.:;")) or not _BARE_VERB.fullmatch(first):
            yield node.lineno


def _calls(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
            if name.strip("_") in _MEASURES:
                yield node.lineno


def faults(counts: Counts, exceptions: Exceptions) -> list[str]:
    """What is over a limit without an exception, and the exceptions that are good for nothing any more."""
    found = []
    if len(counts.calls) > exceptions.calls:
        found.append(f"{len(counts.calls)} telemetry calls outside app/telemetry, at most {exceptions.calls}")
    elif len(counts.calls) <= MOST_CALLS < exceptions.calls:
        found.append(f"the telemetry calls need no exception any more: take it out of {EXCEPTIONS.name}")
    if len(counts.pointers) > exceptions.pointers:
        found.append(f"{len(counts.pointers)} docstrings only say where to look, at most {exceptions.pointers}")
    found += [f"the docstring of the function at {place} does not begin with a verb" for place in counts.verbless]
    found += _meanings(counts.names, exceptions.names)
    found += _wholes(counts.settings, exceptions.settings)
    found += _sizes("class", "methods", counts.classes, MOST_METHODS, exceptions.classes, counts.docstrings)
    found += _sizes(
        "constructor", "parameters", counts.constructors, MOST_PARAMETERS, exceptions.constructors, counts.docstrings
    )
    found += _sizes("module", "lines", counts.modules, MOST_LINES, exceptions.modules, counts.docstrings)
    return found


def _meanings(names: dict[str, list[str]], excused: dict[str, str]) -> Iterator[str]:
    several = {name: modules for name, modules in names.items() if len(modules) > 1}
    for name, modules in several.items():
        if name not in excused:
            yield f"the name {name} has {len(modules)} meanings: {', '.join(modules)}; or a reason in {EXCEPTIONS.name}"
    for name in excused.keys() - several.keys():
        yield f"the name {name} needs no exception any more: take it out of {EXCEPTIONS.name}"


def _wholes(settings: dict[str, list[int]], excused: dict[str, str]) -> Iterator[str]:
    for name, lines in settings.items():
        if name not in excused:
            where = ", ".join(map(str, lines))
            yield f"the module {name} takes all settings (line {where}), no section; or a reason in {EXCEPTIONS.name}"
    for name in excused.keys() - settings.keys():
        yield f"the module {name} takes not all settings any more: take it out of {EXCEPTIONS.name}"


def _sizes(
    what: str, unit: str, sizes: dict[str, int], most: int, excused: dict[str, str], docstrings: dict[str, str]
) -> Iterator[str]:
    large = {name: size for name, size in sizes.items() if size > most}
    for name, size in large.items():
        if name not in excused:
            yield f"the {what} {name} has {size} {unit}, at most {most}; or a reason in {EXCEPTIONS.name}"
    for name, reason in excused.items():
        if name not in large:
            yield f"the {what} {name} needs no exception any more: take it out of {EXCEPTIONS.name}"
        elif reason not in docstrings[name if what == "module" else name.rpartition(".")[0]]:
            yield f"the {what} {name}: its module's docstring does not give the reason in {EXCEPTIONS.name}: {reason}"
