package platforms

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/scanhook/scanhook/core"
)

// DecodeObject fills target from a body that must be exactly one JSON object, else the error wraps core.ErrInvalid and
// names the byte where the JSON breaks. Platforms change the types of fields without notice, so a value that does not
// fit its field leaves the field empty and breaks nothing; what a caller cannot do without, it checks itself.
func DecodeObject(body []byte, target any) error {
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
