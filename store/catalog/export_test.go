package catalog

// Indexed has searches ask the index of words, however few alerts there are.
func (c *Catalog) Indexed() *Catalog {
	c.probed = 0
	return c
}

// Seeking has walks stop after so many alerts in which they look for what no index has.
func (c *Catalog) Seeking(most int) *Catalog {
	c.sought = most
	return c
}

// Sampling has authors and probabilities counted among so many of the first alerts.
func (c *Catalog) Sampling(most int) *Catalog {
	c.sampling = most
	return c
}
