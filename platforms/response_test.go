package platforms_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/platforms"
)

func TestDescribeErrorQuotesThePlatform(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"message":"Bad credentials","documentation_url":"https://x"}`: `, "Bad credentials"`,
		`{"message":"Validation Failed","errors":[{"resource":"Status","field":"description","message":"is too long"},` +
			`{"field":"context","code":"missing"},{"field":"target_url","message":"target_url is blocked"}]}`: `, "Validation Failed: ` +
			`description is too long, context missing, target_url is blocked"`,
		`{"message":{"name":["has already been taken"],"ref":["is odd","is long"]}}`: `, "name has already been taken, ref is odd, is long"`,
		`{"error":"invalid_token","error_description":"Token was revoked."}`:         `, "invalid_token: Token was revoked."`,
		`{"message":"a\u001b[31m\nb of s3cret","errors":["more"]}`:                   `, "a b of [token]: more"`,
		`{"message":"` + strings.Repeat("ü", 300) + `"}`:                             `, "` + strings.Repeat("ü", 199) + `…"`,
		`<html>403</html>`: ``, `{}`: ``, `{"message":7}`: ``, ``: ``,
	} {
		client := platforms.NewClient(&http.Client{Transport: answering{body}})
		response, err := client.Get("http://platform.example/")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := platforms.DescribeError("github", response, "s3cret"); got != "github answered 403"+want {
			t.Errorf("%.60s: got %s, want %s", body, got, want)
		}
	}
}
