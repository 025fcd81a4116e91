package cage

import (
	"fmt"
	"strings"
)

// Level is what the system gives to cages.
type Level struct {
	Landlock   int    // version of its interface; 0 where there is none
	Namespaces bool   // of users, processes, network and others
	View       bool   // a view of the files that has nothing but what is granted
	Fault      string // why there are no namespaces, or no view
	System     string // that is not Linux; empty on Linux
}

// The versions of Landlock that first refuse something.
const (
	refusesTCP      = 4
	refusesAbstract = 6 // Unix sockets without a path, and signals to others
	refusesSockets  = 9 // Unix sockets with a path
	refusesUDP      = 10
)

// IsFull tells whether a caged program can do nothing that it must not.
func (l Level) IsFull() bool { return l.Landlock > 0 && l.Namespaces && l.View }

// String names the level and what it consists of.
func (l Level) String() string {
	var parts []string
	if l.Landlock > 0 {
		parts = append(parts, fmt.Sprintf("Landlock %d", l.Landlock))
	}
	if l.Namespaces {
		parts = append(parts, "namespaces")
	}
	if l.View {
		parts = append(parts, "a view of the granted files only")
	}
	switch {
	case l.IsFull():
		return "full: " + strings.Join(parts, ", ")
	case len(parts) > 0:
		return "partial: " + strings.Join(parts, ", ")
	}
	return "none"
}

// Gaps is what a caged program can do though it must not.
func (l Level) Gaps() (gaps []string) {
	add := func(open bool, gap string) {
		if open {
			gaps = append(gaps, gap)
		}
	}
	add(l.Landlock == 0 && !l.View, "read and change whatever this account may, the configuration and the database too")
	add(l.Landlock < refusesTCP && !l.Namespaces, "reach the network though its scanner may not")
	add(l.Landlock >= refusesTCP && l.Landlock < refusesUDP && !l.Namespaces, "send UDP, such as questions to name servers")
	add(l.Landlock < refusesSockets && !l.View, "talk to services through Unix sockets, such as Docker's")
	add(l.Landlock < refusesAbstract && !l.Namespaces, "send signals to other processes of this account")
	add(l.Landlock == 0 && !l.Namespaces, "look into other processes of this account through /proc")
	add(l.System != "", "leave processes behind")
	return gaps
}

// Advice is how to have a full cage.
func (l Level) Advice() string {
	switch {
	case l.IsFull():
		return ""
	case l.System != "":
		return "run Scanhook on Linux"
	}
	var advice []string
	if l.Landlock == 0 {
		advice = append(advice, "use a kernel with Landlock (5.13 or newer, lsm=landlock)")
	}
	if !l.Namespaces || !l.View {
		advice = append(advice, "allow this account user namespaces (user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns; "+
			"in a container its seccomp profile, and a /proc that is not masked)")
	}
	return strings.Join(advice, "; ")
}
