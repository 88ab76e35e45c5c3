package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Role is the ClusterRole of docs/RIGHTS.md that has what a plan needs.
const Role = "stuck-fixer"

// Rights are those that a plan needs and the user does not have.
type Rights struct {
	// Missing are those without which a step would be refused, and Optional those without which only an Event would be missing.
	Missing, Optional []report.MissingRight
}

// Err is a *Lacking error where the plan cannot be carried out.
func (r Rights) Err() error {
	if len(r.Missing) == 0 {
		return nil
	}
	return &Lacking{Missing: r.Missing}
}

// Rights asks the API server about every right that the steps need, before the first of them. What it cannot evaluate is missing; an error says that
// it could not be asked.
func (c *Client) Rights(ctx context.Context, steps []remedy.Step) (Rights, error) {
	var out Rights
	seen := map[authorizationv1.ResourceAttributes]bool{}
	ask := func(verb string, ref snapshot.Ref, into *[]report.MissingRight) error {
		info, ok := snapshot.InfoOf(ref.Kind)
		if !ok {
			return fmt.Errorf("%s: not a kind that this tool knows", ref)
		}
		q := authorizationv1.ResourceAttributes{
			Verb: verb, Group: info.GVR.Group, Version: info.GVR.Version, Resource: info.GVR.Resource, Namespace: ref.Namespace, Name: ref.Name,
		}
		switch verb {
		case string(remedy.Create):
			q.Name = "" // RBAC cannot know the name of what does not exist
		case string(remedy.Evict):
			q.Verb, q.Subresource = "create", subEviction
		}
		if seen[q] {
			return nil
		}
		seen[q] = true
		missing, err := c.may(ctx, q)
		if err != nil {
			return fmt.Errorf("ask whether %s of %s is allowed: %w", verb, ref, err)
		}
		if missing != nil {
			*into = append(*into, *missing)
		}
		return nil
	}
	for _, s := range steps {
		for _, verb := range []string{"get", string(s.Verb)} {
			if err := ask(verb, s.Ref, &out.Missing); err != nil {
				return out, err
			}
		}
	}
	for _, s := range steps {
		if err := ask("create", snapshot.Ref{Kind: snapshot.Event, Namespace: eventNamespace(s.Ref)}, &out.Optional); err != nil {
			return out, err
		}
	}
	return out, nil
}

// may returns nothing where it is allowed.
func (c *Client) may(ctx context.Context, q authorizationv1.ResourceAttributes) (*report.MissingRight, error) {
	body, err := json.Marshal(&authorizationv1.SelfSubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"},
		Spec:     authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &q},
	})
	if err != nil {
		return nil, err
	}
	a, err := c.do(ctx, call{method: http.MethodPost, path: pathAccessReview, contentType: contentJSON, body: body})
	if err == nil {
		err = a.err()
	}
	if err != nil {
		return nil, err
	}
	var review authorizationv1.SelfSubjectAccessReview
	if err := json.Unmarshal(a.body, &review); err != nil || review.Kind != "SelfSubjectAccessReview" {
		return nil, fmt.Errorf("the answer is not a review of access")
	}
	if review.Status.Allowed && !review.Status.Denied {
		return nil, nil
	}
	why := review.Status.Reason
	if e := review.Status.EvaluationError; e != "" {
		why = strings.TrimPrefix(why+"; it could not be evaluated: "+e, "; ")
	}
	resource := q.Resource
	if q.Group != "" {
		resource += "." + q.Group
	}
	return &report.MissingRight{
		Verb: q.Verb, Resource: resource, Subresource: q.Subresource, Namespace: q.Namespace, Name: q.Name, Why: why, Role: Role,
	}, nil
}
