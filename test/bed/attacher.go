package bed

import (
	"context"
	"fmt"
	"slices"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/test/csi"
)

// attacherPeriod is how often the attacher looks; the few VolumeAttachments of
// a bed need no watch.
const attacherPeriod = time.Second

// attacherFinalizer is the one that the real external attacher would set.
const attacherFinalizer = "external-attacher/block-csi-example-com"

// attachVolumes plays the controller half of the CSI driver, the external
// attacher: whatever the attach-detach controller asks for is done at once.
func (c *Cluster) attachVolumes(ctx context.Context) {
	ticker := time.NewTicker(attacherPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := c.attachOnce(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintf(c.opts.Log, "attacher: %v\n", err)
		}
	}
}

func (c *Cluster) attachOnce(ctx context.Context) error {
	attachments := c.client.StorageV1().VolumeAttachments()
	list, err := attachments.List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return fmt.Errorf("list VolumeAttachments: %w", err)
	}
	for _, va := range list.Items {
		if va.Spec.Attacher != csi.DriverName {
			continue
		}
		if err := c.reconcileAttachment(ctx, &va); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return fmt.Errorf("VolumeAttachment %s: %w", va.Name, err)
		}
	}
	return nil
}

func (c *Cluster) reconcileAttachment(ctx context.Context, va *storagev1.VolumeAttachment) error {
	attachments := c.client.StorageV1().VolumeAttachments()
	switch {
	case va.DeletionTimestamp != nil:
		va.Finalizers = slices.DeleteFunc(va.Finalizers, func(f string) bool { return f == attacherFinalizer })
		_, err := attachments.Update(ctx, va, metav1.UpdateOptions{})
		return err
	case !slices.Contains(va.Finalizers, attacherFinalizer):
		va.Finalizers = append(va.Finalizers, attacherFinalizer)
		_, err := attachments.Update(ctx, va, metav1.UpdateOptions{})
		return err
	case !va.Status.Attached:
		va.Status.Attached = true
		_, err := attachments.UpdateStatus(ctx, va, metav1.UpdateOptions{})
		return err
	}
	return nil
}
