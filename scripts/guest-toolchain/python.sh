# shellcheck shell=bash disable=SC2154
# Python guests: CPython through componentize-py. Sourced by build-guests.
#
# A plugin's folder has requirements.txt, which pins componentize-py, and src/plugin.py. Whatever is below src is bundled.

PYTHON_MINOR_MIN=10

need_python() {
  have python3 || need_packages "building Python guests" python3 python3-venv
  python3 -c "import sys; sys.exit(sys.version_info < (3, $PYTHON_MINOR_MIN))" ||
    die "Python guests need python 3.$PYTHON_MINOR_MIN or later; this is $(python3 --version)"
  # Debian keeps a part of venv in a package of its own.
  python3 -c 'import ensurepip, venv' 2>/dev/null || need_packages "building Python guests" python3-venv
}

build_python_guests() {
  local requirements
  for requirements in "$1"/*/requirements.txt; do
    if [ -e "$requirements" ]; then build_python_guest "$(dirname "$requirements")" "$2"; fi
  done
}

# build_python_guest FOLDER OUT
build_python_guest() {
  local folder=$1 name inputs packages venv built
  name=$(basename "$1")
  venv=$WORK/venv/$name
  inputs=$(digest -- "$folder" "$ROOT/wit/tool" "$TOOLCHAIN/python.sh")
  if is_fresh "$name" "$inputs" "$2/$name.wasm"; then return 0; fi

  need_python
  say "Python guest $name with $(python3 --version)"
  packages=$(digest "$(python3 --version)" -- "$folder/requirements.txt")
  if ! is_fresh "$name.packages" "$packages" "$venv"; then
    rm -rf "$venv"
    quietly "$WORK/pip.log" python3 -m venv "$venv" || die "could not make a Python environment (log: $WORK/pip.log)"
    retry 3 quietly "$WORK/pip.log" "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$folder/requirements.txt" ||
      die "pip could not install what $name needs (log: $WORK/pip.log)"
    remember "$name.packages" "$packages"
  fi
  built=$WORK/$name.wasm
  quietly "$WORK/componentize.log" "$venv/bin/componentize-py" --wit-path "$ROOT/wit/tool" --world tool-plugin \
    componentize plugin -p "$folder/src" -o "$built" || die "componentize-py failed for ${folder#"$ROOT"/}"
  publish "$built" "$2/$name.wasm"
  remember "$name" "$inputs"
}
