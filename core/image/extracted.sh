#!/bin/sh
# mmdebstrap's hook after the extraction, $1 the new root. Say now, not in half a minute, what apt cannot install;
# and have dpkg leave out from here on what a machine never reads (mmdebstrap's own way to do so is slow).
set -eu
echo "$MMDEBSTRAP_INCLUDE" | tr , '\n' | APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" xargs apt-get install --simulate -qq > /dev/null

mkdir -p "$1/etc/dpkg/dpkg.cfg.d"
cat > "$1/etc/dpkg/dpkg.cfg.d/50vertui" <<END
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
END
