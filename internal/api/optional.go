package api

import (
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core"
)

// optional is a field of a PATCH: one that is left out of the body stays as it is, null empties it.
type optional[T comparable] struct{ core.Change[T] }

// UnmarshalJSON is called for fields that the body has, null included.
func (o *optional[T]) UnmarshalJSON(data []byte) error {
	o.Set = true
	return json.Unmarshal(data, &o.Value)
}

// Schema describes the field as its value, or null.
func (optional[T]) Schema(registry huma.Registry) *huma.Schema {
	schema := *registry.Schema(reflect.TypeFor[T](), true, "")
	schema.Nullable = true
	return &schema
}
