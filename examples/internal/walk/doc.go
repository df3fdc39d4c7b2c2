// Package walk runs Markdown that shows curl commands and their answers, so that
// what a reader is shown is what happens. It is for tests alone.
//
// Three nouns: a block is a fenced block of a document; a command is a curl line
// of an sh block; an answer is the block behind it, of language json, text, or
// http for those of curl -i.
//
//	```sh
//	curl -s "$BASE/v1/jobs/$JOB" -H "$ACME"   # repeat until it is done
//	```
//	```json
//	{"id": "$JOB", "created": "…", "status": "completed", …}
//	```
//
// Commands are read as a shell reads them, without what would need one: pipes,
// redirections, substitutions and unquoted wildcards are refused. A line NAME=value
// sets a variable. A comment that begins with "repeat until" has the command repeated
// until the answer is as shown.
//
// # Answers
//
// JSON is compared by structure, with its keys in order and numbers as text, so
// that it may be shown with any white space. In it
//
//	…       is any value, or in a string any text; as the last item, or the last
//	        member, of a list or an object it is all that follow
//	$NAME   in a string is the variable, which is set by the first answer that has
//	        it; names are of capital letters
//
// In http answers the status and the headers that are shown are compared. Without -i
// the status has to be 2xx.
package walk
