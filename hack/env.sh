# Sourced by the scripts of this folder: they work from any directory, stop at the first command that fails
# unnoticed, and say what failed and what mends it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off
name=$(basename "$0")
build=$PWD/.build
mkdir -p "$build/bin"
modules=(. test hack/tools hack/tools/goreleaser)

# fail MESSAGE [COMMAND THAT MENDS IT]
fail() {
  printf '%s: %s\n' "$name" "$1" >&2
  if [ $# -gt 1 ]; then printf '%s: to mend it: %s\n' "$name" "$2" >&2; fi
  exit 1
}

# tool NAME: builds a tool at the version pinned in hack/tools/go.mod and prints its path. Built once, then checked
# in a fraction of a second.
tool() {
  local package
  package=$(sed -nE "s#^[[:space:]]*(tool )?([^ ]+/$1)\$#\2#p" hack/tools/go.mod)
  [ -n "$package" ] || fail "hack/tools/go.mod names no tool $1"
  go -C hack/tools build -o "$build/bin/$1" "$package" >&2 || fail "could not build $1"
  printf '%s\n' "$build/bin/$1"
}

# go_files: every Go file of the repository, without what is built and what tests read.
go_files() {
  find . \( -name .git -o -path ./.build -o -path ./bin -o -path ./dist -o -name testdata \) -prune -o -name '*.go' -print | sort
}

# plugin: builds the plugin and prints its path.
plugin() {
  make --no-print-directory -s build >&2 || fail "the plugin does not build" "make build"
  printf '%s\n' "$PWD/bin/kubectl-stuck"
}

# a_kubectl DIR: leaves a kubectl in DIR: the one on PATH, or else the test bed's, which is kubectl under that name.
a_kubectl() {
  local found
  if found=$(command -v kubectl); then
    ln -sf "$found" "$1/kubectl"
  elif [ -x "$build/testbed" ]; then
    ln -sf "$build/testbed" "$1/kubectl"
  else
    fail "there is no kubectl on PATH and no test bed to take one from" "(cd test && go test ./bed) builds it"
  fi
}
