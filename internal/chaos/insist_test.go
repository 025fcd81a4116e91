package chaos

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// insist sends a request to one replica after the other until one answers 2xx, with growing pauses. Only 503 and a
// connection that breaks are reasons to try again; another answer is noted, and ends it.
func (s *sender) insist(ctx context.Context, method, path string, header http.Header, body []byte) ([]byte, time.Duration, bool) {
	for pause := firstRetry; ctx.Err() == nil; pause = min(2*pause, lastRetry) {
		began := time.Now()
		status, answer, err := s.once(ctx, method, path, header, body)
		switch {
		case err == nil && status/100 == 2:
			return answer, time.Since(began), true
		case err == nil && status != http.StatusServiceUnavailable:
			s.note(fmt.Sprintf("%s %.30s was answered %d: %.300s", method, path, status, answer))
			return nil, 0, false
		}
		s.retries.Add(1)
		_ = sleep(ctx, pause/2+rand.N(pause))
	}
	return nil, 0, false
}

func (s *sender) once(ctx context.Context, method, path string, header http.Header, body []byte) (int, []byte, error) {
	address := s.choose()
	request, err := http.NewRequestWithContext(ctx, method, address+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header = header.Clone()
	response, err := s.client.Do(request)
	if err != nil {
		s.leaveOut(address)
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// choose names a replica that answered lately, or any where none did.
func (s *sender) choose() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := rand.IntN(len(s.replicas))
	for i := range s.replicas {
		address := s.replicas[(first+i)%len(s.replicas)].address
		if time.Now().After(s.down[address]) {
			return address
		}
	}
	return s.replicas[first].address
}

func (s *sender) leaveOut(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down[address] = time.Now().Add(leftOut)
}

func (s *sender) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.strange[what]++
}
