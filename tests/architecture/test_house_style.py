"""Rules of the house that a reader of the source can check."""

import ast
import re

from tests.architecture.source import files, imported, name_of, tree

BROAD = {"Exception", "BaseException"}
# The one place where anything may be caught, with its reason.
MAY_CATCH_ALL = {"cdp/core/services/jobs.py": "a poison job must not stop the line behind it"}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "managers", "constants", "signals"}
LONGEST_TASK = 3
# Answers before any handler or middleware of ours could.
KERNEL_OF_REST = {"ingestion/collect.py", "cdp/core/middleware.py"}


def test_nothing_catches_everything():
    wrong = []
    for path in files():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler):
                kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
                broad = any(kind is None or (isinstance(kind, ast.Name) and kind.id in BROAD) for kind in kinds)
                if broad and name_of(path) not in MAY_CATCH_ALL:
                    wrong.append(f"{name_of(path)}:{node.lineno}")
    assert wrong == []


def test_no_module_has_a_name_that_says_nothing():
    assert [name_of(path) for path in files() if path.stem in FORBIDDEN_NAMES] == []


def test_nothing_uses_signals():
    wrong = [
        f"{name_of(path)} imports {target}"
        for path in files()
        for target in imported(path)
        if re.search(r"(^|\.)signals(\.|$)", target) and target.startswith("django")
    ]
    assert wrong == []


def test_tasks_only_call_a_service():
    wrong = []
    for path in files():
        if path.name != "tasks.py":
            continue
        for node in tree(path).body:
            if isinstance(node, ast.FunctionDef) and node.decorator_list:
                body = [line for line in node.body if not isinstance(line, ast.Expr) or not is_text(line.value)]
                if len(body) > LONGEST_TASK or any(isinstance(part, (ast.For, ast.While)) for part in body):
                    wrong.append(f"{name_of(path)}: {node.name}")
    assert wrong == []


def test_views_catch_nothing():
    # One handler turns errors into problem documents, one middleware into pages.
    wrong = [
        f"{name_of(path)}:{handler.lineno}"
        for path in files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and takes_request(node) and name_of(path) not in KERNEL_OF_REST
        for handler in ast.walk(node)
        if isinstance(handler, ast.ExceptHandler)
    ]
    assert wrong == []


def takes_request(node: ast.FunctionDef) -> bool:
    return any(argument.arg == "request" for argument in node.args.args)


def test_every_module_says_what_it_is():
    assert [name_of(path) for path in files() if path.read_text().strip() and not ast.get_docstring(tree(path))] == []


def test_nothing_is_left_to_do():
    pattern = re.compile(r"#.*\b(TODO|FIXME|XXX)\b")
    assert [name_of(path) for path in files() if pattern.search(path.read_text())] == []


def test_only_interfaces_and_the_kernel_read_the_clock():
    """Time is an argument: queries and pure packages never ask for it."""
    wrong = []
    for path in files():
        parts = set(path.parts)
        if not parts & {"queries", "identity", "language", "spec"} and path.name != "decision.py":
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}:
                base = node.value
                if isinstance(base, ast.Name) and base.id in {"datetime", "timezone", "date"}:
                    wrong.append(f"{name_of(path)}:{node.lineno}")
    assert wrong == []


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|COPY|CREATE|ALTER|DROP|TRUNCATE)\b")
# Where SQL is put together from more than constants, and what it is put together from.
COMPOSES_SQL = {
    "cdp/core/copying.py": "names of tables and columns, given by callers in the source",
    "cdp/core/services/backing_up.py": "names of tables and columns, read from the catalogue and quoted",
    "cdp/core/services/restoring.py": "names that only this installation's key can have sealed, quoted",
    "cdp/core/services/scrubbing.py": "names of tables, read from the catalogue and quoted",
    "cdp/core/queries/sizes.py": "parts of the statement itself",
    "profiles/partitions.py": "names and bounds of partitions, computed from dates",
    "profiles/services/keeping.py": "names of partitions, read from the catalogue",
    "ingestion/partitions.py": "names and bounds of partitions, computed from dates",
    "ingestion/services/archive.py": "names of partitions, computed from dates",
    "ingestion/services/taking_out.py": "names of partitions, read from the catalogue",
    "consent/partitions.py": "names and bounds of partitions, computed from dates",
    "consent/queries/statistics.py": "queries and conditions written in the same file",
    "consent/services/disclosures.py": "names of partitions, computed from dates",
    "segments/queries/people.py": "the statement of scores, composed in `segments.language`",
    "consent/traces/database.py": "names of tables and columns, read from the catalogue and quoted",
}


def is_constant(node: ast.expr) -> bool:
    """Tell whether an expression can only be text of the program: a constant by its name, or a choice's value."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "int" and all(map(is_constant, node.args))
    if isinstance(node, ast.Attribute):
        return node.attr.isupper() or (node.attr == "value" and is_constant(node.value))
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id.isupper())


def test_sql_is_composed_from_constants():
    """Values are parameters. A new place that composes SQL goes into the table above, with what it composes it from."""
    wrong = []
    for path in files():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.JoinedStr):
                text = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
                inner = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
                if SQL.search(text) and not all(map(is_constant, inner)) and name_of(path) not in COMPOSES_SQL:
                    wrong.append(f"{name_of(path)}:{node.lineno}")
    assert wrong == []
