package standin

import (
	"encoding/base64"
	"strconv"
)

// Who pushes, and whom the API token belongs to.
const (
	personLogin = "mira"
	personName  = "Mira Holm"
	personEmail = "mira@example.com"
	personID    = 501

	botLogin = "scanhook-bot"
	botName  = "Scanhook"
	botID    = 502
)

// nodeID has the look of GitHub's global ids.
func nodeID(kind string, id int64) string {
	return base64.RawURLEncoding.EncodeToString([]byte(kind + ":" + strconv.FormatInt(id, 10)))
}
