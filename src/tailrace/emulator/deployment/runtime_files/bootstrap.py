"""Starts AWS's client for Python as the service's own start program does: a script of its own, without arguments.

So a wrapper (`AWS_LAMBDA_EXEC_WRAPPER`) finds the interpreter first and the script last in its arguments, and may
change `_HANDLER` and `PYTHONPATH` before they are read. The order in which modules are found is the service's: the
function's code, layers, the interpreter's own; layers only where nobody has set `PYTHONPATH`. The client itself comes
from the interpreter, as it comes from `/var/runtime` there, and from the function only where the interpreter has none.

Run by the function's interpreter, whatever its version: nothing of Tailrace may be imported here.
"""

import os
import site
import sys

CLIENT = "awslambdaric"
LAYER_FOLDERS = "_TAILRACE_LAYER_FOLDERS"


def _import_client() -> bool:
    try:
        __import__(CLIENT + ".__main__")
    except ModuleNotFoundError as error:
        if error.name != CLIENT:
            raise
        return False
    return True


def _import_own_client() -> bool:
    """The interpreter's, wherever `PYTHONPATH` leads."""
    everywhere = sys.path[:]
    added = [os.path.abspath(part) for part in os.environ.get("PYTHONPATH", "").split(":") if part]  # noqa: PTH100
    sys.path[:] = [part for part in everywhere if part not in added]
    try:
        return _import_client()
    finally:
        sys.path[:] = everywhere


def _find_the_functions_modules(task_root: str, layer_folders: "list[str]") -> None:
    is_customers = "PYTHONPATH" in os.environ
    added = [] if is_customers else layer_folders
    sys.path[:0] = [task_root, *added]
    for folder in [task_root, *added]:
        site.addsitedir(folder)  # their .pth files count
    if not is_customers:
        os.environ["PYTHONPATH"] = os.environ.get("LAMBDA_RUNTIME_DIR", "/var/runtime")


def main() -> None:
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib would cost the cold start
    sys.path[:] = [part for part in sys.path if part != here]
    layer_folders = [part for part in os.environ.pop(LAYER_FOLDERS, "").split(":") if part]
    task_root = os.environ["LAMBDA_TASK_ROOT"]
    has_client = _import_own_client()
    _find_the_functions_modules(task_root, layer_folders)
    if not has_client and not _import_client():
        sys.exit(f"the Python interpreter {sys.executable} cannot import {CLIENT}")
    sys.modules[CLIENT + ".__main__"].main([task_root, os.environ["_HANDLER"]])


if __name__ == "__main__":
    main()
