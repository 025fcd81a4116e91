package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// secretMark is how many hexadecimal digits of a secret's hash tell whether it changed: too few to find it by trying.
const secretMark = 4

// Settings are all values that the configuration holds, defaults included, by their path: "platforms.github.url",
// "repositories[0].gate.fail_on". Of secrets they hold a mark from which only a change can be told.
func (c *Config) Settings() map[string]string {
	settings := map[string]string{}
	flatten(settings, "", reflect.ValueOf(*c))
	return settings
}

func flatten(settings map[string]string, path string, value reflect.Value) {
	switch value.Kind() {
	case reflect.Pointer:
		if !value.IsNil() {
			flatten(settings, path, value.Elem())
		}
	case reflect.Struct:
		for _, field := range fieldsOf(value.Type()) {
			flatten(settings, join(path, field.key), value.FieldByIndex(field.index))
		}
	case reflect.Map:
		for entries := value.MapRange(); entries.Next(); {
			flatten(settings, join(path, fmt.Sprint(entries.Key())), entries.Value())
		}
	case reflect.Slice:
		for i := range value.Len() {
			flatten(settings, path+"["+strconv.Itoa(i)+"]", value.Index(i))
		}
	case reflect.String:
		settings[path] = settled(value)
		if strings.Contains(path, ".command[") { // a scanner may be given its token there
			settings[path] = mark(value.String())
		}
	default:
		settings[path] = settled(value)
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
