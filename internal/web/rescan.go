package web

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
)

// rescan has a commit scanned once more and leads to the new scan. It takes the role that the API wants for it.
func (w *Web) rescan(c *gin.Context) error {
	who, err := w.visitor(c)
	if err != nil {
		return err
	}
	if !who.MayScan() {
		return fmt.Errorf("%w: a rescan takes the role scanner, yours is %s", core.ErrForbidden, who.Role)
	}
	receipt, err := w.Store.Rescan(c.Request.Context(), c.Param("ref"), who.Name)
	if err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, w.base+"/scans/"+receipt.Reference)
	return nil
}
