package apply

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	corev1 "k8s.io/api/core/v1"
)

// raw sends a DELETE as given and returns the code and the answer.
func raw(t *testing.T, verb string, p *corev1.Pod, dryRunParam bool, contentType, body string) (int, string) {
	t.Helper()
	req := clientset(t).CoreV1().RESTClient().Verb(verb).Namespace(p.Namespace).Resource("pods").Name(p.Name).MaxRetries(0).
		SetHeader("Content-Type", contentType).SetHeader("Accept", "application/json")
	if dryRunParam {
		req.Param("dryRun", "All")
	}
	if body != "" {
		req.Body([]byte(body))
	}
	var code int
	res := req.Do(t.Context()).StatusCode(&code)
	b, err := res.Raw()
	var status *apierrors.StatusError
	if errors.As(err, &status) {
		code = int(status.ErrStatus.Code)
	}
	return code, string(b)
}

func TestADeletionWithABodyIsADryRunOnlyWhereTheBodySaysSo(t *testing.T) {
	ns := space(t)
	for _, tc := range []struct {
		name    string
		param   bool
		body    string
		deletes bool
	}{
		{"body-only", false, `{"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0,"dryRun":["All"]}`, false},
		{"both", true, `{"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0,"dryRun":["All"]}`, false},
		{"param-without-body", true, "", false},
		{"param-with-silent-body", true, `{"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0}`, true}, // so the gate looks at the body
	} {
		p := pod(t, ns, tc.name)
		code, answer := raw(t, http.MethodDelete, p, tc.param, "application/json", tc.body)
		t.Logf("%s: %d %.300s", tc.name, code, answer)
		if code != http.StatusOK {
			t.Errorf("%s: %d", tc.name, code)
		}
		now := get(t, p)
		if deleted := now == nil || now.ResourceVersion != p.ResourceVersion; deleted != tc.deletes {
			t.Errorf("%s: changed %v, want %v", tc.name, deleted, tc.deletes)
		}
	}
}

func TestPreconditionsThatFailAreAConflict(t *testing.T) {
	p := pod(t, space(t), "cart-0")
	for name, pre := range map[string]string{
		"the UID in the precondition":             `{"uid":"00000000-0000-0000-0000-000000000000"}`,
		"the ResourceVersion in the precondition": `{"uid":"` + string(p.UID) + `","resourceVersion":"1"}`,
	} {
		code, answer := raw(t, http.MethodDelete, p, false, "application/json", `{"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0,"preconditions":`+pre+`}`)
		t.Logf("%d %s", code, answer)
		if code != http.StatusConflict || !strings.Contains(answer, name) {
			t.Errorf("%s: %d %s", name, code, answer)
		}
	}
	if now := get(t, p); now == nil || now.ResourceVersion != p.ResourceVersion {
		t.Error("the pod was changed")
	}
}

func TestAPatchWhoseTestFailsIsUnprocessable(t *testing.T) {
	p := pod(t, space(t), "cart-0", hold)
	for name, patch := range map[string]string{
		"uid":             `[{"op":"test","path":"/metadata/uid","value":"other"},{"op":"remove","path":"/metadata/finalizers/0"}]`,
		"resourceVersion": `[{"op":"test","path":"/metadata/resourceVersion","value":"1"},{"op":"remove","path":"/metadata/finalizers/0"}]`,
		"finalizer":       `[{"op":"test","path":"/metadata/finalizers/0","value":"other"},{"op":"remove","path":"/metadata/finalizers/0"}]`,
		"absent":          `[{"op":"test","path":"/metadata/finalizers/5","value":"other"},{"op":"remove","path":"/metadata/finalizers/5"}]`,
	} {
		code, answer := raw(t, http.MethodPatch, p, false, string(types.JSONPatchType), patch)
		t.Logf("%s: %d %s", name, code, answer)
		if code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", name, code, answer)
		}
	}
	if now := get(t, p); now == nil || now.ResourceVersion != p.ResourceVersion {
		t.Error("the pod was changed")
	}
}

func TestTheAnswerToADeletionIsThePod(t *testing.T) {
	ns := space(t)
	zero := int64(0)
	for _, tc := range []struct {
		name  string
		grace *int64
		fins  []string
	}{{"graceful", nil, nil}, {"force", &zero, nil}, {"force-held", &zero, []string{hold}}, {"graceful-held", nil, []string{hold}}} {
		p := pod(t, ns, tc.name, tc.fins...)
		for _, dry := range []bool{true, false} {
			o := metav1.DeleteOptions{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"}, GracePeriodSeconds: tc.grace}
			if dry {
				o.DryRun = []string{metav1.DryRunAll}
			}
			body, _ := json.Marshal(o)
			code, answer := raw(t, http.MethodDelete, p, dry, "application/json", string(body))
			var got corev1.Pod
			if err := json.Unmarshal([]byte(answer), &got); err != nil {
				t.Fatal(err)
			}
			now := get(t, p)
			t.Logf("%s dry=%v: %d kind %s uid %v rv %s (was %s) deletion %v grace %v finalizers %v; there afterwards: %v", tc.name, dry, code, got.Kind, got.UID == p.UID,
				got.ResourceVersion, p.ResourceVersion, got.DeletionTimestamp, got.DeletionGracePeriodSeconds, got.Finalizers, now != nil)
			if got.Kind != "Pod" || got.UID != p.UID || got.DeletionTimestamp == nil {
				t.Errorf("%s dry=%v: the answer is %s", tc.name, dry, answer)
			}
			if !dry && now != nil && now.ResourceVersion != got.ResourceVersion {
				t.Errorf("%s: the answer has resourceVersion %s and the pod %s", tc.name, got.ResourceVersion, now.ResourceVersion)
			}
		}
	}
}
