package config

import (
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"
)

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
			d.errorAt(e.at, join(path, e.key), fmt.Sprintf("duplicate key %q: %s is set in line %d already",
				e.key, join(path, e.key), before.line))
			continue
		}
		first[e.key] = e.at
		d.places[join(path, e.key)] = valuePlace(e)
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
