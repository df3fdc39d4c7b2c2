# Folds the output of `go test -v` to what a reader needs: go test's own line for each package, each
# skipped test with its reason, and everything a failed package printed. Skips are also appended to
# the file named by -v skips=FILE, as package, test and reason between tabs.
#
# go test prints a package's lines together and its result last, so a package is one buffer.

function flush_package(failed,   i) {
	if (failed) {
		for (i = 1; i <= lines; i++) print line[i]
	} else {
		for (i = 1; i <= skipped; i++) print "    skipped " skip[i]
	}
	print
	fflush()
	package = $2
	for (i = 1; i <= skipped; i++)
		if (skips != "") print package "\t" test[i] "\t" reason[i] >> skips
	delete line; delete skip; delete said
	lines = 0; skipped = 0; current = ""
}

/^(ok  |\?   )\t/ { flush_package(0); next }
/^FAIL\t/         { flush_package(1); next }
/^\t.*coverage:/  { flush_package(0); next }

{ line[++lines] = $0 }

# Tests run side by side: these lines say whose output follows.
/^=== (RUN|CONT|NAME|PAUSE) / { current = $3 }

# The last thing a skipped test says is its reason.
/^ +[^ ]+\.go:[0-9]+: / {
	text = $0
	sub(/^ +[^ ]+\.go:[0-9]+: /, "", text)
	said[current] = text
}

/^ *--- SKIP: / {
	name = $3
	if ($1 != "---") name = $2
	skipped++
	test[skipped] = name
	reason[skipped] = said[name]
	skip[skipped] = name ": " (said[name] == "" ? "(no reason given)" : said[name])
}

# A run that was cut off: nothing it said may be lost.
END { for (i = 1; i <= lines; i++) print line[i] }
