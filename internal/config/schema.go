package config

import (
	_ "embed"
	"encoding/json"
	"strings"
)

// The schema is made of the structs in config.go and the comments in the reference config.yaml; schema_test.go writes it.
//
//go:embed schema.json
var schemaText string

// schemaTypes stands for the names of the platforms' types in schema.json.
const schemaTypes = `"@types@"`

// Schema is the JSON Schema (2020-12) of the file, by which editors complete and check it. A platform has one of the types.
// It refuses nothing that Load takes but the old names of roles; what only Load can tell, such as a scanner that is not declared, it lets pass.
func Schema(types []PlatformType) []byte {
	var names []string
	for _, t := range types {
		for _, name := range append([]string{t.Name}, t.Aliases...) {
			quoted, _ := json.Marshal(name) // a text always has a form in JSON
			names = append(names, string(quoted))
		}
	}
	return []byte(strings.ReplaceAll(schemaText, schemaTypes, strings.Join(names, ", ")))
}
