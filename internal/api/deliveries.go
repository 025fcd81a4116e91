package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/api/paging"
	"github.com/scanhook/scanhook/store"
)

// RegisterDeliveries describes the operations on webhook calls.
func (a *API) RegisterDeliveries(api huma.API) {
	register(a, api, operation(access.Read, http.MethodGet, "/deliveries", "list-deliveries",
		"Webhook calls that proved to be authentic, and what comparisons of branches found, the newest first"), a.listDeliveries)
	register(a, api, operation(access.Read, http.MethodGet, "/deliveries/{id}", "get-delivery",
		"What became of a webhook call"), a.getDelivery)
	again := operation(access.Administer, http.MethodPost, "/deliveries/{id}/derive", "derive-delivery",
		"Derive a webhook call once more that was set aside")
	again.DefaultStatus = http.StatusAccepted
	again.Errors = append(again.Errors, http.StatusConflict)
	register(a, api, again, a.deriveDelivery)
}

// deliveryView is a webhook call as the API shows it. Holders of tokens need not know the ids of secrets.
type deliveryView struct {
	ID             int64      `json:"id"`
	SourcePlatform string     `json:"source_platform" example:"github"`
	DeliveryKey    string     `json:"delivery_key" doc:"the same when the platform sends the call again"`
	Event          string     `json:"event" doc:"the platform's own name of it" example:"push"`
	ProjectName    string     `json:"project_name" example:"acme/shop" doc:"as it was then; empty where the call could not be read"`
	State          string     `json:"state" enum:"kept,derived,ignored,failed" doc:"kept: nothing follows from it yet; failed: it is set aside, and can be derived again"`
	Outcome        string     `json:"outcome" example:"scan_created" doc:"what it led to; empty until it is derived"`
	Reason         string     `json:"reason,omitempty" doc:"why nothing follows from it"`
	Error          string     `json:"error,omitempty" doc:"why it is set aside"`
	Scan           *string    `json:"scan" doc:"reference_id of the scan that it led to or asks for"`
	ReceivedAt     time.Time  `json:"received_at"`
	DerivedAt      *time.Time `json:"derived_at" doc:"when it was derived, ignored or set aside"`
	VerifiedBy     string     `json:"verified_by" doc:"place of the secret in the configuration"`
	Signed         bool       `json:"signed" doc:"otherwise the call carried the secret as a plain token"`
}

func viewDelivery(d core.KeptDelivery) deliveryView {
	view := deliveryView{
		ID: d.ID, SourcePlatform: d.Platform, DeliveryKey: d.Key, Event: d.Event, ProjectName: d.ProjectName,
		State: string(d.State), Outcome: string(d.Outcome), Reason: d.Reason, Error: d.Error,
		ReceivedAt: d.ReceivedAt, DerivedAt: d.DerivedAt, VerifiedBy: core.SecretPlace(d.VerifiedBy), Signed: d.Signed,
	}
	if d.ReferenceID != "" {
		view.Scan = &d.ReferenceID
	}
	return view
}

type listDeliveriesInput struct {
	paging.Input
	Platform string `query:"platform" maxLength:"200"`
	Project  string `query:"project" maxLength:"500" example:"acme/shop"`
	State    string `query:"state" enum:"kept,derived,ignored,failed"`
}

func (a *API) listDeliveries(ctx context.Context, in *listDeliveriesInput) (*paging.Output[deliveryView], error) {
	return paging.List(in.Input, func(before int64, limit int) ([]core.KeptDelivery, error) {
		return a.Store.ListDeliveries(ctx, store.DeliveryFilter{
			Platform: in.Platform, Project: in.Project, State: core.DeliveryState(in.State), Before: before, Limit: limit,
		})
	}, viewDelivery, func(d core.KeptDelivery) int64 { return d.ID })
}

// DeliveryID is part of the input of every operation on one delivery.
type DeliveryID struct {
	ID int64 `path:"id" minimum:"1" doc:"as the answer to the call names it"`
}

type deliveryOutput struct{ Body deliveryView }

func (a *API) getDelivery(ctx context.Context, in *DeliveryID) (*deliveryOutput, error) {
	delivery, err := a.Store.GetDelivery(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &deliveryOutput{viewDelivery(delivery)}, nil
}

func (a *API) deriveDelivery(ctx context.Context, in *DeliveryID) (*deliveryOutput, error) {
	if err := a.Store.DeriveAgain(ctx, in.ID, author(ctx)); err != nil {
		return nil, err
	}
	return a.getDelivery(ctx, in)
}
