// Package strictyaml reads structs from YAML for people: everything that is wrong is told at once, each with its place, a
// sentence and the key that was probably meant, and never with a value, which may be a secret. Texts may hold ${VARIABLES}.
//
// Reading order: strictyaml.go, decode.go, variables.go, problem.go, syntax.go.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// MaxSize bounds a file, in bytes; ten thousand repositories fit.
const MaxSize = 1 << 20

// Decode sets what the only document in data holds in out, a pointer to a struct with the defaults. lookupEnv answers for
// ${VAR}. What is wrong is in the report.
func Decode(data []byte, out any, lookupEnv func(string) (string, bool)) *Report {
	found := newReport()
	root, problem := parseDocument(data)
	switch {
	case problem != nil:
		found.cut, found.problems = true, []Problem{*problem}
	case root != nil:
		d := decoder{Report: found, root: out, lookupEnv: lookupEnv, budget: maxValues}
		d.decode("", root, reflect.ValueOf(out).Elem())
	}
	return found
}

// parseDocument returns the root of the only document in data, or nil when there is nothing but comments.
func parseDocument(data []byte) (*yaml.Node, *Problem) {
	if len(data) > MaxSize {
		return nil, &Problem{Line: 1, Column: 1, Message: fmt.Sprintf("the file is larger than %d MiB", MaxSize>>20)}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, more yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, syntaxProblem(data, err)
	}
	if err := decoder.Decode(&more); err == nil {
		at := placeOf(&more)
		return nil, &Problem{at.line, at.column, "", "a second document starts here: write one, without ---"}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxProblem(data, err)
	}
	return document.Content[0], nil
}
