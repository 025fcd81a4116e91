package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// maxSize bounds the file, in bytes; ten thousand repositories fit.
const maxSize = 1 << 20

// Load reads the file at path. lookupEnv answers for ${VAR}, usually os.LookupEnv.
// Errors are those of the file system, or *Error for what the file says.
func Load(path string, lookupEnv func(string) (string, bool)) (*Config, error) {
	data, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the configuration: %w: scanhook init writes one, --config names another", err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(path, data, lookupEnv)
}

func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxSize+1))
}

// Parse reads a configuration from data; name stands for the file in messages. Every error is an *Error.
func Parse(name string, data []byte, lookupEnv func(string) (string, bool)) (*Config, error) {
	root, problem := parseDocument(data)
	if problem != nil {
		return nil, &Error{File: name, Problems: []Problem{*problem}}
	}
	config := builtin()
	config.Source = Source{File: name, Lines: map[string]int{}}
	found := newReport()
	d := decoder{report: found, config: config, lookupEnv: lookupEnv, budget: maxValues}
	if root != nil {
		d.decode("", root, reflect.ValueOf(config).Elem())
	}
	config.complete()
	if d.budget > 0 { // otherwise most of the file was not looked at
		v := validator{report: found, config: config}
		v.validate()
	}
	if len(found.problems) > 0 {
		sortByPlace(found.problems)
		return nil, &Error{File: name, Problems: found.problems}
	}
	config.prune()
	sortByPlace(found.warnings)
	config.Warnings = located(name, found.warnings)
	return config, nil
}

// parseDocument returns the root of the only document in data, or nil when there is nothing but comments.
func parseDocument(data []byte) (*yaml.Node, *Problem) {
	if len(data) > maxSize {
		return nil, &Problem{Line: 1, Column: 1, Message: fmt.Sprintf("the file is larger than %d MiB", maxSize>>20)}
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
