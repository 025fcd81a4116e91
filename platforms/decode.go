package platforms

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/scanhook/scanhook/core"
)

// maxObjects is how many objects a body may hold; a push of 2,048 commits has seven thousand. Braces in texts count
// too.
const maxObjects = 1_000_000

// DecodeObject fills target from a body that must be exactly one JSON object, else the error wraps core.ErrInvalid and
// names the byte where the JSON breaks. Platforms change the types of fields without notice, so a value that does not
// fit its field leaves the field empty and breaks nothing; what a caller cannot do without, it checks itself.
// A body of nothing but tiny objects would grow to many times its size: core.ErrTooLarge.
func DecodeObject(body []byte, target any) error {
	if bytes.Count(body, []byte("{")) > maxObjects {
		return fmt.Errorf("%w: the body has more than %d objects, no event has", core.ErrTooLarge, maxObjects)
	}
	err := json.Unmarshal(body, target)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%w: the body is not valid JSON at byte %d: %w", core.ErrInvalid, syntax.Offset, err)
	}
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		return fmt.Errorf("%w: the body is JSON but not an object, every event is one", core.ErrInvalid)
	}
	var mismatch *json.UnmarshalTypeError
	if err != nil && !errors.As(err, &mismatch) {
		return fmt.Errorf("%w: reading the body: %w", core.ErrInvalid, err)
	}
	return nil
}
