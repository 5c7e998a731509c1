# Building, for ./lota and ./test. Expects common.sh.

# A stamp is dated when the build begins, so that a file changed while it runs counts as newer. It names the
# libtorch used, since the compiler flags depend on it.
stamp_of() { printf '%s\n' "$LOTA_ROOT/.lota/$1.stamp"; }

# build_is_current lota|tests: true when nothing that goes into the product is newer than its last build.
build_is_current() {
  local root=$LOTA_ROOT stamp torch recorded='' newer
  stamp=$root/.lota/$1.stamp
  torch=${LOTA_TORCH:-$root/.torch}
  [ -f "$stamp" ] && [ -x "$root/.build/release/lota" ] && [ -d "$torch/lib" ] || return 1
  IFS= read -r recorded <"$stamp" || true
  [ "$recorded" = "$(torch_identity)" ] || return 1
  set -- "$root/Package.swift" "$root/Sources" "$root/Scripts/bootstrap" "$root/Scripts/lib" "$root/lota" "$torch/lib"
  case $stamp in */tests.stamp) set -- "$@" "$root/Tests" "$root/test" ;; esac
  # Folders count as well: a deleted file shows only in its folder's date.
  newer=$(find -H "$@" -newer "$stamp" -print 2>/dev/null | head -n 1) || true
  [ -z "$newer" ]
}

# locked_build lota|tests: bootstrap and build, one process at a time.
locked_build() {
  lock "$LOTA_ROOT/.lota/lock" "set-up or build"
  if ! build_is_current "$1"; then
    "$LOTA_ROOT/Scripts/bootstrap" 9>&-
    build "$1"
  fi
  unlock
}

build() {
  local product=$1 log=$LOTA_ROOT/.lota/build.log stamp status=0 started=$SECONDS
  stamp=$(stamp_of "$product")
  use_swift || die "no Swift toolchain on PATH; run Scripts/bootstrap for what is needed"
  torch_identity >"$stamp.new"
  if [ "$product" = tests ]; then
    set -- swift build -c release --build-tests
  else
    set -- swift build -c release --product lota
  fi
  printf 'lota: building (log: .lota/build.log)' >&2
  [ -t 2 ] || printf '\n' >&2
  (cd "$LOTA_ROOT" && "$@" 9>&-) 2>&1 | follow "$log" || status=$?
  [ ! -t 2 ] || printf '\r\033[2K' >&2
  if [ "$status" -ne 0 ]; then
    rm -f "$stamp.new"
    explain "$log"
    die "the build failed; the whole log is $log"
  fi
  say "built in $((SECONDS - started)) s"
  mv -f "$stamp.new" "$stamp"
  # A build of the tests holds the program as well.
  [ "$product" != tests ] || cp -p "$stamp" "$(stamp_of lota)"
}

# Copies standard input to the log; on a terminal the last line shows as progress.
follow() {
  local line
  if [ -t 2 ]; then
    : >"$1"
    while IFS= read -r line; do
      printf '%s\n' "$line" >>"$1"
      printf '\r\033[2Klota: building %s' "${line:0:64}" >&2
    done
  else
    cat >"$1"
  fi
}

# The errors of a build log, each with the lines that show where; the log's end when it names none.
explain() {
  if grep -qE '(error|fatal error): ' "$1"; then
    grep -E -A 5 '(error|fatal error): ' "$1" | awk '!seen[$0]++' | head -n 60 >&2
  else
    tail -n 30 "$1" >&2
  fi
}
