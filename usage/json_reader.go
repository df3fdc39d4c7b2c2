package usage

import "github.com/usagebook/usagebook/usage/internal/jsontext"

// JSONScanner finds its way through JSON text in a single pass, without
// reflection: the one that [DecodeRecords] uses, for adapters that read documents
// of their own. JSONTexts keeps the strings that they read, and a JSONError tells
// why a text is not what was asked for. Like the forms of a vendor's documents
// they are no promise of this package: they may change from release to release.
type (
	JSONScanner = jsontext.Scanner
	JSONTexts   = jsontext.Texts
	JSONError   = jsontext.Error
)
