"""The package as a whole: its exports are the contract's, and its imports go down only."""
from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import blockingio
import blockingio.net
import blockingio.server
from blockingio import HttpClientRequest
from tests.contract import BLOCKINGIO, FUNCTIONS, HTTP_SERVER, MORE, TESTING, WIRE_VIEW, WSGI

PACKAGE = Path(blockingio.__file__).parent
ROOT = PACKAGE.parent


# ------------------------------------------------------------------------ the names

class Contract(NamedTuple):
    """What is agreed on one class."""

    module: str
    name: str
    bases: list[str]
    attributes: list[str]
    methods: dict[str, str]


def contracts() -> Iterator[Contract]:
    for module, text in (("blockingio", BLOCKINGIO), ("blockingio.http_server", HTTP_SERVER),
                         ("blockingio.testing", TESTING), ("blockingio.wsgi", WSGI),
                         ("blockingio.wire_view", WIRE_VIEW)):
        text = re.sub(r"\n {8,}", " ", text)  # a line that goes on
        for block in re.split(r"\n(?=\w)", text):
            if not block.strip():
                continue
            first, *lines = block.strip("\n").split("\n")
            match = re.fullmatch(r"(\w+)(?:\(([^)]*)\))?:(.*)", first)
            assert match, first
            methods = {}
            for line in lines:
                name, bracket, parameters = line.strip().partition("(")
                methods[name] = bracket + parameters
            bases = [base for base in (match[2] or "").split(", ") if base]
            yield Contract(module, match[1], bases, match[3].split(), methods)


CONTRACTS = list(contracts())
contract = pytest.mark.parametrize("agreed", CONTRACTS, ids=lambda agreed: agreed.name)


def exported(agreed: Contract) -> Any:
    return getattr(importlib.import_module(agreed.module), agreed.name)


def test_the_table_was_read() -> None:
    """A table that is read wrongly would make tests that cannot fail."""
    assert len(CONTRACTS) == 57 and len({agreed.name for agreed in CONTRACTS}) == 57
    assert sum(len(agreed.methods) for agreed in CONTRACTS) == 200
    server = next(agreed for agreed in CONTRACTS if agreed.name == "HttpServer")
    assert server.bases == ["Stream"] and "max_connections" in server.attributes
    assert server.methods["bind"] == "(address, port, *, backlog=0, v6_only=False, shared=False)"


@pytest.mark.parametrize("module", ["blockingio", "blockingio.http_server", "blockingio.testing", "blockingio.wsgi",
                                    "blockingio.processes", "blockingio.wire_view"])
def test_exports_are_the_contracts(module: str) -> None:
    names = {agreed.name for agreed in CONTRACTS if agreed.module == module}
    if module == "blockingio":
        names.update(MORE)
    names.update(name for owner, name, _ in functions() if owner == module)
    loaded = importlib.import_module(module)
    assert sorted(loaded.__all__) == sorted(names)
    assert names <= set(dir(loaded))


@pytest.mark.parametrize("stub, more", [
    ("__init__.pyi", ["__version__"]), ("testing/__init__.pyi", []), ("wsgi/__init__.pyi", []),
    ("wire_view/__init__.pyi", [])])
def test_type_checkers_see_the_same_names(stub: str, more: list[str]) -> None:
    tree = ast.parse((PACKAGE / stub).read_text())
    seen = [alias.asname for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    loaded = importlib.import_module(name_of((PACKAGE / stub).with_suffix(".py")))
    assert sorted([*map(str, seen), *more]) == sorted(loaded.__all__)


@contract
def test_a_class_is_as_agreed(agreed: Contract) -> None:
    found = exported(agreed)
    assert inspect.isclass(found) and found.__name__ == agreed.name and found.__doc__
    assert set(agreed.bases) <= {base.__name__ for base in found.__mro__}


@contract
def test_its_attributes_are_as_agreed(agreed: Contract) -> None:
    """On the class, or set by it on its instances."""
    found = exported(agreed)
    sources = "".join(inspect.getsource(base) for base in found.__mro__
                      if base.__module__.startswith("blockingio"))
    missing = [name for name in agreed.attributes if not hasattr(found, name)
               and not re.search(rf"\.{name}\b", sources)]
    assert not missing


@contract
def test_its_methods_are_as_agreed(agreed: Contract) -> None:
    """Names, order, kinds and defaults of the parameters; more of them would be fine."""
    found = exported(agreed)
    different = [what for name, parameters in agreed.methods.items()
                 for what in differences(getattr(found, name), parameters)]
    assert not different


@contract
def test_help_tells_of_all_that_it_has(agreed: Contract) -> None:
    """By a docstring of its own, or in that of its class; the names of constants speak for themselves."""
    found = exported(agreed)
    told = "\n".join(base.__doc__ or "" for base in found.__mro__ if base.__module__.startswith("blockingio"))
    silent = []
    for name in (*agreed.attributes, *agreed.methods):
        static = inspect.getattr_static(found, name, None)
        has_own = hasattr(static, "__get__") and not inspect.ismemberdescriptor(static) and bool(static.__doc__)
        if not (has_own or name.isupper() or name.startswith("__") or re.search(rf"\b{name}\b", told)):
            silent.append(name)
    assert not silent


def test_help_on_a_request_leaves_out_what_its_response_has() -> None:
    names = dir(HttpClientRequest)
    assert {"close", "write", "headers"} <= set(names) and not {"status_code", "read", "first_where"} & set(names)
    with pytest.raises(AttributeError, match="call close"):
        HttpClientRequest.status_code  # type: ignore[attr-defined]


def functions() -> list[tuple[str, str, str]]:
    """Module, name and parameters of each."""
    return re.findall(r"^(\S+): (\w+)(\(.*\))$", FUNCTIONS, re.MULTILINE)


def test_functions_are_as_agreed() -> None:
    found = [(getattr(importlib.import_module(module), name), parameters) for module, name, parameters in functions()]
    assert len(found) == 3 and all(function.__doc__ for function, _ in found)
    assert not [what for function, parameters in found for what in differences(function, parameters)]


def differences(function: Any, parameters: str) -> list[str]:
    """In what it is another one than was agreed."""
    agreed_ones = ast.parse(f"def f{parameters}: ...".replace("(/", "(_, /")).body[0]
    assert isinstance(agreed_ones, ast.FunctionDef)
    wanted = signature_of(agreed_ones)
    signature = inspect.signature(function)
    if function.__name__ == "__exit__":
        signature.bind(None, None, None, None)
        return []
    own = list(signature.parameters.values())
    if own and own[0].name in ("self", "cls"):
        own = own[1:]
    got = [(parameter.name, is_keyword_only(parameter), default_of(parameter)) for parameter in own]
    different = []
    if len(got) < len(wanted) or any(not agrees(one, two) for one, two in zip(wanted, got)):
        different.append(f"{function.__name__}{signature}, agreed was {parameters}")
    if any(default is REQUIRED for _, _, default in got[len(wanted):]):
        different.append(f"{function.__name__}{signature} wants more than {parameters}")
    return different


REQUIRED = "required"


def signature_of(function: ast.FunctionDef) -> list[tuple[str, bool, Any]]:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    defaults += arguments.defaults
    found = [(argument.arg, False, value_of(default)) for argument, default in zip(positional, defaults)]
    if arguments.vararg:
        found.append((arguments.vararg.arg, False, REQUIRED))
    found += [(argument.arg, True, value_of(default)) for argument,
              default in zip(arguments.kwonlyargs, arguments.kw_defaults)]
    if arguments.kwarg:
        found.append((arguments.kwarg.arg, False, REQUIRED))
    return found


def value_of(default: ast.expr | None) -> Any:
    if default is None:
        return REQUIRED
    try:
        return ast.literal_eval(default)
    except ValueError:
        return ...  # something with a name: InternetAddressType.ANY


def default_of(parameter: inspect.Parameter) -> Any:
    return REQUIRED if parameter.default is parameter.empty else parameter.default


def is_keyword_only(parameter: inspect.Parameter) -> bool:
    return parameter.kind is parameter.KEYWORD_ONLY


def agrees(wanted: tuple[str, bool, Any], got: tuple[str, bool, Any]) -> bool:
    same_name = wanted[0] == got[0]
    default = wanted[2]
    # An empty mapping as a default is a constant of the library's, lest somebody changes it.
    same_default = got[2] is not REQUIRED if default is ... else default == got[2] or (default == {}
                                                                                       and not got[2])
    return same_name and wanted[1] == got[1] and same_default


def test_the_version_is_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", blockingio.__version__)


def test_a_name_that_is_none() -> None:
    with pytest.raises(AttributeError, match="HttpSever"):
        getattr(blockingio, "HttpSever")
    with pytest.raises(ImportError, match="HttpSever"):
        exec("from blockingio import HttpSever")


def test_every_name_can_be_imported_at_once() -> None:
    names: dict[str, Any] = {}
    exec("from blockingio import *", names)
    assert set(getattr(blockingio, "__all__")) <= set(names)


def test_types_come_with_the_package() -> None:
    assert (PACKAGE / "py.typed").is_file()


# ---------------------------------------------------------------------- the imports

#: From the top down.  A module imports from floors below its own, and from its own.
FLOORS = [
    ["__main__"],
    ["cli"],
    ["wsgi", "testing", "wire_view", "check"],
    ["processes"],
    ["http_server", "websocket"],
    ["server", "client"],
    ["net"],
    ["wire"],
    ["values"],
    ["stream"],
    ["errors"],
]
LEVELS = {name: len(FLOORS) - level for level, names in enumerate(FLOORS) for name in names}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, *, for_types: bool = True) -> list[tuple[ast.Import | ast.ImportFrom, str]]:
    """The import statements with the modules they name; those for type checkers are not carried out."""
    found: list[tuple[ast.Import | ast.ImportFrom, str]] = []

    def visit(node: ast.AST) -> None:
        if (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
                and not for_types):
            return
        if isinstance(node, ast.Import):
            found.extend((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            assert node.module
            found.append((node, node.module))
            if node.module.split(".")[0] == "blockingio":
                found.extend((node, f"{node.module}.{alias.name}") for alias in node.names
                             if is_module(f"{node.module}.{alias.name}"))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def floor_of(name: str) -> str:
    """The part of blockingio that a module belongs to."""
    return name.split(".")[1] if "." in name else ""


@module
def test_imports_go_down(path: Path) -> None:
    me = "__main__" if path.name == "__main__.py" else floor_of(name_of(path))  # a room's own is a command too
    wrong = []
    for node, name in imports(path):
        if name.split(".")[0] != "blockingio":
            continue
        other = floor_of(name)
        if not other:  # the package itself: its names are for users, its version is for every module
            if LEVELS[me] <= LEVELS["http_server"] and not {alias.name for alias in node.names} <= {"__version__"}:
                wrong.append(f"line {node.lineno}: {name}")
        elif LEVELS[other] >= LEVELS[me] and other != me:
            wrong.append(f"line {node.lineno}: {name} is not below {me}")
    assert not wrong


def test_every_module_has_its_floor() -> None:
    assert {floor_of(name_of(path)) for path in MODULES} <= set(LEVELS)


def test_there_are_no_cycles() -> None:
    names = {name_of(path): path for path in MODULES}
    graph = {name: {other for _, other in imports(path) if other in names and other != name} for name,
             path in names.items()}
    for name in graph:  # a package's __init__ imports its modules, and they do not import it
        assert name not in {other for child in graph[name] for other in graph[child]}, name
    left = dict(graph)
    while left:
        free = [name for name, others in left.items() if not others & set(left)]
        assert free, f"a cycle among {sorted(left)}"
        for name in free:
            del left[name]


@pytest.mark.parametrize("path", [PACKAGE / "__init__.py", *MODULES],
                         ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_import_inside_a_function(path: Path) -> None:
    """Nor one by hand: only the package itself, the beginning of its commands and some rooms load when asked."""
    tree = ast.parse(path.read_text())
    inside = [node.lineno for function in ast.walk(tree) if isinstance(function, ast.FunctionDef | ast.Lambda)
              for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    by_hand = {getattr(call, "id", getattr(call, "attr", "")) for call in calls} & {"import_module",
                                                                                    "__import__"}
    assert not inside
    lazy = [PACKAGE / room / "__init__.py" for room in ("", "net", "server")]
    assert not by_hand or path in [*lazy, PACKAGE / "cli" / "program.py"]


@pytest.mark.parametrize("room", [blockingio.net, blockingio.server])
def test_a_room_loads_its_own_modules_alone(room: Any) -> None:
    for name in room._BY_NEED:
        assert getattr(room, name) is sys.modules[f"{room.__name__}.{name}"]
    with pytest.raises(AttributeError, match="a module that is none"):
        getattr(room, "a module that is none")


#: Reads of another module's underscore names in the whole package, by a design that keeps its walls.
MOST_PRIVATE_READS = 20


def test_private_names_are_private() -> None:
    """self._x and cls._x apart; the standard library's underscore names count as well."""
    found = [f"{path.relative_to(ROOT)}:{line}" for path in MODULES for line in foreign_private_reads(path)]
    assert len(found) <= MOST_PRIVATE_READS, found


def foreign_private_reads(path: Path) -> list[int]:
    """The lines where a name with one underscore is read off an object, and the module itself does not define it."""
    tree = ast.parse(path.read_text())
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    own |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
            and ast.unparse(node.value) in ("self", "cls")}  # what is set on another object is another module's
    own |= {node.target.id for node in ast.walk(tree)
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            own |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            if any(getattr(target, "id", "") == "__slots__" for target in node.targets):
                own |= {part.value for part in ast.walk(node.value)
                        if isinstance(part, ast.Constant) and isinstance(part.value, str)}
    return [node.lineno for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and re.match(r"_(?!_)", node.attr)
            and node.attr not in own | {"_replace"} and ast.unparse(node.value) not in ("self", "cls", "super()")]


#: What a floor must not know, and what costs a script's start more than it gives.
FORBIDDEN = {
    "values": {"socket", "threading", "ssl", "select", "selectors"},
    "wire": {"ssl", "select", "selectors", "time"},
    "server": {"ssl", "asyncio", "http", "email", "urllib", "inspect", "dataclasses", "http.server"},
    "stream": {"socket", "ssl"},
}


@module
def test_nobody_waits_for_a_thread_to_come_up(path: Path) -> None:
    """Every thread is one whose start is not waited for."""
    if path == PACKAGE / "stream" / "thread.py":
        return
    called = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    wrong = [ast.unparse(function) for function in called
             if ast.unparse(function) in ("threading.Thread", "threading.Timer", "_thread.start_new_thread")]
    imported = [alias.name for node, name in imports(path) if name == "threading" and isinstance(node, ast.ImportFrom)
                for alias in node.names if alias.name in ("Thread", "Timer")]
    assert not wrong and not imported


@module
def test_what_a_floor_must_not_know(path: Path) -> None:
    forbidden = FORBIDDEN.get(floor_of(name_of(path)), set()) | {"asyncio", "http.server", "http.client"}
    assert not [name for _, name in imports(path, for_types=False)
                if name.split(".")[0] in forbidden or name in forbidden]


@module
def test_server_and_client_do_not_know_each_other(path: Path) -> None:
    me = floor_of(name_of(path))
    other = {"server": "blockingio.client", "client": "blockingio.server"}.get(me)
    assert other is None or not [name for _, name in imports(path) if name.startswith(other)]


LOADED = "import sys; print(' '.join(sorted(sys.modules)))"


@cache
def loaded_with_logging() -> set[str]:
    """3.14's own loads inspect and dataclasses, by way of traceback."""
    if sys.version_info < (3, 14):
        return set()
    return set(subprocess.check_output([sys.executable, "-S", "-c", f"import logging; {LOADED}"], text=True).split())


@pytest.mark.parametrize("statement, absent", [
    ("import blockingio",
     ["ssl", "blockingio.client", "blockingio.server", "socket", "asyncio", "http.client", "email", "inspect",
      "dataclasses", "traceback", "logging"]),
    ("from blockingio import HttpServer, InternetAddress",
     ["ssl", "blockingio.client", "asyncio", "http.client", "http.server", "email", "urllib.parse", "inspect",
      "dataclasses", "hashlib", "blockingio.net.tls_channel", "blockingio.net.told_channel", "blockingio.net.wire_log",
      "blockingio.net.x509", "blockingio.server.hosts", "blockingio.server.plain_http", "blockingio.server.proxies"]),
    ("import blockingio.http_server", ["ssl", "asyncio", "blockingio.client.client"]),
])
def test_what_is_not_loaded(statement: str, absent: list[str]) -> None:
    """A script that only serves need not wait for the client, nor one without HTTPS for OpenSSL."""
    # Without site: coverage and an editable install load half of the library from there.
    result = subprocess.run([sys.executable, "-S", "-c", f"{statement}; {LOADED}"], cwd=ROOT, capture_output=True,
                            text=True, check=True)
    loaded = set(result.stdout.split())
    assert "blockingio" in loaded
    assert not loaded & set(absent) - loaded_with_logging()


def test_what_is_no_module_is_packed_too() -> None:
    """Files beside the modules: types and their mark, in every room."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    packed = {name: patterns.replace(",", " ").split() for name, patterns in config["options.package_data"].items()}
    others = [path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    assert len(others) >= 3
    for path in others:
        package = ".".join(path.parent.relative_to(ROOT).parts)
        assert any(fnmatch(path.name, pattern) for name in ("*", package) for pattern in packed.get(name, [])), path
