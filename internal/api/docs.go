package api

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"sort"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
)

//go:embed docs.html
var docsHTML string

// endpoint is one line of the page at /docs.
type endpoint struct {
	Method, Path, Summary, Description, Role string
	Parameters                               []*huma.Param
}

// docs renders the description for people, without scripts and without other hosts. The page never changes, so it is
// made once.
func docs(described *huma.OpenAPI) func(*gin.Context) error {
	var page bytes.Buffer
	parsed, err := template.New("docs").Parse(docsHTML)
	if err == nil {
		err = parsed.Execute(&page, endpoints(described))
	}
	return func(c *gin.Context) error {
		if err != nil {
			return fmt.Errorf("rendering /docs: %w", err)
		}
		c.Header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		c.Data(http.StatusOK, "text/html; charset=utf-8", page.Bytes())
		return nil
	}
}

func endpoints(described *huma.OpenAPI) []endpoint {
	var list []endpoint
	for path, item := range described.Paths {
		for method, op := range map[string]*huma.Operation{
			http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put,
			http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
		} {
			if op != nil {
				role := op.Security[0][bearer][0]
				list = append(list, endpoint{method, path, op.Summary, op.Description, role, op.Parameters})
			}
		}
	}
	sort.Slice(list, func(i, j int) bool {
		return strings.Compare(list[i].Path+list[i].Method, list[j].Path+list[j].Method) < 0
	})
	return list
}
