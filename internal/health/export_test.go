package health

import "context"

// Once is a round of Run, for tests.
func (h *Health) Once(ctx context.Context) (bool, error) { return h.judge(ctx) }
