package match

// BaselineFinding is an earlier finding, as far as the matcher needs it.
type BaselineFinding struct {
	Fingerprint string `db:"fingerprint"`
	Anchor      string `db:"anchor"`
	File        string `db:"file"`
	Line        int    `db:"line"`
}

// Baseline are the findings of an earlier scan.
type Baseline struct {
	side   []candidate
	prints []string // by index of side
}

// BaselineOf is a baseline of these findings.
func BaselineOf(findings ...BaselineFinding) Baseline {
	b := NewBaseline(len(findings))
	for _, f := range findings {
		b.Add(f)
	}
	return b
}

// NewBaseline is an empty baseline with memory for about so many findings.
func NewBaseline(about int) Baseline {
	return Baseline{side: make([]candidate, 0, about), prints: make([]string, 0, about)}
}

// Add appends a finding. The texts of its fingerprint and file are not copied.
func (b *Baseline) Add(f BaselineFinding) {
	a, current := parseAnchor(f.Anchor)
	b.side = append(b.side, candidate{place: place{f.File, f.Line}, anchor: a, foreign: !current})
	b.prints = append(b.prints, f.Fingerprint)
}

// Len is the number of findings.
func (b Baseline) Len() int { return len(b.prints) }

// used are fingerprints that no other finding may get.
type used map[string]bool

func (b Baseline) used() used {
	u := make(used, len(b.prints))
	for _, fingerprint := range b.prints {
		u[fingerprint] = true
	}
	return u
}

// without omits the findings whose fingerprints are used.
func (b Baseline) without(u used) (rest Baseline) {
	for i, fingerprint := range b.prints {
		if !u[fingerprint] {
			rest.side, rest.prints = append(rest.side, b.side[i]), append(rest.prints, fingerprint)
		}
	}
	return rest
}
