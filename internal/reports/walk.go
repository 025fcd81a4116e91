package reports

import (
	"encoding/json"
	"fmt"

	"github.com/scanhook/scanhook/core"
)

// maxElements bounds arrays whose elements are kept: of nothing but {} a report can hold a hundred million rules.
const maxElements = 1_000_000

// members are what a walk does with the members of an object; others are skipped.
type members map[string]func() error

// object walks through an object; null counts as an empty one.
func (c *cursor) object(use members) error {
	found, err := c.open('{')
	if err != nil || !found {
		return err
	}
	return c.use(use)
}

// use walks through the object that has been entered. A member that we use must not occur twice, because readers
// disagree on which of the two counts.
func (c *cursor) use(use members) error {
	seen := make(map[string]bool, len(use))
	return c.each(func(key string) error {
		visit := use[key]
		if visit == nil {
			return c.skip()
		}
		if seen[key] {
			return c.invalid("occurs twice in its object")
		}
		seen[key] = true
		return visit()
	})
}

// array walks through an array; null counts as an empty one.
func (c *cursor) array(visit func() error) error {
	_, err := c.arrayOrNull(visit)
	return err
}

func (c *cursor) arrayOrNull(visit func() error) (found bool, err error) {
	found, err = c.open('[')
	if err != nil || !found {
		return false, err
	}
	count, most := 0, max(maxElements, c.limits.MaxResults)
	return true, c.elements(func() error {
		if count++; count > most {
			return fmt.Errorf("%w: %s: more than %d elements", core.ErrTooLarge, c.pointer(""), most)
		}
		return visit()
	})
}

// open enters an array or object; found is false where null stands in its place.
func (c *cursor) open(delim json.Delim) (found bool, err error) {
	token, err := c.token()
	switch {
	case err != nil:
		return false, err
	case token == delim:
		return true, nil
	case token == nil:
		return false, nil
	case delim == '{':
		return false, c.invalid("must be an object, not %s", describe(token))
	}
	return false, c.invalid("must be an array, not %s", describe(token))
}

// each visits the members of the object that has been entered, and leaves it.
func (c *cursor) each(visit func(key string) error) error {
	for c.json.More() {
		token, err := c.token()
		if err != nil {
			return err
		}
		key, _ := token.(string) // the decoder accepts nothing else as a key
		c.path = append(c.path, step{key: key, index: -1})
		c.lead = 1
		if err := visit(key); err != nil {
			return err
		}
		c.path = c.path[:len(c.path)-1]
	}
	_, err := c.token()
	return err
}

// elements visits the elements of the array that has been entered, and leaves it.
func (c *cursor) elements(visit func() error) error {
	for i := 0; c.json.More(); i++ {
		c.path = append(c.path, step{index: i})
		c.lead = int64(min(i, 1))
		if err := visit(); err != nil {
			return err
		}
		c.path = c.path[:len(c.path)-1]
	}
	_, err := c.token()
	return err
}

func describe(token json.Token) string {
	switch token.(type) {
	case json.Delim:
		if token == json.Delim('[') {
			return "an array"
		}
		return "an object"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case bool:
		return "a truth value"
	}
	return "null"
}
