package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/documents"
	"github.com/scanhook/scanhook/internal/reports/export"
)

// RegisterExport describes the export of a scan, and of the alerts of a project, in each format.
func (a *API) RegisterExport(api huma.API) {
	for _, format := range export.Formats {
		op := operation(access.ReadScans, http.MethodGet, "/scans/{ref}/"+format.Name, "export-"+format.Name, "A scan as "+format.Says)
		op.Responses = documented(format.MediaType)
		register(a, api, op, func(ctx context.Context, in *ScanRef) (*huma.StreamResponse, error) {
			return answerWith(a.maker().Scan(ctx, in.Ref, format))
		})
	}
	for _, format := range documents.AlertFormats {
		op := operation(access.Read, http.MethodGet, "/projects/{platform}/{project}/alerts/"+format.Name, "export-alerts-"+format.Name,
			"All alerts of a project as "+format.Says+", the newest first, with what was decided on them")
		op.Responses = documented(format.MediaType)
		register(a, api, op, func(ctx context.Context, in *ProjectPath) (*huma.StreamResponse, error) {
			return answerWith(a.maker().Alerts(ctx, in.Platform, in.Project, format))
		})
	}
}

func (a *API) maker() documents.Maker {
	return documents.Maker{Store: a.Store, Version: a.Version, PublicURL: a.PublicURL, Log: a.Log}
}

// documented is an answer with a document of a media type.
func documented(mediaType string) map[string]*huma.Response {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	return map[string]*huma.Response{"200": {
		Description: "The document. What a reader finds incomplete broke off, and is to be asked for again.",
		Content:     map[string]*huma.MediaType{mediaType: {Schema: &huma.Schema{}}},
	}}
}

func answerWith(document documents.Document, err error) (*huma.StreamResponse, error) {
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(answer huma.Context) {
		answer.SetHeader("Content-Type", document.MediaType)
		answer.SetHeader("Content-Disposition", fmt.Sprintf("attachment; filename=%q", document.Name))
		document.Write(answer.Context(), answer.BodyWriter())
	}}, nil
}
