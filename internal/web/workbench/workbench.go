// Package workbench is the page on which people work through the alerts of all projects: lists by facets, a search, groups, and decisions
// on many at once. What the page shows is in its address, so that every view can be kept and sent. It works without JavaScript.
//
// Reading order: view.go (what an address asks for), list.go (the page), decide.go (decisions on many).
package workbench

import (
	"github.com/scanhook/scanhook/internal/web/layout"
	"github.com/scanhook/scanhook/store"
)

// Config holds what the page needs.
type Config struct {
	Store  *store.Store
	Layout *layout.Layout
}

// Pages answer browsers.
type Pages struct{ Config }

// New returns the pages.
func New(cfg Config) *Pages { return &Pages{cfg} }
