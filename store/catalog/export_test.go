package catalog

// Indexed has searches ask the index of words, however few alerts there are.
func (c *Catalog) Indexed() *Catalog {
	c.probed = 0
	return c
}
