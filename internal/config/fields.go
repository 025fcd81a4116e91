package config

import (
	"reflect"
	"strings"
)

// field is a key that a struct's mapping may hold.
type field struct {
	key   string
	index []int // for reflect.Value.FieldByIndex
}

// fieldsOf lists the keys of a struct in the order of its fields, those of embedded structs included.
func fieldsOf(structure reflect.Type) []field {
	var fields []field
	for _, f := range reflect.VisibleFields(structure) {
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key != "" && key != "-" {
			fields = append(fields, field{key, f.Index})
		}
	}
	return fields
}

func keysOf(fields []field) []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return keys
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
