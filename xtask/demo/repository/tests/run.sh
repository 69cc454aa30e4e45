#!/usr/bin/env bash
# Runs greet as people do and compares what it says.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0

expect() {
  local wanted=$1 said
  shift
  said=$("$@")
  if [[ $said == "$wanted" ]]; then
    echo "ok      $*"
  else
    echo "FAILED  $*: said '$said', wanted '$wanted'"
    failed=1
  fi
}

expect "Hello, world!" ./greet
expect "Hello, Ada!" ./greet Ada

exit "$failed"
