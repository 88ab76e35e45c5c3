package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// Serve serves the set on a unix socket until the context ends:
//
//	GET    /rules        the rules
//	POST   /rules        add a list of rules; answers their IDs
//	DELETE /rules        remove all rules and conditions
//	DELETE /rules/{id}   remove one
//	PUT    /conditions   replace the conditions
func Serve(ctx context.Context, socket string, set *Set) error {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove an old fault socket: %w", err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("listen for faults: %w", err)
	}
	server := &http.Server{Handler: handler(set), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve faults: %w", err)
	}
	return nil
}

func handler(set *Set) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /rules", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, set.Rules())
	})
	mux.HandleFunc("POST /rules", func(w http.ResponseWriter, r *http.Request) {
		var rules []Rule
		if !decode(w, r, &rules) {
			return
		}
		ids, err := set.Add(rules...)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, ids)
	})
	mux.HandleFunc("DELETE /rules", func(http.ResponseWriter, *http.Request) {
		set.Clear()
	})
	mux.HandleFunc("DELETE /rules/{id}", func(w http.ResponseWriter, r *http.Request) {
		if err := set.Remove(r.PathValue("id")); err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
		}
	})
	mux.HandleFunc("PUT /conditions", func(w http.ResponseWriter, r *http.Request) {
		var conditions []Condition
		if decode(w, r, &conditions) {
			set.SetConditions(conditions...)
		}
	})
	return mux
}

func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// Client changes the faults of a node from another process.
type Client struct {
	http *http.Client
}

// NewClient returns the client of the set that is served on the socket.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &Client{http: &http.Client{
		// A frozen node does not answer; a test should hear of it.
		Timeout:   10 * time.Second,
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
	}}
}

// Add adds rules and returns their IDs.
func (c *Client) Add(ctx context.Context, rules ...Rule) ([]string, error) {
	var ids []string
	err := c.do(ctx, http.MethodPost, "/rules", rules, &ids)
	return ids, err
}

// Remove removes rules; the calls they hold go on.
func (c *Client) Remove(ctx context.Context, ids ...string) error {
	for _, id := range ids {
		if err := c.do(ctx, http.MethodDelete, "/rules/"+url.PathEscape(id), nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// Clear removes all rules and conditions.
func (c *Client) Clear(ctx context.Context) error {
	return c.do(ctx, http.MethodDelete, "/rules", nil, nil)
}

// Rules are the rules there are.
func (c *Client) Rules(ctx context.Context) ([]Rule, error) {
	var rules []Rule
	err := c.do(ctx, http.MethodGet, "/rules", nil, &rules)
	return rules, err
}

// SetConditions makes the runtime say of itself that something is wrong;
// without arguments, that nothing is.
func (c *Client) SetConditions(ctx context.Context, conditions ...Condition) error {
	if conditions == nil {
		conditions = []Condition{}
	}
	return c.do(ctx, http.MethodPut, "/conditions", conditions, nil)
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s faults%s: %w", method, path, err)
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://node"+path, body)
	if err != nil {
		return fmt.Errorf("%s faults%s: %w", method, path, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("%s faults%s: %w", method, path, err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s faults%s: %w", method, path, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s faults%s: %s: %s", method, path, response.Status, bytes.TrimSpace(data))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s faults%s: %w", method, path, err)
	}
	return nil
}
