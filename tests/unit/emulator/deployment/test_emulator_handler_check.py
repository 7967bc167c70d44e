from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tailrace.emulator.deployment.handler_check import check_handler, split_handler
from tailrace.errors import UsageError

WriteModule = Callable[[str, str], Path]
"""Takes name and source, and returns the folder."""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteModule:
    """Writes modules; the current directory is the one above, so that paths are shown as `code/...`."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "code"
    folder.mkdir()

    def write(name: str, source: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        return folder

    return write


def refusal(handler: str, folder: Path) -> str:
    with pytest.raises(UsageError) as caught:
        check_handler(handler, [folder])
    return str(caught.value)


def test_a_misspelt_function_is_told_with_the_nearest_name(code: WriteModule) -> None:
    folder = code("app.py", "def handler(event, context): pass\n")
    check_handler("app.handler", [folder])
    assert refusal("app.handlr", folder) == (
        'handler "app.handlr" not found: module app has no attribute "handlr" (did you mean "handler"?); '
        "looked in code/app.py"
    )


def test_a_missing_module_is_told_with_the_nearest_one_and_the_place(code: WriteModule) -> None:
    folder = code("orders.py", "")
    message = refusal("order.handler", folder)
    assert 'there is no module "order" (did you mean "orders"?)' in message
    assert "looked in code; --code says where" in message
    assert "did you mean" not in refusal("zebra.handler", folder)


@pytest.mark.parametrize("handler", ["app", "app.", ".handler", "app.1x", "a b.c", "", "../app.handler", "a..b"])
def test_what_is_no_handler_is_told_with_the_form(handler: str) -> None:
    with pytest.raises(UsageError, match=r"a Python handler is module.function"):
        split_handler(handler)


@pytest.mark.parametrize("handler", ["pkg/sub/mod.run", "pkg.sub.mod.run"])
def test_modules_in_folders_are_found_by_slash_and_by_dot(code: WriteModule, handler: str) -> None:
    folder = code("pkg/sub/mod.py", "run = print\n")
    check_handler(handler, [folder])


def test_a_package_is_its_init_file_and_a_later_folder_is_searched_too(code: WriteModule, tmp_path: Path) -> None:
    folder = code("pkg/__init__.py", "from .x import run\n")
    check_handler("pkg.run", [tmp_path / "nothing", folder])


def test_a_syntax_error_names_file_and_line(code: WriteModule) -> None:
    folder = code("app.py", "x = 1\ndef handler(event, context)\n    pass\n")
    message = refusal("app.handler", folder)
    assert message.startswith("code/app.py, line 2: syntax error: ")
    check_handler("app.handler", [folder], judge_syntax=False)
    assert "null bytes" in refusal("app.handler", code("app.py", "a\0b"))


@pytest.mark.parametrize(
    "source",
    [
        "async def handler(e, c): pass",
        "class handler: pass",
        "handler = lambda e, c: 1",
        "other = handler = print",
        "a, (b, *handler) = 1, (2, 3)",
        "handler: object = print",
        "import x as handler",
        "from x import y as handler",
        "import handler.sub",
        "if True:\n    def handler(): pass",
        "try:\n    import fast as handler\nexcept ImportError:\n    handler = None",
        "for handler in []: pass",
        "with open('x') as handler: pass",
        "if (handler := print): pass",
        "def setup():\n    global handler\n    handler = 1",
        "match 1:\n    case handler: pass",
    ],
)
def test_every_way_to_bind_a_name_counts(code: WriteModule, source: str) -> None:
    check_handler("app.handler", [code("app.py", source)])


@pytest.mark.parametrize(
    "source",
    [
        "from x import *",
        "globals()['handler'] = print",
        "def __getattr__(name): return print",
        "exec('handler = 1')",
        "import sys\nsetattr(sys.modules[__name__], 'handler', 1)",
    ],
)
def test_what_the_text_does_not_tell_may_run(code: WriteModule, source: str) -> None:
    check_handler("app.handler", [code("app.py", source)])


@pytest.mark.parametrize(
    "source", ["def f():\n    handler = 1", "class C:\n    def handler(self): pass", "print(handler)", "x.handler = 1"]
)
def test_names_bound_elsewhere_do_not_count(code: WriteModule, source: str) -> None:
    assert "has no attribute" in refusal("app.handler", code("app.py", source))


def test_the_code_is_not_run(code: WriteModule, tmp_path: Path) -> None:
    folder = code("app.py", f"open({str(tmp_path / 'ran')!r}, 'w')\ndef handler(e, c): pass\n")
    check_handler("app.handler", [folder])
    assert not (tmp_path / "ran").exists()
