package apply

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

// TestTheRoleOfThePageAllowsWhatIsDoneToANode takes the role from where docs/RIGHTS.md takes it, beside reading.
func TestTheRoleOfThePageAllowsWhatIsDoneToANode(t *testing.T) {
	ns := space(t)
	n, p := machine(t, nil), running(t, ns, "cart-0", "a")
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: ns + "-fixer"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods", "nodes"}, Verbs: []string{"get"}}}}
	for _, r := range remedy.Rights() {
		var verbs []string
		for _, v := range r.Verbs {
			verbs = append(verbs, string(v))
		}
		role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{r.Group}, Resources: []string{r.Resource}, Verbs: verbs})
	}
	api := cluster.Client().RbacV1()
	if _, err := api.ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "drainer"}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	again := deletes(n)
	again.Verb, again.ResourceVersion, again.Ref.UID, again.Ref.Name = remedy.Create, "", "", n.Name+"-again"
	again.Manifest = []byte(`{"apiVersion":"v1","kind":"Node","metadata":{"name":"` + again.Ref.Name + `"}}`)
	plan := planOf(steps(cordon(n)), steps(evict(p)), steps(deletes(n)), steps(again))
	plan.Acts = append(plan.Acts, probe(t, ns, "probe"))
	var all []remedy.Step
	for _, a := range plan.Acts {
		all = append(all, a.Steps...)
	}
	drainer, err := cluster.UserKubeconfig("drainer")
	can := client(t, userClient(t, drainer, err))
	if err := bed.Poll(t.Context(), 15*time.Second, func(ctx context.Context) error {
		r, err := can.Rights(ctx, all)
		if err == nil && len(r.Missing)+len(r.Optional) > 0 {
			err = fmt.Errorf("missing: %+v", r)
		}
		if err != nil {
			return err
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, a := range can.DryRun(t.Context(), plan, nil) {
		if a.Said != remedy.Accepted && a.Said != remedy.Untestable {
			t.Errorf("%+v", a)
		}
	}
	nobody, err := cluster.UserKubeconfig("nobody")
	r, rerr := client(t, userClient(t, nobody, err)).Rights(t.Context(), all)
	if rerr != nil {
		t.Fatal(rerr)
	}
	var missing []string
	for _, m := range r.Missing {
		missing = append(missing, strings.TrimSuffix(m.Verb+" "+m.Resource+"/"+m.Subresource, "/"))
	}
	t.Log(r.Err())
	got := strings.Join(missing, ", ")
	for _, w := range []string{"get nodes", "patch nodes", "delete nodes", "create nodes", "get pods", "create pods/eviction", "create pods", "delete pods"} {
		if !strings.Contains(got+",", w+",") {
			t.Errorf("%s is not missing: %s", w, got)
		}
	}
}
