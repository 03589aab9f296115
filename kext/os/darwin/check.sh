#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check.sh KPI.TXT INFO.PLIST OBJECT...: do the kext's objects ask XNU for exactly
# what kpi.txt lists, does Info.plist name exactly its bundles, and does nothing want
# to run before start?  Says every difference; exit code 1 when there is one.
set -eu
kpi=$1
plist=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
complain() {
	echo "kext-darwin: $1" >&2
	bad=1
}

"$NM" -g -u "$@" | sed -n 's/^ *\(U \)\{0,1\} *\(_[^ ]*\)$/\2/p' | sort -u >"$work/asked"
"$NM" -g -U "$@" | sed -n 's/.* [A-Z] \(_[^ ]*\)$/\1/p' | sort -u >"$work/own"
comm -23 "$work/asked" "$work/own" >"$work/needed"
sed -n 's/^com\.apple\.kpi\.[a-z]* \(_[^ ]*\)$/\1/p' "$kpi" | sort >"$work/listed"
grep -v '^#' "$kpi" | grep -v '^$' | grep -vE '^com\.apple\.kpi\.[a-z]+ _[^ ]+$' >"$work/odd" || true
[ ! -s "$work/odd" ] || complain "kpi.txt has lines that are no entry: $(head -n 1 "$work/odd")"
[ -z "$(uniq -d "$work/listed")" ] || complain "listed twice: $(uniq -d "$work/listed" | tr '\n' ' ')"
[ -s "$work/needed" ] || complain "the objects ask for nothing at all: is $NM right?"
for symbol in $(comm -23 "$work/needed" "$work/listed"); do
	complain "an object needs $symbol, which kpi.txt does not list"
done
for symbol in $(comm -13 "$work/needed" "$work/listed"); do
	complain "kpi.txt lists $symbol, which no object needs"
done

sed -n 's/^\(com\.apple\.kpi\.[a-z]*\) .*/\1/p' "$kpi" | sort -u >"$work/bundles"
sed -n 's|.*<key>\(com\.apple\.kpi\.[a-z]*\)</key>.*|\1|p' "$plist" | sort >"$work/declared"
cmp -s "$work/bundles" "$work/declared" ||
	complain "Info.plist declares $(tr '\n' ' ' <"$work/declared"), kpi.txt uses $(tr '\n' ' ' <"$work/bundles")"

"$OBJDUMP" -h "$@" >"$work/sections"
grep -q __text "$work/sections" || complain "no __text in any object: is $OBJDUMP right?"
found=$(grep -oE '__(mod_init_func|mod_term_func|StaticInit|constructor|destructor|thread_[a-z]*|init_offsets)' \
	"$work/sections" | sort -u | tr '\n' ' ')
[ -z "$found" ] || complain "something runs before start or after stop, or for each thread: $found"
exit $bad
