package web

import "github.com/scanhook/scanhook/core"

// Rule is an entry of the configuration's repositories as the administrator wrote it.
type Rule struct {
	Where    string // file and line: config.yaml:12
	Settings []Setting
}

// Setting is a value that holds in a repository.
type Setting struct {
	Key   string // such as gate.fail_on
	Value string // never a secret
	Where string // file, line and section that it comes from, or that it is built in
}

// ruleOf finds the entry that a repository falls under; match is empty where none does.
func (w *Web) ruleOf(platform, project string) (match string, rule Rule) {
	for i, entry := range w.Policies {
		if _, matches := (core.Policies{entry}).For(platform, project); !matches {
			continue
		}
		if w.Rules != nil {
			rule = w.Rules(i)
		}
		return entry.Match, rule
	}
	return "", Rule{}
}
