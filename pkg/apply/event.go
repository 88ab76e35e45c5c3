package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Limits of an Event (pkg/apis/core/validation/events.go NoteLengthLimit, ReasonLengthLimit), in bytes. They are enforced only for some Events;
// nothing needs longer ones.
const (
	maxNote   = 1024
	maxReason = 128
)

// Tell leaves an Event on the object, so that who looks at it sees that a person did this with a tool. The journal is told first, as with any write.
// The object may be gone: Events outlive what they are about. An error is for a message, and changes nothing about the run.
func (c *Client) Tell(ctx context.Context, j Journal, about snapshot.Ref, reason, message string) error {
	info, ok := snapshot.InfoOf(about.Kind)
	if !ok {
		return fmt.Errorf("an Event about %s: not a kind that this tool knows", about)
	}
	now := c.now()
	apiVersion, kind := info.GVK().ToAPIVersionAndKind()
	suffix := fmt.Sprintf(".%x", now.UnixNano()) // as client-go names them (tools/record)
	body, err := json.Marshal(&corev1.Event{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Event"},
		ObjectMeta: metav1.ObjectMeta{Name: cut(about.Name, 253-len(suffix)) + suffix, Namespace: eventNamespace(about)},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: apiVersion, Kind: kind, Namespace: about.Namespace, Name: about.Name, UID: about.UID,
		},
		Reason: cut(reason, maxReason), Message: cut(message, maxNote), Type: corev1.EventTypeWarning, Count: 1,
		FirstTimestamp: metav1.NewTime(now), LastTimestamp: metav1.NewTime(now),
		Source: corev1.EventSource{Component: manager}, ReportingController: manager, ReportingInstance: manager,
	})
	if err != nil {
		return fmt.Errorf("an Event about %s: %w", about, err)
	}
	q := call{
		method: http.MethodPost, path: "/api/v1/namespaces/" + eventNamespace(about) + "/events", query: "fieldManager=" + manager, contentType: contentJSON, body: body,
	}
	if err := j.Add(remedy.Entry{Time: now, Type: remedy.Message, Request: q.String(), Body: body, Text: "an Event on " + about.String()}); err != nil {
		return &Unwritten{What: "an Event on " + about.String(), Err: err}
	}
	void, err := c.gate.open(q)
	if err != nil {
		return err
	}
	defer void()
	a, err := c.do(ctx, q)
	if err == nil {
		err = a.err()
	}
	if err != nil {
		return fmt.Errorf("an Event on %s: %w", about, err)
	}
	return nil
}

// eventNamespace is where Events about the object stand: those about cluster-scoped ones in default (client-go tools/record makeEvent).
func eventNamespace(about snapshot.Ref) string {
	if about.Namespace == "" {
		return metav1.NamespaceDefault
	}
	return about.Namespace
}

// cut shortens a text to n bytes, at the border of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
