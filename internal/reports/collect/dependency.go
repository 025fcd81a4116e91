package collect

import "strings"

// Dependency is a vulnerable package.
type Dependency struct{ Name, Version string }

// String is the package as people write it: lodash@4.17.20.
func (d Dependency) String() string {
	if d.Version == "" {
		return d.Name
	}
	return d.Name + "@" + d.Version
}

// Title puts the package before what is wrong with it.
func (d Dependency) Title(what string) string {
	if d.Name == "" || strings.Contains(what, d.String()) {
		return what
	}
	return strings.TrimSuffix(d.String()+": "+what, ": ")
}

// FixedIn is the advice for a vulnerable package, empty where no fixed version is known.
func FixedIn(versions ...string) string {
	fixed := strings.Trim(strings.Join(versions, ", "), ", ")
	if fixed == "" {
		return ""
	}
	return "Fixed in " + fixed + "."
}
