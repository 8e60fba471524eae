#!/bin/sh
# Installs the Chromium that the tests of the HTML report drive, where that is possible (through apt, as root, on
# Debian or Ubuntu), and never fails. Without one those tests are skipped, and pytest says why.

has_chromium() {
  for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 && return 0
  done
  return 1
}

if ! has_chromium && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } \
    >/dev/null 2>&1 || true
fi
has_chromium || echo "browser.sh: no Chromium here and none could be installed; browser tests are skipped"
exit 0
