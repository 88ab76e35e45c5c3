package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	goyaml "go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/journal"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// maxSaved bounds a file with a saved Node, in bytes. A Node has at most 1.5 MiB, the limit of etcd; kubectl prints all nodes into one file.
const maxSaved = 8 << 20

// maxSavedObjects bounds how many objects and documents such a file has.
const maxSavedObjects = 20_000

// savedNode finds the Node to restore from, as it was before it was drained. arg is empty for the latest run in the journal that deleted that Node on this
// cluster; the ID of a run; a file that kubectl or `kubectl stuck history ID --manifest` wrote; or "-" for such a file on stdin. runID is the run, and empty
// of a file: that does not say which cluster it is of.
func savedNode(w World, dir, arg, node string, cluster remedy.Cluster) (saved *corev1.Node, runID string, err error) {
	if arg == "" || journal.ValidID(arg) {
		return keptNode(dir, arg, node, cluster)
	}
	var in io.Reader = w.Streams.In
	name := "stdin"
	if arg != "-" {
		f, err := os.Open(arg)
		if errors.Is(err, os.ErrNotExist) {
			return nil, "", usagef("--saved %q is neither a file nor the ID of a run; those look like 20260301-100000-abcdef, and `kubectl stuck history` lists them", arg)
		} else if err != nil {
			return nil, "", fmt.Errorf("the saved node: %w", err)
		}
		defer func() { _ = f.Close() }()
		in, name = f, arg
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxSaved+1))
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("the saved node in %s: %w", name, err)
	case len(raw) > maxSaved:
		return nil, "", fmt.Errorf("the saved node in %s: more than %d MiB; kubectl get node %s -o yaml prints one node", name, maxSaved>>20, node)
	}
	saved, err = parseSaved(raw, node)
	if err != nil {
		return nil, "", fmt.Errorf("the saved node in %s: %w", name, err)
	}
	return saved, "", nil
}

// keptNode finds the Node in the journal.
func keptNode(dir, id, node string, cluster remedy.Cluster) (*corev1.Node, string, error) {
	list, err := journal.List(dir)
	if err != nil {
		return nil, "", err
	}
	var runs []remedy.History
	elsewhere := ""
	var unread *journal.Listed // the latest that cannot be read, of those after the one that is chosen
	for i, l := range list {   // the latest first
		if l.Err != nil {
			if l.ID != "" && id == "" && unread == nil {
				unread = &list[i]
			}
			continue
		}
		here := sameCluster(l.History.Plan.Cluster, cluster) == nil
		if here {
			runs = append(runs, l.History)
		}
		switch {
		case id != "" || !l.History.DeletesNode(node):
		case here:
			id = l.ID
		case elsewhere == "":
			elsewhere = l.ID
		}
	}
	if unread != nil { // it may be the one; an older one tells of another Node object
		return nil, "", refusedError{fmt.Errorf("run %s cannot be read, and may be the one that deleted node %s: %w; name one with --saved RUN-ID or --saved FILE ('kubectl stuck history' lists them); nothing was changed", unread.ID, node, unread.Err)}
	}
	if id == "" {
		why := ""
		if elsewhere != "" {
			why = fmt.Sprintf(" (run %s did, on another cluster)", elsewhere)
		}
		return nil, "", refusedError{fmt.Errorf("no run in %s deleted node %s%s: name a saved one with --saved FILE or --saved RUN-ID; nothing was changed", dir, node, why)}
	}
	h, err := journal.Read(dir, id)
	if errors.Is(err, journal.ErrNoRun) {
		return nil, "", fmt.Errorf("%w; 'kubectl stuck history' lists those that there are", err)
	} else if err != nil {
		return nil, "", err
	}
	if err := sameCluster(h.Plan.Cluster, cluster); err != nil {
		return nil, "", fmt.Errorf("run %s: %w", id, err)
	}
	saved, err := remedy.SavedNode(h, node, runs)
	if err != nil {
		return nil, "", refusedError{fmt.Errorf("%w; nothing was changed", err)}
	}
	return saved, id, nil
}

// parseSaved finds the Node of that name in JSON or YAML: an object, a List, or several documents.
func parseSaved(raw []byte, name string) (*corev1.Node, error) {
	var found *corev1.Node
	var others, kinds []string
	seen := 0
	var take func(raw json.RawMessage, depth int) error
	take = func(raw json.RawMessage, depth int) error {
		if seen++; seen > maxSavedObjects {
			return fmt.Errorf("more than %d objects", maxSavedObjects)
		}
		var o struct {
			APIVersion string            `json:"apiVersion"`
			Kind       string            `json:"kind"`
			Items      []json.RawMessage `json:"items"`
		}
		if err := json.Unmarshal(raw, &o); err != nil {
			return fmt.Errorf("not an object of Kubernetes: %w", err)
		}
		switch {
		case strings.HasSuffix(o.Kind, "List") && depth == 0:
			for _, item := range o.Items {
				if bytes.Equal(bytes.TrimSpace(item), []byte("null")) {
					continue
				}
				if o.Kind == "NodeList" { // its items need not say what they are
					item = withKind(item)
				}
				if err := take(item, depth+1); err != nil {
					return err
				}
			}
			return nil
		case o.Kind != string(snapshot.Node) || o.APIVersion != corev1.SchemeGroupVersion.String():
			if word := strings.TrimSpace(o.APIVersion + " " + o.Kind); !slices.Contains(kinds, word) && word != "" {
				kinds = append(kinds, word)
			}
			return nil
		}
		n := &corev1.Node{}
		if err := json.Unmarshal(raw, n); err != nil {
			return fmt.Errorf("not a Node: %w", err)
		}
		switch {
		case n.Name != name:
			others = append(others, n.Name)
		case found != nil:
			return fmt.Errorf("it holds node %s twice", name)
		default:
			found = n
		}
		return nil
	}
	docs, err := documents(raw)
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		if err := take(d, 0); err != nil {
			return nil, err
		}
	}
	switch {
	case found != nil:
		return found, nil
	case len(others) > 0:
		return nil, fmt.Errorf("it holds node %s, and not %s", shortList(others), name)
	case len(kinds) > 0:
		return nil, fmt.Errorf("it holds no Node, but %s", shortList(kinds))
	default:
		return nil, errors.New("it holds no object of Kubernetes")
	}
}

// withKind makes an item of a NodeList say that it is a Node, where it says nothing.
func withKind(raw json.RawMessage) json.RawMessage {
	var o map[string]json.RawMessage
	if json.Unmarshal(raw, &o) != nil || o["kind"] != nil || o == nil {
		return raw
	}
	o["kind"], o["apiVersion"] = json.RawMessage(`"Node"`), json.RawMessage(`"v1"`)
	if out, err := json.Marshal(o); err == nil {
		return out
	}
	return raw
}

// documents splits YAML, or JSON values in a row, into JSON documents.
func documents(raw []byte) ([]json.RawMessage, error) {
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")) // as some editors begin a file
	var out []json.RawMessage
	if t := bytes.TrimSpace(raw); len(t) > 0 && t[0] == '{' {
		d := json.NewDecoder(bytes.NewReader(t))
		for {
			var v json.RawMessage
			err := d.Decode(&v)
			if errors.Is(err, io.EOF) {
				return out, nil
			}
			if err != nil && len(out) == 0 {
				break // YAML may begin so too
			} else if err != nil {
				return nil, fmt.Errorf("at byte %d: %w", d.InputOffset(), err)
			}
			if out = append(out, v); len(out) > maxSavedObjects {
				return nil, fmt.Errorf("more than %d documents", maxSavedObjects)
			}
		}
	}
	line := 1
	for text := range eachDocument(raw) {
		at := line
		line += bytes.Count(text, []byte{'\n'})
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		if bytes.ContainsAny(text, "*") && hasAlias(text) {
			return nil, fmt.Errorf("the document at line %d: it has YAML aliases, which are not read: kubectl writes none", at)
		}
		j, err := yaml.YAMLToJSON(text)
		if err != nil {
			return nil, fmt.Errorf("the document at line %d: neither JSON nor YAML: %w", at, err)
		}
		if bytes.Equal(j, []byte("null")) {
			continue
		}
		if out = append(out, j); len(out) > maxSavedObjects {
			return nil, fmt.Errorf("more than %d documents", maxSavedObjects)
		}
	}
	return out, nil
}

// hasAlias tells whether a document has aliases: they make a short text arbitrarily long. What cannot be read has none; the conversion says so.
func hasAlias(text []byte) bool {
	var doc goyaml.Node
	if goyaml.Unmarshal(text, &doc) != nil {
		return false
	}
	nodes := []*goyaml.Node{&doc}
	for len(nodes) > 0 {
		n := nodes[len(nodes)-1]
		if nodes = nodes[:len(nodes)-1]; n.Kind == goyaml.AliasNode {
			return true
		}
		nodes = append(nodes, n.Content...)
	}
	return false
}

// eachDocument gives the documents of a YAML stream, with the lines that divide them.
func eachDocument(raw []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		begin := 0
		for at := 0; at < len(raw); {
			end := at + 1 + bytes.IndexByte(raw[at:], '\n')
			if end == at {
				end = len(raw)
			}
			if line := bytes.TrimRight(raw[at:end], " \t\r\n"); bytes.Equal(line, []byte("---")) && at > begin {
				if !yield(raw[begin:at]) {
					return
				}
				begin = at
			}
			at = end
		}
		yield(raw[begin:])
	}
}

// shortList names a few.
func shortList(names []string) string {
	const most = 3
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
