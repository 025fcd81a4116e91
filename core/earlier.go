package core

// Known is a finding of the baseline, as far as it takes to recognise it.
type Known struct {
	Fingerprint string `db:"fingerprint"`
	Anchor      string `db:"anchor"`
	File        string `db:"file"`
	Line        int    `db:"line"`
}

// Earlier are findings of an earlier run.
type Earlier struct {
	side   []candidate
	prints []string // by index of side
}

// Remember collects earlier findings.
func Remember(known ...Known) Earlier {
	e := MakeEarlier(len(known))
	for _, k := range known {
		e.Add(k)
	}
	return e
}

// MakeEarlier has room for about as many.
func MakeEarlier(about int) Earlier {
	return Earlier{side: make([]candidate, 0, about), prints: make([]string, 0, about)}
}

// Add appends an earlier finding, whose fingerprint and file are kept.
func (e *Earlier) Add(k Known) {
	a, today := parseAnchor(k.Anchor)
	e.side = append(e.side, candidate{place: place{k.File, k.Line}, anchor: a, foreign: !today})
	e.prints = append(e.prints, k.Fingerprint)
}

// Len is how many there are.
func (e Earlier) Len() int { return len(e.prints) }

// used are fingerprints that no other finding may get.
type used map[string]bool

func (e Earlier) used() used {
	u := make(used, len(e.prints))
	for _, fingerprint := range e.prints {
		u[fingerprint] = true
	}
	return u
}

// without leaves out those whose fingerprints are used.
func (e Earlier) without(u used) (rest Earlier) {
	for i, fingerprint := range e.prints {
		if !u[fingerprint] {
			rest.side, rest.prints = append(rest.side, e.side[i]), append(rest.prints, fingerprint)
		}
	}
	return rest
}
