from __future__ import annotations

import marshal
import types
from collections.abc import Iterator
from typing import Any

import pytest

from tailrace.packaging.bytecode import compiled

PLACE = "/opt/tailrace/module.py"


def code_of(source: str) -> types.CodeType:
    code = marshal.loads(compiled(source.encode(), PLACE)[16:])
    assert isinstance(code, types.CodeType)
    return code


def run(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "module"}
    exec(code_of(source), names)
    return names


def all_code(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from all_code(constant)


def test_annotations_of_every_place_are_left_out() -> None:
    names = run(
        "class Box:\n"
        "    count: int = 3\n"
        "    size: Unknown\n"
        "    def put(self, one: Unknown, *more: Unknown, key: Unknown = 5, **rest: Unknown) -> Unknown:\n"
        "        kept: Unknown = one\n"
        "        self.kept: Unknown = kept\n"
        "        return key\n"
        "limit: Unknown = 7\n"
        "later: Unknown\n"
    )
    box = names["Box"]()
    assert box.put(1, 2, other=3) == 5
    assert (box.kept, box.count, names["limit"]) == (1, 3, 7)
    assert not names["Box"].put.__annotations__
    assert not getattr(names["Box"], "__annotations__", {})
    assert not names.get("__annotations__")
    assert "later" not in names


def test_what_only_type_checkers_import_is_left_out_and_an_else_is_not() -> None:
    names = run(
        "TYPE_CHECKING = True\n"
        "if TYPE_CHECKING:\n"
        "    import nowhere\n"
        "if TYPE_CHECKING:\n"
        "    found = 'both'\n"
        "else:\n"
        "    found = 'neither'\n"
        "class Empty:\n"
        "    if TYPE_CHECKING:\n"
        "        from nowhere import something\n"
    )
    assert names["found"] == "both"
    assert "nowhere" not in names


def test_docstrings_asserts_and_lines_are_left_out() -> None:
    source = '"""Module."""\ndef double(n):\n    """Doubles."""\n    assert n\n    return [2 * n for _ in (1,)]\n'
    names = run(source)
    assert names["double"](0) == [0]
    assert names["double"].__doc__ is None
    assert [code.co_linetable for code in all_code(code_of(source))] == [b""] * len(list(all_code(code_of(source))))


def test_what_only_tracebacks_show_and_what_only_annotations_need_is_left_out() -> None:
    source = (
        "from __future__ import annotations\n"
        "class Box:\n"
        "    def put(self, one: Unknown) -> Unknown:\n"
        "        return [lambda: one]\n"
    )
    names = run(source)
    assert names["Box"]().put(3)[0]() == 3
    assert "annotations" not in names
    assert (names["Box"].__qualname__, names["Box"].put.__qualname__) == ("Box", "put")
    assert {code.co_qualname for code in all_code(code_of(source))} == {"<module>", "Box", "put", "<lambda>"}


def test_the_switch_for_type_checkers_goes_where_nothing_asks_for_it() -> None:
    assert "TYPE_CHECKING" not in run("TYPE_CHECKING = False\nif TYPE_CHECKING:\n    import nowhere\n")
    assert run("TYPE_CHECKING = False\ndef asked():\n    return TYPE_CHECKING\n")["asked"]() is False


def test_other_imports_of_the_future_stay() -> None:
    assert "barry_as_FLUFL" in run("from __future__ import barry_as_FLUFL\n")


def test_an_exception_is_raised_and_caught_as_ever() -> None:
    names = run(
        "def fail():\n"
        "    try:\n        raise KeyError('a')\n"
        "    except KeyError as error:\n        raise ValueError('b') from error\n"
    )
    with pytest.raises(ValueError, match="b") as caught:
        names["fail"]()
    assert isinstance(caught.value.__cause__, KeyError)
    traceback = caught.tb
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    assert traceback.tb_frame.f_code.co_filename == PLACE


def test_decorators_async_functions_and_defaults_stay() -> None:
    names = run(
        "def twice(f):\n    return lambda *a: 2 * f(*a)\n"
        "@twice\ndef add(a: int, b: int = 2) -> int:\n    return a + b\n"
        "async def wait(a: int) -> int:\n    return a\n"
    )
    assert names["add"](1) == 6
    waiting = names["wait"](4)
    with pytest.raises(StopIteration) as stop:
        waiting.send(None)
    assert stop.value.value == 4
