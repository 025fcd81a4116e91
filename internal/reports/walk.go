package reports

import (
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
func (c *cursor) open(delim byte) (found bool, err error) {
	first, err := c.begins()
	switch {
	case err != nil:
		return false, err
	case first == '{' || first == '[':
		c.at++
	default:
		err = c.pass()
	}
	switch {
	case err != nil || first == delim:
		return err == nil, err
	case first == 'n':
		return false, nil
	case delim == '{':
		return false, c.invalid("must be an object, not %s", describe(first))
	}
	return false, c.invalid("must be an array, not %s", describe(first))
}

// each visits the members of the object that has been entered, and leaves it.
func (c *cursor) each(visit func(key string) error) error {
	for first := true; ; first = false {
		done, err := c.member(first)
		if done || err != nil {
			return err
		}
		key, err := c.key()
		if err != nil {
			return err
		}
		c.path = append(c.path, step{key: key, index: -1})
		if err := visit(key); err != nil {
			return err
		}
		c.path = c.path[:len(c.path)-1]
	}
}

// member passes what stands before a member, or the end of its object.
func (c *cursor) member(first bool) (done bool, err error) {
	next, err := c.begins()
	if err != nil {
		return false, err
	}
	done, err = c.separate(next, '}', first, afterMember)
	if err != nil {
		err = c.explain(err, 0)
	}
	return done, err
}

// key reads the name of a member and the colon behind it.
func (c *cursor) key() (key string, err error) {
	first, err := c.begins()
	if err != nil {
		return "", err
	}
	if first != '"' {
		return "", c.explain(c.unexpected(atKey), 0)
	}
	if err := c.decode(&key); err != nil {
		return "", err
	}
	if err := c.punctuation(':', afterKey); err != nil {
		return "", c.explain(err, 0)
	}
	return key, nil
}

// elements visits the elements of the array that has been entered, and leaves it.
func (c *cursor) elements(visit func() error) error {
	for i := 0; ; i++ {
		next, err := c.begins()
		if err != nil {
			return err
		}
		if next == '}' && i == 0 {
			return c.explain(c.unexpected(atValue), 0)
		}
		c.path = append(c.path, step{index: i})
		done, err := c.separate(next, ']', i == 0, afterItem)
		if err != nil {
			return c.explain(err, 0)
		}
		if !done {
			err = visit()
		}
		if err != nil {
			return err
		}
		c.path = c.path[:len(c.path)-1]
		if done {
			return nil
		}
	}
}

func describe(first byte) string {
	switch first {
	case '[':
		return "an array"
	case '{':
		return "an object"
	case '"':
		return "a string"
	case 't', 'f':
		return "a truth value"
	}
	return "a number"
}
