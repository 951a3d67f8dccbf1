#!/usr/bin/env bash
# Packs the package, installs it into an empty project as a user would, without install scripts, and has
# a TypeScript server and a plain JavaScript one answer a client, and programs for `co` find `skein/co`; all entries
# share their classes, a dump has the user's lines only, and a test of a server passes in Node's runner. The compiler,
# the types of Node and `ws` are those of this repository.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT

(cd "$root" && npm pack --silent --pack-destination "$project" >/dev/null)
cp "$here"/{server.ts,server.mjs,co.ts,co.cjs,entries.mjs,dump.mjs,silence.mjs} "$project"
cd "$project"
echo '{ "name": "first-server", "private": true, "type": "module" }' >package.json
npm install --ignore-scripts --no-audit --no-fund ./skein-*.tgz
node "$root/node_modules/typescript/bin/tsc" server.ts co.ts --outDir out --target es2022 --module nodenext \
  --moduleResolution nodenext --strict --skipLibCheck false --types node \
  --typeRoots "$root/node_modules/@types"
node "$here/client.mjs" out/server.js
echo 'TypeScript: hello echoed'
node "$here/client.mjs" server.mjs
echo 'JavaScript: hello echoed'
# Asked for by name, a reactor that does not load is an error.
SKEIN_REACTOR=node node "$here/client.mjs" server.mjs
echo 'the portable reactor: hello echoed'
if [[ $(uname) == Linux ]]; then
  SKEIN_REACTOR=epoll node "$here/client.mjs" server.mjs
  echo 'the epoll reactor, as packed: hello echoed'
fi
[[ $(node out/co.js) == '9 letters' ]]
echo 'skein/co: imported'
# Node can `require` a module of ECMAScript from 20.19 on.
if node -e 'process.exit(process.features.require_module ? 0 : 1)'; then
  [[ $(node co.cjs) == '1,2 of function' ]]
  echo 'skein/co: required'
fi
for flags in '' --enable-source-maps; do
  [[ $(node $flags dump.mjs) == 'only lines of the user' ]]
done
echo 'a dump: only lines of the user, with source maps too'
node --test silence.mjs >silence.log || { cat silence.log && exit 1; }
echo 'a server in a test: an hour of silence takes no time'
npm install --ignore-scripts --no-audit --no-fund "$root/node_modules/ws"
[[ $(node entries.mjs) == 'one copy' ]]
echo 'all entries: one copy of everything'
