"""The rooms of the service as layers, drawn from their imports: whoever imports stands above whom it imports.

A room is a package of `app/`, or some of its modules: `ROOMS` says where a part of the tree belongs that is no room of
its own. Two rooms that import each other, by whatever way, cannot be drawn: that is an error.
"""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

ROOMS: Final = {
    "app.__main__": "start",
    "app.cli": "start",
    "app.server": "start",
    "app.environment": "start",
    "app.options": "start",
    "app.moving": "start",
    "app.realtime": "realtime",
    "app.realtime.room": "realtime.room",
    "app.realtime.connection": "realtime.connection",
    "app.realtime.identity": "realtime.connection",
    "app.realtime.cluster": "realtime.cluster",
    "app.telemetry.observer": "telemetry.observer",
    "app.telemetry.tracer": "telemetry.observer",
    "app.telemetry.bulkhead": "telemetry.observer",
}
_TOLD: Final = {"start": "app.cli", "telemetry.observer": "app.telemetry.observer"}
"""Rooms that are no package: the module whose docstring says what they are."""


def picture(root: Path) -> str:
    """The picture and what each room is, in Markdown."""
    modules = _modules(root)
    uses = _uses(modules)
    layers = _layers(uses)
    lines = ["```mermaid", "flowchart TD"]
    for number, layer in enumerate(layers):
        lines += [f"  subgraph layer{number}[ ]", *(f"    {_id(room)}[{room}]" for room in layer), "  end"]
    below = _below(uses, layers)
    direct = {room: used - set().union(*(below[one] for one in used)) for room, used in uses.items()}
    lines += [f"  {_id(room)} --> {_id(used)}" for room in sorted(direct) for used in sorted(direct[room])]
    lines += ["```", "", "| room | what it is |", "| --- | --- |"]
    lines += [f"| `{room}` | {_sentence(modules, room)} |" for layer in layers for room in layer]
    return "\n".join(lines) + "\n"


def _id(room: str) -> str:
    return room.replace(".", "_")


def _modules(root: Path) -> dict[str, ast.Module]:
    return {
        str(path.relative_to(root).with_suffix("")).replace("/", ".").removesuffix(".__init__"): ast.parse(
            path.read_text("utf-8")
        )
        for path in sorted((root / "app").rglob("*.py"))
    }


def _room(module: str) -> str:
    """The room of a module: that of the longest name in `ROOMS` it stands under, else its package."""
    name = module
    while name:
        if name in ROOMS:
            return ROOMS[name]
        name = name.rpartition(".")[0]
    return module.split(".")[1] if "." in module else ""


def _uses(modules: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Each room and the rooms it imports; the version, which stands in `app` itself, is no room."""
    uses: dict[str, set[str]] = {room: set() for module in modules if (room := _room(module))}
    for module, tree in modules.items():
        for node in ast.walk(tree):
            for imported in _imported(node, modules):
                room, used = _room(module), _room(imported)
                if room and used and room != used:
                    uses[room].add(used)
    return uses


def _imported(node: ast.AST, modules: dict[str, ast.Module]) -> list[str]:
    if isinstance(node, ast.ImportFrom) and node.module:
        within = [f"{node.module}.{alias.name}" for alias in node.names]
        names = [name if name in modules else node.module for name in within]
    elif isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        names = []
    return [name for name in names if name in modules]


def _layers(uses: dict[str, set[str]]) -> list[list[str]]:
    """The rooms from the top: each as low as it can stand above all that it imports. Raises ValueError."""
    height: dict[str, int] = {}
    try:
        for room in TopologicalSorter(uses).static_order():
            height[room] = 1 + max((height[used] for used in uses[room]), default=-1)
    except CycleError as error:
        raise ValueError(f"rooms that import each other: {' -> '.join(reversed(error.args[1]))}") from None
    return [sorted(room for room in height if height[room] == level) for level in range(max(height.values()), -1, -1)]


def _below(uses: dict[str, set[str]], layers: list[list[str]]) -> dict[str, set[str]]:
    """All that each room imports, by whatever way."""
    below: dict[str, set[str]] = {}
    for layer in reversed(layers):
        for room in layer:
            below[room] = uses[room].union(*(below[used] for used in uses[room]))
    return below


def _sentence(modules: dict[str, ast.Module], room: str) -> str:
    text = ast.get_docstring(modules[_TOLD.get(room, f"app.{room}")]) or ""
    return text.partition("\n")[0].replace("|", "\\|")
