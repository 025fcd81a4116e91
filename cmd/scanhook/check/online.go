package check

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"syscall"
	"time"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	arrival    = 15 * time.Second // for a call that a platform was asked for
	lookPause  = 200 * time.Millisecond
	longAnswer = 1 << 10 // bytes of an answer that are read
)

// online has calls come in through the public address: by platforms where they can be asked for one, else by ourselves.
func (c Check) online(ctx context.Context, asked askedHooks) []Line {
	lines := []Line{c.publicAddress(ctx)}
	if lines[0].Verdict == Fail {
		return lines
	}
	for _, name := range slices.Sorted(maps.Keys(c.Platforms)) {
		if c.Verifies(name) {
			lines = append(lines, c.testCall(ctx, asked, name))
		}
	}
	return lines
}

// publicAddress asks for what only a Scanhook answers.
func (c Check) publicAddress(ctx context.Context) Line {
	const subject = "public address"
	address := c.Server.PublicURL + "/healthz"
	code, text, err := cli.Call(ctx, http.MethodGet, address, nil, nil, longAnswer)
	switch {
	case err != nil:
		return Line{Fail, subject, fmt.Sprintf("%s cannot be reached from here: %s; %s", address, cli.OneLine(err.Error()), unreached(err))}
	case code != http.StatusOK || string(text) != "ok\n":
		return Line{Fail, subject, fmt.Sprintf("%s is answered %d by something else than Scanhook: let the proxy lead there to server.listen, "+
			"or correct server.public_url", address, code)}
	}
	return Line{OK, subject, address + " is answered by Scanhook"}
}

// unreached says what to do about an address that does not answer.
func unreached(err error) string {
	unknown, certificate, timeout := new(net.DNSError), new(tls.CertificateVerificationError), net.Error(nil)
	switch {
	case errors.As(err, &unknown):
		return "enter the name in DNS, or correct server.public_url"
	case errors.As(err, &certificate):
		return "platforms refuse such a certificate too: take one for this host, and send those between it and its authority with it; an authority " +
			"of your own is named by SSL_CERT_FILE here, and must be known to the platforms"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: start scanhook serve, and the proxy in front of it"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "let firewalls through, or correct server.public_url"
	}
	return "correct server.public_url, or what stands between"
}

// testCall has a platform call one of our webhooks, and waits until the call is in the database.
func (c Check) testCall(ctx context.Context, asked askedHooks, name string) Line {
	hook, err := c.testableHook(ctx, asked, name)
	if err != nil {
		return c.ownCall(ctx, name, err)
	}
	subject := "call of " + name
	db, err := store.Attach(ctx, store.Config{URL: c.Database.URL.Reveal()})
	if err != nil {
		return Line{Fail, subject, fmt.Sprintf("cannot be looked for: %v", err)}
	}
	defer func() { _ = db.Close() }()
	before, err := lastDelivery(ctx, db, name)
	if err != nil {
		return Line{Fail, subject, fmt.Sprintf("cannot be looked for: %v", err)}
	}
	tester, _ := platforms.RedelivererOf(asked.adapters[name])
	asking, cancel := context.WithTimeout(ctx, 2*timeout) // GitLab answers after its call
	defer cancel()
	if err := tester.TestHook(asking, hook); err != nil && !errors.Is(err, platforms.ErrUndelivered) {
		return c.ownCall(ctx, name, err)
	}
	if id := arrived(ctx, db, name, before); id != 0 {
		return Line{OK, subject, fmt.Sprintf("the webhook of %s has called %s, which is kept as delivery %d", hook.HookTarget, c.HookAddress(name), id)}
	}
	return Line{Fail, subject, fmt.Sprintf("the webhook of %s was asked for a call, which did not come within %s%s; let %s reach %s, through firewalls "+
		"and with a certificate that it accepts", hook.HookTarget, arrival, c.lastAnswer(ctx, asked, hook, name), name, c.HookAddress(name))}
}

// testableHook is a webhook of ours that works as far as the platform tells.
func (c Check) testableHook(ctx context.Context, asked askedHooks, name string) (platforms.Hook, error) {
	surveyor := asked.surveyors[name]
	if surveyor == nil {
		return platforms.Hook{}, errors.New("there is no token to ask it with")
	}
	for _, project := range c.calling(ctx, name) {
		looking, cancel := context.WithTimeout(ctx, timeout)
		survey, err := surveyor.Survey(looking, project)
		cancel()
		if err == nil && len(survey.Hooks) > 0 {
			return bestOf(survey.Hooks), nil
		}
	}
	return platforms.Hook{}, errors.New("no webhook is known that it could test: run scanhook hooks sync")
}

const mostAsked = 3 // projects of a platform

// calling are projects that may have a webhook: those that the configuration names, then those that have called.
func (c Check) calling(ctx context.Context, name string) (projects []string) {
	for _, project := range c.Projects {
		if project.SourcePlatform == name {
			projects = append(projects, project.ProjectName)
		}
	}
	known, _ := store.Hooks(ctx, c.Database.URL.Reveal(), c.Policies) // another line tells of a fault
	for _, hook := range known {
		if hook.Platform == name {
			projects = append(projects, hook.Project)
		}
	}
	return projects[:min(len(projects), mostAsked)]
}

// arrived waits for a delivery of a platform after another one; 0 where none comes.
func arrived(ctx context.Context, db *store.Store, name string, before int64) int64 {
	for deadline := time.Now().Add(arrival); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(lookPause) {
		if id, err := lastDelivery(ctx, db, name); err == nil && id > before {
			return id
		}
	}
	return 0
}

// lastDelivery is the newest delivery of a platform; 0 where there is none.
func lastDelivery(ctx context.Context, db *store.Store, name string) (id int64, err error) {
	list, err := db.ListDeliveries(ctx, store.DeliveryFilter{Platform: name, Limit: 1})
	if len(list) > 0 {
		id = list[0].ID
	}
	return id, err
}

// lastAnswer is what the platform says of its last call.
func (c Check) lastAnswer(ctx context.Context, asked askedHooks, hook platforms.Hook, name string) string {
	manager, _ := platforms.HookManagerOf(asked.adapters[name])
	found, err := manager.Hooks(ctx, hook.HookTarget, c.HookAddress(name))
	for _, now := range found {
		if err == nil && now.ID == hook.ID && now.Problem != "" {
			return " (" + cli.OneLine(now.Problem) + ")"
		}
	}
	return ""
}

// ownCall makes a signed call as the platform would, because of why the platform is not asked for one.
func (c Check) ownCall(ctx context.Context, name string, why error) Line {
	subject, address := "call to the webhook of "+name, c.HookAddress(name)
	header, body, err := c.Sign(name)
	if err != nil {
		return Line{Fail, subject, err.Error()}
	}
	code, text, err := cli.Call(ctx, http.MethodPost, address, header, body, longAnswer)
	if err != nil {
		return Line{Fail, subject, fmt.Sprintf("%s cannot be reached from here: %s; %s", address, cli.OneLine(err.Error()), unreached(err))}
	}
	var answer struct {
		Delivery string `json:"delivery"`
	}
	if code/100 != 2 || json.Unmarshal(text, &answer) != nil || answer.Delivery == "" {
		return Line{Fail, subject, fmt.Sprintf("%s answered %d: %s", address, code, unanswered(code))}
	}
	return Line{OK, subject, fmt.Sprintf("a call of our own through %s is kept as delivery %s; %s itself was not asked: %s", address,
		answer.Delivery, name, cli.OneLine(why.Error()))}
}

// unanswered says what to do about an answer that is not Scanhook's, or no success.
func unanswered(code int) string {
	switch {
	case code == http.StatusUnauthorized:
		return "the running server has other secrets than this configuration: restart it"
	case code == http.StatusNotFound:
		return "the running server does not know the platform, or takes no calls: restart it, and let the proxy lead /webhooks there"
	case code/100 == 3:
		return "platforms follow no redirect: write the address where it leads into server.public_url"
	case code == http.StatusServiceUnavailable || code == http.StatusBadGateway:
		return "Scanhook or its database is down: see its log"
	case code/100 == 2:
		return "something else than Scanhook answers: let the proxy lead /webhooks to it"
	}
	return "let the proxy pass calls of 25 MB on as they are, without a login"
}
