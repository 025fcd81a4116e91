package strictyaml

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/scanhook/scanhook/internal/suggest"
)

// maxValues bounds how many values are decoded, so that aliases of aliases cannot fill the memory.
const maxValues = 100_000

// decoder fills structs from YAML nodes. yaml's own decoder would stop being strict where we need it: it does not know
// variables, takes numbers for text and names Go types instead of keys.
type decoder struct {
	*Report
	root      any // what heirs inherit from
	lookupEnv func(string) (string, bool)
	budget    int // how many more values may be decoded
}

// decode sets out, which has the type that the schema wants at path. A null, or nothing behind the colon, leaves it as
// it is.
func (d *decoder) decode(path string, node *yaml.Node, out reflect.Value) {
	if d.budget--; d.budget <= 0 {
		d.cut = true
		d.Errorf("", "the file holds more than %d values", maxValues)
		return
	}
	node = resolve(node)
	if isNull(node) {
		return
	}
	if at, known := d.places[path]; known {
		d.Lines[path] = at.line
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
	fields := Fields(out.Type())
	values := map[string]*yaml.Node{}
	for _, e := range d.entries(path, node) {
		if !slices.Contains(keysOf(fields), e.key) {
			d.errorAt(e.at, Join(path, e.key), unknownKey(path, e.key, keysOf(fields)))
			continue
		}
		values[e.key] = e.value
	}
	for _, f := range fields {
		if value, ok := values[f.Key]; ok {
			d.decode(Join(path, f.Key), value, out.FieldByIndex(f.Index))
		}
	}
}

// Field is a key that a struct's mapping may hold.
type Field struct {
	Key   string
	Index []int // for reflect.Value.FieldByIndex
}

// Fields lists the keys of a struct in the order of its fields, those of embedded structs included.
func Fields(structure reflect.Type) []Field {
	var fields []Field
	for _, f := range reflect.VisibleFields(structure) {
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key != "" && key != "-" {
			fields = append(fields, Field{key, f.Index})
		}
	}
	return fields
}

func keysOf(fields []Field) []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.Key
	}
	return keys
}

// Join is the path of a key in the mapping at path.
func Join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func unknownKey(path, key string, valid []string) string {
	message := fmt.Sprintf("unknown key %q", key)
	if path != "" {
		message += " in " + path
	}
	return message + suggest.Valid(key, "keys", valid)
}

func (d *decoder) decodeMap(path string, node *yaml.Node, out reflect.Value) {
	for _, e := range d.entries(path, node) {
		element := d.newElement(out.Type().Elem())
		d.decode(Join(path, e.key), e.value, element)
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

// Heir is an element of a list or map that starts from something else than its zero value. Root is what the whole file is
// decoded into; fields of structs are decoded in their order, whatever that of the file.
type Heir interface{ Inherit(root any) }

func (d *decoder) newElement(of reflect.Type) reflect.Value {
	element := reflect.New(of)
	if heir, ok := element.Interface().(Heir); ok {
		heir.Inherit(d.root)
	}
	return element.Elem()
}

// entry is one "key: value" of a mapping.
type entry struct {
	key   string
	at    place // of the key
	value *yaml.Node
}

// entries lists what a mapping holds, in the order of the file and without repeated keys, and remembers the places.
func (d *decoder) entries(path string, node *yaml.Node) []entry {
	if node.Kind != yaml.MappingNode {
		d.shapef(path, "must hold keys with values, not %s%s", nounOf(node), colonHint(node))
		return nil
	}
	var list []entry
	first := map[string]place{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		e := entry{key.Value, placeOf(key), value}
		if key.Kind != yaml.ScalarNode {
			d.errorAt(e.at, path, labelled(path, "has a key that is not a word"))
			continue
		}
		if before, repeated := first[e.key]; repeated {
			d.errorAt(e.at, Join(path, e.key), fmt.Sprintf("duplicate key %q: %s is set in line %d already",
				e.key, Join(path, e.key), before.line))
			continue
		}
		first[e.key] = e.at
		d.places[Join(path, e.key)] = valuePlace(e)
		list = append(list, e)
	}
	return list
}

var almostKey = regexp.MustCompile(`^[a-z_]+(:\S| )`)

// colonHint is for "listen:x" and "listen x", which are words and no keys.
func colonHint(node *yaml.Node) string {
	if node.Kind == yaml.ScalarNode && almostKey.MatchString(node.Value) {
		return ": write key: value, with a colon and a space behind it"
	}
	return ""
}

// valuePlace is where to look for a value: at itself when it is a scalar, at its key otherwise.
func valuePlace(e entry) place {
	if e.value.Kind == yaml.ScalarNode && !isNull(e.value) {
		return placeOf(e.value)
	}
	return e.at
}

func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

// nounOf says what kind of value was found, without saying the value.
func nounOf(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}

const textTag = "!!str"

// decodeScalar sets out from a single value after its variables are replaced. Messages leave the value out: it may be
// a secret.
func (d *decoder) decodeScalar(path string, node *yaml.Node, out reflect.Value) {
	if node.Kind != yaml.ScalarNode {
		d.Errorf(path, "must be %s, not %s", wanted(out), nounOf(node))
		return
	}
	text, ok := d.expanded(path, node)
	if !ok {
		return
	}
	if out.Kind() == reflect.String {
		d.setText(path, node, text, out)
		return
	}
	// An unset ${VAR:-} leaves numbers and the like at their defaults, as it leaves texts empty.
	if text != "" && !convert(text, out) {
		d.Errorf(path, "must be %s", wanted(out))
	}
}

func (d *decoder) expanded(path string, node *yaml.Node) (text string, ok bool) {
	if node.ShortTag() != textTag {
		return node.Value, true
	}
	text, problems := expand(node.Value, d.lookupEnv)
	for _, problem := range problems {
		d.errorAt(d.find(path), path, labelled(path, problem))
	}
	return text, len(problems) == 0
}

// setText refuses numbers and the like, because YAML may have changed what a person meant: 1.10 is 1.1, 0x10 is 16.
func (d *decoder) setText(path string, node *yaml.Node, text string, out reflect.Value) {
	if node.ShortTag() != textTag {
		d.Errorf(path, "must be text: put quotation marks around the value")
		return
	}
	out.SetString(text)
}

// Scalar is a value that reads itself from text.
type Scalar interface {
	SetText(text string) bool // false where the text has not the right form
	Form() string             // says what that is; continues "must be"
}

// convert sets out from text and tells whether text has the form that out wants.
func convert(text string, out reflect.Value) bool {
	switch target := out.Addr().Interface().(type) {
	case *time.Duration:
		duration, err := time.ParseDuration(text)
		*target = duration
		return err == nil && duration > 0
	case Scalar:
		return target.SetText(text)
	case *int64:
		number, err := strconv.ParseInt(text, 10, 64)
		*target = number
		return err == nil
	case *float64:
		number, err := strconv.ParseFloat(text, 64)
		*target = number
		return err == nil
	case *bool:
		lower := strings.ToLower(text)
		*target = lower == "true"
		return lower == "true" || lower == "false"
	}
	return false
}

func wanted(out reflect.Value) string {
	switch target := out.Addr().Interface().(type) {
	case Scalar:
		return target.Form()
	case *time.Duration:
		return "a duration longer than zero, such as 30s, 10m or 1h"
	case *int64:
		return "a whole number"
	case *float64:
		return "a number"
	case *bool:
		return "true or false"
	}
	return "text"
}
