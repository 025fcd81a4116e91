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
)

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
		for _, field := range fieldsOf(value.Type()) {
			walk(join(path, field.key), value.FieldByIndex(field.index), visit)
		}
	case reflect.Map:
		for entries := value.MapRange(); entries.Next(); {
			walk(join(path, fmt.Sprint(entries.Key())), entries.Value(), visit)
		}
	case reflect.Slice:
		for i := range value.Len() {
			walk(path+"["+strconv.Itoa(i)+"]", value.Index(i), visit)
		}
	default:
		visit(path, value)
	}
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
