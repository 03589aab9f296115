#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bin/colinux: decides where state lives and starts the bundle with exactly the
# permissions it needs. Works under env -i, from any folder, wherever the tree
# was moved. Distrusts HOME, PATH and the current folder.
#
# Deno grants Unix sockets by exact path only, so every socket that the CLI
# connects to or listens on is named in `sockets`, every program it runs in
# `programs`.
set -u
# A user's PATH may lack the folders where mke2fs is.
PATH=${PATH:-/usr/local/sbin:/usr/local/bin:/usr/bin:/bin}:/usr/sbin:/sbin
export PATH

fail() {
	echo "colinux: $1" >&2
	exit "$2"
}

self=$(readlink -f -- "$0") || fail "cannot find out where $0 is" 70
prefix=${self%/bin/*}
uid=$(id -u)

if home=$(getent passwd "$uid" 2>/dev/null); then
	home=$(printf '%s\n' "$home" | cut -d: -f6)
else
	home=$(dscl . -search /Users UniqueID "$uid" 2>/dev/null | awk 'NR == 1 { print $1 }')
	home=${home:+/Users/$home}
fi
home=${home:-/nonexistent}
configs=$home/.config/colinux

if [ -f "$prefix/cli/js/main.js" ]; then
	# A checkout: everything stays under its build/.
	COLINUX_LIB_DIR=$prefix
	COLINUX_SOURCE_DIR=${prefix%/*}
	COLINUX_SHIPPED_CONFIGS=$COLINUX_SOURCE_DIR/configs
	code=$prefix/cli
	state=$prefix/state
	cache=$prefix/cache
elif [ -f "$prefix/lib/colinux/cli/js/main.js" ]; then
	COLINUX_LIB_DIR=$prefix/lib/colinux
	COLINUX_SOURCE_DIR=
	COLINUX_SHIPPED_CONFIGS=$prefix/share/colinux/configs
	code=$prefix/lib/colinux/cli
	state=$home/.local/state/colinux
	cache=$home/.cache/colinux
else
	fail "its program is missing beside $self: run make, or install again" 70
fi

# An explicit home holds the state, and the user's definitions with it.
if [ -n "${COLINUX_HOME:-}" ]; then
	case $COLINUX_HOME in
	/*) state=$COLINUX_HOME ;;
	*) state=$PWD/$COLINUX_HOME ;;
	esac
	configs=$state/configs
	# Somebody else's checkout: a cache of our own.
	if [ -e "$cache" ] && [ ! -w "$cache" ]; then cache=$state/cache; fi
fi

# sun_path holds 107 bytes; a deep folder gets a short name elsewhere, that
# the CLI checks to be ours alone.
run=$state/run
if [ ${#run} -gt 80 ]; then
	run=/tmp/colinux-$uid-$(printf %s "$state" | cksum | cut -d' ' -f1)
fi

COLINUX_STATE_DIR=$state
COLINUX_RUN_DIR=$run
COLINUX_CACHE_DIR=$cache
COLINUX_USER_CONFIGS=$configs
COLINUX_SELF=$self
export COLINUX_LIB_DIR COLINUX_SOURCE_DIR COLINUX_SHIPPED_CONFIGS COLINUX_STATE_DIR \
	COLINUX_RUN_DIR COLINUX_CACHE_DIR COLINUX_USER_CONFIGS COLINUX_SELF

# Deno may not look into /dev, /proc and /sys without all permissions; what
# cli/host/choose.ts wants to know of them is seen here.
secure=/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c
COLINUX_PROBE=
if [ -e /dev/colinux ]; then
	COLINUX_PROBE=device
elif [ -e /sys/module/colinux ]; then
	COLINUX_PROBE=module
elif grep -Eqs '\[(integrity|confidentiality)\]' /sys/kernel/security/lockdown; then
	COLINUX_PROBE=lockdown
elif [ "$(cat /sys/module/module/parameters/sig_enforce 2>/dev/null)" = Y ]; then
	COLINUX_PROBE=sigenforce
elif [ -r $secure ] && [ "$(od -An -tu1 -j4 -N1 $secure | tr -d ' ')" = 1 ]; then
	COLINUX_PROBE=secureboot
fi
if [ -e /dev/kvm ]; then COLINUX_PROBE="$COLINUX_PROBE kvm"; fi
COLINUX_BOOT_ID=unknown
if [ -r /proc/sys/kernel/random/boot_id ]; then read -r COLINUX_BOOT_ID < /proc/sys/kernel/random/boot_id; fi
export COLINUX_PROBE COLINUX_BOOT_ID

case $state$run$cache$prefix${COLINUX_SOCKET:-} in
*,*) fail "a comma in the path $prefix or $state: Deno's permissions cannot name it" 78 ;;
esac

# What `deno run` itself must not take from the environment.
DENO_DIR=$cache/deno
DENO_NO_UPDATE_CHECK=1
export DENO_DIR DENO_NO_UPDATE_CHECK
unset DENO_CERT DENO_TRACE_PERMISSIONS DENO_AUDIT_PERMISSIONS

native=/run/colinux/socket
if [ "$(uname -s)" = Darwin ]; then native=/var/run/colinux.socket; fi
native=${COLINUX_SOCKET:-$native}
sockets=unix:$native
# The virtual host's: host/vhost/layout.ts names the same ones.
for name in daemon qmp ctl; do sockets=$sockets,unix:$run/$name.sock; done
port=0
while [ $port -lt 28 ]; do
	sockets=$sockets,unix:$run/port$port.sock
	port=$((port + 1))
done

writable=$state,$run,$cache,$native
if [ -n "$COLINUX_SOURCE_DIR" ]; then
	writable=$writable,$prefix/vhost
fi

# A copy goes where its user says.
write=--allow-write=$writable
if [ "${1:-}" = cp ]; then write=--allow-write; fi

programs=$self,setpriv,sh,apt-get,apt-cache,apt-config,dpkg-deb,sudo
# Images: what builds, copies and packs them.
programs=$programs,mmdebstrap,unshare,mke2fs,e2fsck,resize2fs,debugfs,openssl,tar,cp,mv,rm,sync

exec "$code/deno" run --quiet --no-prompt --no-config --no-remote --no-npm --cached-only \
	--allow-read --allow-env --allow-sys=uid,gid,hostname,osRelease,systemMemoryInfo,cpus \
	--allow-net="$sockets" "$write" --allow-run="$programs" \
	"$code/js/main.js" "$@"
