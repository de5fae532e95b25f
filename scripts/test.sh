#!/bin/sh
# Every check there is: lint, type check, build (one test each) and all vitest projects. Works in a fresh clone
# as root; the last line is `N passed, N failed`, with `, N skipped` when something was. Without root the lab's
# tests are skipped.
set -u
. "$(dirname -- "$0")/help.sh"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root" || exit 1

case "${1:-}" in
  '') ;;
  *) echo "test: unknown option '$1'" >&2; exit 2 ;;
esac

if ! scripts/setup.sh --tests --no-build; then
  echo 'FAILED: set-up'
  echo '0 passed, 1 failed'
  exit 1
fi

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# step NAME COMMAND...: one test
step() {
  name=$1
  shift
  printf '\n== %s\n' "$name"
  if "$@"; then : >"$results/$name.passed"; else : >"$results/$name.failed"; fi
}

# suite NAME PROJECT...: as many tests as vitest counts
suite() {
  name=$1
  shift
  printf '\n== tests: %s\n' "$*"
  projects=
  for project in "$@"; do projects="$projects --project $project"; done
  # shellcheck disable=SC2086
  npx vitest run $projects --passWithNoTests --reporter=default --reporter=json --outputFile.json="$results/$name.json" ||
    : >"$results/$name.exit"
}

build() {
  rm -rf dist
  npm run --silent build && touch dist/.built
}

step lint npm run --silent lint
step typecheck npm run --silent typecheck
step build build
suite without-root unit contract packets fuzz sim
suite lab lab

again=$(node scripts/count-tests.js --again "$results")
if [ -n "$again" ]; then
  printf '\n== once more, by themselves:\n%s\n' "$again"
  # shellcheck disable=SC2086
  npx vitest run $again --reporter=default --reporter=json --outputFile.json="$results/again.json"
fi

echo
node scripts/count-tests.js "$results"
