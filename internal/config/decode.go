package config

import (
	"fmt"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// maxValues bounds how many values are decoded, so that aliases of aliases cannot fill the memory.
const maxValues = 100_000

// decoder fills structs from YAML nodes. yaml's own decoder would stop being strict where we need it: it does not know
// variables, takes numbers for text and names Go types instead of keys.
type decoder struct {
	*report
	config    *Config // what inheritors inherit from
	lookupEnv func(string) (string, bool)
	budget    int // how many more values may be decoded
}

// decode sets out, which has the type that the schema wants at path. A null, or nothing behind the colon, leaves it as
// it is.
func (d *decoder) decode(path string, node *yaml.Node, out reflect.Value) {
	if d.budget--; d.budget <= 0 {
		d.errorf("", "the file holds more than %d values", maxValues)
		return
	}
	node = resolve(node)
	if isNull(node) {
		return
	}
	if at, known := d.places[path]; known {
		d.config.Source.Lines[path] = at.line
	}
	switch out.Kind() {
	case reflect.Struct:
		d.decodeStruct(path, node, out)
	case reflect.Map:
		d.decodeMap(path, node, out)
	case reflect.Slice:
		d.decodeSlice(path, node, out)
	case reflect.Pointer:
		out.Set(reflect.New(out.Type().Elem()))
		d.decode(path, node, out.Elem())
	default:
		d.decodeScalar(path, node, out)
	}
}

func (d *decoder) decodeStruct(path string, node *yaml.Node, out reflect.Value) {
	fields := fieldsOf(out.Type())
	values := map[string]*yaml.Node{}
	for _, e := range d.entries(path, node) {
		if !slices.Contains(keysOf(fields), e.key) {
			d.errorAt(e.at, join(path, e.key), unknownKey(path, e.key, keysOf(fields)))
			continue
		}
		values[e.key] = e.value
	}
	for _, f := range fields {
		if value, ok := values[f.key]; ok {
			d.decode(join(path, f.key), value, out.FieldByIndex(f.index))
		}
	}
}

func unknownKey(path, key string, valid []string) string {
	message := fmt.Sprintf("unknown key %q", key)
	if path != "" {
		message += " in " + path
	}
	return message + validNames(key, "keys", valid)
}

func (d *decoder) decodeMap(path string, node *yaml.Node, out reflect.Value) {
	for _, e := range d.entries(path, node) {
		element := d.newElement(out.Type().Elem())
		d.decode(join(path, e.key), e.value, element)
		out.SetMapIndex(reflect.ValueOf(e.key), element)
	}
}

func (d *decoder) decodeSlice(path string, node *yaml.Node, out reflect.Value) {
	if node.Kind != yaml.SequenceNode {
		d.shapef(path, "must be a list, not %s: write [a, b], or one line with - and a space for each element", nounOf(node))
		return
	}
	list := reflect.MakeSlice(out.Type(), 0, len(node.Content))
	for i, item := range node.Content {
		place := fmt.Sprintf("%s[%d]", path, i)
		d.places[place] = placeOf(item)
		element := d.newElement(out.Type().Elem())
		d.decode(place, item, element)
		list = reflect.Append(list, element)
	}
	out.Set(list)
}

func (d *decoder) newElement(of reflect.Type) reflect.Value {
	element := reflect.New(of)
	if heir, ok := element.Interface().(inheritor); ok {
		heir.inherit(d.config)
	}
	return element.Elem()
}
