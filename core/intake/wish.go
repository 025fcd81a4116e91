package intake

import (
	"fmt"

	"github.com/scanhook/scanhook/core"
)

// Wish is what a delivery asks for, by the configuration.
type Wish struct {
	Policy core.Policy
	Commit string // to be scanned; empty where there is none
	Reason string // why nothing is scanned, where that is all that there is to say
	Idle   bool   // nothing at all follows from it
}

// WishOf decides what a delivery asks for. A push that asks for no scan still tells where its branch stands.
func WishOf(d core.Delivery, policies core.Policies) Wish {
	switch event := d.Event.(type) {
	case core.Push:
		policy, known := policies.For(d.Platform, event.Project.Name)
		if !known {
			return Wish{Reason: NotConfigured(d.Platform, event.Project.Name), Idle: true}
		}
		if refused := policy.Refuses(event); refused != "" {
			return Wish{Policy: policy, Reason: refused}
		}
		return Wish{Policy: policy, Commit: event.CommitSHA}
	case core.Request:
		policy, known := policies.For(d.Platform, event.Project.Name)
		if !known {
			return Wish{Reason: NotConfigured(d.Platform, event.Project.Name), Idle: true}
		}
		if refused := policy.RefusesRequest(event); refused != "" {
			return Wish{Policy: policy, Reason: refused, Idle: event.Action != core.RequestClosed && event.Action != core.RequestRetargeted}
		}
		return Wish{Policy: policy, Commit: event.Head}
	case core.Pipeline:
		policy, known := policies.For(d.Platform, event.Project.Name)
		if !known {
			return Wish{Reason: NotConfigured(d.Platform, event.Project.Name), Idle: true}
		}
		if refused := policy.RefusesPipeline(event); refused != "" {
			return Wish{Policy: policy, Reason: refused, Idle: true}
		}
		return Wish{Policy: policy, Commit: event.CommitSHA}
	case core.CheckAction:
		policy, known := policies.For(d.Platform, event.Project.Name)
		switch {
		case !known:
			return Wish{Reason: NotConfigured(d.Platform, event.Project.Name), Idle: true}
		case d.Verification.Scope != "": // who has it could name anybody as the one who pressed
			return Wish{Reason: "buttons count only in calls of the App, which has the webhook secret of the whole platform", Idle: true}
		}
		return Wish{Policy: policy}
	case core.ObservedStatus, core.ProjectChange:
		return Wish{}
	case core.Ignored:
		return Wish{Reason: event.Reason, Idle: true}
	}
	return Wish{Reason: "events of this kind are not used", Idle: true}
}

// NotConfigured is the reason to ignore a project that the configuration does not name.
func NotConfigured(platform, project string) string {
	return fmt.Sprintf("%s/%s matches no entry of repositories in the configuration", platform, project)
}
