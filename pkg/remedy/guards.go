package remedy

// Guards lists the guards in the order in which docs/SAFETY.md has them. Each is one file, guard_*.go; a test holds the files against this list.
func Guards() []Guard {
	return []Guard{
		inGrace(), replaced(), mirrorPod(), notBeingDeleted(), notStuck(),
		atMostOne(), kubeletAlive(), killUnconfirmed(), volumeInUse(),
		finalizersRemain(), ownerAlive(), ownerUnknown(),
		comesBack(), symptom(), clearsSoon(), budget(), systemCritical(), virtualNode(),
		unread(), attestation(), blastRadius(), storm(),
		nodeReplaced(), nodeUnread(), nodeUnreadEvidence(), nodeHealthy(), nodeStorm(), nodeControlPlaneLast(), nodeControlPlane(), nodeLastOfKind(),
		nodeAtMostOne(), nodeVolumes(), nodeKubeletAlive(), nodeInGrace(), nodeBudgets(), nodeUnmanaged(), nodeLocalData(), nodeRoom(), nodeSystemCritical(),
		nodeVirtual(), nodeMachineMayGo(), nodeRegisters(), nodeFinalizers(), nodeAlreadyDeleted(),
		nodeOutOfService(), nodeOffVouched(), nodeInService(), nodeNotReady(), nodeAttest(),
	}
}
