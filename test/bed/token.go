package bed

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

func issueToken(ctx context.Context, client kubernetes.Interface, namespace, name string) (string, error) {
	answer, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("issue a token for ServiceAccount %s/%s: %w", namespace, name, err)
	}
	return answer.Status.Token, nil
}
