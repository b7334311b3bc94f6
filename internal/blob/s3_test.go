package blob_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// startS3 starts an object store that speaks as much of S3 as a bucket uses, and returns the bucket's address. It
// answers the AWS client itself, so that signing, range requests and listing are the real ones.
func startS3(t *testing.T) string {
	t.Helper()
	s := &s3{objects: map[string]object{}}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return "s3://files?region=us-east-1&use_path_style=true&anonymous=true&response_checksum_validation=when_required&endpoint=" + srv.URL
}

type object struct {
	data []byte
	at   time.Time
}

type s3 struct {
	mu      sync.Mutex
	objects map[string]object
}

func (s *s3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strings.TrimPrefix(r.URL.Path, "/files/")
	switch {
	case r.Method == http.MethodGet && strings.TrimSuffix(r.URL.Path, "/") == "/files":
		s.list(w)
	case r.Method == http.MethodPut:
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return // broken off: no object
		}
		if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
			data = unchunk(data)
		}
		s.objects[key] = object{data, time.Now()}
	case r.Method == http.MethodDelete:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		o, ok := s.objects[key]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `<Error><Code>NoSuchKey</Code></Error>`)
			return
		}
		http.ServeContent(w, r, "", o.at, bytes.NewReader(o.data))
	}
}

func (s *s3) list(w http.ResponseWriter) {
	type entry struct {
		Key          string
		Size         int
		LastModified string
	}
	var answer struct {
		XMLName  xml.Name `xml:"ListBucketResult"`
		Contents []entry
	}
	for key, o := range s.objects {
		answer.Contents = append(answer.Contents, entry{key, len(o.data), o.at.UTC().Format(time.RFC3339)})
	}
	slices.SortFunc(answer.Contents, func(a, b entry) int { return strings.Compare(a.Key, b.Key) })
	_ = xml.NewEncoder(w).Encode(answer)
}

// unchunk takes the content out of AWS's chunked signing: size in hexadecimal, content, ..., a trailer.
func unchunk(data []byte) []byte {
	var out []byte
	for {
		head, rest, ok := bytes.Cut(data, []byte("\r\n"))
		if !ok {
			return out
		}
		size := 0
		for _, c := range strings.Split(string(head), ";")[0] {
			size = size*16 + strings.IndexRune("0123456789abcdef", c)
		}
		if size == 0 || size+2 > len(rest) {
			return out
		}
		out = append(out, rest[:size]...)
		data = rest[size+2:]
	}
}
