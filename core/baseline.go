package core

// Compare sets the BaselineState of one scanner's findings in place and returns how many findings of the baseline are
// gone. known holds the fingerprints that the same scanner found in the baseline; nil when it did not complete there, so
// that all findings are new and nothing can be called fixed.
func Compare(findings []Finding, known map[string]bool) (absent int) {
	still := make(map[string]bool, len(known))
	for i := range findings {
		f := &findings[i]
		f.BaselineState = New
		if known[f.Fingerprint] {
			f.BaselineState = Unchanged
			still[f.Fingerprint] = true
		}
	}
	return len(known) - len(still)
}
