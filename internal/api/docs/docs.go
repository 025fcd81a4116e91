// Package docs is the page of the API: each operation with the shape of what goes in and comes out, an example, and a form to try it. It
// loads nothing from elsewhere.
package docs

import (
	"bytes"
	_ "embed" // the page
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var page string

// Script sends the calls that people try.
//
//go:embed try.js
var Script []byte

// Policy is the content security policy of the page: its script may call this server, and nothing else.
const Policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// operation is a section of the page.
type operation struct {
	ID, Method, Path, Summary, Description, Roles string
	Parameters                                    []*huma.Param
	Example                                       string // a command
	Body, Answer                                  string // their shapes
	Sample                                        string // of a body
}

// Render renders the page. rolesOf names who may do an operation.
func Render(described *huma.OpenAPI, address string, rolesOf func(*huma.Operation) []string) ([]byte, error) {
	parsed, err := template.New("docs").Parse(page)
	if err != nil {
		return nil, fmt.Errorf("reading the page of the API: %w", err)
	}
	var rendered bytes.Buffer
	if err := parsed.Execute(&rendered, operations(described, address, rolesOf)); err != nil {
		return nil, fmt.Errorf("rendering the page of the API: %w", err)
	}
	return rendered.Bytes(), nil
}

func operations(described *huma.OpenAPI, address string, rolesOf func(*huma.Operation) []string) (list []operation) {
	schemas := shapes{described.Components.Schemas}
	for path, item := range described.Paths {
		for method, op := range map[string]*huma.Operation{
			http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put,
			http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
		} {
			if op == nil {
				continue
			}
			section := operation{
				ID: op.OperationID, Method: method, Path: path, Summary: op.Summary, Description: op.Description,
				Roles: strings.Join(rolesOf(op), ", "), Parameters: op.Parameters,
			}
			if op.RequestBody != nil {
				if body := op.RequestBody.Content["application/json"]; body != nil && body.Schema != nil {
					section.Body, section.Sample = schemas.of(body.Schema, 0), schemas.sample(body.Schema)
				}
			}
			for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
				if body := op.Responses[status].Content["application/json"]; strings.HasPrefix(status, "2") && body != nil && body.Schema != nil {
					section.Answer = schemas.of(body.Schema, 0)
				}
			}
			section.Example = section.command(address)
			list = append(list, section)
		}
	}
	slices.SortFunc(list, func(a, b operation) int { return strings.Compare(a.Path+a.Method, b.Path+b.Method) })
	return list
}

// command calls the operation. What a path names stands in capitals.
func (o operation) command(address string) string {
	path := o.Path
	var query []string
	for _, p := range o.Parameters {
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", strings.ToUpper(p.Name))
		case p.Required && p.Schema != nil && len(p.Schema.Examples) > 0:
			query = append(query, fmt.Sprintf("%s=%v", p.Name, p.Schema.Examples[0]))
		case p.Required:
			query = append(query, p.Name+"="+strings.ToUpper(p.Name))
		}
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	command := `curl -H "Authorization: Bearer $TOKEN"`
	if o.Method != http.MethodGet {
		command += " -X " + o.Method
	}
	if o.Sample != "" {
		command += " -H 'Content-Type: application/json' -d '" + strings.ReplaceAll(o.Sample, "'", `'\''`) + "'"
	}
	return command + " '" + address + path + "'"
}

// shapes writes schemas as people read them.
type shapes struct{ known huma.Registry }

const maxDepth = 6

// of is the shape of what a schema describes.
func (s shapes) of(schema *huma.Schema, depth int) string {
	if schema.Ref != "" {
		schema = s.known.SchemaFromRef(schema.Ref)
	}
	if schema == nil || depth > maxDepth {
		return "…"
	}
	text := schema.Type
	switch {
	case len(schema.Enum) > 0:
		var words []string
		for _, word := range schema.Enum {
			words = append(words, fmt.Sprintf("%q", fmt.Sprint(word)))
		}
		text = strings.Join(words, " | ")
	case schema.Type == huma.TypeArray && schema.Items != nil:
		text = "[" + s.of(schema.Items, depth+1) + ", …]"
	case len(schema.Properties) > 0:
		text = s.object(schema, depth)
	case schema.Format != "":
		text += " (" + schema.Format + ")"
	}
	if schema.Nullable {
		text += " | null"
	}
	return text
}

func (s shapes) object(schema *huma.Schema, depth int) string {
	indent := strings.Repeat("  ", depth+1)
	var text strings.Builder
	text.WriteString("{\n")
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := schema.Properties[name]
		fmt.Fprintf(&text, "%s%s: %s", indent, name, s.of(property, depth+1))
		if property.Description != "" {
			text.WriteString("   // " + property.Description)
		}
		text.WriteString("\n")
	}
	text.WriteString(strings.Repeat("  ", depth) + "}")
	return text.String()
}

// sample is a body with the properties that are required.
func (s shapes) sample(schema *huma.Schema) string {
	encoded, err := json.Marshal(s.value(schema, 0))
	if err != nil {
		return ""
	}
	return string(encoded)
}

func (s shapes) value(schema *huma.Schema, depth int) any {
	if schema.Ref != "" {
		schema = s.known.SchemaFromRef(schema.Ref)
	}
	switch {
	case schema == nil || depth > maxDepth:
		return nil
	case len(schema.Examples) > 0:
		return schema.Examples[0]
	case len(schema.Enum) > 0:
		return schema.Enum[0]
	}
	switch schema.Type {
	case huma.TypeObject:
		object := map[string]any{}
		for _, name := range schema.Required {
			object[name] = s.value(schema.Properties[name], depth+1)
		}
		return object
	case huma.TypeArray:
		return []any{}
	case huma.TypeBoolean:
		return true
	case huma.TypeInteger, huma.TypeNumber:
		return 1
	}
	return "text"
}
