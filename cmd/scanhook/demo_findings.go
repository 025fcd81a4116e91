package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// shownFindings is how many findings of each commit a demo prints.
const shownFindings = 10

// listFindings prints the findings of a scan as the API tells them.
func (d *demo) listFindings(ctx context.Context, reference string) error {
	url := fmt.Sprintf("%s/api/v1/scans/%s/findings?limit=%d", d.world.scanhook, reference, shownFindings)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+d.world.apiToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("listing findings: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("listing findings: the API answered %s", response.Status)
	}
	var page struct {
		Items []struct {
			Severity, File, Title string
			State                 string `json:"baseline_state"`
			RuleID                string `json:"rule_id"`
			Line                  int
		}
		Next string
	}
	if err := json.NewDecoder(response.Body).Decode(&page); err != nil {
		return fmt.Errorf("listing findings: %w", err)
	}
	for _, f := range page.Items {
		fmt.Fprintf(d.out, "     %-9s %-8s %s:%d  %s\n", f.State, f.Severity, f.File, f.Line, f.RuleID)
	}
	if page.Next != "" {
		fmt.Fprintln(d.out, "     …")
	}
	return nil
}
