package node

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// logHandler answers as the kubelet's /logs/ does: files of the node's log
// folder and, with ?query=, what a unit of that name wrote, as journalctl
// prints it. pattern, tailLines, sinceTime and untilTime are understood.
type logHandler struct {
	dir  string
	node string
	mode string // Config.Logs
}

// maxTailLines is the kubelet's own limit (pkg/kubelet/kubelet_server_journal.go).
const maxTailLines = 100_000

func (h logHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.mode == LogsOff {
		// The words of pkg/kubelet/server InstallSystemLogHandler.
		http.Error(w, "logs endpoint is disabled.", http.StatusMethodNotAllowed)
		return
	}
	query := r.URL.Query()
	units := query["query"]
	if len(units) == 0 || h.mode == LogsFiles {
		http.FileServer(http.Dir(h.dir)).ServeHTTP(w, r)
		return
	}
	filter, err := newLogFilter(query)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if filter.tail > maxTailLines {
		http.Error(w, fmt.Sprintf("tailLines: Invalid value: %d: must be between 0 and %d, inclusive", filter.tail, maxTailLines), http.StatusNotAcceptable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, unit := range units {
		lines, err := h.unit(unit, filter)
		if err != nil {
			// The real one says it in the middle of its answer as well, and with other words where it was given no options
			// (copyForBoot in pkg/kubelet/kubelet_server_journal.go).
			if len(query) > 1 {
				fmt.Fprintf(w, "\noptions present and query resolved to log files for %v\ntry without specifying options\n", []string{unit})
			} else {
				fmt.Fprintf(w, "\nlog not found for %s\n", unit)
			}
			continue
		}
		if _, err := w.Write(bytes.Join(lines, nil)); err != nil {
			return
		}
	}
}

type logFilter struct {
	pattern      *regexp.Regexp
	since, until time.Time
	tail         int
}

func newLogFilter(query url.Values) (f logFilter, err error) {
	if pattern := query.Get("pattern"); pattern != "" {
		if f.pattern, err = regexp.Compile(pattern); err != nil {
			return f, fmt.Errorf("pattern: %w", err)
		}
	}
	if tail := query.Get("tailLines"); tail != "" {
		if f.tail, err = strconv.Atoi(tail); err != nil {
			return f, fmt.Errorf("tailLines: %w", err)
		}
	}
	for name, into := range map[string]*time.Time{"sinceTime": &f.since, "untilTime": &f.until} {
		if value := query.Get(name); value != "" {
			if *into, err = time.Parse(time.RFC3339, value); err != nil {
				return f, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return f, nil
}

// unit reads one unit's file and puts journalctl's head before each line.
func (h logHandler) unit(unit string, f logFilter) ([][]byte, error) {
	file, err := os.Open(filepath.Join(h.dir, filepath.Base(unit)+".log"))
	if err != nil {
		return nil, fmt.Errorf("no log of unit %q: %w", unit, err)
	}
	defer file.Close()
	var lines [][]byte
	var at time.Time
	for reader := bufio.NewReader(file); ; {
		line, err := reader.ReadBytes('\n')
		if len(line) > 0 {
			// A line without a time belongs to the one before.
			if stamp, ok := lineTime(line); ok {
				at = stamp
			}
			if f.passes(line, at) {
				head := fmt.Sprintf("%s %s %s[%d]: ", at.Format("Jan 02 15:04:05.000000"), h.node, unit, os.Getpid())
				lines = append(lines, append([]byte(head), line...))
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the log of unit %q: %w", unit, err)
		}
	}
	if f.tail > 0 && len(lines) > f.tail {
		lines = slices.Clone(lines[len(lines)-f.tail:])
	}
	return lines, nil
}

func (f logFilter) passes(line []byte, at time.Time) bool {
	return (f.pattern == nil || f.pattern.Match(line)) &&
		(f.since.IsZero() || !at.Before(f.since)) &&
		(f.until.IsZero() || !at.After(f.until))
}

// lineTime reads the time of a line of the kubelet (klog) or of containerd
// (logfmt).
func lineTime(line []byte) (time.Time, bool) {
	if rest, ok := bytes.CutPrefix(line, []byte(`time="`)); ok {
		stamp, _, _ := bytes.Cut(rest, []byte(`"`))
		at, err := time.Parse(time.RFC3339Nano, string(stamp))
		return at.UTC(), err == nil
	}
	const klog = "0102 15:04:05.000000"
	if len(line) <= len(klog) {
		return time.Time{}, false
	}
	at, err := time.ParseInLocation(klog, string(line[1:len(klog)+1]), time.Local)
	if err != nil {
		return time.Time{}, false
	}
	// klog leaves the year out.
	return at.AddDate(time.Now().Year(), 0, 0).UTC(), true
}
