package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// documentedRole is the ClusterRole that docs/RIGHTS.md prints.
func documentedRole(t *testing.T) *rbacv1.ClusterRole {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "RIGHTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```yaml\n")
	text, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("docs/RIGHTS.md holds no YAML")
	}
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict([]byte(text), &role); err != nil {
		t.Fatal(err)
	}
	return &role
}

func TestTheDocumentedRoleIsEnoughAndReadsOnly(t *testing.T) {
	role := documentedRole(t)
	for _, rule := range role.Rules {
		for _, verb := range rule.Verbs {
			if verb != "get" && verb != "list" {
				t.Errorf("the documented role allows %s", verb)
			}
		}
	}
	rbac := shared.cluster.Client().RbacV1()
	if _, err := rbac.ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := rbac.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "reader"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := shared.cluster.UserKubeconfig("reader")
	if err != nil {
		t.Fatal(err)
	}
	a := shared.as(t, config, append(everything, "-o", "json")...)
	if a.code != 0 {
		t.Fatalf("exit code %d\n%s", a.code, a.errOut)
	}
	d := parse(t, a.out)
	if len(d.Gaps) > 0 || len(d.Skipped) > 0 || !d.Summary.Complete || d.Summary.StuckPods == 0 {
		t.Errorf("gaps %+v, skipped %+v, summary %+v", d.Gaps, d.Skipped, d.Summary)
	}
}
