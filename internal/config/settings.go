package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scanhook/scanhook/internal/config/strictyaml"
)

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
	for _, f := range strictyaml.Fields(values.Type()) {
		key, value := strictyaml.Join(prefix, f.Key), values.FieldByIndex(f.Index)
		if value.Kind() == reflect.Struct {
			list = append(list, c.effective(entry, key, value)...)
			continue
		}
		setting := Setting{Key: key, Value: written(value), From: FromBuiltin}
		for _, origin := range []struct {
			from Origin
			path string
		}{{FromRepository, strictyaml.Join(entry, key)}, {FromDefaults, strictyaml.Join("defaults", key)}} {
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

// secretMark is how many hexadecimal digits of a secret's hash tell whether it changed: too few to find it by trying.
const secretMark = 4

// Settings are all values that the configuration holds, defaults included, by their path: "platforms.github.url",
// "repositories[0].gate.fail_on". Of secrets they hold a mark from which only a change can be told.
func (c *Config) Settings() map[string]string {
	settings := map[string]string{}
	walk("", reflect.ValueOf(*c), func(path string, value reflect.Value) {
		settings[path] = settled(value)
		if value.Kind() == reflect.String && strings.Contains(path, ".command[") { // a scanner may be given its token there
			settings[path] = mark(value.String())
		}
	})
	return settings
}

func settled(value reflect.Value) string {
	switch value := value.Interface().(type) {
	case Secret:
		return mark(value.Reveal())
	case DatabaseURL:
		return mark(value.Reveal())
	default:
		return fmt.Sprint(value)
	}
}

func mark(secret string) string {
	if secret == "" {
		return ""
	}
	hash := sha256.Sum256([]byte(secret))
	return redacted + " " + hex.EncodeToString(hash[:])[:secretMark]
}

// Credentials are all secrets that the configuration holds, the database's password among them.
func (c *Config) Credentials() []string {
	var all []string
	walk("", reflect.ValueOf(*c), func(_ string, value reflect.Value) {
		switch value := value.Interface().(type) {
		case Secret:
			all = append(all, value.Reveal())
		case DatabaseURL:
			if address, err := url.Parse(value.Reveal()); err == nil {
				password, _ := address.User.Password()
				all = append(all, password)
			}
		}
	})
	return slices.DeleteFunc(all, func(secret string) bool { return secret == "" })
}

// walk visits all values by their path.
func walk(path string, value reflect.Value, visit func(path string, value reflect.Value)) {
	switch value.Kind() {
	case reflect.Pointer:
		if !value.IsNil() {
			walk(path, value.Elem(), visit)
		}
	case reflect.Struct:
		for _, field := range strictyaml.Fields(value.Type()) {
			walk(strictyaml.Join(path, field.Key), value.FieldByIndex(field.Index), visit)
		}
	case reflect.Map:
		for entries := value.MapRange(); entries.Next(); {
			walk(strictyaml.Join(path, fmt.Sprint(entries.Key())), entries.Value(), visit)
		}
	case reflect.Slice:
		for i := range value.Len() {
			walk(path+"["+strconv.Itoa(i)+"]", value.Index(i), visit)
		}
	default:
		visit(path, value)
	}
}
