package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Source tells where in the file values stand.
type Source struct {
	File  string         // its path
	Lines map[string]int // of each value that the file sets, by path: defaults.gate, repositories[0].match
}

// Origin is what gives a repository a value.
type Origin string

// The origins, the strongest first.
const (
	FromRepository Origin = "repository" // the entry itself
	FromDefaults   Origin = "defaults"
	FromBuiltin    Origin = "built in"
)

// Setting is one value of a repository's policy.
type Setting struct {
	Key   string // such as gate.fail_on
	Value string // as it can stand in the file
	From  Origin
	Line  int // in the file; 0 for what is built in
}

// Effective lists every value of the policy of an entry of Repositories, in the order of the reference.
func (c *Config) Effective(entry int) []Setting {
	return c.effective(fmt.Sprintf("repositories[%d]", entry), "", reflect.ValueOf(c.Repositories[entry].Policy))
}

func (c *Config) effective(entry, prefix string, values reflect.Value) (list []Setting) {
	for _, f := range fieldsOf(values.Type()) {
		key, value := join(prefix, f.key), values.FieldByIndex(f.index)
		if value.Kind() == reflect.Struct {
			list = append(list, c.effective(entry, key, value)...)
			continue
		}
		setting := Setting{Key: key, Value: written(value), From: FromBuiltin}
		for _, origin := range []struct {
			from Origin
			path string
		}{{FromRepository, join(entry, key)}, {FromDefaults, join("defaults", key)}} {
			if line, set := c.Source.Lines[origin.path]; set {
				setting.From, setting.Line = origin.from, line
				break
			}
		}
		list = append(list, setting)
	}
	return list
}

// written is a value as it can stand in the file.
func written(value reflect.Value) string {
	switch value := value.Interface().(type) {
	case []string:
		return "[" + strings.Join(value, ", ") + "]"
	case time.Duration:
		text := strings.TrimSuffix(value.String(), "m0s") + "m"
		if !strings.HasSuffix(value.String(), "m0s") {
			text = value.String()
		}
		return strings.Replace(text, "h0m", "h", 1)
	default:
		return fmt.Sprint(value)
	}
}
