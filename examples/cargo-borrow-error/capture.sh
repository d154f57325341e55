#!/usr/bin/env bash
# A Rust build that borrows twice. Needs: cargo; no crate is fetched. Writes incident.log.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=/srv/ledger-rs
rm -rf "$home" && mkdir -p "$home"
trap 'rm -rf "$home"' EXIT
cp -r "$here/project/." "$home/"
cd "$home"
{ echo "+ cargo --version"; cargo --version; echo "+ cargo build --release"
  CARGO_TERM_COLOR=never cargo build --release && status=0 || status=$?
  echo "##[error]Process completed with exit code $status."; } >"$here/incident.log" 2>&1
