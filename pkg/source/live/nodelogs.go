package live

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Bounds of what is read of one node.
const (
	// MaxLogBytes bounds all that is read of a node's logs, in bytes.
	MaxLogBytes = 256 << 20
	// maxLogFile is how much of one file is read, from its end.
	maxLogFile = 64 << 20
	// maxLogLines is the most that kubelet gives of a unit (pkg/kubelet/kubelet_server_journal.go, maxTailLines).
	maxLogLines = 100_000
	// maxLogTime bounds the reading of all logs of a node.
	maxLogTime = 3 * time.Minute
	// firstAnswer is how long the first byte of an answer may take: kubelet ends journalctl after 30 s (Copy in
	// kubelet_server_journal.go), and a large journal can take most of that to begin.
	firstAnswer = 40 * time.Second
	// firstAnswerStale is the same for a node whose lease is stale: its kubelet will hardly answer. The API server gives up a TLS
	// handshake after 10 s.
	firstAnswerStale = 15 * time.Second
	// journalCap is the limit of kubelet's own, and cut is how near to its end an answer counts as cut by it.
	journalCap = 30 * time.Second
	// zones is how far a node's local time can be from UTC. Kubelet hands sinceTime to journalctl without its zone, so a node takes it for its own
	// local time (kubelet_server_journal_linux.go, dateLayout): a node west of UTC would leave out what is newest.
	zones = 12 * time.Hour
)

// The right that reading a node's logs through the API server needs, and the ClusterRole of docs/RIGHTS.md that has it. There is no smaller one: the
// finer rights of kubelets (nodes/log, and since 1.36 nodes/pods and others for all) hold for those who reach a kubelet directly, and the API
// server, which stands in between here, asks for nodes/proxy whatever the path behind it.
const (
	LogsRole     = "stuck-node-logs"
	LogsVerb     = "get"
	LogsResource = "nodes/proxy"
)

// LogQuery says what is wanted of a node's logs.
type LogQuery struct {
	// Runtime and Kubelet are status.nodeInfo.containerRuntimeVersion and kubeletVersion: from them come the names of the units.
	Runtime, Kubelet string
	// Since is from when lines are wanted.
	Since time.Time
	// Stale tells that the node's lease is stale, and State what the API knows of the node: "Ready=Unknown, lease renewed 5m ago".
	Stale bool
	State string
	// Progress is told what is being read; it may be nil.
	Progress func(string)
}

// LogSource is one attempt to read a log.
type LogSource struct {
	// What was asked for: "unit kubelet", "file kern.log", "list of /var/log".
	What string
	// Status is the HTTP status of the answer; 0 where there was none.
	Status int
	// Reason says why nothing could be read, or what is missing of what was; empty where everything asked for came.
	Reason string
	// Read tells that lines were looked at.
	Read         bool
	Lines, Bytes int64
	// Refused tells that asking in another way, or for another log, is of no use.
	Refused bool
}

// LogStream is one log while it is read.
type LogStream struct {
	// Name is what evidence calls it: "log of kubelet on node worker-3".
	Name string
	io.Reader
	// UTC tells that its times are UTC even where they do not say so.
	UTC bool
	// Written is when the last line of it was written, where the server said so.
	Written time.Time
}

// NodeLogs reads the logs of one node through the API server and the node's kubelet. It needs the right to get nodes/proxy, which allows far more
// than that, so it is made only where somebody asked for it, and its own guard lets nothing else of that right be used.
type NodeLogs struct {
	client *http.Client
	server *url.URL
	node   string
	now    func() time.Time
	left   int64 // bytes that may still be read
}

// NewNodeLogs makes a reader of the logs of one node. It sends nothing yet. By now it recognises that kubelet ended an answer after its own time limit.
func NewNodeLogs(cfg *rest.Config, node string, now func() time.Time) (*NodeLogs, error) {
	if now == nil {
		return nil, errors.New("live: no clock was given")
	}
	if !nodeName.MatchString(node) {
		return nil, fmt.Errorf("%q is not the name of a node", node)
	}
	server, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("address of the API server: %w", err)
	}
	cfg = rest.CopyConfig(cfg)
	var guarded *logGuard
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		guarded = newLogGuard(next, server, node)
		return guarded
	})
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("client for %s: %w", cfg.Host, err)
	}
	if guarded == nil {
		return nil, errors.New("live: the transport took no guard")
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &NodeLogs{client: &own, server: server, node: node, now: now, left: MaxLogBytes}, nil
}

// Read asks for the logs of kubelet, of the runtime and of the kernel, and calls each for every one of them. It returns what was tried. First it
// asks for units (NodeLogQuery: off by default, enableSystemLogQuery), which are journald's; then for files of /var/log, which kubelets serve since
// long, and which the kernel's log has to be, because no unit is named for it.
func (l *NodeLogs) Read(ctx context.Context, q LogQuery, each func(LogStream) error) []LogSource {
	ctx, cancel := context.WithTimeout(ctx, maxLogTime)
	defer cancel()
	r := &logReader{NodeLogs: l, q: q, each: each}
	units, missing := r.units(ctx)
	if !r.refused() {
		r.files(ctx, units, missing)
	}
	return r.sources
}

// LogUnits are the systemd units that log on a node, the kubelet's first, by what its nodeInfo says.
func LogUnits(runtimeVersion, kubeletVersion string) []string {
	switch {
	// Distributions that hold kubelet and runtime in one program say so in its version.
	case strings.Contains(kubeletVersion, "+k3s"):
		return []string{"k3s-agent", "k3s"}
	case strings.Contains(kubeletVersion, "+rke2"):
		return []string{"rke2-agent", "rke2-server"}
	case strings.Contains(kubeletVersion, "+k0s"):
		return []string{"k0sworker", "k0scontroller"}
	}
	units := []string{"kubelet"}
	name, _, _ := strings.Cut(runtimeVersion, "://")
	switch name {
	case "containerd":
		units = append(units, "containerd")
	case "cri-o":
		units = append(units, "crio")
	case "docker": // docker's own containers are containerd's, and since 1.24 something stands between kubelet and docker
		units = append(units, "docker", "containerd", "cri-docker")
	case "":
	default:
		if unitName.MatchString(name) {
			units = append(units, name)
		}
	}
	return units
}

type logReader struct {
	*NodeLogs
	q       LogQuery
	each    func(LogStream) error
	sources []LogSource
	index   []string // of /var/log, where it was read
	listed  bool
}

func (r *logReader) say(what string) {
	if r.q.Progress != nil {
		r.q.Progress("reading of node " + r.node + ": " + what)
	}
}

func (r *logReader) refused() bool {
	return slices.ContainsFunc(r.sources, func(s LogSource) bool { return s.Refused })
}

// units asks for the units one by one, because the answer for several does not tell them apart. It returns those that were read, and
// those of which kubelet knows no journal.
func (r *logReader) units(ctx context.Context) (read, missing []string) {
	all := LogUnits(r.q.Runtime, r.q.Kubelet)
	for _, unit := range all {
		r.say("unit " + unit)
		s := LogSource{What: "unit " + unit}
		params := url.Values{"query": {unit}, "tailLines": {strconv.Itoa(maxLogLines)}}
		if !r.q.Since.IsZero() {
			params.Set("sinceTime", r.q.Since.Add(-zones).UTC().Format(time.RFC3339))
		}
		began := r.now()
		resp, err := r.get(ctx, "", params, 0)
		if err != nil {
			r.failed(&s, err)
			r.sources = append(r.sources, s)
			return read, missing
		}
		s.Status = resp.StatusCode
		switch {
		case resp.StatusCode == http.StatusOK && isHTML(resp):
			// A kubelet that does not know ?query= answers with the list of files: this is it.
			s.Reason = "this kubelet does not serve units: NodeLogQuery is off (enableSystemLogQuery in its configuration), or it is older than 1.27"
			r.list(resp)
		case resp.StatusCode == http.StatusOK:
			r.unit(&s, resp, unit, began)
			if s.Read {
				read = append(read, unit)
			} else {
				missing = append(missing, unit)
			}
		default:
			r.answered(&s, resp)
			missing = append(missing, unit)
		}
		_ = resp.Body.Close()
		r.sources = append(r.sources, s)
		if r.listed {
			return read, all
		}
		if s.Refused || ctx.Err() != nil {
			return read, missing
		}
	}
	return read, missing
}

// kubeletSays are the beginnings of what kubelet writes in place of a log, in the middle of an answer with status 200
// (pkg/kubelet/kubelet_server_journal.go).
var kubeletSays = []string{
	"options present and query resolved to log files", "log not found for ", "error getting log for ", "error: journal output not available",
	"failed to get logging cmd", "failed to get gzip writer", "context error: ", "journal output not available",
}

// unit reads the journal of a unit.
func (r *logReader) unit(s *LogSource, resp *http.Response, unit string, began time.Time) {
	defer func() { _ = resp.Body.Close() }()
	body := bufio.NewReaderSize(resp.Body, 64<<10)
	head, _ := body.Peek(512)
	text := strings.TrimSpace(string(head))
	for _, says := range kubeletSays {
		if strings.HasPrefix(text, says) {
			line, _, _ := strings.Cut(text, "\n")
			s.Reason = "kubelet knows no journal of that unit: " + line
			return
		}
	}
	if text == "" || text == "-- No entries --" {
		s.Reason, s.Read = "it wrote nothing in that time", true
		return
	}
	r.stream(s, LogStream{Name: "log of " + unit + " on node " + r.node, Reader: body, UTC: true}, "")
	switch took := r.now().Sub(began); {
	case s.Reason != "":
	case s.Lines >= maxLogLines:
		s.Reason = fmt.Sprintf("only the last %d lines, which is kubelet's limit", maxLogLines)
	case took >= journalCap-time.Second:
		s.Reason = "cut off: kubelet ends journalctl after 30s"
	}
}

// stream gives a log to who reads it, and counts.
func (r *logReader) stream(s *LogSource, in LogStream, cut string) {
	c := &counted{r: io.LimitReader(in.Reader, r.left)}
	in.Reader = c
	err := r.each(in)
	s.Read, s.Bytes, s.Lines, s.Reason = true, c.bytes, c.lines, cut
	r.left -= c.bytes
	switch {
	case err != nil:
		s.Reason = "broke off: " + err.Error()
	case r.left <= 0:
		s.Reason = fmt.Sprintf("cut: no more than %d MiB are read of a node", MaxLogBytes>>20)
	}
}

// files asks for files of /var/log: the kernel's log, and whatever the units did not give.
func (r *logReader) files(ctx context.Context, units, missing []string) {
	if !r.listed {
		r.say("list of /var/log")
		s := LogSource{What: "list of /var/log"}
		resp, err := r.get(ctx, "", nil, 0)
		switch {
		case err != nil:
			r.failed(&s, err)
		case resp.StatusCode == http.StatusOK && isHTML(resp):
			s.Status = resp.StatusCode
			r.list(resp)
		case resp.StatusCode == http.StatusOK:
			_ = resp.Body.Close()
			s.Status, s.Reason = resp.StatusCode, "the answer is no list of files"
		default:
			s.Status = resp.StatusCode
			r.answered(&s, resp)
			if resp.StatusCode == http.StatusNotFound && !s.Refused {
				s.Reason += ": this kubelet has no handler for logs"
			}
		}
		r.sources = append(r.sources, s)
		if !r.listed {
			return
		}
	}
	wanted := LogFiles(r.index, len(units) > 0, missing)
	for _, name := range wanted {
		if !r.file(ctx, name) {
			return
		}
	}
	if slices.Contains(r.index, "journal/") && !slices.ContainsFunc(wanted, isSystemLog) {
		what := "the kernel's log"
		if len(units) == 0 {
			what = "the units' and the kernel's log"
		}
		r.sources = append(r.sources, LogSource{What: "journal", Reason: "/var/log has " + what + " in journald's binary form only, which is no text: on the node, " +
			"journalctl --utc -o short-iso --since=-6h > FILE, and --log-file FILE here"})
	}
}

// LogFiles picks from a list of /var/log what to read. Where the units were read, that is the kernel's log and what the units are missing; else
// also the system's log, in which everything stands that has no file of its own. No line should be read twice.
func LogFiles(index []string, haveUnits bool, missing []string) []string {
	var out []string
	first := func(names ...string) {
		for _, n := range names {
			if slices.Contains(index, n) {
				out = append(out, n)
				return
			}
		}
	}
	for _, u := range missing {
		first(u+".log", u)
	}
	if !haveUnits {
		for _, n := range []string{"kubelet.log", "containerd.log", "crio.log", "docker.log"} {
			if !slices.Contains(out, n) {
				first(n)
			}
		}
		first("messages", "syslog", "kern.log", "dmesg")
		return out
	}
	first("kern.log", "messages", "syslog", "dmesg")
	return out
}

func isSystemLog(name string) bool {
	return slices.Contains([]string{"messages", "syslog", "kern.log", "dmesg"}, name)
}

// rotated is a log's predecessor, as logrotate and kubelet's startup scripts name it, where it is not compressed.
func rotated(index []string, name string) string {
	dated := regexp.MustCompile(`^` + regexp.QuoteMeta(name) + `-\d{8}(-?\d+)?$`)
	older := ""
	for _, n := range index {
		if n == name+".1" {
			return n
		}
		if dated.MatchString(n) {
			older = max(older, n)
		}
	}
	return older
}

// file reads the end of a file, and that of the one before it where the end did not fill what may be read. It tells whether to go on.
func (r *logReader) file(ctx context.Context, name string) bool {
	whole := r.one(ctx, name, false)
	if r.refused() || r.left <= 0 || ctx.Err() != nil {
		return false
	}
	if older := rotated(r.index, name); older != "" && whole {
		r.one(ctx, older, true)
	}
	return !r.refused() && r.left > 0 && ctx.Err() == nil
}

// one reads the end of one file; onlyNew leaves it unread if its last line is older than what is wanted. It tells whether the whole file was read.
func (r *logReader) one(ctx context.Context, name string, onlyNew bool) (whole bool) {
	r.say("file " + name)
	s := LogSource{What: "file " + name}
	most := min(maxLogFile, r.left)
	resp, err := r.get(ctx, name, nil, most)
	if err != nil {
		r.failed(&s, err)
		r.sources = append(r.sources, s)
		return false
	}
	s.Status = resp.StatusCode
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		r.answered(&s, resp)
		r.sources = append(r.sources, s)
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	written, _ := http.ParseTime(resp.Header.Get("Last-Modified"))
	if onlyNew && !written.IsZero() && written.Before(r.q.Since) {
		return true
	}
	size := int64(-1)
	if _, total, ok := strings.Cut(resp.Header.Get("Content-Range"), "/"); ok {
		if n, err := strconv.ParseInt(total, 10, 64); err == nil {
			size = n
		}
	}
	cut := ""
	body := io.Reader(resp.Body)
	switch {
	case resp.StatusCode == http.StatusPartialContent && size > most:
		cut = fmt.Sprintf("only its last %d MiB of %d MiB; line numbers count from there", most>>20, size>>20)
	case resp.StatusCode == http.StatusOK && resp.ContentLength > most:
		// Whoever stands in between knows no ranges: the beginning has to pass by.
		if _, err := io.CopyN(io.Discard, body, resp.ContentLength-most); err != nil {
			s.Reason = "broke off: " + err.Error()
			r.sources = append(r.sources, s)
			return false
		}
		cut = fmt.Sprintf("only its last %d MiB; line numbers count from there", most>>20)
	}
	r.stream(&s, LogStream{Name: "file " + name + " of node " + r.node, Reader: io.LimitReader(body, most), Written: written}, cut)
	if cut == "" && s.Reason == "" && s.Bytes >= most && size != most && resp.ContentLength != most {
		cut = fmt.Sprintf("only %d MiB of it: the answer does not say how long it is", most>>20)
		s.Reason = cut
	}
	r.sources = append(r.sources, s)
	return cut == ""
}

// list takes the names from an index of /var/log and closes the answer.
func (r *logReader) list(resp *http.Response) {
	defer func() { _ = resp.Body.Close() }()
	page, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	r.index, r.listed = IndexNames(page), true
}

var anchor = regexp.MustCompile(`(?i)<a\s[^>]*href="([^"]*)"`)

// IndexNames are the names in the index of a folder, as net/http's file server writes it and the API server rewrites its links; folders end in a slash.
func IndexNames(page []byte) []string {
	var out []string
	for _, m := range anchor.FindAllSubmatch(page, -1) {
		u, err := url.Parse(string(m[1]))
		if err != nil {
			continue
		}
		name := path.Base(u.Path)
		if !fileName.MatchString(name) {
			continue
		}
		if strings.HasSuffix(u.Path, "/") {
			name += "/"
		}
		out = append(out, name)
	}
	return out
}

// get asks for one log; tail, where it is not 0, for so many bytes from its end.
func (r *logReader) get(ctx context.Context, file string, params url.Values, tail int64) (*http.Response, error) {
	u := *r.server
	u.Path = logsPath(r.server, r.node) + file
	u.RawQuery = params.Encode()
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	if tail > 0 {
		req.Header.Set("Range", "bytes=-"+strconv.FormatInt(tail, 10))
	}
	wait := firstAnswer
	if r.q.Stale {
		wait = firstAnswerStale
	}
	timer := time.AfterFunc(wait, func() { cancel(fmt.Errorf("no answer within %s", wait)) })
	resp, err := r.client.Do(req)
	timer.Stop()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(nil)
		return nil, err
	}
	resp.Body = &closing{resp.Body, func() { cancel(nil) }}
	return resp, nil
}

// closing ends the request's context with its body.
type closing struct {
	io.ReadCloser
	end func()
}

func (c *closing) Close() error {
	defer c.end()
	return c.ReadCloser.Close()
}

// failed words an error before an answer.
func (r *logReader) failed(s *LogSource, err error) {
	s.Refused = true
	var u *url.Error
	if errors.As(err, &u) { // it repeats the address
		err = u.Err
	}
	s.Reason = "no answer from its kubelet: " + err.Error() + r.alive()
}

// alive says what the API knows of the kubelet, where it does not answer.
func (r *logReader) alive() string {
	switch {
	case r.q.State == "":
		return ""
	case r.q.Stale:
		return " (" + r.q.State + ": kubelet is dead, or cut off; read the log on the node, and give a copy with --log-file)"
	default:
		return " (" + r.q.State + ": kubelet reaches the API server, so it lives; the way from the API server to port 10250 of the node is cut, or kubelet is busy)"
	}
}

// answered words an answer that is no log, and closes it.
func (r *logReader) answered(s *LogSource, resp *http.Response) {
	defer func() { _ = resp.Body.Close() }()
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	said := strings.Join(strings.Fields(string(raw)), " ")
	var status metav1.Status
	ours := json.Unmarshal(bytes.TrimSpace(raw), &status) == nil && status.Kind == "Status"
	if ours {
		said = status.Message
	}
	s.Refused = true
	switch code := resp.StatusCode; {
	case code == http.StatusForbidden && ours:
		s.Reason = fmt.Sprintf("forbidden: the right to %s %s is missing (ClusterRole %s of docs/RIGHTS.md): %s", LogsVerb, LogsResource, LogsRole, said)
	case code == http.StatusForbidden:
		s.Reason = "kubelet forbids it to the API server, which needs get on nodes/log there (ClusterRole system:kubelet-api-admin): " + said
	case code == http.StatusUnauthorized && !ours:
		s.Reason = "kubelet does not know the API server's credentials: " + said
	case code == http.StatusMethodNotAllowed:
		s.Reason = "kubelet serves no logs: enableSystemLogHandler or enableDebuggingHandlers is false in its configuration: " + said
	case code == http.StatusNotFound && ours:
		s.Reason = said
	case code == http.StatusNotFound:
		s.Refused = false
		s.Reason = "kubelet does not have it: " + said
	case code == http.StatusNotAcceptable, code == http.StatusBadRequest && !ours:
		s.Refused = false
		s.Reason = "kubelet refuses the question: " + said
	case strings.Contains(said, "no preferred addresses found"):
		s.Reason = "the Node object has no address at which the API server could reach its kubelet: " + said
	case code == http.StatusServiceUnavailable, code == http.StatusBadGateway, code == http.StatusGatewayTimeout:
		s.Reason = "the API server does not reach its kubelet: " + said + r.alive()
	case code == http.StatusInternalServerError && !ours:
		s.Refused = false
		s.Reason = "kubelet fails: " + said
	default:
		s.Reason = said
	}
	s.Reason = strings.TrimSuffix(strings.TrimSpace(s.Reason), ":")
}

func isHTML(resp *http.Response) bool {
	return strings.HasPrefix(strings.ToLower(resp.Header.Get("Content-Type")), "text/html")
}

// counted counts what passes.
type counted struct {
	r            io.Reader
	bytes, lines int64
	open         bool // the last line has no end yet
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.bytes += int64(n)
	c.lines += int64(bytes.Count(p[:n], []byte("\n")))
	if n > 0 {
		c.open = p[n-1] != '\n'
	}
	if err == io.EOF && c.open {
		c.lines, c.open = c.lines+1, false
	}
	return n, err
}
