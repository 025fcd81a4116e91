package config

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const textTag = "!!str"

// decodeScalar sets out from a single value after its variables are replaced. Messages leave the value out: it may be
// a secret.
func (d *decoder) decodeScalar(path string, node *yaml.Node, out reflect.Value) {
	if node.Kind != yaml.ScalarNode {
		d.errorf(path, "must be %s, not %s", wanted(out), nounOf(node))
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
		d.errorf(path, "must be %s", wanted(out))
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
		d.errorf(path, "must be text: put quotation marks around the value")
		return
	}
	out.SetString(text)
}

// convert sets out from text and tells whether text has the form that out wants.
func convert(text string, out reflect.Value) bool {
	switch target := out.Addr().Interface().(type) {
	case *time.Duration:
		duration, err := time.ParseDuration(text)
		*target = duration
		return err == nil && duration > 0
	case *Interval:
		duration, err := time.ParseDuration(text)
		*target = Interval(duration)
		return err == nil && duration >= 0
	case *Age:
		age, ok := parseAge(text)
		*target = Age(age)
		return ok
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

// parseAge reads a number of days, a duration, or that there is no end.
func parseAge(text string) (age time.Duration, ok bool) {
	if text == "forever" || text == "never" || text == "0" {
		return 0, true
	}
	if number, inDays := strings.CutSuffix(text, "d"); inDays {
		days, err := strconv.ParseUint(number, 10, 16)
		return time.Duration(days) * day, err == nil && days > 0
	}
	age, err := time.ParseDuration(text)
	return age, err == nil && age > 0
}

func wanted(out reflect.Value) string {
	switch out.Interface().(type) {
	case time.Duration:
		return "a duration longer than zero, such as 30s, 10m or 1h"
	case Interval:
		return "a duration such as 30m or 1h, or 0 for never"
	case Age:
		return "a time such as 30d or 12h, or forever"
	case int64:
		return "a whole number"
	case float64:
		return "a number"
	case bool:
		return "true or false"
	}
	return "text"
}
