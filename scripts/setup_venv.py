"""Make the virtual environment that the Makefile's commands run in; do nothing when it is already right.

Usage: python3 scripts/setup_venv.py VENV PART...   where each PART is a file of requirements/ without `.txt`.

Runs on whatever `python3` the user has, so it uses nothing that old versions lack before it has checked.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST = (3, 11)


def fail(sentence):
    sys.exit("setup: " + sentence)


def check_python():
    found = ".".join(str(n) for n in sys.version_info[:3])
    if sys.version_info < OLDEST:
        fail(
            "Python 3.11 or newer is needed, %s is %s; name another one: make PYTHON=python3.12 ..."
            % (sys.executable, found)
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        fail("this Python (%s) has no venv; on Debian and Ubuntu: apt install python3-venv" % sys.executable)


def digest(paths):
    total = hashlib.sha256(sys.version.encode())
    for path in paths:
        with open(path, "rb") as file:
            total.update(file.read())
    return total.hexdigest()


def run(label, command):
    """Run `command` quietly under a label with its duration; show its output only when it fails."""
    sys.stdout.write("setup: %s ... " % label)
    sys.stdout.flush()
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        wait_showing_life(process)
        if process.returncode != 0:
            output.seek(0)
            sys.stdout.write("failed\n" + output.read())
            fail("%s failed; the output above says why. Run the same command again." % label)
    sys.stdout.write("%.1f s\n" % (time.monotonic() - started))


def wait_showing_life(process):
    """Wait for the end; where a person looks, a dot a second says that it is still at work."""
    while True:
        try:
            process.wait(timeout=1)
            return
        except subprocess.TimeoutExpired:
            if sys.stdout.isatty():
                sys.stdout.write(".")
                sys.stdout.flush()
        except KeyboardInterrupt:
            process.kill()
            process.wait()
            fail("interrupted; run the same command again to go on")


def installed_part(stamp):
    try:
        with open(stamp) as file:
            return file.read()
    except OSError:
        return ""


def install_part(venv_dir, python, part):
    requirements = os.path.join(ROOT, "requirements", part + ".txt")
    stamp = os.path.join(venv_dir, ".installed-" + part)
    wanted = digest([requirements])
    if installed_part(stamp) == wanted:
        return
    with open(requirements) as file:
        count = sum(1 for line in file if line[:1].isalnum())
    run(
        "installing %d pinned packages (%s)" % (count, part),
        [python, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "-r", requirements],
    )
    with open(stamp, "w") as file:
        file.write(wanted)


def ensure_venv(venv_dir, python):
    """Make the environment where it is missing, was left half made, or belongs to another Python."""
    stamp = os.path.join(venv_dir, ".made-by")
    if os.path.exists(python) and installed_part(stamp) == sys.version:
        return
    label = "creating %s with Python %s" % (os.path.relpath(venv_dir, ROOT), ".".join(map(str, sys.version_info[:2])))
    run(label, [sys.executable, "-m", "venv", "--clear", venv_dir])
    with open(stamp, "w") as file:
        file.write(sys.version)


def install_project(venv_dir, python):
    stamp = os.path.join(venv_dir, ".installed-tailrace")
    wanted = digest([os.path.join(ROOT, "pyproject.toml"), os.path.join(ROOT, "src", "tailrace", "version.py")])
    if installed_part(stamp) == wanted:
        return
    command = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", ROOT]
    run("installing tailrace", command)
    with open(stamp, "w") as file:
        file.write(wanted)


def main():
    venv_dir, parts = os.path.abspath(sys.argv[1]), sys.argv[2:]
    check_python()
    python = os.path.join(venv_dir, "bin", "python")
    ensure_venv(venv_dir, python)
    for part in parts:
        install_part(venv_dir, python, part)
    install_project(venv_dir, python)


if __name__ == "__main__":
    main()
