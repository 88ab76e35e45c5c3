package admission

import (
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// State tells whether a gate can answer.
type State string

// The states of a gate's server.
const (
	Up      State = "up"
	Down    State = "down"
	Unknown State = "unknown" // called by URL, or what would tell was not read
)

// Backend is what the picture tells of the server behind a webhook, or of the parameters of a policy.
type Backend struct {
	State State
	// Gone tells that its Service does not exist.
	Gone bool
	// Suspect tells of a State Unknown that something speaks for Down, and does not prove it; Why and Evidence say what.
	Suspect bool
	// Found tells that its Service was seen. One that was not may have endpoints that nobody labelled as its own.
	Found bool
	// Why is the state in words: "its Service policy/engine does not exist".
	Why      string
	Evidence []diagnose.Evidence
	// Service is the Service of a webhook; zero where it is called by URL.
	Service snapshot.Ref
	// Pods are those that the Service selects, of the pods that were read. A webhook that is asked about its own pods, and cannot answer for
	// want of them, locks itself out.
	Pods []snapshot.Ref
}

// defaultPort is the port of the Service where the configuration names none (v1 ServiceReference).
const defaultPort = 443

// serverOf looks for the Service of a webhook and for its ready endpoints. The API server reaches a Service by its cluster IP, or, with
// --enable-aggregator-routing, one of its ready endpoints (apiserver/pkg/util/proxy); either way it needs the Service, its port and an endpoint.
func serverOf(s *snapshot.Snapshot, config snapshot.Ref, webhook string, c admissionv1.WebhookClientConfig) Backend {
	if c.Service == nil {
		return Backend{State: Unknown, Why: "it is called by URL"}
	}
	ns, name := c.Service.Namespace, c.Service.Name
	ref := snapshot.Ref{Kind: snapshot.Service, Namespace: ns, Name: name}
	b := Backend{State: Unknown, Service: ref}
	field := "webhooks[" + webhook + "].clientConfig.service"
	var svc *corev1.Service
	switch s.Has(snapshot.Service, ns, name) {
	case snapshot.Absent:
		b.State, b.Gone, b.Found, b.Why = Down, true, true, fmt.Sprintf("its Service %s/%s does not exist", ns, name)
		b.Evidence = []diagnose.Evidence{{Object: config.String(), Field: field, Value: ns + "/" + name + " (does not exist)"}}
		return b
	case snapshot.Present:
		if svc = s.Service(ns, name); svc == nil {
			break
		}
		b.Found = true
		b.Pods = podsOf(s, svc)
		if svc.Spec.Type == corev1.ServiceTypeExternalName {
			b.Why = fmt.Sprintf("its Service %s/%s points to another name", ns, name)
			return b
		}
		port := int32(defaultPort)
		if c.Service.Port != nil {
			port = *c.Service.Port
		}
		if len(svc.Spec.Ports) > 0 && !slices.ContainsFunc(svc.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == port }) {
			b.State, b.Why = Down, fmt.Sprintf("its Service %s/%s has no port %d", ns, name, port)
			b.Evidence = []diagnose.Evidence{{Object: ref.String(), Field: "spec.ports", Value: fmt.Sprintf("no port %d", port)}}
			return b
		}
	}
	of := s.EndpointSlices(ns, name)
	ready, ending, all := 0, 0, 0
	for _, sl := range of {
		for i := range sl.Endpoints {
			all++
			switch {
			case isReady(sl.Endpoints[i]):
				ready++
			case servesWhileEnding(sl.Endpoints[i]):
				ending++
			}
		}
	}
	switch {
	case ready > 0:
		b.State, b.Why = Up, fmt.Sprintf("its Service %s/%s has %d ready of %d", ns, name, ready, all)
		return b
	case ending > 0:
		b.Why = fmt.Sprintf("its Service %s/%s has no ready endpoint (of %d), and %d that still may answer while it is ending", ns, name, all, ending)
		return b
	case len(of) == 0 && !s.Complete(snapshot.EndpointSlice, ns):
		b.Why = fmt.Sprintf("the endpoints of its Service %s/%s were not read", ns, name)
		return b
	}
	b.State, b.Why = Down, fmt.Sprintf("its Service %s/%s has no ready endpoint (of %d)", ns, name, all)
	b.Evidence = []diagnose.Evidence{{Object: ref.String(), Field: "endpoints", Value: fmt.Sprintf("0 ready of %d", all)}}
	return b
}

func isReady(e discoveryv1.Endpoint) bool { return e.Conditions.Ready == nil || *e.Conditions.Ready }

// servesWhileEnding tells whether kube-proxy takes the endpoint where none is ready (pkg/proxy CategorizeEndpoints; pkg/proxy/endpointslicecache reads
// an absent condition "serving" as true). An API server with --enable-aggregator-routing goes by the ready ones alone.
func servesWhileEnding(e discoveryv1.Endpoint) bool {
	c := e.Conditions
	return c.Terminating != nil && *c.Terminating && (c.Serving == nil || *c.Serving)
}

// podsOf lists the pods that were read and that the Service selects.
func podsOf(s *snapshot.Snapshot, svc *corev1.Service) []snapshot.Ref {
	if len(svc.Spec.Selector) == 0 {
		return nil
	}
	sel := labels.SelectorFromSet(svc.Spec.Selector)
	var out []snapshot.Ref
	for _, p := range s.Pods() {
		if p.Namespace == svc.Namespace && sel.Matches(labels.Set(p.Labels)) {
			out = append(out, snapshot.RefOf(p))
		}
	}
	return out
}
