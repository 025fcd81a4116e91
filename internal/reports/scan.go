package reports

// maxDepth is how deep values may be nested, as in encoding/json.
const maxDepth = 10_000

// Where an unexpected byte stands.
const (
	atValue     = "looking for beginning of value"
	atKey       = "looking for beginning of object key string"
	afterKey    = "after object key"
	afterMember = "after object key:value pair"
	afterItem   = "after array element"
	inString    = "in string literal"
	inEscape    = "in string escape code"
	inNumber    = "in numeric literal"
	inLiteral   = "in literal"
	tooDeep     = "exceeded max depth"
)

// value reads the next value whole; it is valid until the stream is read again.
func (s *stream) value() ([]byte, error) {
	if _, err := s.next(); err != nil {
		return nil, err
	}
	s.keep = s.at
	if err := s.scan(0); err != nil {
		return nil, err
	}
	return s.window[s.keep:s.at], nil
}

// scan passes the value that begins at the next byte.
func (s *stream) scan(depth int) error {
	switch c := s.window[s.at]; c {
	case '{', '[':
		if depth >= maxDepth {
			return s.unexpected(tooDeep)
		}
		s.at++
		if c == '{' {
			return s.scanMembers(depth + 1)
		}
		return s.scanItems(depth + 1)
	case '"':
		s.at++
		return s.scanString()
	case 't':
		return s.scanLiteral("true")
	case 'f':
		return s.scanLiteral("false")
	case 'n':
		return s.scanLiteral("null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return s.scanNumber()
	}
	return s.unexpected(atValue)
}

func (s *stream) scanMembers(depth int) error {
	for first := true; ; first = false {
		c, err := s.need()
		if err != nil {
			return err
		}
		if done, err := s.separate(c, '}', first, afterMember); done || err != nil {
			return err
		}
		if err := s.scanKey(); err != nil {
			return err
		}
		if _, err := s.need(); err != nil {
			return err
		}
		if err := s.scan(depth); err != nil {
			return err
		}
	}
}

func (s *stream) scanItems(depth int) error {
	for first := true; ; first = false {
		c, err := s.need()
		if err != nil {
			return err
		}
		if done, err := s.separate(c, ']', first, afterItem); done || err != nil {
			return err
		}
		if _, err := s.need(); err != nil {
			return err
		}
		if err := s.scan(depth); err != nil {
			return err
		}
	}
}

// separate passes what stands between two elements, or ends them.
func (s *stream) separate(c, end byte, first bool, where string) (done bool, err error) {
	switch {
	case c == end:
		s.at++
		return true, nil
	case first:
	case c != ',':
		return false, s.unexpected(where)
	default:
		s.at++
	}
	return false, nil
}

func (s *stream) scanKey() error {
	c, err := s.need()
	if err != nil {
		return err
	}
	if c != '"' {
		return s.unexpected(atKey)
	}
	s.at++
	if err := s.scanString(); err != nil {
		return err
	}
	if c, err = s.need(); err != nil {
		return err
	}
	if c != ':' {
		return s.unexpected(afterKey)
	}
	s.at++
	return nil
}
