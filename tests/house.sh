#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The rules of the house that no compiler knows: a licence line in every file,
# files of one job, nothing of one machine or of a package registry in files or
# commit messages.  Prints every breach; exit code 1 when there is one.
set -eu
cd "$(dirname "$0")/.."
bad=0
breach() {
	echo "$1" >&2
	bad=1
}

# Not ours to write a line into, or of a format that has no comments.
plain='^(LICENSE|deno\.json|deno\.lock|\.gitignore|tests/fuzz/corpus/|tests/golden/|.*\.(png|md)$)'

# The patterns are written so that this file does not match itself.
hosts='registry[.]npm|npm[j]s[.]|js[r][.]io|deb[.]debia[n]|security[.]debia[n]|snapshot[.]debia[n]|nodesourc[e][.]|pyp[i][.]'
paths='(^|[^A-Za-z0-9_.])/wor[k]/|/tm[p]/(h[0-9]|brie[f]|deb[s])|/hom[e]/[a-z]'

for file in $(git ls-files); do
	[ -f "$file" ] || continue
	if ! echo "$file" | grep -Eq "$plain"; then
		head -n 5 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0-or-later' ||
			breach "$file: no SPDX line GPL-2.0-or-later"
	fi
	case $file in
	*.ts) most=300 ;;
	*.c | *.h | *.S) most=600 ;;
	*) most= ;;
	esac
	case $file in cli/rpc/proto.ts) most= ;; esac
	if [ -n "$most" ]; then
		lines=$(wc -l < "$file")
		[ "$lines" -le "$most" ] || breach "$file: $lines lines, more than $most: it has two jobs"
	fi
done

found=$(git grep -nIE "$hosts" -- ':!deno.lock' || true)
[ -z "$found" ] || breach "a package registry is named:
$found"
found=$(git grep -nIE "$paths" || true)
[ -z "$found" ] || breach "a path of one machine is named:
$found"
found=$(git log --format='%h %B' | grep -E "$hosts|$paths" || true)
[ -z "$found" ] || breach "a commit message names a registry or a path of one machine:
$found"

exit $bad
