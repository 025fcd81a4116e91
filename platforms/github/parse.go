package github

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

const (
	eventHeader  = "X-GitHub-Event"
	guidHeader   = "X-GitHub-Delivery" // the same for all webhooks that announce one event
	hookIDHeader = "X-GitHub-Hook-ID"
	targetHeader = "X-GitHub-Hook-Installation-Target-" // begins the names of those of an App
)

// Parse translates a verified call. Both content types of GitHub are read: JSON, and a form with the field payload.
func (p *Platform) Parse(header http.Header, body []byte) (core.Delivery, error) {
	delivery := core.Delivery{
		Platform:   p.Name,
		Name:       platforms.Clean(header.Get(eventHeader)),
		ReceivedAt: p.Now().UTC(),
		Key:        deliveryKey(header, body),
	}
	return platforms.Translate(delivery, eventHeader, "GitHub", func() (core.Event, string, error) {
		payload, err := jsonOf(header, body)
		if err != nil {
			return nil, "", err
		}
		if action, project, err := p.parseAction(delivery.Name, payload); action != nil || err != nil {
			return action, project, err
		}
		return p.ParseEvent(delivery.Name, payload)
	})
}

// Keep is part of platforms.Keeper.
func (p *Platform) Keep(header http.Header, body []byte) (http.Header, []byte) {
	return platforms.Headers(header, eventHeader, guidHeader, hookIDHeader, targetHeader+"ID", targetHeader+"Type"), body
}

// deliveryKey tells two webhooks apart that announce the same event: GitHub gives both deliveries the same GUID.
func deliveryKey(header http.Header, body []byte) string {
	guid := header.Get(guidHeader)
	if guid == "" {
		return platforms.HashKey(header.Get(eventHeader), body)
	}
	if hook := header.Get(hookIDHeader); hook != "" {
		return platforms.DeliveryKey(hook, guid)
	}
	if id := header.Get(targetHeader + "ID"); id != "" {
		return platforms.DeliveryKey(header.Get(targetHeader+"Type"), id, guid)
	}
	return platforms.DeliveryKey("delivery", guid)
}

// jsonOf unwraps the form. The JSON decoder judges any other content type.
func jsonOf(header http.Header, body []byte) ([]byte, error) {
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return body, nil
	}
	payload, ok := formField(body, "payload")
	if !ok {
		return nil, fmt.Errorf("%w: the form has no readable field payload: choose the content type application/json"+
			" for the webhook", core.ErrInvalid)
	}
	return payload, nil
}

// formField is a field of an urlencoded form; ok is false where it is missing, empty or broken. It allocates the field's
// size once, where url.ParseQuery would allocate the form's several times.
func formField(form []byte, name string) (value []byte, ok bool) {
	for pair := range bytes.SplitSeq(form, []byte("&")) {
		if encoded, found := bytes.CutPrefix(pair, []byte(name+"=")); found {
			value, ok = unescape(encoded)
			return value, ok && len(value) > 0
		}
	}
	return nil, false
}

func unescape(encoded []byte) (text []byte, ok bool) {
	text = make([]byte, 0, len(encoded))
	for i := 0; i < len(encoded); i++ {
		switch c := encoded[i]; c {
		case '+':
			text = append(text, ' ')
		case '%':
			end := min(i+3, len(encoded))
			decoded, err := hex.AppendDecode(text, encoded[i+1:end])
			if err != nil || len(decoded) != len(text)+1 {
				return nil, false
			}
			text = decoded
			i += 2
		default:
			text = append(text, c)
		}
	}
	return text, true
}
