package core

import "time"

// Recovered is the origin of a scan whose push no webhook announced, and the event that the log of deliveries shows
// then.
const Recovered = "recover"

// Head is where a branch or tag stands. Its db tags are the columns of the table ref_heads.
type Head struct {
	Ref    string    `db:"ref"`     // full: refs/heads/main, refs/tags/v1
	SHA    string    `db:"sha"`     // the commit, also where an annotated tag leads to it
	SeenAt time.Time `db:"seen_at"` // when it was first seen there
}

// Name is the short name of the branch or tag.
func (h Head) Name() string { return shortRef(h.Ref, branchPrefix) + shortRef(h.Ref, tagPrefix) }

// Origin is what made us look at the commits that the delivery announces.
func (d Delivery) Origin() string {
	if d.Name == Recovered {
		return Recovered
	}
	return "push"
}
