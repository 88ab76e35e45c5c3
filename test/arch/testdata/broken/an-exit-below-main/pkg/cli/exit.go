package cli

import (
	"log"
	"os"

	"k8s.io/kubectl/pkg/cmd/util"
)

func leave(err error) {
	util.CheckErr(err) // want no-exit "CheckErr"
	log.Fatalf("no")   // want no-exit "log.Fatalf"
	os.Exit(1)         // want no-exit "os.Exit"
}
