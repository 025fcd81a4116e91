package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

func checkServer(address string) (string, error) {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return "", wrongUpload("--server or SCANHOOK_URL must be an address that starts with https:// or http:// and a host")
	}
	return strings.TrimRight(address, "/"), nil
}

// put streams the report, compressed, and returns what the API says.
func (u *uploading) put(ctx context.Context, report io.Reader) (uploadAnswer, error) {
	body := compressed(report)
	defer func() { _ = body.Close() }()
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, u.address(), body)
	if err != nil {
		return uploadAnswer{}, err
	}
	request.Header.Set("Authorization", "Bearer "+u.token)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Content-Encoding", "gzip")
	request.Header.Set("Expect", "100-continue") // a refused token is answered before the report is on its way
	request.Header.Set("User-Agent", "scanhook/"+buildVersion())
	response, err := uploadClient().Do(request)
	if err != nil {
		return uploadAnswer{}, fmt.Errorf("%w: is that where Scanhook is reached? --server names another address", err)
	}
	defer func() { _ = response.Body.Close() }()
	return readAnswer(response)
}

func (u *uploading) address() string {
	scanner := "/results/" + url.PathEscape(u.scanner)
	if u.scan != "" {
		return u.server + "/api/v1/scans/" + url.PathEscape(path.Base(u.scan)) + scanner
	}
	query := url.Values{
		"platform": {u.commit.platform}, "project": {u.commit.project}, "commit": {u.commit.sha}, "branch": {u.commit.branch},
	}
	return u.server + "/api/v1" + scanner + "?" + query.Encode()
}

// uploadClient follows no redirect: it would turn the PUT into a GET, or carry the token elsewhere.
func uploadClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 2 * time.Minute // of storing, after the last byte
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// compressed is the report in gzip, made while it is read; one that is compressed already is passed on as it is.
func compressed(report io.Reader) io.ReadCloser {
	buffered := bufio.NewReader(report)
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return io.NopCloser(buffered)
	}
	reader, writer := io.Pipe()
	go func() {
		zipper := gzip.NewWriter(writer)
		_, err := io.Copy(zipper, buffered)
		if err == nil { // half a report must not end like a whole one
			err = zipper.Close()
		}
		writer.CloseWithError(err)
	}()
	return reader
}
