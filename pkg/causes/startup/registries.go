package startup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// failures are the pulls from one registry that fail alike.
type failures struct {
	registry string
	nodes    []string
	pods     []snapshot.Ref
	ev       []diagnose.Evidence // of up to three pods
	said     string              // the first of the messages
	why      string              // its end
}

// byRegistry lists the registries from which pulls fail of this, in the order in which they are met.
func byRegistry(s *snapshot.Snapshot, r scope.Result, fault string) []failures {
	var out []failures
	for _, g := range r.Groups {
		for _, p := range g.Stuck {
			if p.State != stuck.ImagePullBackOff {
				continue
			}
			x, ok := failing(s, p, fault)
			if !ok {
				continue
			}
			name := registryOf(x.image)
			i := slices.IndexFunc(out, func(f failures) bool { return f.registry == name })
			if i < 0 {
				i = len(out)
				out = append(out, failures{registry: name, said: x.said, why: x.why()})
			}
			f := &out[i]
			f.pods = append(f.pods, p.Ref)
			if p.Node != "" && !slices.Contains(f.nodes, p.Node) {
				f.nodes = append(f.nodes, p.Node)
			}
			if len(f.ev) < 3 {
				f.ev = append(f.ev, x.ev...)
			}
		}
	}
	return out
}

// where names the node, or says on how many.
func (f failures) where() string {
	switch len(f.nodes) {
	case 0:
		return "its nodes"
	case 1:
		return "node " + f.nodes[0]
	}
	return fmt.Sprintf("%d nodes", len(f.nodes))
}

// others are the nodes that pulled from the registry, and are not among those that fail.
func (f failures) others(pulled map[string][]string) []string {
	return slices.DeleteFunc(slices.Clone(pulled[f.registry]), func(n string) bool { return slices.Contains(f.nodes, n) })
}

// elsewhere says which other nodes pulled from the registry, with a space before it.
func (f failures) elsewhere(pulled map[string][]string) string {
	switch others := f.others(pulled); {
	case len(others) == 0:
		return ""
	case len(others) <= 3:
		return fmt.Sprintf(" Pulls from it worked on %s in the last hour.", strings.Join(others, ", "))
	default:
		return fmt.Sprintf(" Pulls from it worked on %d other nodes in the last hour.", len(others))
	}
}

// pulledFrom lists by registry the nodes that pulled an image from it, by the events that are left.
func pulledFrom(s *snapshot.Snapshot) map[string][]string {
	out := map[string][]string{}
	for _, e := range s.AllEvents() {
		if e.Reason != "Pulled" {
			continue
		}
		_, rest, ok := strings.Cut(e.Message, "Successfully pulled image \"")
		if !ok {
			continue
		}
		image, _, _ := strings.Cut(rest, "\"")
		node := e.Host
		if node == "" {
			if p := s.Pod(e.Regarding.Namespace, e.Regarding.Name); p != nil {
				node = p.Spec.NodeName
			}
		}
		if name := registryOf(image); node != "" && !slices.Contains(out[name], node) {
			out[name] = append(out[name], node)
		}
	}
	for _, nodes := range out {
		slices.Sort(nodes)
	}
	return out
}

// brokenBy says in words what kind of failure it is, before the error itself.
func brokenBy(said string) string {
	m := strings.ToLower(said)
	has := func(subs ...string) bool {
		return slices.ContainsFunc(subs, func(sub string) bool { return strings.Contains(m, sub) })
	}
	switch {
	case has("proxyconnect"):
		return "the proxy does not answer; "
	case has("no such host", "server misbehaving", "name resolution", "lookup "):
		return "its name does not resolve; "
	case has("503 ", "502 ", "504 ", "500 internal", "registry is unavailable", "no healthy upstream", "statuscode: 5"):
		return "it answers that it cannot serve; "
	case has("unexpected eof", "short read", "short copy", "connection reset", "stream error", "broken pipe", "goaway", "closed network connection"):
		return "the connection breaks; "
	case has("tls handshake timeout"):
		return "it does not answer in time; "
	}
	return ""
}
