#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The tests' own sources: formatted, linted, typed, short, with a licence line.
set -eu
deno=$BUILD/cli/deno
sources=$(git ls-files 'tests/*.ts' tests/run 'tests/*.sh' 'tests/*.c' 'tests/*.h' 'tests/*.S')
ts=$(git ls-files 'tests/*.ts')
"$deno" fmt --check --quiet --line-width 100 $ts
"$deno" lint --quiet --config deno.json $ts
"$deno" check --quiet --config deno.json $ts
bad=0
for file in $sources; do
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0-or-later' || {
		echo "$file: no SPDX line"
		bad=1
	}
	lines=$(wc -l <"$file")
	case $file in
	*.ts) most=300 ;;
	*) most=600 ;;
	esac
	[ "$lines" -le "$most" ] || {
		echo "$file: $lines lines, more than $most: it has two jobs"
		bad=1
	}
done
exit $bad
