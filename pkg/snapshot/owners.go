package snapshot

import "k8s.io/apimachinery/pkg/runtime"

// FinalizerOwners names, in place of a namespace, a selection for Complete: of all namespaces, every object of the kind that may be the owner of a
// finalizer on something that is stuck was read, and no others. It is no name that a namespace can have, and no word that tells whose cluster it is.
const FinalizerOwners = "*"

// Objects lists what was added of the kind so far, by namespace and name.
func (b *Builder) Objects(k Kind) []runtime.Object { return sorted(b.d.objects[k]) }
