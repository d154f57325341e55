#!/usr/bin/env bash
# A build of TypeScript sources that mix bigint and number. Needs: node, npm and its registry. Writes incident.log.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=/srv/storefront
rm -rf "$home" && mkdir -p "$home"
trap 'rm -rf "$home"' EXIT
cp -r "$here/project/." "$home/"
cd "$home"
export NPM_CONFIG_USERCONFIG=/dev/null NPM_CONFIG_CACHE=$home/.npm NPM_CONFIG_UPDATE_NOTIFIER=false HOME=$home NO_COLOR=1
{ echo "+ npm install"; npm install --no-audit --no-fund; echo "+ npm run build"; npm run build && status=0 || status=$?
  echo "##[error]Process completed with exit code $status."; } >"$here/incident.log" 2>&1
