#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs the given test programs and counts their `ok` and `not ok` lines; a
# program that ends badly without saying `not ok`, or says nothing, fails too.
passed=0
failed=0
for t in "$@"; do
	name=$(basename "$t")
	"$t" >"$t.log" 2>&1
	status=$?
	ok=$(grep -c '^ok ' "$t.log")
	bad=$(grep -c '^not ok ' "$t.log")
	if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
		echo "not ok $name: ended with status $status" >>"$t.log"
		bad=1
	elif [ "$((ok + bad))" -eq 0 ]; then
		echo "not ok $name: reported nothing" >>"$t.log"
		bad=1
	fi
	if [ "$bad" -gt 0 ]; then
		cat "$t.log"
	else
		echo "ok $name ($ok)"
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
done
echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
