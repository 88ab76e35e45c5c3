package cli

import (
	"fmt"
	"log"
)

func print2() {
	fmt.Println("no")  // want no-printing "fmt.Println"
	log.Printf("no")   // want no-printing "log.Printf"
	println("no")      // want no-printing "builtin println"
	fmt.Sprintln("so") // a string
}
