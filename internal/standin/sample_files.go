package standin

import (
	"strings"
	"time"
)

// sampleHistory is the sample repository, oldest commit first. The second commit brings most of the secrets, so that a
// push of it has something new to tell.
func sampleHistory() []sampleCommit {
	first := time.Date(2026, time.March, 2, 9, 30, 0, 0, time.UTC)
	return []sampleCommit{
		{message: "Take payments over HTTP", at: first, files: map[string]string{
			"README.md":                  sampleReadme,
			"go.mod":                     "module example.com/payments\n\ngo 1.24\n",
			"main.go":                    sampleMain,
			"internal/payment/client.go": plant(sampleClient),
		}},
		{message: "Deploy from CI\n\nThe credentials move to a file later.", at: first.Add(26 * time.Hour),
			files: map[string]string{
				"config/deploy.env": plant(sampleDeploy),
				"config/deploy.key": plant(sampleKey),
			}},
	}
}

// plant puts the secrets in their places.
func plant(text string) string {
	return strings.NewReplacer(
		"{stripe}", "sk_"+"live_"+noise("stripe", lettersAndDigits, 32),
		"{slack}", "xox"+"b-"+noise("team", digits, 12)+"-"+noise("bot", digits, 12)+"-"+noise("slack", lettersAndDigits, 24),
		"{github}", "gh"+"p_"+noise("github", lettersAndDigits, 36),
		"{aws}", "AK"+"IA"+noise("aws", base32Letters, 16),
		"{key}", noise("key", lettersAndDigits, 64)+"\n"+noise("more", lettersAndDigits, 64),
		"{pem}", "PRIVATE"+" KEY",
	).Replace(text)
}

const sampleReadme = `# payments

Takes payments for the shop. ` + "`go run .`" + ` and post an order to http://localhost:9000/pay.
`

const sampleMain = `package main

import (
	"log"
	"net/http"

	"example.com/payments/internal/payment"
)

func main() {
	http.HandleFunc("POST /pay", func(w http.ResponseWriter, r *http.Request) {
		if err := payment.Charge(r.Context(), r.FormValue("order")); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	})
	log.Fatal(http.ListenAndServe("localhost:9000", nil))
}
`

const sampleClient = `// Package payment talks to the payment provider.
package payment

import (
	"context"
	"fmt"
	"net/http"
)

const apiKey = "{stripe}"

// Charge asks the provider for the money of an order.
func Charge(ctx context.Context, order string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://pay.example.com/charges/"+order, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+apiKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("charging order %s: %s", order, response.Status)
	}
	return nil
}
`

const sampleDeploy = `# read by the deploy job
AWS_REGION=eu-central-1
AWS_ACCESS_KEY_ID={aws}
SLACK_BOT={slack}
PACKAGES_LOGIN={github}
`

const sampleKey = `-----BEGIN {pem}-----
{key}
-----END {pem}-----
`
