// Package auth decides for every route of API, pages and event streams whether who calls may do what the route does, to what its
// address names. Reading order: auth.go (the one place where routes are admitted, and what their addresses name), tokens.go, jobs.go. The
// rule itself is in core/access; what lists show is decided by the same rule in the store.
package auth

import (
	"context"
	"fmt"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/store"
)

// Guard admits requests.
type Guard struct{ Store *store.Store }

// Admit is nil where whoever asks with the context may do an act to what a route names. route is the path as it was registered;
// param gives its parameters. A route that names nothing is a list, of which the store shows everybody their part. Errors wrap
// core.ErrForbidden, or core.ErrNotFound for what one must not know of.
func (g Guard) Admit(ctx context.Context, act access.Act, route string, param func(name string) string) error {
	object, named, err := objectOf(route, param)
	if err != nil {
		return err
	}
	wish := access.Wish{Act: act, Scanner: param("scanner")}
	if !named {
		actor, _ := access.Of(ctx)
		return actor.AdmitSomewhere(wish)
	}
	return g.AdmitTo(ctx, wish, object)
}

// AdmitTo is nil where whoever asks with the context may do what is wished to an object.
func (g Guard) AdmitTo(ctx context.Context, wish access.Wish, object store.Object) error {
	actor, _ := access.Of(ctx)
	if job := actor.Job(); job != nil && object.Kind == store.ProjectObject { // what it names is in its token, and is not looked up
		if err := actor.AdmitSomewhere(wish); err != nil {
			return err
		}
		return job.Admit(object.Project)
	}
	return actor.Admit(wish, func() (access.Project, error) { return g.Store.ProjectOf(ctx, object) })
}

// kinds are the objects that parameters name, by the part of the path before the parameter.
var kinds = map[string]store.ObjectKind{
	"scans": store.ScanObject, "findings": store.FindingObject, "deliveries": store.DeliveryObject, "metrics": store.RunObject,
	"projects": store.ProjectObject, "downloads": store.ProjectObject, "alerts": store.ProjectObject, "comments": store.ProjectObject,
}

// unnamed are the parts of paths before parameters that name no object of a project: a commit and a batch of decisions may be in
// several, which the store looks at, a vulnerability is in none, and the project of a report without a scan is in the query.
var unnamed = map[string]bool{"explain": true, "epss": true, "results": true, "alert-decisions": true}

// objectOf is what the address of a route names; named is false for a list. A parameter of an unknown meaning is an error, so that no
// route is open by mistake.
func objectOf(route string, param func(string) string) (object store.Object, named bool, err error) {
	parts := strings.Split(strings.Trim(strings.TrimPrefix(route, "/api/v1"), "/"), "/")
	if len(parts) < 2 {
		return object, false, nil
	}
	kind, name := kinds[parts[0]], parameter(parts[1])
	switch {
	case name == "" && len(parts) == 2, unnamed[parts[0]]:
		return object, false, nil
	case kind == store.ProjectObject && len(parts) > 2:
		path := param(parameter(parts[2]))
		if parameter(parts[2]) == "alert" { // its number ends it
			path = path[:max(0, strings.LastIndex(strings.TrimRight(path, "/"), "/"))]
		}
		object.Project = access.Project{Platform: param(name), Name: strings.Trim(path, "/")}
	case kind == "" || name == "" || kind == store.ProjectObject:
		return object, false, fmt.Errorf("%w: nobody has said yet what %s names", core.ErrForbidden, route)
	}
	object.Kind, object.Key = kind, param(name)
	return object, true, nil
}

// parameter is the name of a part of a route that is one: {ref}, :ref or *ref. Empty for any other.
func parameter(part string) string {
	if name := strings.Trim(part, "{}:*"); name != part {
		return name
	}
	return ""
}
