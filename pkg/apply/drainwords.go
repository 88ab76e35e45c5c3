package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/kubectl/pkg/drain"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Drainer asks kubectl's own drain library which pods of the node it would take, on the picture and not on the cluster: its client is answered from the
// snapshot, and can reach nothing else. DaemonSets are ignored, as every drain of a node that is to come back ignores them; neither --force nor
// --delete-emptydir-data is given, so that what kubectl drain refuses is known.
func Drainer(ctx context.Context, s *snapshot.Snapshot, node string) remedy.Drainer {
	return func(pod *corev1.Pod) remedy.DrainWord {
		served := &served{s: s, pod: pod}
		client, err := kubernetes.NewForConfigAndClient(&rest.Config{
			Host: "http://snapshot.invalid", ContentConfig: rest.ContentConfig{ContentType: "application/json", AcceptContentTypes: "application/json"},
		}, &http.Client{Transport: served})
		if err != nil {
			return remedy.DrainWord{Unread: err.Error()}
		}
		h := &drain.Helper{Ctx: ctx, Client: client, GracePeriodSeconds: -1, IgnoreAllDaemonSets: true, Out: io.Discard, ErrOut: io.Discard}
		list, errs := h.GetPodsForDeletion(node)
		switch {
		case served.unread != "":
			return remedy.DrainWord{Unread: served.unread}
		case len(errs) > 0:
			return remedy.DrainWord{Refuses: errors.Join(errs...).Error()}
		default:
			return remedy.DrainWord{Deletes: len(list.Pods()) > 0, Warns: list.Warnings()}
		}
	}
}

// served answers what the drain library reads, out of a snapshot: the one pod, and its DaemonSet.
type served struct {
	s      *snapshot.Snapshot
	pod    *corev1.Pod
	unread string
}

func (v *served) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	if r.Method != http.MethodGet {
		return nil, errors.New("a snapshot cannot be changed")
	}
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Path == "/api/v1/pods":
		list := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: []corev1.Pod{*v.pod}}
		return v.answer(r, http.StatusOK, &list)
	case len(path) == 6 && path[0] == "apis" && path[1] == "apps" && path[4] == "daemonsets", len(path) == 7 && path[0] == "apis" && path[1] == "apps" && path[5] == "daemonsets":
		namespace, name := path[len(path)-3], path[len(path)-1]
		for _, ds := range v.s.DaemonSets() {
			if ds.Namespace == namespace && ds.Name == name {
				whole := ds.DeepCopy()
				whole.TypeMeta = metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSet"}
				return v.answer(r, http.StatusOK, whole)
			}
		}
		if v.s.Has(snapshot.DaemonSet, namespace, name) == snapshot.Absent {
			return v.answer(r, http.StatusNotFound, &metav1.Status{
				TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Reason: metav1.StatusReasonNotFound, Code: http.StatusNotFound,
				Message: "daemonsets.apps \"" + name + "\" not found", Details: &metav1.StatusDetails{Name: name, Group: "apps", Kind: "daemonsets"},
			})
		}
		v.unread = "DaemonSet " + namespace + "/" + name + " was not read"
	default:
		v.unread = "the drain library asked for " + r.URL.Path + ", which the picture does not hold"
	}
	return nil, errors.New(v.unread)
}

func (v *served) answer(r *http.Request, code int, body any) (*http.Response, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		v.unread = err.Error()
		return nil, err
	}
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": []string{"application/json"}}, Body: io.NopCloser(bytes.NewReader(raw)), ContentLength: int64(len(raw)),
	}, nil
}
