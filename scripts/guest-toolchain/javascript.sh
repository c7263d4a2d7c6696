# shellcheck shell=bash disable=SC2154
# JavaScript guests: QuickJS through componentize-qjs. Sourced by build-guests.
#
# A plugin's folder has a package.json whose script `build` writes build/<folder>.wasm, so that its author needs nothing but npm. All tools
# are its devDependencies, pinned by its package-lock.json.

NODE_MAJOR_MIN=18
NODE_CHECKED=no

need_node() {
  [ "$NODE_CHECKED" = no ] || return 0
  if ! have node || ! have npm; then need_packages "building JavaScript guests" nodejs npm; fi
  local major
  major=$(node -p 'process.versions.node.split(".")[0]') || die "node does not run"
  [ "$major" -ge "$NODE_MAJOR_MIN" ] || die "JavaScript guests need node $NODE_MAJOR_MIN or later; this is $(node --version)"
  NODE_CHECKED=yes
}

build_javascript_guests() {
  local manifest
  for manifest in "$1"/*/package.json; do
    if [ -e "$manifest" ]; then build_javascript_guest "$(dirname "$manifest")" "$2"; fi
  done
}

# build_javascript_guest FOLDER OUT
build_javascript_guest() {
  local folder=$1 name inputs packages
  name=$(basename "$1")
  inputs=$(digest -- "$folder" "$ROOT/wit/policy" "$ROOT/wit/tool" "$TOOLCHAIN/javascript.sh")
  if is_fresh "$name" "$inputs" "$2/$name.wasm"; then return 0; fi

  need_node
  say "JavaScript guest $name with node $(node --version)"
  # Not `npm ci`: componentize-qjs names optional packages of other systems that were never published, a lock file cannot hold those, and
  # `npm ci` refuses a lock file without them. `npm install` takes the same versions and checks the same hashes.
  packages=$(digest -- "$folder/package-lock.json")
  if ! is_fresh "$name.packages" "$packages" "$folder/node_modules"; then
    (cd "$folder" && retry 3 quietly "$WORK/npm.log" npm install --no-save --no-audit --no-fund) ||
      die "npm could not install what $name needs (log: $WORK/npm.log)"
    remember "$name.packages" "$packages"
  fi
  (cd "$folder" && quietly "$WORK/npm.log" npm run build) || die "npm run build failed in ${folder#"$ROOT"/}"
  publish "$folder/build/$name.wasm" "$2/$name.wasm"
  remember "$name" "$inputs"
}
