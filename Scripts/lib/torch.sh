# Finding and fetching libtorch. Expects common.sh and wheels.sh.

torch_version=2.13.0

case $(uname -s) in
  Darwin) library_suffix=dylib ;;
  *) library_suffix=so ;;
esac

# The number behind TORCH_VERSION_$2 in the headers of libtorch $1; the file moved between releases.
torch_version_part() {
  local file
  for file in "$1/include/torch/headeronly/version.h" "$1/include/torch/csrc/api/include/torch/version.h"; do
    [ -f "$file" ] || continue
    awk -v name="TORCH_VERSION_$2" '$1 == "#define" && $2 == name { print $3; found = 1 } END { exit !found }' "$file" && return 0
  done
  return 1
}

# Libraries that libtorch $1 needs and the loader does not find, on one line.
missing_libraries() {
  [ "$library_suffix" = so ] && command -v ldd >/dev/null 2>&1 || return 0
  { ldd "$1/lib/libtorch_cpu.so" 2>/dev/null || true; } | awk '/not found/ { printf "%s%s", separator, $1; separator = " " }'
}

# Prints why the folder $1 cannot serve as libtorch; nothing when it can.
torch_problem() {
  local part major minor missing
  for part in include/ATen/ATen.h include/torch/csrc/api/include/torch/torch.h \
    "lib/libtorch_cpu.$library_suffix" "lib/libc10.$library_suffix"; do
    if [ ! -e "$1/$part" ]; then
      echo "it has no $part"
      return 0
    fi
  done
  if ! major=$(torch_version_part "$1" MAJOR) || ! minor=$(torch_version_part "$1" MINOR); then
    echo "its headers do not tell its version"
  elif [ "$major" -ne 2 ] || [ "$minor" -lt 4 ]; then
    echo "it is version $major.$minor; lota needs 2.4 or a later 2.x"
  elif [ "$library_suffix" = so ] && ! LC_ALL=C grep -q __cxx11 "$1/lib/libc10.so"; then
    echo "it was built with the old C++ ABI (no std::__cxx11 symbols)"
  else
    missing=$(missing_libraries "$1")
    [ -z "$missing" ] || echo "its libraries need $missing, which are not found"
  fi
}

# The torch folder of the python3 on PATH, found without importing it; fails when there is none.
python_torch() {
  command -v python3 >/dev/null 2>&1 || return 1
  # From / so that a folder called torch where the user stands is not taken for the package.
  (cd / && python3 - 2>/dev/null) <<'PYTHON'
import importlib.util, sys
spec = importlib.util.find_spec("torch")
if spec is None or not spec.origin:
    sys.exit(1)
print(list(spec.submodule_search_locations)[0])
PYTHON
}

# The wheel platforms that fit this machine.
wheel_platforms() {
  case "$(uname -s) $(uname -m)" in
    "Linux x86_64") echo "manylinux_2_28_x86_64 manylinux_2_25_x86_64 manylinux_2_17_x86_64 manylinux2014_x86_64" ;;
    "Linux aarch64" | "Linux arm64") echo "manylinux_2_28_aarch64 manylinux_2_25_aarch64 manylinux_2_17_aarch64 manylinux2014_aarch64" ;;
    "Darwin arm64") echo "macosx_14_0_arm64" ;;
    *) die "there is no libtorch $torch_version to fetch for $(uname -s) on $(uname -m); set LOTA_TORCH to a folder with its include/ and lib/" ;;
  esac
}

# download_for_platform REQUIREMENT: the wheel for Python 3.11 whichever Python runs pip, since libtorch itself does
# not depend on it: one file, and one checksum, per platform.
download_for_platform() {
  local requirement=$1 platform platforms
  platforms=$(wheel_platforms) || exit 1
  set --
  for platform in $platforms; do set -- "$@" --platform "$platform"; done
  download "$requirement" --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none "$@"
}

# Prints the path of a torch wheel: from the cache, else fetched, the smaller build for the CPU first.
torch_wheel() {
  local suffix=cp311-cp311
  case "$(uname -s) $(uname -m)" in
    "Darwin arm64") suffix=$suffix-macosx_14_0_arm64 ;;
    *) suffix=$suffix-manylinux_2_28_$(uname -m | sed 's/arm64/aarch64/') ;;
  esac
  cached_wheel "torch-$torch_version+cpu-$suffix.whl" && return
  cached_wheel "torch-$torch_version-$suffix.whl" && return
  if [ "$library_suffix" = so ]; then
    download_for_platform "torch==$torch_version+cpu" && return
    network_failed || { download_for_platform "torch==$torch_version" && return; }
  else
    download_for_platform "torch==$torch_version" && return
  fi
  network_failed || { download "torch==$torch_version" && return; }
  die "libtorch $torch_version could not be fetched: $(pip_reason). Check the network or pip's settings (log: $LOTA_CACHE/pip.log), or set LOTA_TORCH to a folder with libtorch's include/ and lib/"
}

# The general build of PyTorch for Linux links two small CUDA libraries even where only the CPU is used.
# complete_libraries FOLDER: fetches those beside FOLDER/torch, where its libraries look for them.
complete_libraries() {
  local missing name requirement wheel
  missing=$(missing_libraries "$1/torch")
  for name in $missing; do
    case $name in
      libcupti.so.13) requirement=nvidia-cuda-cupti==13.0.85 ;;
      libcudart.so.13) requirement=nvidia-cuda-runtime==13.0.96 ;;
      *) continue ;;
    esac
    wheel=$(cached_wheel "$(echo "${requirement%%==*}" | tr - _)-${requirement##*==}-*.whl") ||
      wheel=$(download_for_platform "$requirement") ||
      die "$name, which this libtorch needs, could not be fetched: $(pip_reason) (log: $LOTA_CACHE/pip.log)"
    unpack "$wheel" "$1" "" nvidia/cu13/lib/
  done
}

# Fetches libtorch into the cache when it is not there, and prints its folder. Runs in a command substitution, where
# bash does not stop at errors by itself: every step says what to do on failure.
fetch_torch() {
  local name folder aside wheel problem
  name=torch-$torch_version-$(uname -s)-$(uname -m)
  folder=$LOTA_CACHE/$name
  if [ -d "$folder/torch" ]; then
    problem=$(torch_problem "$folder/torch")
    if [ -z "$problem" ]; then
      printf '%s\n' "$folder/torch"
      return 0
    fi
    say "removing $folder ($problem); it is fetched again"
    rm -rf "$folder"
  fi
  need_python
  say "fetching libtorch $torch_version (0.2 to 0.6 GB; kept in $LOTA_CACHE)"
  : >"$LOTA_CACHE/pip.log" || die "cannot write to $LOTA_CACHE; set LOTA_CACHE to a folder that can be written"
  wheel=$(torch_wheel) || exit 1
  # The cache is locked: whatever lies aside was left by a run that was interrupted.
  aside=$LOTA_CACHE/.unpacking
  rm -rf "$aside"
  mkdir -p "$aside" || die "cannot create $aside"
  say "unpacking libtorch"
  unpack "$wheel" "$aside" libtorch_python,libtorch_cuda,libtorch_nvshmem,libcaffe2_nvrtc,libc10_cuda torch/include/ torch/lib/
  complete_libraries "$aside"
  problem=$(torch_problem "$aside/torch")
  if [ -n "$problem" ]; then
    rm -rf "$aside"
    die "the fetched libtorch cannot be used: $problem; set LOTA_TORCH to a folder with libtorch's include/ and lib/"
  fi
  mv "$aside" "$folder" || die "cannot rename $aside to $folder"
  rm -f "$LOTA_CACHE"/wheels/torch-*.whl "$LOTA_CACHE"/wheels/nvidia_*.whl
  printf '%s\n' "$folder/torch"
}
