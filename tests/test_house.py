"""The structure keeps its limits, and each check of them can fail."""

import pkgutil
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from tools.harness.server import ROOT
from tools.house.counts import MOST_CALLS, MOST_LINES, MOST_METHODS, MOST_PARAMETERS, Exceptions, count, faults
from tools.house.picture import picture
from tools.house.walk import walk

NONE = Exceptions({}, {}, pointers=0, walk=0)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree within all limits."""
    for name in ("high", "low"):
        (tmp_path / "app" / name).mkdir(parents=True)
    (tmp_path / "app/high/__init__.py").write_text('"""The high."""\n\nfrom app.low import two\n')
    (tmp_path / "app/low/__init__.py").write_text('"""The low: large for a reason."""\n\ntwo = 2\n')
    return tmp_path


def add(tree: Path, path: str, text: str) -> None:
    with (tree / path).open("a") as file:
        file.write(text)


def test_the_source_is_within_its_limits() -> None:
    assert faults(count(ROOT), Exceptions.read()) == []


def test_a_submission_passes_as_many_files_as_are_allowed_and_no_more() -> None:
    steps = walk(ROOT)
    assert next(iter(steps)) == "app/transport/lean.py"
    assert {"app/game/rules.py", "app/realtime/connection/outbox.py", "app/judge/workers.py"} <= set(steps)
    assert len(steps) <= Exceptions.read().walk, "\n".join(steps)


def test_a_detour_is_seen_by_the_walk(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "app/detour.py").write_text("def detour(payload: bytes) -> bytes:\n    return payload\n")
    inbox = tmp_path / "app/realtime/connection/inbox.py"
    start = "        arrived, size = time"
    assert start in inbox.read_text()
    detour = "        from app.detour import detour\n\n        payload = detour(payload)\n"
    inbox.write_text(inbox.read_text().replace(start, detour + start))
    assert list(walk(tmp_path))[:3] == [
        "app/transport/lean.py", "app/realtime/connection/inbox.py", "app/detour.py",
    ]  # fmt: skip


def test_a_tree_within_the_limits_has_no_faults(tree: Path) -> None:
    add(tree, "app/low/__init__.py", "observer = None\n" + "observer.seen()\n" * MOST_CALLS)
    assert faults(count(tree), NONE) == []


@pytest.mark.parametrize("call", ["observer.seen()", "self._observer.seen()", "tracer.begin()", "a.b.tracer.begin(1)"])
def test_one_telemetry_call_too_many_is_a_fault(tree: Path, call: str) -> None:
    add(tree, "app/low/__init__.py", f"{call}\n" * (MOST_CALLS + 1))
    assert faults(count(tree), NONE) == [
        f"{MOST_CALLS + 1} telemetry calls outside app/telemetry, at most {MOST_CALLS}"
    ]


def test_telemetry_may_call_itself(tree: Path) -> None:
    (tree / "app/telemetry").mkdir()
    add(tree, "app/telemetry/__init__.py", "observer.seen()\n" * (MOST_CALLS + 1))
    assert faults(count(tree), NONE) == []


def test_a_class_of_too_many_methods_is_a_fault_without_a_reason(tree: Path) -> None:
    methods = "".join(f"    def m{number}(self): ...\n" for number in range(MOST_METHODS + 1))
    add(tree, "app/low/__init__.py", f"class Large:\n{methods}")
    (fault,) = faults(count(tree), NONE)
    assert fault.startswith("the class app.low.__init__.Large has 26 methods, at most 25")
    reason = {"app.low.__init__.Large": "large for a reason"}
    assert faults(count(tree), Exceptions(reason, {}, 0, 0)) == []
    (fault,) = faults(count(tree), Exceptions({"app.low.__init__.Large": "because"}, {}, 0, 0))
    assert "docstring does not give the reason" in fault


@pytest.mark.parametrize("base", ["Base", "low.Base", "Base[int]"])
def test_methods_that_a_class_inherits_from_ours_are_its_own(tree: Path, base: str) -> None:
    methods = "".join(f"    def m{number}(self): ...\n" for number in range(MOST_METHODS))
    add(tree, "app/low/__init__.py", f"class Base:\n{methods}")
    add(tree, "app/high/__init__.py", f"class Same({base}):\n    def m0(self): ...\n")
    assert faults(count(tree), NONE) == [], "what is overridden counts once"
    add(tree, "app/high/__init__.py", "class Large(Same):\n    def more(self): ...\n")
    (fault,) = faults(count(tree), NONE)
    assert fault.startswith("the class app.high.__init__.Large has 26 methods, at most 25")


@pytest.mark.parametrize("before", ["", "*, "])
def test_a_constructor_of_too_many_parameters_is_a_fault_without_a_reason(tree: Path, before: str) -> None:
    most = ", ".join(f"p{number}" for number in range(MOST_PARAMETERS))
    add(tree, "app/low/__init__.py", f"class Most:\n    def __init__(self, {before}{most}): ...\n")
    assert faults(count(tree), NONE) == []
    add(tree, "app/low/__init__.py", f"class Wide:\n    def __init__(self, {before}{most}, another): ...\n")
    (fault,) = faults(count(tree), NONE)
    assert fault.startswith("the constructor app.low.__init__.Wide has 8 parameters, at most 7")
    assert faults(count(tree), replace(NONE, constructors={"app.low.__init__.Wide": "large for a reason"})) == []


def test_a_long_module_is_a_fault_without_a_reason(tree: Path) -> None:
    add(tree, "app/low/__init__.py", "\n" * MOST_LINES)
    (fault,) = faults(count(tree), NONE)
    assert fault.startswith("the module app.low.__init__ has 403 lines, at most 400")
    assert faults(count(tree), Exceptions({}, {"app.low.__init__": "large for a reason"}, 0, 0)) == []


@pytest.mark.parametrize(
    "again",
    ["class Lamp: ...\n", "class _Lamp: ...\n", "Lamp = dict[str, int]\n", "_Lamp: TypeAlias = dict[str, int]\n"],
)
def test_a_name_with_two_meanings_is_a_fault_without_a_reason(tree: Path, again: str) -> None:
    add(tree, "app/low/__init__.py", "class Lamp: ...\n\n\nOFTEN = 1\n")
    assert faults(count(tree), NONE) == []
    add(tree, "app/high/__init__.py", f"{again}\n\nOFTEN = 2\n")
    (fault,) = faults(count(tree), NONE)
    assert fault.startswith("the name Lamp has 2 meanings: app.high.__init__, app.low.__init__")
    assert faults(count(tree), replace(NONE, names={"Lamp": "two kinds of lamp"})) == []


def test_a_name_in_what_is_generated_has_the_meaning_of_what_it_is_made_from(tree: Path) -> None:
    add(tree, "app/low/__init__.py", "class Lamp: ...\n")
    add(tree, "app/high/mirror.py", '"""Lamps; generated by `make generate`."""\n\n\nclass Lamp: ...\n')
    assert faults(count(tree), NONE) == []


def test_a_name_that_differs_by_an_underscore_in_one_module_has_two_meanings(tree: Path) -> None:
    add(tree, "app/low/__init__.py", "class Lamp: ...\n\n\nclass _Lamp: ...\n")
    (fault,) = faults(count(tree), NONE)
    assert fault.startswith("the name Lamp has 2 meanings: app.low.__init__, app.low.__init__")


@pytest.mark.parametrize(
    "taken",
    [
        "def do(settings: Settings): ...",
        "def do(*, of: 'Settings | None' = None): ...",
        "class Do:\n    settings: all.Settings",
        "class Do:\n    def __init__(self, settings: NamedDependency[Settings]): ...",
    ],
)
def test_a_part_that_takes_all_settings_is_a_fault_without_a_reason(tree: Path, taken: str) -> None:
    add(tree, "app/low/__init__.py", "def start(section: GameSettings): ...\n")
    assert faults(count(tree), NONE) == [], "a section is not all"
    add(tree, "app/low/__init__.py", f"{taken}\n")
    (fault,) = faults(count(tree), NONE)
    assert fault.startswith("the module app.low.__init__ takes all settings (line ")
    assert faults(count(tree), replace(NONE, settings={"app.low.__init__": "it shows them"})) == []


def test_an_exception_that_is_not_needed_is_a_fault(tree: Path) -> None:
    classes, modules = {"app.low.__init__.Gone": "large"}, {"app.low.__init__": "large"}
    constructors, settings = {"app.low.__init__.Gone": "large"}, {"app.low.__init__": "none"}
    exceptions = Exceptions(classes, modules, 0, 0, MOST_CALLS + 1, {"Gone": "nowhere"}, constructors, settings)
    assert [
        any(words in fault for words in ("needs no exception", "need no exception", "not all settings any more"))
        for fault in faults(count(tree), exceptions)
    ] == [True] * 6


@pytest.mark.parametrize("text", ["See the module.", "See `Port.do`.", "See `Port.do` and\n    `Other`."])
def test_a_docstring_that_only_points_elsewhere_is_counted(tree: Path, text: str) -> None:
    add(tree, "app/low/__init__.py", f'def do():\n    """{text}"""\n')
    assert faults(count(tree), NONE) == ["1 docstrings only say where to look, at most 0"]


def test_a_docstring_with_a_sentence_of_its_own_is_none_of_them(tree: Path) -> None:
    add(tree, "app/low/__init__.py", 'def do():\n    """Do it. See `Port.do`."""\n')
    assert faults(count(tree), NONE) == []


@pytest.mark.parametrize("begins", ["Where it is", "Nothing:", "The lamp", "HTTP of", "Severities in", "OPS_PORT is"])
def test_a_functions_docstring_begins_with_a_verb(tree: Path, begins: str) -> None:
    add(tree, "app/low/__init__.py", f'def do():\n    """{begins} low."""\n')
    assert faults(count(tree), NONE) == [
        "the docstring of the function at app.low.__init__:4 does not begin with a verb"
    ]


@pytest.mark.parametrize("begins", ["Return", "Stop:", "Pass", "Drain;"])
def test_a_verb_is_one_and_a_property_needs_none(tree: Path, begins: str) -> None:
    add(tree, "app/low/__init__.py", f'def do():\n    """{begins} low."""\n')
    light = '    @property\n    def light(self):\n        """The light."""\n'
    add(tree, "app/high/__init__.py", f"class Lamp:\n{light}")
    assert faults(count(tree), NONE) == []


def test_the_picture_has_whoever_imports_above_whom_it_imports(tree: Path) -> None:
    drawn = picture(tree)
    assert "high --> low" in drawn
    assert drawn.index("high[high]") < drawn.index("low[low]")
    assert "| `high` | The high. |" in drawn


def test_rooms_that_import_each_other_cannot_be_drawn(tree: Path) -> None:
    add(tree, "app/low/__init__.py", "from app.high import two\n")
    with pytest.raises(ValueError, match="rooms that import each other: "):
        picture(tree)


def test_every_module_has_its_layer() -> None:
    """What stands in none could import anything: a new module must be put somewhere."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["name"] == "One direction")
    named = {name.strip() for layer in layers for name in layer.split("|")}
    modules = {
        f"{package}.{module.name}"
        for package in ("app", "app.telemetry")
        for module in pkgutil.iter_modules([str(ROOT / package.replace(".", "/"))])
    }
    assert {name for name in modules if not any(one == name or one.startswith(f"{name}.") for one in named)} == set()
    gone = {name for name in named - modules if name.startswith("app.") and name.count(".") < 2}
    assert gone == set()
