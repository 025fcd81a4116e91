package webhooks

import (
	"errors"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/metrics"
)

// counted counts the calls that are refused; nothing is kept of them but a line in the log. They name a platform that is
// configured: others are not found.
func (r *Receiver) counted(handler func(*gin.Context) error) func(*gin.Context) error {
	return func(c *gin.Context) error {
		err := handler(c)
		if errors.Is(err, core.ErrDenied) {
			httpx.Refuse(c, "webhook of "+c.Param("platform")+" without a valid signature")
			r.Meter.Refused(c.Param("platform"))
		}
		return err
	}
}

func outcomeOf(receipt core.Receipt, err error) core.Outcome {
	if err != nil {
		return metrics.OutcomeFailed
	}
	return receipt.Outcome
}
