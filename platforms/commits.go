package platforms

import (
	"bytes"
	"encoding/json"
)

const (
	// plainCommits is the size below which a list of commits cannot be much trouble, in bytes.
	plainCommits = 64 << 10
	// maxCountedFiles is how many files of a push are counted one by one; beyond, the platform is asked for the number.
	maxCountedFiles = 50_000
)

// Commits are the commits of a push. Of a list beyond everything that is sensible only the beginning is read: what
// three bytes each say in a payload takes a hundred in memory.
type Commits []Commit

// UnmarshalJSON never fails.
func (c *Commits) UnmarshalJSON(data []byte) error {
	if len(data) <= plainCommits {
		var plain []Commit
		_ = json.Unmarshal(data, &plain) // what does not fit its field leaves the field empty
		*c = plain
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return nil
	}
	files := 0
	for *c = []Commit{}; decoder.More(); {
		if len(*c) == maxListedCommits || files > maxCountedFiles {
			*c = append(*c, Commit{}) // of which nothing is known
			return nil
		}
		var commit boundedCommit
		_ = decoder.Decode(&commit)
		files += Commit(commit).listed()
		*c = append(*c, Commit(commit))
	}
	return nil
}

// boundedCommit is a Commit of which no more files are read than a platform lists.
type boundedCommit Commit

// UnmarshalJSON never fails.
func (c *boundedCommit) UnmarshalJSON(data []byte) error {
	var lists struct {
		Added, Modified, Removed boundedList
	}
	_ = json.Unmarshal(data, &lists)
	c.Added, c.Modified, c.Removed = lists.Added, lists.Modified, lists.Removed
	return nil
}

type boundedList []string

// UnmarshalJSON never fails.
func (l *boundedList) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return nil
	}
	for *l = []string{}; decoder.More() && len(*l) < maxListedFiles; {
		var file string
		if decoder.Decode(&file) != nil {
			return nil
		}
		*l = append(*l, file)
	}
	return nil
}
