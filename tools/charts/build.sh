#!/bin/sh
# Make templates/_report/charts.js of the packages in package-lock.json: `make charts`. Needs npm.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out="$here/../../templates/_report/charts.js"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$here/charts.js" "$work"
cd "$work"
npm ci --silent --ignore-scripts
version=$(node -p 'require("echarts/package.json").version')
{
  printf '/*! Apache ECharts %s (bar, custom, treemap, SVG), made by tools/charts/build.sh.\n\n' "$version"
  cat node_modules/echarts/NOTICE node_modules/echarts/LICENSE node_modules/echarts/licenses/LICENSE-d3
  printf '\nzrender:\n\n'
  cat node_modules/zrender/LICENSE
  printf '\ntslib:\n\n'
  cat node_modules/tslib/LICENSE.txt
  printf '*/\n'
} | tr -d '\r' >licence
cat licence >all
node node_modules/esbuild/bin/esbuild charts.js --bundle --minify --charset=utf8 --format=iife \
  --global-name=charts --target=es2020 --legal-comments=none --log-level=warning >>all
mv all "$out"
sha256sum "$out"
