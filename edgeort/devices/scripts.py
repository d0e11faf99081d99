"""What runs on a device behind ssh or adb, in the words of any sh: dash, BusyBox, Android's mksh and toybox.

On a device there is one folder, `base`:

    base/blobs/HASH         files by the SHA-256 of their content: they stay, so that the next run is quick
    base/runs/ID-PID/       what one connection needs; PID is that of its guard
        N/                  folders that were pushed
        N.pid               of a program that runs
        incoming/           files on their way into blobs/

The guard is a shell that waits for the end of its input. That comes when edgeort is done, and as well when it is
killed, when the connection breaks, and when this machine is gone: so the device tidies up without being told to.
"""

from __future__ import annotations

KEPT_KB = 512 * 1024  # of blobs/: the oldest go first

# $1: run folder. Programs that are still there are killed first.
_END = """
end() {
  for pid in "$1"/*.pid; do
    [ -f "$pid" ] && kill -9 "$(cat "$pid")" 2>/dev/null
  done
  rm -rf "$1" 2>/dev/null || { sleep 1; rm -rf "$1"; }
}
"""

# $1: base, or "" for the user's cache folder; $2: what the run is called; $3: the run folder of a connection that was
# lost, or "". Says the run folder, the system, and at the end whether all is gone.
GUARD = f"""{_END}
base=$1
[ -n "$base" ] || base=${{XDG_CACHE_HOME:-${{HOME:?is not set}}/.cache}}/edgeort
mkdir -p "$base/blobs" "$base/runs" || exit 73
trap '' HUP INT TERM PIPE
if [ -n "$3" ] && [ -d "$3" ]; then
  kill -9 "${{3##*-}}" 2>/dev/null
  end "$3"
fi
for old in "$base"/runs/*; do
  [ -d "$old" ] && {{ kill -0 "${{old##*-}}" 2>/dev/null || end "$old"; }}
done
run=$base/runs/$2-$$
mkdir "$run" || exit 73
echo "edgeort-run $run"
echo "edgeort-system $(uname -s) $(uname -m) $([ -d /system/framework ] && echo Android)"
while read -r line; do :; done
end "$run"
if [ -d "$base/blobs" ] && [ "$(du -sk "$base/blobs" | cut -f1)" -gt {KEPT_KB} ]; then
  kept=0
  for blob in $(ls -t "$base/blobs"); do
    kept=$((kept + $(du -k "$base/blobs/$blob" | cut -f1)))
    [ "$kept" -gt {KEPT_KB} ] && rm -f "$base/blobs/$blob"
  done
fi
rmdir "$base/runs" "$base/blobs" "$base" 2>/dev/null
[ -e "$run" ] && echo edgeort-left || echo edgeort-gone
"""

# $1: base; the rest: hashes. Says those that are there, each with the hash of its content where the device can tell.
KNOWN = """
cd "$1/blobs" || exit
shift
if command -v sha256sum >/dev/null; then sha256sum "$@" 2>/dev/null; else ls "$@" 2>/dev/null; fi
touch -c "$@" 2>/dev/null
exit 0
"""

# $1: base, $2: run folder; stdin: a tar of blobs.
RECEIVE = """
mkdir "$2/incoming" && tar -x -f - -C "$2/incoming" && mv "$2/incoming/"* "$1/blobs/" && rmdir "$2/incoming" && exit
status=$?
rm -rf "$2/incoming"
exit $status
"""

# $1: blobs, $2: the new folder, the rest: folders in it; stdin: lines with a hash and a name.
ASSEMBLE = """
blobs=$1 to=$2
shift 2
mkdir "$to" && cd "$to" || exit
[ $# -eq 0 ] || mkdir -p "$@" || exit
while read -r hash name; do
  ln "$blobs/$hash" "$name" 2>/dev/null || cp "$blobs/$hash" "$name" || exit
done
"""

# $1: the new folder; stdin: a tar of what it holds.
UNPACK = """
mkdir "$1" && tar -x -f - -C "$1" && exit
status=$?
rm -rf "$1"
exit $status
"""

PACK = 'tar -c -f - -C "$1" .'

REMOVE = 'rm -rf "$1"'

# $1: the file for its process number; the rest: the program and its arguments. The outer shell turns a signal into an
# exit status, which ssh would not tell.
EXECUTE = """
pid=$1
sh -c 'echo $$ >"$0" && exec "$@"' "$@" </dev/null
status=$?
rm -f "$pid"
exit $status
"""

# The same for a program that reads.
CONVERSE = EXECUTE.replace("</dev/null", "")

# $1: the file with a process number.
KILL = 'kill -9 "$(cat "$1")"'

# $1: a program that did not start; $2: its dynamic linker, or "". Says why.
WHY_NOT = """
if [ -e "$1" ]; then
  if [ ! -x "$1" ]; then echo closed; elif [ -n "$2" ] && [ ! -e "$2" ]; then echo unlinked; fi
fi
"""

# Names of pip packages. Says their shared libraries, which may have versions in their names, and the folders of those;
# then on a line of its own the folders that these in turn look in: those of CUDA and TensorRT beside them.
LIBRARIES = """
python3 - "$@" <<'END'
import importlib.metadata as metadata, os, pathlib, sys
found, beside = set(), set()
for name in sys.argv[1:]:
    try:
        package = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        continue
    files, root = package.files or (), pathlib.Path(str(package.locate_file("")))
    libraries = {file.locate() for file in files if ".so" in file.name and "cpython" not in file.name}
    found |= {str(path) for library in libraries for path in (library, library.parent)}
    beside |= {str(at) for one in ("nvidia/*/lib", "tensorrt_libs") for at in root.glob(one)}
searched = [*sorted(beside), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
print(*sorted(found), sep=":")
print(*(searched if beside else ()), sep=":")
END
"""

# $1: base. Other connections keep their folders.
CLEAR = 'rm -rf "$1/blobs"'
