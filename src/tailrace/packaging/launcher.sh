#!/bin/sh
# Starts the Tailrace extension. Lambda runs this file (it keeps its name: an extension registers under the base
# name of its file) with hardly any environment, so nothing here relies on a variable being set.
#
# The first Python that fits takes over by exec. /var/lang/bin/python3 is the sandbox's own and is not probed: on
# the normal path nothing but the interpreter is started. On PATH a binary is run as it is, a script (the shim of
# a version manager, which may lead nowhere) only after it has answered. One that is too old comes back here, with
# the number of candidates that were tried, and the next one has its turn.

set -f
name=${0##*/}
self=$0
while [ -L "$self" ]; do
  target=$(readlink "$self") || break
  case $target in /*) self=$target ;; *) self=${self%/*}/$target ;; esac
done
case $self in */*) here=${self%/*} ;; *) here=. ;; esac
code=$here/../tailrace
tried=0
[ "$1" = --tried ] && tried=$2

if [ -d /var/lang/lib ]; then
  # The platform does not hand this variable to extensions, and the sandbox's Python needs its own library.
  : "${LD_LIBRARY_PATH:=/var/lang/lib}"
  export LD_LIBRARY_PATH
fi
# One heap for all threads, and no tables of a locale: Python reads and writes UTF-8 all the same (PEP 540).
export MALLOC_ARENA_MAX=1 LC_ALL=C

stub='
import sys
if sys.version_info < (3, 11):
    import posix
    posix.execv("/bin/sh", ["sh", sys.argv[3], "--tried", sys.argv[4]])
sys.path.insert(0, sys.argv[1])
from tailrace.agent.start import main
main(sys.argv[2])
'

# Becomes the agent in the interpreter $1. Returns only where that is a script that leads nowhere.
run_with() {
  python=$1
  IFS= read -r start < "$python"
  case $start in
    '#!'*) python=$("$python" -I -S -E -c 'import sys; print(sys.executable)' 2> /dev/null) && [ -x "$python" ] || return ;;
  esac
  exec "$python" -I -S -E -B -c "$stub" "$code" "$name" "$0" "$number"
}

if [ -f "$code/tailrace/agent/start.py" ]; then
  if [ "$tried" = 0 ] && [ -x /var/lang/bin/python3 ]; then
    exec /var/lang/bin/python3 -I -S -E -B -c "$stub" "$code" "$name" "$0" 1
  fi
  number=1
  for version in python3 python3.14 python3.13 python3.12 python3.11; do
    # Every match counts, not only the first: that may be a shim of a version that is not there.
    IFS=:
    for folder in ${PATH:-/usr/local/bin:/usr/bin:/bin}; do
      number=$((number + 1))
      if [ "$number" -gt "$tried" ] && [ -f "$folder/$version" ] && [ -x "$folder/$version" ]; then
        run_with "$folder/$version"
      fi
    done
  done
  problem='the Tailrace extension found no Python 3.11 or newer: this layer is for Python functions, other runtimes will get a self-contained form later'
else
  problem='the code of the Tailrace extension is not beside it: its file was copied without the folder tailrace'
fi
echo "{\"type\":\"tailrace.log\",\"level\":\"error\",\"message\":\"$problem; nothing is delivered\"}"

# No Python. An extension that never registers stops init for its whole 10 s, one that exits ends it at once: both
# break the function (lambda-platform.md 4.1, 4.5). So register for no event and wait for ever in event/next, which
# the function does not notice. That takes TCP: bash has it, and bash is the shell of Lambda's own images. Where
# there is none, leave: to fail in a millisecond, with the reason in the log, is better than to fail after 10 s.
idle='
api=/2020-01-01/extension
cr=$(printf "\r")
connect() { exec 3<> "/dev/tcp/${AWS_LAMBDA_RUNTIME_API%:*}/${AWS_LAMBDA_RUNTIME_API##*:}" || exit 1; }
connect
printf "POST $api/register HTTP/1.1\r\nHost: lambda\r\nLambda-Extension-Name: %s\r\n" "$1" >&3
printf "Content-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"events\":[]}" >&3
while IFS=": " read -r key value <&3 && [ "$key" != "$cr" ]; do
  case $key in [Ll]ambda-[Ee]xtension-[Ii]dentifier) identifier=${value%"$cr"} ;; esac
done
[ -n "$identifier" ] || exit 1
connect
printf "GET $api/event/next HTTP/1.1\r\nHost: lambda\r\nLambda-Extension-Identifier: %s\r\n\r\n" "$identifier" >&3
read -r -d "" forever <&3
'
for bash in /bin/bash /usr/bin/bash; do
  [ -x "$bash" ] && exec "$bash" -c "$idle" bash "$name"
done
exit 1
