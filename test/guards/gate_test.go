package guards

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	certutil "k8s.io/client-go/util/cert"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/scenario"
)

// gateScenes are about what the API server asks before it lets a change through.
func gateScenes() []scene {
	held := func(namespace string) func(context.Context, *world) error {
		return func(ctx context.Context, w *world) error {
			return w.pod(ctx, namespace, "stub", spec("stub", on(near), grace(2)), "guards.example.com/hold")
		}
	}
	return []scene{
		{name: "a webhook that changes what may not change is found out before the write", setup: held("sealed"), test: testMutatingWebhook},
		{name: "a policy that changes what may not change is found out before the write", test: testMutatingPolicy},
		{
			name: "a dead webhook for deletions is found out before the write",
			setup: func(ctx context.Context, w *world) error {
				return w.deployment(ctx, "locked", "stub", near, 1, spec("stub", onNear, grace(2)))
			},
			test: testDeadWebhook,
		},
		{name: "a webhook with side effects cannot be tested, which is no refusal", setup: held("sideways"), test: testSideEffects},
	}
}

// seen is a request that a webhook was asked about.
type seen struct {
	user, name string
	dry        bool
}

// hook is a webhook that the test serves.
type hook struct {
	url  string
	ca   []byte
	mu   sync.Mutex
	seen []seen
}

// serveHook answers every review with yes, and with the patch, where there is one.
func serveHook(t *testing.T, patch string) *hook {
	t.Helper()
	certificate, key, err := certutil.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hook{url: "https://" + listener.Addr().String() + "/review", ca: certificate}
	server := &http.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var review admissionv1.AdmissionReview
			if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
				http.Error(w, "no review", http.StatusBadRequest)
				return
			}
			q := review.Request
			h.mu.Lock()
			h.seen = append(h.seen, seen{q.UserInfo.Username, q.Name, q.DryRun != nil && *q.DryRun})
			h.mu.Unlock()
			review.Response = &admissionv1.AdmissionResponse{UID: q.UID, Allowed: true}
			if patch != "" {
				kind := admissionv1.PatchTypeJSONPatch
				review.Response.PatchType, review.Response.Patch = &kind, []byte(patch)
			}
			review.Request = nil
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(&review); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		}),
	}
	go func() {
		if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("webhook: %v", err)
		}
	}()
	t.Cleanup(func() { _ = server.Close() })
	return h
}

// asked lists the requests of the admin that the webhook was asked about; live ones only, or dry runs only.
func (h *hook) asked(dry bool) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.seen {
		if s.user == "oncall" && s.dry == dry {
			n++
		}
	}
	return n
}

func (h *hook) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = nil
}

func here(namespace string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}}
}

func podRules(op registrationv1.OperationType) []registrationv1.RuleWithOperations {
	return []registrationv1.RuleWithOperations{{
		Operations: []registrationv1.OperationType{op},
		Rule:       registrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
	}}
}

// touch is a dry run of a harmless change of the pod.
func (w *world) touch(ctx context.Context, namespace, name string) error {
	_, err := w.Client().CoreV1().Pods(namespace).Patch(ctx, name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"guards.example.com/touch":"true"}}}`),
		metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

func testMutatingWebhook(t *testing.T, w *world) {
	const namespace, name, finalizer, webhook = "sealed", "stub", "guards.example.com/hold", "fill.sealed.example.com"
	if err := w.delete(t.Context(), namespace, name); err != nil {
		t.Fatal(err)
	}
	first := w.until(t, namespace, name, heldOnly)
	h := serveHook(t, `[{"op":"add","path":"/spec/hostname","value":"filled-in"}]`)
	none, fail := registrationv1.SideEffectClassNone, registrationv1.Fail
	api := w.Client().AdmissionregistrationV1().MutatingWebhookConfigurations()
	_, err := api.Create(t.Context(), &registrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "sealed-fill"},
		Webhooks: []registrationv1.MutatingWebhook{{
			Name: webhook, AdmissionReviewVersions: []string{"v1"}, SideEffects: &none, FailurePolicy: &fail, NamespaceSelector: here(namespace),
			Rules: podRules(registrationv1.Update), ClientConfig: registrationv1.WebhookClientConfig{URL: &h.url, CABundle: h.ca},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = api.Delete(context.WithoutCancel(t.Context()), "sealed-fill", metav1.DeleteOptions{}) }()
	eventually(t, soon, func(ctx context.Context) error {
		if err := w.touch(ctx, namespace, name); !apierrors.IsInvalid(err) {
			return fmt.Errorf("the webhook is not in force: %w", err)
		}
		return nil
	})
	h.forget()
	args := []string{"pod", name, "-n", namespace, "--finalizers=" + finalizer, "--yes=" + name, "--wait", "10s"}
	w.predicts(t, namespace, name, http.StatusUnprocessableEntity, webhook, args...)
	if h.asked(true) == 0 || h.asked(false) != 0 {
		t.Errorf("the webhook was asked about %d dry runs and %d writes; want some, and none", h.asked(true), h.asked(false))
	}
	// And true: the write itself is refused for the same.
	_, err = w.Client().CoreV1().Pods(namespace).Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	if !apierrors.IsInvalid(err) {
		t.Errorf("kubectl's call is answered with %v", err)
	}
	// What helps is to have the webhook not ask about these pods.
	if err := api.Delete(t.Context(), "sealed-fill", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func(ctx context.Context) error { return w.touch(ctx, namespace, name) })
	w.fix(t, args...).must(t, 0, remedy.Done)
	if !w.gone(t, namespace, name, first.UID) {
		t.Error("the pod is there")
	}
}

// predicts expects that the API server's dry run refuses, that the plugin says by whose doing and what to do, and that nothing was written.
func (w *world) predicts(t *testing.T, namespace, name string, code int, by string, args ...string) answer {
	t.Helper()
	before := w.stands(t, namespace, name)
	a := w.fix(t, args...)
	if a.Code != refused {
		t.Errorf("exit code %d, want %d\n%s", a.Code, refused, a.ErrOut)
	}
	if len(a.doc.DryRun) == 0 {
		t.Fatalf("no dry run: %s", a.ErrOut)
	}
	last := a.doc.DryRun[len(a.doc.DryRun)-1]
	if last.Said != remedy.Refused || last.Code != code || !strings.Contains(last.By, by) || last.Next == "" {
		t.Errorf("the answer: %s\nwant refused, code %d, by %s, and what to do next", asJSON(last), code, by)
	}
	if a.doc.Run != "" || len(a.doc.Outcomes) != 0 {
		t.Errorf("there is a run %q with outcomes %s", a.doc.Run, asJSON(a.doc.Outcomes))
	}
	if after := w.stands(t, namespace, name); after != before {
		t.Errorf("before %+v, after %+v, writes %+v", before, after, w.writes(t, namespace))
	}
	t.Logf("next: %s", last.Next)
	return a
}

func testMutatingPolicy(t *testing.T, w *world) {
	const namespace, name = scenario.SpoiltNamespace, scenario.SpoiltPod
	first := w.until(t, namespace, name, heldOnly)
	args := []string{"pod", name, "-n", namespace, "--finalizers=" + scenario.SpoiltFinalizer, "--yes=" + name, "--wait", "10s"}
	w.predicts(t, namespace, name, http.StatusUnprocessableEntity, scenario.SpoilingPolicy, args...)
	if err := w.Client().AdmissionregistrationV1().MutatingAdmissionPolicyBindings().Delete(t.Context(), scenario.SpoilingPolicy, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func(ctx context.Context) error { return w.touch(ctx, namespace, name) })
	w.fix(t, args...).must(t, 0, remedy.Done)
	if !w.gone(t, namespace, name, first.UID) {
		t.Error("the pod is there")
	}
}

func testDeadWebhook(t *testing.T, w *world) {
	const namespace, webhook = "locked", "keep.locked.example.com"
	if err := w.unstoppable(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	pods, err := w.podsOf(t.Context(), namespace, "stub")
	if err != nil || len(pods) != 1 {
		t.Fatalf("%v, %d pods", err, len(pods))
	}
	name := pods[0].Name
	if err := w.delete(t.Context(), namespace, name); err != nil {
		t.Fatal(err)
	}
	none, fail, seconds := registrationv1.SideEffectClassNone, registrationv1.Fail, int32(3)
	api := w.Client().AdmissionregistrationV1().ValidatingWebhookConfigurations()
	_, err = api.Create(t.Context(), &registrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "locked-keep"},
		Webhooks: []registrationv1.ValidatingWebhook{{
			Name: webhook, AdmissionReviewVersions: []string{"v1"}, SideEffects: &none, FailurePolicy: &fail, NamespaceSelector: here(namespace), TimeoutSeconds: &seconds,
			Rules:        podRules(registrationv1.Delete),
			ClientConfig: registrationv1.WebhookClientConfig{Service: &registrationv1.ServiceReference{Namespace: "locked-policy", Name: "engine"}},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = api.Delete(context.WithoutCancel(t.Context()), "locked-keep", metav1.DeleteOptions{}) }()
	first := w.until(t, namespace, name, overdue)
	args := []string{"pod", name, "-n", namespace, "--force", "--yes=" + name, "--wait", "30s"}
	a := w.predicts(t, namespace, name, http.StatusInternalServerError, webhook, args...)
	if backend := a.doc.DryRun[0].Backend; !strings.Contains(backend, "locked-policy") && !strings.Contains(backend, "does not exist") {
		t.Errorf("the webhook's backend: %q", backend)
	}
	err = w.Client().CoreV1().Pods(namespace).Delete(t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)})
	if !apierrors.IsInternalError(err) {
		t.Errorf("kubectl's call is answered with %v", err)
	}
	if err := api.Delete(t.Context(), "locked-keep", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func(ctx context.Context) error {
		return w.Client().CoreV1().Pods(namespace).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: new(int64), DryRun: []string{metav1.DryRunAll}})
	})
	w.fix(t, args...).must(t, 0, remedy.Done)
	if !w.gone(t, namespace, name, first.UID) {
		t.Error("the pod is there")
	}
}

// makeSome writes into etcd what the API server takes no more, and has kept since the days of v1beta1: a webhook with side effects.
func (w *world) makeSome(ctx context.Context, configuration string) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{w.Etcd()}, DialTimeout: 5 * time.Second, Context: ctx})
	if err != nil {
		return fmt.Errorf("connect to etcd: %w", err)
	}
	defer client.Close()
	key := "/registry/admissionregistration.k8s.io/validatingwebhookconfigurations/" + configuration
	got, err := client.Get(ctx, key)
	if err != nil || len(got.Kvs) != 1 {
		key = "/registry/validatingwebhookconfigurations/" + configuration
		got, err = client.Get(ctx, key)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	if len(got.Kvs) != 1 || bytes.Count(got.Kvs[0].Value, []byte("None")) == 0 {
		return fmt.Errorf("etcd: %d of %s", len(got.Kvs), key)
	}
	if _, err := client.Put(ctx, key, string(bytes.ReplaceAll(got.Kvs[0].Value, []byte("None"), []byte("Some")))); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

func testSideEffects(t *testing.T, w *world) {
	const namespace, name, finalizer, configuration = "sideways", "stub", "guards.example.com/hold", "sideways-count"
	if err := w.delete(t.Context(), namespace, name); err != nil {
		t.Fatal(err)
	}
	first := w.until(t, namespace, name, heldOnly)
	h := serveHook(t, "")
	none, fail := registrationv1.SideEffectClassNone, registrationv1.Fail
	api := w.Client().AdmissionregistrationV1().ValidatingWebhookConfigurations()
	_, err := api.Create(t.Context(), &registrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: configuration},
		Webhooks: []registrationv1.ValidatingWebhook{{
			Name: "count.sideways.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: &none, FailurePolicy: &fail, NamespaceSelector: here(namespace),
			Rules: podRules(registrationv1.Update), ClientConfig: registrationv1.WebhookClientConfig{URL: &h.url, CABundle: h.ca},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = api.Delete(context.WithoutCancel(t.Context()), configuration, metav1.DeleteOptions{}) }()
	if err := w.makeSome(t.Context(), configuration); err != nil {
		t.Fatal(err)
	}
	err = bed.Poll(t.Context(), soon, func(ctx context.Context) error {
		if err := w.touch(ctx, namespace, name); err == nil || !strings.Contains(err.Error(), "dry run") {
			return fmt.Errorf("the webhook is not known to have side effects: %w", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"pod", name, "-n", namespace, "--finalizers=" + finalizer, "--yes=" + name, "--wait", "10s"}
	a := w.fix(t, append(args, "--dry-run=server")...)
	if len(a.doc.DryRun) != 1 || a.doc.DryRun[0].Said != remedy.Untestable {
		t.Errorf("the dry run: exit code %d, %s", a.Code, asJSON(a.doc.DryRun))
	}
	if h.asked(false) != 0 {
		t.Error("the webhook was asked about a write")
	}
	// It is no refusal: the write goes through.
	w.fix(t, args...).must(t, 0, remedy.Done)
	if !w.gone(t, namespace, name, first.UID) {
		t.Error("the pod is there")
	}
	if h.asked(false) != 1 {
		t.Errorf("the webhook was asked about %d writes, want one", h.asked(false))
	}
}
