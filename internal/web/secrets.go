package web

import (
	"context"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// Secret is a webhook secret of the configuration, without the secret itself.
type Secret struct {
	Platform, Place, ID string
	Match               string // glob over platform/project of the projects it is for; empty is all of the platform
}

// evidence is how calls were verified, for those who have logged in.
type evidence struct {
	Secrets []secretLine
	Refused []core.RefusedProject
}

type secretLine struct {
	Secret
	Name string
	Use  core.SecretUse // zero times: never
}

func (w *Web) evidence(ctx context.Context) (evidence, error) {
	known, err := w.Store.ListEvidence(ctx)
	if err != nil {
		return evidence{}, err
	}
	if w.MaySign != nil {
		known = known.Where(w.MaySign)
	}
	return evidence{linesOf(w.Secrets, known), known.Refused}, nil
}

func linesOf(secrets []Secret, known store.Evidence) []secretLine {
	lines := make([]secretLine, len(secrets))
	for i, secret := range secrets {
		lines[i] = secretLine{secret, core.SecretName(secret.Place, secret.ID), known.UseOf(secret.Platform, secret.ID)}
	}
	return lines
}

// hideSecrets takes the ids of secrets out of deliveries that strangers see: with them, guesses could be tried
// elsewhere.
func (w *Web) hideSecrets(c *gin.Context, list []core.KeptDelivery) {
	if who, err := w.visitor(c); err == nil && who.Known() {
		return
	}
	for i := range list {
		list[i].VerifiedBy = core.SecretPlace(list[i].VerifiedBy)
	}
}
