# Fetching wheels through pip, checked against Scripts/wheels.sha256. Expects common.sh.

need_python() {
  command -v python3 >/dev/null 2>&1 ||
    die "python3 is needed to fetch and unpack what is missing; install it (Debian: apt-get install python3 python3-pip)"
}

# run_pip ARGUMENTS: whichever pip there is. Fails with 127 when there is none.
run_pip() {
  if python3 -m pip --version >/dev/null 2>&1; then
    python3 -m pip "$@"
  elif command -v pip3 >/dev/null 2>&1; then
    pip3 "$@"
  elif command -v pip >/dev/null 2>&1; then
    pip "$@"
  else
    return 127
  fi
}

need_pip() {
  run_pip --version >/dev/null 2>&1 ||
    die "pip is needed to fetch what is missing; install it (Debian: apt-get install python3-pip; macOS: python3 -m ensurepip)"
}

# verify FILE: its SHA-256 must be the pinned one.
verify() {
  local name pinned actual
  name=$(basename "$1")
  pinned=$(awk -v name="$name" '$2 == name { print $1 }' "$LOTA_ROOT/Scripts/wheels.sha256")
  actual=$(sha256_of "$1")
  if [ -z "$pinned" ]; then
    if [ "${LOTA_ALLOW_UNPINNED:-0}" = 1 ]; then
      say "warning: $name has no pinned checksum; used because LOTA_ALLOW_UNPINNED=1 (SHA-256 $actual)"
      return 0
    fi
    say "$name has no checksum in Scripts/wheels.sha256 and is refused (SHA-256 $actual); set LOTA_ALLOW_UNPINNED=1 to use it all the same"
    return 1
  fi
  if [ "$actual" != "$pinned" ]; then
    say "$name is damaged or not the file expected: SHA-256 $actual, pinned $pinned"
    return 1
  fi
}

# cached_wheel PATTERN: prints the path of a sound wheel in the cache that fits; removes damaged ones.
cached_wheel() {
  local file
  for file in "$LOTA_CACHE"/wheels/$1; do
    [ -f "$file" ] || continue
    if verify "$file"; then
      printf '%s\n' "$file"
      return 0
    fi
    say "removing $file; it is fetched again"
    rm -f "$file"
  done
  return 1
}

# download REQUIREMENT [PIP ARGUMENTS]: prints the path of the verified wheel in the cache; 1 when pip finds none.
# pip's own words are kept in $LOTA_CACHE/pip.log. A wheel enters the cache by a rename, whole and verified.
download() {
  local part=$LOTA_CACHE/wheels/.part file
  # The cache is locked: a folder that exists was left by a run that was interrupted.
  rm -rf "$part"
  mkdir -p "$part" 2>/dev/null || die "cannot write to $LOTA_CACHE; set LOTA_CACHE to a folder that can be written"
  printf '== pip download %s\n' "$*" >>"$LOTA_CACHE/pip.log"
  need_pip
  if ! run_pip download --no-deps --only-binary=:all: --disable-pip-version-check --progress-bar off \
    --retries 2 --dest "$part" "$@" >>"$LOTA_CACHE/pip.log" 2>&1; then
    rm -rf "$part"
    return 1
  fi
  for file in "$part"/*.whl; do
    [ -f "$file" ] || die "pip fetched no wheel for $1; see $LOTA_CACHE/pip.log"
    if ! verify "$file"; then
      rm -rf "$part"
      die "$1 was fetched but not accepted"
    fi
    mv -f "$file" "$LOTA_CACHE/wheels/" || die "cannot write to $LOTA_CACHE/wheels"
    rm -rf "$part"
    printf '%s\n' "$LOTA_CACHE/wheels/$(basename "$file")"
    return 0
  done
}

# Whether pip's log shows that its index was out of reach.
network_failed() {
  grep -qiE 'connection (broken|refused)|NewConnectionError|NameResolution|timed out|unreachable|ProxyError|SSLError' "$LOTA_CACHE/pip.log"
}

# Says in one line why pip failed: the network first, since its other errors follow from that.
pip_reason() {
  local log=$LOTA_CACHE/pip.log
  if network_failed; then
    echo "pip cannot reach its package index"
  elif grep -q 'No space left' "$log"; then
    echo "the disk is full"
  else
    grep -E '^ERROR' "$log" | tail -n 1 | sed 's/^ERROR: //' | cut -c1-200 | grep . || tail -n 1 "$log"
  fi
}

# unpack WHEEL FOLDER SKIP PREFIX...: extracts the entries under the prefixes, save those whose file name begins with
# one of the comma-separated words of SKIP. Every entry's CRC is checked.
unpack() {
  python3 - "$@" <<'PYTHON' || die "could not unpack $1 into $2"
import sys, zipfile
wheel, folder, skip, prefixes = sys.argv[1], sys.argv[2], tuple(w for w in sys.argv[3].split(",") if w), tuple(sys.argv[4:])
try:
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if n.startswith(prefixes) and not (skip and n.rsplit("/", 1)[-1].startswith(skip))]
        if not names:
            sys.exit("lota: error: %s holds nothing under %s" % (wheel, ", ".join(prefixes)))
        for name in names:
            archive.extract(name, folder)
except (OSError, zipfile.BadZipFile) as error:
    sys.exit("lota: error: %s: %s" % (wheel, error))
PYTHON
}
