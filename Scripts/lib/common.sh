# Shared by the shell commands. Expects LOTA_ROOT. Works with bash 3.2, so that macOS needs nothing else.

say() { printf 'lota: %s\n' "$*" >&2; }

die() {
  printf 'lota: error: %s\n' "$*" >&2
  exit 1
}

# Where downloads are kept; they are shared between clones.
if [ -n "${LOTA_CACHE:-}" ]; then
  case $LOTA_CACHE in /*) ;; *) LOTA_CACHE=$PWD/$LOTA_CACHE ;; esac
elif [ -n "${HOME:-}" ]; then
  LOTA_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/lota
else
  LOTA_CACHE=$LOTA_ROOT/.lota/cache
fi
export LOTA_CACHE

# The manifest reads LOTA_TORCH too, from another folder: make it absolute, and treat an empty one as unset.
if [ -n "${LOTA_TORCH:-}" ]; then
  case $LOTA_TORCH in /*) ;; *) LOTA_TORCH=$PWD/$LOTA_TORCH ;; esac
  export LOTA_TORCH
else
  unset LOTA_TORCH
fi

# Names the libtorch that a build uses: the folder, or where the repository's link leads.
torch_identity() {
  if [ -n "${LOTA_TORCH:-}" ]; then
    printf '%s\n' "$LOTA_TORCH"
  else
    readlink "$LOTA_ROOT/.torch" 2>/dev/null || printf '%s\n' "$LOTA_ROOT/.torch"
  fi
}

# lock FILE WHAT: waits until this process alone holds FILE (file descriptor 9), until it ends or unlocks.
lock() {
  mkdir -p "$(dirname "$1")" 2>/dev/null || die "cannot create the folder $(dirname "$1"); check its permissions"
  if command -v flock >/dev/null 2>&1; then
    exec 9>>"$1" || die "cannot write $1; check its permissions"
    if ! flock -n 9; then
      say "waiting for another $2 to end"
      flock 9
    fi
  else
    # Without flock: a folder that holds the owner's process id; one left by a process that is gone is taken over.
    lock_folder=$1.d
    local told=no owner
    until mkdir "$lock_folder" 2>/dev/null; do
      owner=$(cat "$lock_folder/pid" 2>/dev/null || true)
      if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
        rm -rf "$lock_folder"
        continue
      fi
      [ "$told" = yes ] || say "waiting for another $2 to end"
      told=yes
      sleep 1
    done
    printf '%s\n' "$$" >"$lock_folder/pid"
    trap 'rm -rf "$lock_folder"' EXIT
  fi
}

unlock() {
  if [ -n "${lock_folder:-}" ]; then
    rm -rf "$lock_folder"
    trap - EXIT
  else
    exec 9>&-
  fi
}

sha256_of() {
  if command -v sha256sum >/dev/null 2>&1; then
    sha256sum "$1" | cut -d' ' -f1
  else
    shasum -a 256 "$1" | cut -d' ' -f1
  fi
}

# Puts a Swift toolchain from one of its usual places on PATH when none is there.
use_swift() {
  command -v swift >/dev/null 2>&1 && return 0
  local folder
  for folder in "${HOME:-}/.local/share/swiftly/bin" /opt/swift/usr/bin /usr/local/swift/usr/bin /usr/share/swift/usr/bin; do
    if [ -x "$folder/swift" ]; then
      export PATH="$folder:$PATH"
      return 0
    fi
  done
  return 1
}

# OpenMP's threads wait asleep: spinning at barriers wins nothing on free cores and loses tenfold on busy ones.
# The library reads this when it is loaded, so the program cannot set it for itself.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
