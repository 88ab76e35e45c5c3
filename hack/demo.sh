#!/usr/bin/env bash
# Shows the plugin at work on a recorded cluster. Nothing but the built plugin is needed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
plugin=bin/kubectl-stuck
recorded=hack/demo/cluster
[ -x "$plugin" ] || { echo "error: $plugin is missing: run 'make build'" >&2; exit 1; }

say() { printf '\n\033[1m%s\033[0m\n' "$1"; }
[ -t 1 ] || say() { printf '\n%s\n' "$1"; }
run() {
	say "\$ kubectl stuck $*"
	"$plugin" "$@" --from "$recorded"
}

say "A node ran out of processes; elsewhere one pod is held by a finalizer. Recorded on a real control plane, and read from $recorded."
run pods -A
run node

bad=$("$plugin" pods -A --from "$recorded" -o jsonpath='{.groups[0].node}')
read -r namespace pod < <("$plugin" pods -A --from "$recorded" -o jsonpath='{range .groups[?(@.reach=="pod")]}{.pods[0].namespace} {.pods[0].name}{"\n"}{end}')
say "The whole story of that node, and of the pod that has nothing to do with it:"
run node "$bad"
run explain "pod/$pod" -n "$namespace"
