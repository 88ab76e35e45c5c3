package sourcetest

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
)

// Synthetic describes a made-up cluster whose dump WriteTo prints.
type Synthetic struct {
	Pods  int
	Nodes int // default 1 for each 100 pods
	// Stuck is how many pods are Terminating beyond their grace, all on the first nodes. Default 1 in 1000.
	Stuck int
	// Now is the moment of the dump. Default 2026-01-02 03:04:05 UTC.
	Now time.Time
}

func (c Synthetic) withDefaults() Synthetic {
	if c.Nodes == 0 {
		c.Nodes = max(1, c.Pods/100)
	}
	if c.Stuck == 0 {
		c.Stuck = c.Pods / 1000
	}
	if c.Now.IsZero() {
		c.Now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	}
	return c
}

// WriteTo prints one List of everything, as kubectl get -o json does: the leases, the nodes, and the pods of about 7 kB each.
func (c Synthetic) WriteTo(w io.Writer) (int64, error) {
	c = c.withDefaults()
	n := &counter{w: w}
	b := bufio.NewWriterSize(n, 1<<20)
	fmt.Fprint(b, "{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n")
	perNode := (c.Pods + c.Nodes - 1) / c.Nodes
	for i := range c.Nodes {
		fmt.Fprintf(b, leaseText, nodeName(i), c.Now.Add(-time.Duration(i%10)*time.Second).Format("2006-01-02T15:04:05.000000Z07:00"))
		fmt.Fprintf(b, nodeText, nodeName(i), c.Now.Add(-time.Minute).Format(time.RFC3339))
	}
	old := c.Now.Add(-3 * time.Hour).Format(time.RFC3339)
	for i := range c.Pods {
		deletion := ""
		if i < c.Stuck {
			deletion = fmt.Sprintf("\n                \"deletionGracePeriodSeconds\": 30,\n                \"deletionTimestamp\": %q,", c.Now.Add(-time.Hour).Format(time.RFC3339))
		}
		end := ",\n"
		if i == c.Pods-1 {
			end = "\n"
		}
		namespace := fmt.Sprintf("team-%02d", i%40)
		app := fmt.Sprintf("service-%03d", i%700)
		hash := fmt.Sprintf("%08x", uint32(i%700)*2654435761)
		name := fmt.Sprintf("%s-%s-%05x", app, hash, i)
		fmt.Fprintf(b, podText, old, deletion, app, hash, namespace, name, nodeName(i/perNode), i, end)
	}
	fmt.Fprint(b, "    ],\n    \"kind\": \"List\",\n    \"metadata\": {\n        \"resourceVersion\": \"\"\n    }\n}\n")
	err := b.Flush()
	return n.n, err
}

func nodeName(i int) string { return fmt.Sprintf("node-%05d", i) }

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

const leaseText = `        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": %[1]q,
                "namespace": "kube-node-lease",
                "resourceVersion": "77"
            },
            "spec": {
                "holderIdentity": %[1]q,
                "leaseDurationSeconds": 40,
                "renewTime": %[2]q
            }
        },
`

const nodeText = `        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "labels": {
                    "kubernetes.io/hostname": %[1]q
                },
                "name": %[1]q,
                "resourceVersion": "78"
            },
            "spec": {},
            "status": {
                "conditions": [
                    {
                        "lastHeartbeatTime": %[2]q,
                        "lastTransitionTime": "2025-11-30T10:00:00Z",
                        "message": "kubelet is posting ready status",
                        "reason": "KubeletReady",
                        "status": "True",
                        "type": "Ready"
                    }
                ]
            }
        },
`

// podText takes: creation, deletion fields, app, hash, namespace, name, node, number, separator.
var podText = strings.ReplaceAll(`        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "annotations": {
                    "example.com/checksum": "4b0d1d2a6c0f5b7f8f5a4b9b9d6f1e2c3a4b5c6d7e8f90a1b2c3d4e5f6071829",
                    "example.com/owner": "platform team, reachable on the usual channel \"ops\""
                },
                "creationTimestamp": "%[1]s",%[2]s
                "generateName": "%[3]s-%[4]s-",
                "generation": 1,
                "labels": {
                    "app.kubernetes.io/name": "%[3]s",
                    "app.kubernetes.io/part-of": "shop",
                    "pod-template-hash": "%[4]s"
                },
                "name": "%[6]s",
                "namespace": "%[5]s",
                "ownerReferences": [
                    {
                        "apiVersion": "apps/v1",
                        "blockOwnerDeletion": true,
                        "controller": true,
                        "kind": "ReplicaSet",
                        "name": "%[3]s-%[4]s",
                        "uid": "0f5b4a0e-2a5e-4d3b-9d4e-0a7a3c9e1f11"
                    }
                ],
                "resourceVersion": "%[8]d",
                "uid": "5b7c6d1e-0000-4000-8000-%012[8]d"
            },
            "spec": {
                "affinity": {
                    "podAntiAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {
                                "podAffinityTerm": {
                                    "labelSelector": {
                                        "matchLabels": {
                                            "app.kubernetes.io/name": "%[3]s"
                                        }
                                    },
                                    "topologyKey": "kubernetes.io/hostname"
                                },
                                "weight": 100
                            }
                        ]
                    }
                },
                "containers": [
                    {
                        "args": [
                            "--listen=:8080",
                            "--log-format=json"
                        ],
@ENV@                        "image": "registry.example.com/shop/%[3]s:v1.24.3",
                        "imagePullPolicy": "IfNotPresent",
                        "livenessProbe": {
                            "failureThreshold": 3,
                            "httpGet": {
                                "path": "/healthz",
                                "port": 8080,
                                "scheme": "HTTP"
                            },
                            "periodSeconds": 10,
                            "successThreshold": 1,
                            "timeoutSeconds": 1
                        },
                        "name": "main",
                        "ports": [
                            {
                                "containerPort": 8080,
                                "name": "http",
                                "protocol": "TCP"
                            }
                        ],
                        "resources": {
                            "limits": {
                                "cpu": "1",
                                "memory": "512Mi"
                            },
                            "requests": {
                                "cpu": "100m",
                                "memory": "256Mi"
                            }
                        },
                        "terminationMessagePath": "/dev/termination-log",
                        "terminationMessagePolicy": "File",
                        "volumeMounts": [
                            {
                                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                                "name": "kube-api-access-x7k2p",
                                "readOnly": true
                            }
                        ]
                    }
                ],
                "dnsPolicy": "ClusterFirst",
                "enableServiceLinks": true,
                "nodeName": "%[7]s",
                "preemptionPolicy": "PreemptLowerPriority",
                "priority": 0,
                "restartPolicy": "Always",
                "schedulerName": "default-scheduler",
                "securityContext": {},
                "serviceAccount": "default",
                "serviceAccountName": "default",
                "terminationGracePeriodSeconds": 30,
                "tolerations": [
                    {
                        "effect": "NoExecute",
                        "key": "node.kubernetes.io/not-ready",
                        "operator": "Exists",
                        "tolerationSeconds": 300
                    },
                    {
                        "effect": "NoExecute",
                        "key": "node.kubernetes.io/unreachable",
                        "operator": "Exists",
                        "tolerationSeconds": 300
                    }
                ],
                "volumes": [
                    {
                        "name": "kube-api-access-x7k2p",
                        "projected": {
                            "defaultMode": 420,
                            "sources": [
                                {
                                    "serviceAccountToken": {
                                        "expirationSeconds": 3607,
                                        "path": "token"
                                    }
                                },
                                {
                                    "configMap": {
                                        "items": [
                                            {
                                                "key": "ca.crt",
                                                "path": "ca.crt"
                                            }
                                        ],
                                        "name": "kube-root-ca.crt"
                                    }
                                }
                            ]
                        }
                    }
                ]
            },
            "status": {
                "conditions": [
                    {
                        "lastProbeTime": null,
                        "lastTransitionTime": "%[1]s",
                        "status": "True",
                        "type": "Initialized"
                    },
                    {
                        "lastProbeTime": null,
                        "lastTransitionTime": "%[1]s",
                        "status": "True",
                        "type": "Ready"
                    },
                    {
                        "lastProbeTime": null,
                        "lastTransitionTime": "%[1]s",
                        "status": "True",
                        "type": "ContainersReady"
                    },
                    {
                        "lastProbeTime": null,
                        "lastTransitionTime": "%[1]s",
                        "status": "True",
                        "type": "PodScheduled"
                    }
                ],
                "containerStatuses": [
                    {
                        "containerID": "containerd://3f0c2b7e9d8a4c51b6e2f7a0c9d8e7f6a5b4c3d2e1f00112233445566778899",
                        "image": "registry.example.com/shop/%[3]s:v1.24.3",
                        "imageID": "registry.example.com/shop/%[3]s@sha256:9b2d1f0e8c7a6b5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d",
                        "lastState": {},
                        "name": "main",
                        "ready": true,
                        "restartCount": 0,
                        "started": true,
                        "state": {
                            "running": {
                                "startedAt": "%[1]s"
                            }
                        }
                    }
                ],
                "hostIP": "10.0.3.17",
                "phase": "Running",
                "podIP": "10.244.7.91",
                "podIPs": [
                    {
                        "ip": "10.244.7.91"
                    }
                ],
                "qosClass": "Burstable",
                "startTime": "%[1]s"
            }
        }%[9]s`, "@ENV@", envText())

func envText() string {
	var b strings.Builder
	b.WriteString("                        \"env\": [\n")
	for i := range 4 {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, "                            {\n                                \"name\": \"SETTING_%d\",\n                                \"value\": \"https://example.com/setting/%d\"\n                            }", i, i)
	}
	b.WriteString("\n                        ],\n")
	return b.String()
}
