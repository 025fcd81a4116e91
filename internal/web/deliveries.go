package web

import (
	"context"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/liveness"
	"github.com/scanhook/scanhook/internal/web/layout"
	"github.com/scanhook/scanhook/store"
)

const (
	deliveriesPerPage = 50
	maxSilent         = 20 // silent webhooks that are named
)

// deliveriesPage is the log of webhook calls, the newest first.
type deliveriesPage struct {
	Filter      store.DeliveryFilter
	Filtered    bool
	Deliveries  []core.KeptDelivery
	Pager       layout.Pager
	Silent      silentHooks
	Failing     []store.HookCheck // webhooks that need repair
	Platforms   []string
	States      []core.DeliveryState
	SecretUsage secretUsage // empty for visitors who have not logged in, or see only some projects
}

// ShowDeliveries lists webhook calls, the newest first.
func (w *Web) ShowDeliveries(c *gin.Context) error {
	filter := store.DeliveryFilter{
		Platform: c.Query("platform"), Project: c.Query("project"), State: core.DeliveryState(c.Query("state")),
	}
	query := layout.Query(map[string]string{
		"platform": filter.Platform, "project": filter.Project, "state": string(filter.State),
	})
	list, links, err := layout.Page(layout.PositionOf(c), deliveriesPerPage, query, func(d core.KeptDelivery) int64 { return d.ID },
		func(at layout.Position, limit int) ([]core.KeptDelivery, error) {
			filter.Before, filter.After, filter.Limit = at.Before, at.After, limit
			return w.Store.ListDeliveries(c.Request.Context(), filter)
		})
	if err != nil {
		return err
	}
	failing, err := w.failingHooks(c)
	if err != nil {
		return err
	}
	page := deliveriesPage{
		Filter: filter, Filtered: len(query) > 0, Deliveries: list, Pager: links, Silent: w.silentHooks(c), Failing: failing,
		Platforms: w.Platforms.names(filter.Platform), States: core.DeliveryStates,
	}
	if who, err := w.Sessions.Visitor(c); err == nil && who.Known() && who.Everywhere(access.Read) {
		if page.SecretUsage, err = w.secretUsage(c.Request.Context()); err != nil {
			return err
		}
	}
	w.hideSecrets(c, page.Deliveries)
	return w.Render(c, http.StatusOK, "deliveries", "Deliveries", page)
}

// secretUsage is which secrets verified calls, and when; it is for visitors who have logged in and may read of all projects.
type secretUsage struct {
	Secrets []secretLine
	Refused []core.RefusedProject
}

type secretLine struct {
	Secret
	Name string
	Use  core.SecretUsage // zero times: never
}

func (w *Web) secretUsage(ctx context.Context) (secretUsage, error) {
	known, err := w.Store.ListSecretUsages(ctx)
	if err != nil {
		return secretUsage{}, err
	}
	if w.MaySign != nil {
		known = known.Where(w.MaySign)
	}
	return secretUsage{secretLines(w.Secrets, known), known.Refused}, nil
}

func secretLines(secrets []Secret, known store.SecretUsages) []secretLine {
	lines := make([]secretLine, len(secrets))
	for i, secret := range secrets {
		lines[i] = secretLine{secret, core.SecretName(secret.Place, secret.ID), known.Of(secret.Platform, secret.ID)}
	}
	return lines
}

// hideSecrets removes the ids of secrets from deliveries if the visitor has not logged in. An id allows to check guesses
// of the secret elsewhere.
func (w *Web) hideSecrets(c *gin.Context, list []core.KeptDelivery) {
	if who, err := w.Sessions.Visitor(c); err == nil && who.Known() {
		return
	}
	for i := range list {
		list[i].VerifiedBy = core.SecretPlace(list[i].VerifiedBy)
	}
}

// silentHooks are webhooks that have fallen silent.
type silentHooks struct {
	Hooks []liveness.Health
	More  int // that are not named
}

func (w *Web) silentHooks(c *gin.Context) (silent silentHooks) {
	if who, err := w.Sessions.Visitor(c); err == nil && w.Silent != nil {
		silent.Hooks = slices.DeleteFunc(w.Silent(), func(hook liveness.Health) bool {
			return !who.MayIn(access.Read, access.Project{Platform: hook.Platform, Name: hook.Project})
		})
	}
	silent.More = max(0, len(silent.Hooks)-maxSilent)
	silent.Hooks = silent.Hooks[:len(silent.Hooks)-silent.More]
	return silent
}

// failingHooks are the webhooks that need repair, for visitors who may read of all projects: one may be of many.
func (w *Web) failingHooks(c *gin.Context) ([]store.HookCheck, error) {
	who, err := w.Sessions.Visitor(c)
	if err != nil || !who.Everywhere(access.Read) {
		return nil, err
	}
	return w.Store.ListFailingHooks(c.Request.Context())
}
