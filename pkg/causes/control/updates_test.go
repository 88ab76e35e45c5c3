package control

import (
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

// injector is a configuration whose webhook has the name that others have too, and calls a Service of its own.
func injector(name, service string) *admissionv1.MutatingWebhookConfiguration {
	none := admissionv1.SideEffectClassNone
	return &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name}, Webhooks: []admissionv1.MutatingWebhook{{
		Name: "inject.example.com", SideEffects: &none,
		Rules: []admissionv1.RuleWithOperations{{
			Operations: []admissionv1.OperationType{admissionv1.Update}, Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods", "pods/status"}},
		}},
		ClientConfig: admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: "mesh", Name: service}},
	}}}
}

func about(p *corev1.Pod, reason, message string, ago time.Duration) *corev1.Event {
	at := metav1.Time{Time: noon().Add(-ago)}
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name + "." + reason},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID},
		Reason:         reason, Message: message, Type: corev1.EventTypeWarning, FirstTimestamp: at, LastTimestamp: at, Count: 3,
	}
}

// ended is a pod whose finalizer stays.
func ended() *corev1.Pod {
	p := creating("shop", "cart-1", nil)
	p.DeletionTimestamp, p.Finalizers = &metav1.Time{Time: noon().Add(-time.Hour)}, []string{"example.com/hold"}
	p.Status.Phase = corev1.PodSucceeded
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}}
	return p
}

func TestTheConfigurationIsTheOneWhoseServerWasCalled(t *testing.T) {
	const begin = `Internal error occurred: failed calling webhook "inject.example.com": failed to call webhook: `
	a, b := injector("mesh-a", "new"), injector("mesh-b", "old")
	for name, c := range map[string]struct {
		message string
		configs []runtime.Object
		subject string
	}{
		"the first's":               {begin + `Post "https://new.mesh.svc:443/i?timeout=10s": EOF`, []runtime.Object{a, b}, "mesh-a"},
		"the second's":              {begin + `Post "https://old.mesh.svc:443/i?timeout=10s": EOF`, []runtime.Object{a, b}, "mesh-b"},
		"of neither":                {begin + `Post "https://gone.mesh.svc:443/i?timeout=10s": EOF`, []runtime.Object{a, b}, "cart-1"},
		"not said, and two have it": {begin + "context deadline exceeded", []runtime.Object{a, b}, "cart-1"},
		"not said, and one has it":  {begin + "context deadline exceeded", []runtime.Object{b}, "mesh-b"},
	} {
		t.Run(name, func(t *testing.T) {
			p := ended()
			var said []diagnose.Finding
			for _, f := range diagnosed(t, webhookUnavailableBlocksUpdate(), "", nil, append(c.configs, p, about(p, "FailedUpdate", c.message, time.Minute))...) {
				if f.Confidence == diagnose.Certain {
					said = append(said, f)
				}
			}
			if len(said) != 1 || said[0].Subject.Name != c.subject {
				t.Errorf("got %+v, want %s alone", said, c.subject)
			}
		})
	}
}

func TestAKillThatFailsComesBeforeTheReport(t *testing.T) {
	for name, c := range map[string]struct {
		ago  time.Duration
		want int
	}{"lately": {time.Minute, 0}, "long ago": {40 * time.Minute, 1}} {
		p := creating("shop", "cart-1", nil)
		p.DeletionTimestamp = &metav1.Time{Time: noon().Add(-time.Hour)}
		p.Status.Phase = corev1.PodRunning
		p.Status.ContainerStatuses[0].State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "worker-1"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}
		config := injector("mesh-b", "old")
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "mesh", Name: "old"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 8443}}}} // not the webhook's
		event := about(p, "FailedKillPod", `error killing pod: failed to "KillContainer" for "app" with KillContainerError: "context deadline exceeded"`, c.ago)
		if got := diagnosed(t, webhookUnavailableBlocksUpdate(), "", nil, node, p, config, service, event); len(got) != c.want {
			t.Errorf("%s: got %d findings, want %d: %+v", name, len(got), c.want, got)
		}
	}
}

func TestAnOldRefusalOfAWebhookThatIsIgnoredByNowMayBeOver(t *testing.T) {
	p, config, ignore := ended(), injector("mesh-a", "new"), admissionv1.Ignore
	config.Webhooks[0].FailurePolicy = &ignore
	found := diagnosed(t, webhookUnavailableBlocksUpdate(), "", nil, p, config, about(p, "FailedUpdate", `failed calling webhook "inject.example.com": EOF`, 30*time.Minute))
	if len(found) != 1 || found[0].Confidence != diagnose.Possible || found[0].Decide == "" || len(found[0].Alternatives) == 0 || !strings.Contains(found[0].Message, "refused changes") {
		t.Errorf("got %+v", found)
	}
}
