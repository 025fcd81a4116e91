package webhooks

import "github.com/scanhook/scanhook/internal/httpx"

// Limit changes how many bodies are in memory at a time.
func (r *Receiver) Limit(bodies *httpx.Bodies) { r.bodies = bodies }
