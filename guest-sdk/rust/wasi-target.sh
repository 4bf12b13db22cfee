#!/bin/sh
# Finds or makes a Rust compiler that can build for wasm32-wasip2, and prints the environment that cargo needs for it.
#
#   env $(guest-sdk/rust/wasi-target.sh) cargo build --release --target wasm32-wasip2
#
# Standard output: nothing when the compiler in use has the target, else one line `RUSTC=...`. Progress and errors go to standard
# error. The order: the compiler in use; what an earlier run made; `rustup target add`; Debian's packages, unpacked into
# ${XDG_CACHE_HOME:-$HOME/.cache}/tollgate/wasi-rust (0.9 GB). No step needs root, and nothing is installed.
# Running it again costs milliseconds, an interrupted run is redone, and runs at the same time wait for each other.
set -eu
export LC_ALL=C

TARGET=wasm32-wasip2
SUITES="forky trixie"
# A folder of its own for each edition of this recipe, so that a new edition never changes files under a running build.
BASE=${XDG_CACHE_HOME:-${HOME:?set HOME or XDG_CACHE_HOME, the compiler is kept there}/.cache}/tollgate/wasi-rust
PREFIX=$BASE/1
STAMP=$PREFIX/ready
WORK=$BASE/work
NEEDED_KIB=1600000

say() { printf 'wasi-target: %s\n' "$*" >&2; }
fail() {
  say "error: $1"
  shift
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}
by_hand() {
  fail "$1" "Do one of these, then run this again:" \
    "- where rustup can reach its server:  rustup target add $TARGET" \
    "- on Debian, with a mirror of $(echo "$SUITES" | sed 's/ / or /') reachable by apt:  nothing else is needed" \
    "- with any other compiler that has the target:  export RUSTC=/path/to/rustc"
}

main() {
  if has_target "${RUSTC:-rustc}"; then
    [ -z "${RUSTC:-}" ] || echo "RUSTC=$RUSTC"
    return
  fi
  if ready; then
    echo "RUSTC=$PREFIX/usr/bin/rustc"
    return
  fi
  if [ -z "${RUSTC:-}" ] && add_with_rustup; then
    return
  fi
  unpack_from_debian
  echo "RUSTC=$PREFIX/usr/bin/rustc"
}

# A compiler names the folder of a target's libraries whether or not it is there.
has_target() {
  libdir=$("$1" --print target-libdir --target "$TARGET" 2>/dev/null) || return 1
  for lib in "$libdir"/libstd-*.rlib; do
    [ -e "$lib" ] && return 0
  done
  return 1
}

# The programs are bound to the path they were made at, so the stamp holds it: a cache that was moved is made again.
ready() { [ "$(cat "$STAMP" 2>/dev/null)" = "$PREFIX" ] && [ -x "$PREFIX/usr/bin/rustc" ]; }

add_with_rustup() {
  command -v rustup >/dev/null 2>&1 || return 1
  say "asking rustup for $TARGET"
  limit=
  if command -v timeout >/dev/null 2>&1; then limit="timeout 300"; fi
  # shellcheck disable=SC2086 # empty or two words
  if $limit rustup target add "$TARGET" >&2 && has_target rustc; then return 0; fi
  say "rustup cannot provide $TARGET here, trying Debian's packages"
  return 1
}

unpack_from_debian() {
  for program in apt-get apt-cache dpkg-deb flock; do
    command -v "$program" >/dev/null 2>&1 || by_hand "this compiler has no $TARGET, and there is no $program to fetch one from Debian"
  done
  case $BASE in
    /*) ;;
    *) fail "the cache folder $BASE is not an absolute path" "Set XDG_CACHE_HOME, or HOME, to an absolute path." ;;
  esac
  case $BASE in
    *[[:space:]]*) fail "the cache folder '$BASE' has a space in it" "Set XDG_CACHE_HOME to a folder without one." ;;
  esac
  mkdir -p "$BASE" || fail "cannot make the folder $BASE" "Set XDG_CACHE_HOME to a folder that you may write to."
  exec 9>"$BASE/lock"
  if ! flock -n 9; then
    say "another run is at work, waiting for it"
    flock 9
  fi
  if ready; then return; fi
  free=$(df -Pk "$BASE" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$NEEDED_KIB" ] || fail "only $((free / 1024)) MiB are free at $BASE, $((NEEDED_KIB / 1024)) are needed" \
    "Free some space, or set XDG_CACHE_HOME to a larger volume."

  mirror=$(debian_mirror)
  [ -n "$mirror" ] || by_hand "the configuration of apt names no mirror of Debian"
  for suite in $SUITES; do
    rm -rf "$PREFIX" "$WORK"
    if (set -e; unpack_suite "$mirror" "$suite") && works; then
      rm -rf "$WORK"
      echo "$PREFIX" >"$STAMP.new"
      mv "$STAMP.new" "$STAMP"
      say "ready: $("$PREFIX/usr/bin/rustc" --version) with $TARGET"
      return
    fi
    say "$suite does not give a working compiler"
  done
  by_hand "no compiler with $TARGET could be made of Debian's packages"
}

# The machine's own mirror; security archives and third parties carry no compiler.
debian_mirror() {
  codename=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}") || codename=
  for filter in ${codename:+"Codename: $codename"} ${codename:+"Release: $codename"} "Created-By: Packages"; do
    found=$(apt-get indextargets --format '$(REPO_URI)' "$filter" 2>/dev/null | grep -v security | sort -u | head -n 1)
    if [ -n "$found" ]; then
      echo "$found"
      return
    fi
  done
}

# In a subshell with `set -e` tested by `if`, errexit is off: each step that may fail says so itself.
unpack_suite() {
  say "fetching the compiler from $2, about 200 MB"
  mkdir -p "$PREFIX" "$WORK/lists/partial" "$WORK/cache/archives/partial" "$WORK/debs" "$WORK/etc" || return 1
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  signed=
  if [ -e "$keyring" ]; then signed="[signed-by=$keyring] "; fi
  echo "deb ${signed}$1 $2 main" >"$WORK/sources.list"
  apt_quiet apt-get update || return 1

  version=$(candidate rustc)
  if [ -z "$version" ] || [ "$version" != "$(candidate libstd-rust-dev-wasm32)" ]; then
    say "$2 has no rustc and libstd-rust-dev-wasm32 of one version"
    return 1
  fi
  # Names that carry a version are read from the index. rustc itself is left out of the closure: it would pull in a C compiler.
  linker=$(apt apt-cache depends rust-llvm | sed -n 's/^ *Depends: \(lld-[0-9]*\)$/\1/p' | head -n 1)
  libraries=$(apt apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
    --no-enhances libstd-rust-dev ${linker:+"$linker"} patchelf | grep '^[a-z0-9]' | sort -u)
  # shellcheck disable=SC2086 # a list of names
  (cd "$WORK/debs" && apt_quiet apt-get download rustc rust-llvm libstd-rust-dev-wasm32 $libraries) || return 1
  say "unpacking"
  for deb in "$WORK"/debs/*.deb; do
    dpkg-deb -x "$deb" "$PREFIX" || return 1
    rm -f "$deb"
  done
  bind_to_own_libraries
}

# The packages may be newer than the C library of this machine, so their programs are pointed at the one that came with them.
# patchelf came with them too, and is run by that library's loader before anything is bound.
bind_to_own_libraries() {
  libs=$(dirname "$(one_file 'librustc_driver-*.so')")
  loader=$(one_file 'ld-linux*.so.*')
  patchelf=$(one_file patchelf)
  [ -n "$libs" ] && [ -n "$loader" ] && [ -n "$patchelf" ] || { say "the packages lack a file that is expected"; return 1; }
  find "$PREFIX/usr" -type f \( -path '*/bin/rustc' -o -path '*/bin/lld' -o -path '*/bin/wasm-component-ld' \) >"$WORK/programs"
  find "$libs" -maxdepth 1 -type f \( -name 'libLLVM*.so*' -o -name 'librustc_driver-*.so' -o -name 'libxml2.so*' \) >"$WORK/libraries"
  while read -r file; do
    "$loader" --library-path "$libs" "$patchelf" --set-interpreter "$loader" --force-rpath --set-rpath "$libs" "$file" || return 1
  done <"$WORK/programs"
  while read -r file; do
    "$loader" --library-path "$libs" "$patchelf" --force-rpath --set-rpath "$libs" "$file" || return 1
  done <"$WORK/libraries"
  # wasm-component-ld looks for rust-lld beside itself.
  beside=$(dirname "$(one_file wasm-component-ld)")
  lld=$(find "$PREFIX/usr" -path '*/bin/lld' -type f | head -n 1)
  [ -n "$lld" ] || { say "the packages have no lld"; return 1; }
  ln -sf "$lld" "$beside/rust-lld"
}

one_file() { find "$PREFIX" -type f -name "$1" | head -n 1; }

# The proof is a component, and a program for this machine: build scripts and macros are made by the same compiler.
works() {
  rustc=$PREFIX/usr/bin/rustc
  has_target "$rustc" || return 1
  echo 'fn main() { println!("hello"); }' >"$WORK/hello.rs"
  "$rustc" --edition 2024 --target "$TARGET" -o "$WORK/hello.wasm" "$WORK/hello.rs" >&2 || return 1
  "$rustc" --edition 2024 -o "$WORK/hello" "$WORK/hello.rs" >&2 && [ "$("$WORK/hello")" = hello ]
}

# apt with lists, cache and state of its own; proxies, credentials and certificates stay those of the machine.
apt() {
  tool=$1
  shift
  "$tool" -q -oDir::Etc::sourcelist="$WORK/sources.list" -oDir::Etc::sourceparts=/dev/null \
    -oDir::Etc::preferences=/dev/null -oDir::Etc::preferencesparts=/dev/null \
    -oDir::State="$WORK" -oDir::State::Lists="$WORK/lists" -oDir::State::status=/dev/null -oDir::Cache="$WORK/cache" \
    -oAPT::Sandbox::User=root -oAcquire::Retries=3 -oAcquire::Languages=none "$@"
}

# What apt says is of interest only when it fails.
apt_quiet() {
  apt "$@" >"$WORK/apt.log" 2>&1 && return 0
  tail -n 15 "$WORK/apt.log" >&2
  return 1
}

candidate() { apt apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p' | grep -v '^(none)$'; }

main "$@"
